"""The command line of the sandbox, what is handed in, and every reason for which nothing is run."""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from wheelmark.errors import Unavailable
from wheelmark.scan import Context, Sample
from wheelmark.scan.command import main
from wheelmark.scan.dynamic.bounds import MIB, LookBounds
from wheelmark.scan.dynamic.host import find_programs
from wheelmark.scan.dynamic.places import DRIVER, HOME, USER_ID
from wheelmark.scan.dynamic.plan import Phase, Step, is_safe, packed, unpack
from wheelmark.scan.dynamic.sandbox import Host, sandbox_command
from wheelmark.scan.dynamic.selftest import faults_of

BOUNDS = LookBounds()
HOST = Host(
    bwrap="/usr/bin/bwrap",
    strace="/usr/bin/strace",
    runtime=Path("/runtime"),
    version="3.11",
    links={"/bin": "usr/bin", "/lib": ""},
    masked=("/usr/local",),
)
HOLDS: dict[str, object] = {
    "python": ".".join(map(str, __import__("sys").version_info[:3])),
    "installed": [HOST.site_packages],
    "setuptools": True,
    "routes": [],
    "routes6": [],
    "interfaces": ["lo"],
    "processes": [1, 2, 3],
    "capabilities": ["0" * 16] * 4,
    "no_new_privileges": "1",
    "top": ["dev", "etc", "home", "opt", "proc", "tmp", "usr", "work"],
    "host_files": [],
    "writable": [],
    "environment": ["LD_LIBRARY_PATH", "PYTHONPATH"],
    "descriptors": [0, 1, 2],
    "limits": BOUNDS.limits(),
    "new_user_namespace": False,
    "user": USER_ID,
}


def layers() -> tuple[list[str], list[str], list[str]]:
    """The outer sandbox, strace with the shell, and the inner sandbox with its program."""
    command = sandbox_command(HOST, BOUNDS)
    strace, inner = command.index(HOST.strace), command.index(HOST.bwrap, 1)
    return command[:strace], command[strace:inner], command[inner:]


def options(command: list[str], name: str, count: int) -> list[tuple[str, ...]]:
    return [tuple(command[at + 1 : at + 1 + count]) for at, each in enumerate(command) if each == name]


def test_outer_layer_has_nothing_of_the_host_but_programs() -> None:
    outer, _, _ = layers()
    assert {f"--unshare-{each}" for each in ("user", "pid", "net", "ipc", "uts", "cgroup")} <= set(outer)
    assert {"--die-with-parent", "--new-session", "--clearenv"} <= set(outer)
    assert options(outer, "--cap-drop", 1) == [("ALL",)]
    assert [source for source, _ in options(outer, "--ro-bind", 2)] == [
        "/usr",
        "/lib",
        *(f"/runtime/{name}" for name in ("python", "venv", "look", "etc")),
    ]
    assert not {"--bind", "--dev-bind", "--share-net", "--bind-try"} & set(outer)
    assert ("/",) in options(outer, "--remount-ro", 1)


def test_inner_layer_cannot_make_user_namespaces_and_writes_to_limited_memory() -> None:
    _, _, inner = layers()
    assert {"--unshare-user", "--disable-userns", "--unshare-pid", "--die-with-parent"} <= set(inner)
    assert options(inner, "--cap-drop", 1) == [("ALL",)]
    places = [place for (place,) in options(inner, "--tmpfs", 1)]
    assert {HOME, "/tmp", "/work", "/dev/shm", HOST.site_packages} == set(places)
    for at, each in enumerate(inner):
        if each == "--tmpfs":
            assert inner[at - 4] == "--size"
            assert 0 < int(inner[at - 3]) <= BOUNDS.max_unpacked_bytes + BOUNDS.scratch_bytes
    assert inner[-1] == DRIVER


def test_trace_goes_where_what_is_traced_has_no_descriptor() -> None:
    _, strace, _ = layers()
    assert ("/dev/fd/2",) in options(strace, "-o", 1)
    assert strace[-4:] == ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh"]
    assert {"-f", "-xx"} <= set(strace)
    traced = next(option.removeprefix("trace=") for (option,) in options(strace, "-e", 1)).split(",")
    assert {"execve", "connect", "sendto", "openat", "unlinkat", "kill", "ptrace"} <= set(traced)


