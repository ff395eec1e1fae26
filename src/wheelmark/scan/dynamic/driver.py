"""Runs inside the sandbox as its first program: unpacks what it is handed, sets limits, takes the steps of a plan.

It uses the standard library only, and is started by path: nothing of Wheelmark is importable there. It says how it went
by its exit status alone, which strace sees from where nothing inside can reach.

Standard input is a tar that the scanner wrote: `plan.json` first, then regular files with absolute paths.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

EXIT_DONE = 0
EXIT_LEFT_RUNNING = 10  # every step was taken, and something that it started did not end
EXIT_LATE = 11  # a step did not end in its time
EXIT_NOT_UNPACKED = 12
EXIT_NOT_STARTED = 13

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Take the steps; return how it went."""
    # Nothing inside may read this process's memory, its descriptors, or attach to it; and what loses its parent
    # becomes its child, so that it can be waited for.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) or prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return EXIT_NOT_STARTED
    try:
        plan = unpack()
    except (OSError, ValueError, tarfile.TarError, KeyError):
        return EXIT_NOT_UNPACKED
    for name, value in plan["limits"].items():
        resource.setrlimit(getattr(resource, name), tuple(value))
    for step in plan["steps"]:
        status = take(step, plan["step_seconds"])
        sys.stdout.write(f"\n{plan['separator']}\n")
        sys.stdout.flush()
        if status:
            return status
    return linger(plan["linger_seconds"])


def unpack() -> dict[str, Any]:
    """Write the files of the tar; give its plan."""
    plan: dict[str, Any] | None = None
    os.umask(0)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r:") as archive:
        for member in archive:
            if not member.isreg():
                raise ValueError("expected regular files only")
            if plan is None:
                plan = json.loads(os.pread(sys.stdin.fileno(), member.size, member.offset_data))
            else:
                lay_out(Path("/", member.name), member)
    os.umask(0o022)
    if plan is None:
        raise ValueError("expected a plan, got nothing")
    return plan


def lay_out(path: Path, member: tarfile.TarInfo) -> None:
    """Write one file, by calls that are not traced: the trace has better uses than our own bytes."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode)
    try:
        done = 0
        while done < member.size:
            count = os.sendfile(descriptor, sys.stdin.fileno(), member.offset_data + done, member.size - done)
            if count == 0:
                raise ValueError("expected a whole file, got a part")
            done += count
    finally:
        os.close(descriptor)


def take(step: dict[str, Any], seconds: float) -> int:
    """Run one program to its end; its own exit status is for whoever reads the trace."""
    try:
        process = subprocess.Popen(
            step["argv"], cwd=step["cwd"], env=step["environment"], stdin=subprocess.DEVNULL, start_new_session=True
        )
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return EXIT_LATE
    except OSError:
        return EXIT_NOT_STARTED
    return EXIT_DONE


def linger(seconds: float) -> int:
    """Wait for processes that were left running, for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)
        except ChildProcessError:
            return EXIT_DONE
    return EXIT_LEFT_RUNNING


if __name__ == "__main__":
    sys.exit(main())
