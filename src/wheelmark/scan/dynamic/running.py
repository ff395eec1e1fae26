"""Runs one sandbox to its end or to a bound, and gives back its trace and its output."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wheelmark.scan.dynamic.bounds import LookBounds
from wheelmark.scan.dynamic.host import refusal

_CHUNK = 262_144
_TICK_SECONDS = 0.1
_MAX_PROCESSES = 2000  # that are counted when memory is summed up
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Run:
    """What came of one sandbox. `broken_off` says which bound it crossed, "" when it ended by itself."""

    trace: bytearray = field(default_factory=bytearray)
    output: bytearray = field(default_factory=bytearray)
    broken_off: str = ""
    status: int | None = None


def run_sandbox(command: Sequence[str], feed: int, bounds: LookBounds, *, user: int | None = None) -> Run:
    """Start the command with `feed` (a descriptor) as its input, and read what it says until it ends or is ended.

    `user` is whom it belongs to, None for whoever calls; it has no other groups.

    Raises: Unavailable when it cannot be started at all.
    """
    trace_read, trace_write = os.pipe()
    output_read, output_write = os.pipe()
    try:
        if user is not None:
            # strace opens its pipe by name, and a pipe belongs to whoever made it.
            os.fchown(trace_write, user, user)
        process = subprocess.Popen(
            command,
            stdin=feed,
            stdout=output_write,
            stderr=trace_write,
            close_fds=True,
            start_new_session=True,
            cwd="/",
            env={},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except OSError as error:
        os.close(trace_read)
        os.close(output_read)
        raise refusal(f"expected the sandbox to start, got {error}") from error
    finally:
        os.close(trace_write)
        os.close(output_write)
    run = Run()
    try:
        _read(run, process, {trace_read: run.trace, output_read: run.output}, bounds)
    finally:
        # The outer sandbox's process namespace dies with it, and all that is in there.
        process.kill()
        run.status = process.wait()
        os.close(trace_read)
        os.close(output_read)
    return run


def _read(run: Run, process: subprocess.Popen[bytes], into: dict[int, bytearray], bounds: LookBounds) -> None:
    deadline = time.monotonic() + bounds.phase_seconds
    output = run.output
    with selectors.DefaultSelector() as selector:
        for descriptor in into:
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(_TICK_SECONDS):
                chunk = os.read(key.fd, _CHUNK)
                if chunk:
                    into[key.fd] += chunk
                else:
                    selector.unregister(key.fd)
            if len(run.trace) > bounds.max_trace_bytes:
                run.broken_off = f"expected at most {bounds.max_trace_bytes} bytes of trace, got more"
            elif len(output) > bounds.max_output_bytes:
                run.broken_off = f"expected at most {bounds.max_output_bytes} bytes of output, got more"
            elif time.monotonic() > deadline:
                run.broken_off = f"timed out after {bounds.phase_seconds:g} s"
            elif resident_bytes(process.pid) > bounds.max_resident_bytes:
                run.broken_off = f"expected at most {bounds.max_resident_bytes} bytes of memory in use, got more"
            if run.broken_off:
                return


def resident_bytes(root: int) -> int:
    """How much memory a process and its descendants have in use, as far as they can be seen."""
    waiting, total, seen = [root], 0, 0
    while waiting and seen < _MAX_PROCESSES:
        seen += 1
        folder = Path("/proc", str(waiting.pop()))
        try:
            total += int((folder / "statm").read_bytes().split()[1]) * _PAGE_BYTES
            for task in (folder / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_bytes().split()]
        except (OSError, ValueError, IndexError):
            continue  # it has ended meanwhile
    return total