def test_sandbox_that_holds_has_no_faults() -> None:
    assert faults_of(HOLDS, BOUNDS.limits(), HOST.site_packages) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("routes", ["eth0 00000000 0100000A"]),
        ("routes6", ["x eth0"]),
        ("interfaces", ["eth0", "lo"]),
        ("processes", list(range(1, 80))),
        ("processes", []),
        ("capabilities", ["0" * 16] * 3 + ["0" * 15 + "1"]),
        ("no_new_privileges", "0"),
        ("top", ["root", "usr"]),
        ("host_files", ["/etc/shadow"]),
        ("writable", ["/usr"]),
        ("environment", ["SECRET"]),
        ("descriptors", [0, 1, 2, 7]),
        ("limits", {}),
        ("new_user_namespace", True),
        ("user", 0),
        ("python", "2.7.18"),
        ("installed", []),
        ("setuptools", False),
    ],
)
def test_one_leak_is_one_fault(name: str, value: object) -> None:
    [fault] = faults_of(HOLDS | {name: value}, BOUNDS.limits(), HOST.site_packages)
    assert fault.startswith("expected ")


@pytest.mark.parametrize("name", sorted(HOLDS))
def test_what_was_not_looked_at_is_a_fault(name: str) -> None:
    seen = {key: value for key, value in HOLDS.items() if key != name}
    assert len(faults_of(seen, BOUNDS.limits(), HOST.site_packages)) == 1


def test_missing_program_is_named_with_how_to_get_it() -> None:
    with pytest.raises(Unavailable, match="expected bubblewrap and strace to be installed: apt-get install bubblewrap"):
        find_programs(lambda name: None, "linux")
    with pytest.raises(Unavailable, match="expected strace to be installed: apt-get install strace"):
        find_programs(lambda name: "/usr/bin/bwrap" if name == "bwrap" else None, "linux")
    with pytest.raises(Unavailable, match="expected Linux, whose namespaces contain what runs, got darwin"):
        find_programs(lambda name: f"/usr/bin/{name}", "darwin")


def test_command_without_the_programs_is_a_usage_error_and_scans_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "widget-1-py3-none-any.whl"
    path.write_bytes(Sample.imported("").packed())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert main(["--dynamic", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("wheelmark: --dynamic: expected bubblewrap and strace to be installed")


def a_phase() -> Phase:
    step = Step(argv=("python3",), cwd=HOME, environment={"A": "b"}, member="widget.py", what="import widget")
    return Phase(context=Context.IMPORT, steps=(step,), folder="/site")


def test_tar_has_the_plan_and_regular_files_and_cannot_be_written_any_more() -> None:
    files = {"widget.py": (b"X = 1\n", False), "run": (b"#!", True)}
    with packed(a_phase(), files, {f"{HOME}/.netrc": b"decoy"}, BOUNDS, "nonce") as descriptor:
        with pytest.raises(OSError, match="not permitted"):
            os.pwrite(descriptor, b"x", 0)
        raw = os.pread(descriptor, MIB, 0)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        members = {each.name: each for each in archive}
        plan = json.load(archive.extractfile("plan.json"))  # type: ignore[arg-type]
    assert list(members) == ["plan.json", "home/dev/.netrc", "site/run", "site/widget.py"]
    assert all(each.isreg() for each in members.values())
    assert [members[name].mode for name in ("home/dev/.netrc", "site/run", "site/widget.py")] == [0o600, 0o755, 0o644]
    assert plan["steps"] == [{"argv": ["python3"], "cwd": HOME, "environment": {"A": "b"}}]
    assert plan["limits"]["RLIMIT_CORE"] == [0, 0]


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "a//b", "./x", "a/" + "x" * 300])
def test_path_that_leads_elsewhere_is_a_gap(path: str) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("widget-1/setup.py"))
        archive.addfile(tarfile.TarInfo(path))
    raw.seek(0)
    found = unpack(raw, filename="widget-1.tar.gz", bounds=BOUNDS)
    assert len(found.gaps) == 1
    assert list(found.files) == ["widget-1/setup.py"]
    assert not is_safe("a/\0")


def test_links_are_counted_and_left_out() -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        link = tarfile.TarInfo("widget-1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    raw.seek(0)
    found = unpack(raw, filename="widget-1.tar.gz", bounds=BOUNDS)
    assert (found.files, found.links, found.gaps) == ({}, 1, [])


def test_too_much_to_lay_out_is_a_gap() -> None:
    raw = io.BytesIO(Sample.wheel({f"widget/{number}.py": "" for number in range(20)}).packed())
    assert unpack(raw, filename="widget-1-py3-none-any.whl", bounds=replace(BOUNDS, max_members=10)).gaps
