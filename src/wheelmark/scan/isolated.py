"""Scans in a confined child process: whatever a file does to the scanner, the caller gets a report."""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

import orjson

from wheelmark.errors import Unavailable
from wheelmark.scan.bounds import WorkerLimits
from wheelmark.scan.engine import OUT_OF_MEMORY, incomplete
from wheelmark.scan.report import Report

_CHUNK = 65_536
_CHILD = ("-P", "-m", "wheelmark.scan.child")
# A scanner needs no secrets: of the environment it gets what an interpreter needs to find itself.
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "SYSTEMROOT")


class _ChildFailed(Exception):
    """The child gave no usable answer; the message says why."""


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    ruleset: str = ""
    without_network: bool = False
    scans: int = 0
    unread: bytes = b""


class IsolatedScanner:
    """One confined scanning process, started when first needed, used for many scans, replaced when it dies.

    Safe to share between threads, which then take turns; whoever wants scans in parallel makes several.
    """

    def __init__(
        self,
        limits: WorkerLimits | None = None,
        *,
        rules: Sequence[Path] = (),
        command: Sequence[str] | None = None,
        model: Path | None = None,
    ) -> None:
        """`rules` are folders of rules beside those that are installed: code of whoever runs the scanner.

        `model` is the file of another model than the shipped one, for benchmarks.
        `command` replaces the child's command line; it gets the limits as its last argument.
        """
        self._limits = limits or WorkerLimits()
        options = [] if model is None else [f"--model={model}"]
        options += [f"--rules={folder.absolute()}" for folder in rules]
        self._command = tuple(command or (sys.executable, *_CHILD, *options))
        self._child: _Child | None = None
        self._ruleset = ""
        self._lock = threading.Lock()
        self.peak_bytes = 0  # the most resident memory that a scanning process had so far; 0 where nobody tells

    def __enter__(self) -> IsolatedScanner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def without_network(self) -> bool:
        """True when the running child is known to have no network."""
        return self._child is not None and self._child.without_network

    @property
    def process_id(self) -> int | None:
        """The id of the running child; None when none runs."""
        return None if self._child is None else self._child.process.pid

    def scan(self, path: Path, filename: str | None = None) -> Report:
        """The report on one file. A crash, a kill, a time-out or an unreadable answer gives an incomplete report.

        Raises: Unavailable when no scanning process can be started at all, which says nothing about the file.
        """
        name = sayable(filename or path.name)
        started = time.monotonic()
        with self._lock:
            child = self._ready_child()
            try:
                report = self._ask(child, path, name)
            except _ChildFailed as error:
                self._discard()
                elapsed_ms = round((time.monotonic() - started) * 1000, 1)
                return incomplete(name, _sha256(path), self._ruleset, str(error), elapsed_ms)
            peak_bytes = _peak_bytes(child.process.pid)
            self.peak_bytes = max(self.peak_bytes, peak_bytes)
            worn = child.scans >= self._limits.scans_per_process or peak_bytes > self._limits.replaced_above
            if worn or report.incomplete_reason == OUT_OF_MEMORY:
                # After the latter it ends by itself; the next file must not find it on its way out.
                self._discard()
        return report if report.sha256 else replace(report, sha256=_sha256(path))

    def ruleset(self) -> str:
        """The version of the rules that the child applies; starts one when none runs.

        Raises: Unavailable when no scanning process can be started.
        """
        with self._lock:
            return self._ready_child().ruleset

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._discard()

    def _ready_child(self) -> _Child:
        if self._child is not None and self._child.process.poll() is not None:
            self._discard()
        if self._child is None:
            self._child = self._start()
            self._ruleset = self._child.ruleset
        return self._child

    def _start(self) -> _Child:
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        try:
            process = subprocess.Popen(
                [*self._command, orjson.dumps(asdict(self._limits)).decode()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                close_fds=True,
                bufsize=0,
            )
        except OSError as error:
            raise Unavailable(f"expected a scanning process to start, got {error}", code="scanner-start") from error
        child = _Child(process)
        try:
            hello = orjson.loads(self._line(child, self._limits.start_seconds))
            if "failed" in hello:
                raise _ChildFailed(str(hello["failed"]))
            child.ruleset, child.without_network = str(hello["ready"]), bool(hello["without_network"])
        except (_ChildFailed, ValueError, KeyError, TypeError) as error:
            _end(process)
            raise Unavailable(f"expected a scanning process to get ready, got {error}", code="scanner-start") from error
        return child

    def _ask(self, child: _Child, path: Path, name: str) -> Report:
        child.scans += 1
        # A path is bytes to the system, and need not be text; latin-1 carries any bytes there and back.
        encoded = os.fsencode(path.absolute()).decode("latin-1")
        request = orjson.dumps({"path": encoded, "name": name}) + b"\n"
        try:
            assert child.process.stdin is not None  # noqa: S101 - opened as a pipe above
            child.process.stdin.write(request)
        except OSError as error:
            raise _ChildFailed(self._how_it_ended(child)) from error
        line = self._line(child, self._limits.wall_seconds)
        if child.unread:
            raise _ChildFailed("the scanning process said more than one report")
        try:
            report = Report.from_json(line)
        except ValueError as error:
            raise _ChildFailed("the scanning process gave no report") from error
        if report.file != name or report.ruleset != child.ruleset:
            raise _ChildFailed("the scanning process reported on something else")
        return report

    def _line(self, child: _Child, seconds: float) -> bytes:
        """The next line that the child writes. Raises: _ChildFailed when it ends, is late, or says too much."""
        assert child.process.stdout is not None  # noqa: S101 - opened as a pipe
        deadline = time.monotonic() + seconds
        received = child.unread
        with selectors.DefaultSelector() as selector:
            selector.register(child.process.stdout, selectors.EVENT_READ)
            while b"\n" not in received:
                if len(received) > self._limits.max_report_bytes:
                    raise _ChildFailed(f"expected a report of at most {self._limits.max_report_bytes} bytes, got more")
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise _ChildFailed(f"timed out after {seconds:g} s")
                chunk = os.read(child.process.stdout.fileno(), _CHUNK)
                if not chunk:
                    raise _ChildFailed(self._how_it_ended(child))
                received += chunk
        line, _, child.unread = received.partition(b"\n")
        return line

    def _how_it_ended(self, child: _Child) -> str:
        try:
            status = child.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the scanning process closed its output"
        if status == -signal.SIGXCPU:
            return f"used more than {self._limits.cpu_seconds} s of CPU time"
        if status < 0:
            return f"the scanning process was ended by {signal.Signals(-status).name}"
        return f"the scanning process ended with status {status}"

    def _discard(self) -> None:
        if self._child is not None:
            _end(self._child.process)
            self._child = None


def sayable(name: str) -> str:
    """A file name as text that every output can carry; what is no text in it is replaced."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _peak_bytes(process_id: int) -> int:
    """`VmHWM` of proc(5); 0 where there is none."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return 0
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _sha256(path: Path) -> str:
    """The digest of a file, "" when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
