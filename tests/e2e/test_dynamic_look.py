"""The dynamic look at distributions that behave badly: what is seen, and that none of it reaches further."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support import misbehaviour
from support.misbehaviour import at_import, at_install, at_startup
from wheelmark.errors import Unavailable
from wheelmark.scan import Context, Finding, Sample, Severity
from wheelmark.scan.dynamic import selftest
from wheelmark.scan.dynamic.bounds import MIB, LookBounds
from wheelmark.scan.dynamic.look import Look, Looker, open_looker
from wheelmark.scan.dynamic.sandbox import Host, sandbox_command

pytestmark = pytest.mark.services

BOUNDS = LookBounds(step_seconds=15, phase_seconds=60, linger_seconds=0.5)


@pytest.fixture(scope="module")
def looker() -> Iterator[Looker]:
    with open_looker(BOUNDS) as opened:
        yield opened


def look_at(looker: Looker, folder: Path, sample: Sample) -> Look:
    path = folder / sample.filename
    path.write_bytes(sample.packed())
    return looker.look(path, filename=sample.filename, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def found(look: Look, rule: str) -> Finding:
    return next(finding for finding in look.findings if finding.rule == rule)


def said(look: Look) -> str:
    """What the imitation gave as its last word."""
    return found(look, "dynamic-stopped").evidence.partition(": ")[2].partition(": ")[2]


@pytest.mark.parametrize(
    ("source", "rule", "evidence"),
    [
        (misbehaviour.CONNECT, "dynamic-contact", "connect 192.0.2.1 port 443"),
        (misbehaviour.LOOK_UP, "dynamic-contact", "asks for the address of collect.example.invalid"),
        (misbehaviour.READ_KEY, "dynamic-decoy-read", "~/.ssh/id_ed25519"),
        (misbehaviour.READ_RELATIVE, "dynamic-decoy-read", "~/.aws/credentials"),
        (misbehaviour.SHOW_TOKEN, "dynamic-decoy-used", "GitHub token in a command line"),
        (misbehaviour.ENCODE_TOKEN, "dynamic-decoy-used", "PyPI token in what is written"),
        (misbehaviour.PROFILE, "dynamic-autostart", "writes ~/.bashrc"),
        (misbehaviour.CURL, "dynamic-transfer", "sh -c curl -s http://192.0.2.1/x"),
        (misbehaviour.DROP_AND_RUN, "dynamic-dropped-run", "/tmp/run-me"),
        (misbehaviour.FORK_MANY, "dynamic-many-processes", "more than 40 processes"),
        (misbehaviour.DELETE_SELF, "dynamic-self-delete", "widget/__init__.py"),
        (misbehaviour.WAKE_PARENT, "dynamic-interferes", "sends a signal to a process that it did not start"),
        (misbehaviour.UNSHARE, "dynamic-escape", "calls unshare"),
        (misbehaviour.LISTEN, "dynamic-listen", "listens on a socket"),
        (misbehaviour.DAEMON, "dynamic-left-running", "was ended with the sandbox"),
    ],
)
def test_what_an_import_does_is_seen(looker: Looker, tmp_path: Path, source: str, rule: str, evidence: str) -> None:
    look = look_at(looker, tmp_path, at_import(source))
    assert look.gaps == ()
    matching = [each for each in look.findings if each.rule == rule and evidence in each.evidence]
    assert matching, look.findings
    assert matching[0].member == "widget/__init__.py"
    assert matching[0].context is Context.IMPORT


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (misbehaviour.CONNECT, "dynamic-contact"),
        (misbehaviour.CRONTAB, "dynamic-autostart"),
        (misbehaviour.READ_KEY, "dynamic-decoy-read"),
    ],
)
def test_what_an_installation_does_is_critical(looker: Looker, tmp_path: Path, source: str, rule: str) -> None:
    finding = found(look_at(looker, tmp_path, at_install(source)), rule)
    assert (finding.severity, finding.context) == (Severity.CRITICAL, Context.INSTALL)
    assert finding.member == "widget-1/setup.py"


def test_what_the_start_of_the_interpreter_does_is_told_of_the_start(looker: Looker, tmp_path: Path) -> None:
    look = look_at(looker, tmp_path, at_startup("open(os.path.expanduser('~/.netrc'))"))
    reads = [finding for finding in look.findings if finding.rule == "dynamic-decoy-read"]
    assert [(finding.context, finding.member) for finding in reads] == [(Context.STARTUP, "widget.pth")]
    assert look.part.phases == (Context.STARTUP, Context.IMPORT)


@pytest.mark.parametrize(
    "sample",
    [
        Sample.wheel({"widget/__init__.py": "import json, os, threading, logging, ssl\nfrom widget import part\n",
                      "widget/part.py": "HOME = os = None\n"}),
        Sample.sdist({"setup.py": "from setuptools import setup, find_packages\n"
                                  "setup(name='widget', version='1', packages=find_packages())\n",
                      "widget/__init__.py": "import subprocess\n"}),
        Sample.sdist({"setup.py": "from distutils.core import setup\nsetup(name='widget', version='1')\n"}),
        Sample.sdist({"pyproject.toml": "[project]\nname = 'widget'\nversion = '1'\n", "src/widget/__init__.py": ""}),
        Sample.wheel({"widget-1.dist-info/METADATA": "Name: widget\n"}),
    ],
    ids=["wheel", "setup.py", "distutils", "declared", "empty"],
)  # fmt: skip
def test_harmless_distribution_gives_nothing(looker: Looker, tmp_path: Path, sample: Sample) -> None:
    look = look_at(looker, tmp_path, sample)
    assert (look.findings, look.gaps) == ((), ())


def test_in_tree_backend_is_run(looker: Looker, tmp_path: Path) -> None:
    backend = f"import os\ndef build_wheel(directory, settings=None, metadata=None):\n    {misbehaviour.READ_KEY}"
    pyproject = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['_build']\n"
    look = look_at(looker, tmp_path, Sample.sdist({"pyproject.toml": pyproject, "_build/backend.py": backend}))
    assert found(look, "dynamic-decoy-read").member == "widget-1/_build/backend.py"


def test_backend_that_is_not_there_is_told_and_no_error(looker: Looker, tmp_path: Path) -> None:
    pyproject = "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
    look = look_at(looker, tmp_path, Sample.sdist({"pyproject.toml": pyproject, "widget/__init__.py": ""}))
    assert (look.findings, look.gaps) == ((), ())
    assert look.part.notes == ("the build backend hatchling.build is not in the sandbox: the build was not run",)


def test_missing_dependency_is_told_and_no_error(looker: Looker, tmp_path: Path) -> None:
    look = look_at(looker, tmp_path, at_import("import no_such_dependency\n"))
    assert look.part.notes == ("not there, and stood in for: no_such_dependency",)
    finding = found(look, "dynamic-stopped")
    assert finding.severity is Severity.INFO
    assert "ModuleNotFoundError: No module named 'no_such_dependency'" in finding.evidence
    assert look.gaps == ()


def test_what_follows_missing_dependencies_is_seen(looker: Looker, tmp_path: Path) -> None:
    look = look_at(looker, tmp_path, at_import(misbehaviour.MISSING_FIRST + misbehaviour.READ_KEY))
    assert look.part.notes == ("not there, and stood in for: first_missing, second_missing",)
    assert found(look, "dynamic-decoy-read").evidence == (
        "import widget with stand-ins for first_missing, second_missing: ~/.ssh/id_ed25519"
    )
    assert len([finding for finding in look.findings if finding.rule == "dynamic-stopped"]) == 1
    assert look.gaps == ()


def test_what_is_handed_to_missing_modules_is_seen(looker: Looker, tmp_path: Path) -> None:
    look = look_at(looker, tmp_path, at_import(misbehaviour.POST_BY_MISSING))
    seen = {(finding.rule, finding.evidence.partition(": ")[2]) for finding in look.findings}
    assert ("dynamic-contact", "not_there.post https://collect.example.invalid/x") in seen
    assert ("dynamic-decoy-used", "AWS secret in what is passed to not_there.post") in seen
    assert ("dynamic-decoy-used", "wallet in what is passed to not_there.Session().send") in seen
    assert not [evidence for _, evidence in seen if "docs.example.invalid" in evidence]


def test_stand_in_that_makes_a_loop_endless_is_no_gap(looker: Looker, tmp_path: Path) -> None:
    narrow = Looker(looker.host, replace(BOUNDS, step_seconds=1.0), looker.python)
    look = look_at(narrow, tmp_path, at_import("import first_missing\n" + misbehaviour.ENDLESS))
    assert look.gaps == ()


@pytest.mark.parametrize(
    ("source", "changed", "reason"),
    [
        (misbehaviour.ENDLESS, {"step_seconds": 1.0}, "a step did not end in its time"),
        (misbehaviour.ENDLESS, {"phase_seconds": 1.0}, "timed out after 1 s"),
        (misbehaviour.ENDLESS, {"cpu_seconds": 1}, "a process used more CPU time than it may"),
        (misbehaviour.FLOOD, {}, "bytes of output, got more"),
        (misbehaviour.FORK_MANY, {"max_trace_bytes": MIB // 4}, "bytes of trace, got more"),
        (misbehaviour.HOLD_MEMORY, {"max_resident_bytes": 200 * MIB}, "bytes of memory in use, got more"),
        (misbehaviour.KILL_PARENT, {}, "the sandbox's driver was ended by SIGKILL"),
    ],
    ids=["step", "phase", "cpu", "output", "trace", "memory", "driver"],
)
def test_look_that_breaks_off_says_so(
    looker: Looker, tmp_path: Path, source: str, changed: dict[str, float], reason: str
) -> None:
    narrow = Looker(looker.host, replace(BOUNDS, **changed), looker.python)  # type: ignore[arg-type]
    look = look_at(narrow, tmp_path, at_import(source))
    assert look.gaps[0].startswith("dynamic look: import: ")
    assert look.gaps[0].endswith(reason)


def test_nothing_of_the_host_is_there(looker: Looker, tmp_path: Path) -> None:
    words = said(look_at(looker, tmp_path, at_import(misbehaviour.LOOK_AROUND))).split()
    assert {"usr", "work", "home"} <= set(words)
    assert not {"root", "var", "srv", "mnt", "sys", "boot", "run"} & set(words)
    assert len([word for word in words if word.isdigit()]) == 3  # the reaper, the driver, itself


def test_the_driver_cannot_be_read(looker: Looker, tmp_path: Path) -> None:
    look = look_at(looker, tmp_path, at_import(misbehaviour.READ_PARENT))
    assert said(look) == "kept out: mem environ fd"


def test_memory_file_systems_are_limited(looker: Looker, tmp_path: Path) -> None:
    assert said(look_at(looker, tmp_path, at_import(misbehaviour.FILL_SCRATCH))) == "OSError"


def test_archive_that_is_too_large_is_not_run(looker: Looker, tmp_path: Path) -> None:
    narrow = Looker(looker.host, replace(BOUNDS, max_unpacked_bytes=MIB), looker.python)
    look = look_at(narrow, tmp_path, Sample.wheel({"widget/__init__.py": "", "widget/zeros": bytes(2 * MIB)}))
    assert look.gaps
    assert look.part.phases == ()


def test_paths_that_climb_are_not_laid_out(looker: Looker, tmp_path: Path) -> None:
    look = look_at(looker, tmp_path, Sample.wheel({"widget.py": "", "../../etc/x": ""}))
    assert look.part.phases == ()
    assert "expected a path below the distribution's own" in look.gaps[0]


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (["--unshare-net"], "expected interfaces"),
        (["--disable-userns"], "expected new user namespace False, got True"),
        (["--unshare-pid", "--unshare-pid"], "expected at most 3 processes"),
        (["--remount-ro /dev"], "expected writable"),
    ],
    ids=["network", "namespaces", "processes", "writable"],
)
def test_sandbox_with_a_hole_is_refused(
    looker: Looker, monkeypatch: pytest.MonkeyPatch, left_out: list[str], reason: str
) -> None:
    def with_a_hole(host: Host, bounds: LookBounds) -> list[str]:
        command = "\n".join(sandbox_command(host, bounds))
        for option in left_out:
            before, _, behind = command.rpartition("\n" + option.replace(" ", "\n"))
            command = before + behind
        return command.split("\n")

    monkeypatch.setattr(selftest, "sandbox_command", with_a_hole)
    with pytest.raises(Unavailable, match=reason):
        selftest.check(looker.host, BOUNDS)


@pytest.mark.parametrize("said", ["bwrap: No permissions to create a new namespace", ""])
def test_sandbox_that_cannot_be_built_is_refused(looker: Looker, said: str) -> None:
    program = looker.host.runtime / "refuses"  # where whoever the sandbox belongs to may execute it
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(Unavailable, match=f"expected a contained process to run, got: {said or 'nothing'}"):
        selftest.check(replace(looker.host, bwrap=str(program)), BOUNDS)


def test_two_looks_see_the_same(looker: Looker, tmp_path: Path) -> None:
    source = misbehaviour.READ_KEY + misbehaviour.LOOK_UP + misbehaviour.FORK_MANY + misbehaviour.DROP_AND_RUN
    source += "import tempfile\nopen(tempfile.mktemp(dir=os.path.expanduser('~/.cache' if 0 else '~')), 'w')\n"
    first, second = (look_at(looker, tmp_path, at_import(source)) for _ in range(2))
    assert first == second
    assert len(first.findings) > 3


def scan(path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from wheelmark.cli import main; sys.exit(main())", "scan"]
    return subprocess.run(
        [*command, *options, str(path)], capture_output=True, text=True, env=os.environ | environment, timeout=120
    )


def test_command_says_what_was_seen_and_that_it_was_run(tmp_path: Path) -> None:
    path = tmp_path / "widget-1.tar.gz"
    path.write_bytes(at_install(misbehaviour.CONNECT).packed())
    shown = scan(path, "--dynamic")
    assert shown.returncode == 1
    assert "dynamic look: ran install, import under Python" in shown.stdout
    assert "connect 192.0.2.1 port 443" in shown.stdout
    report = json.loads(scan(path, "--dynamic", "--format", "json").stdout)
    assert report["verdict"] == "malicious"
    assert report["dynamic"]["phases"] == ["install", "import"]
    assert "dynamic-contact" in {finding["rule"] for finding in report["findings"]}
    sarif = json.loads(scan(path, "--dynamic", "--format", "sarif").stdout)["runs"][0]
    assert "dynamic-contact" in {result["ruleId"] for result in sarif["results"]}
    assert sarif["artifacts"][0]["properties"]["dynamic"]["phases"] == ["install", "import"]


def test_command_without_the_option_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "widget-1.tar.gz"
    path.write_bytes(at_install(misbehaviour.CONNECT).packed())
    report = json.loads(scan(path, "--format", "json").stdout)
    assert "dynamic" not in report
    assert not [finding for finding in report["findings"] if finding["rule"].startswith("dynamic-")]
