"""Traces as strace writes them, made by hand: what the tests of the dynamic look read."""

from __future__ import annotations

import re

from wheelmark.scan.dynamic.places import BASE_INTERPRETER, DRIVER, INTERPRETER

DRIVER_PROCESS = 8
FIRST_STEP = 9


def escaped(text: str | bytes) -> str:
    """A string as `strace -xx` shows it, without its quotes."""
    raw = text.encode() if isinstance(text, str) else text
    return "".join(f"\\x{byte:02x}" for byte in raw)


def a_trace(*lines: str) -> bytes:
    """A trace of these calls of the first step; what stands in quotes or angle brackets is escaped.

    A line that begins with a number is of that process.
    """
    step, base = (
        f'("{INTERPRETER}", ["{INTERPRETER}", "-c", "x"], 0x7ff',
        f'("{BASE_INTERPRETER}", ["{BASE_INTERPRETER}"',
    )
    whole = [
        f'6     execve("/bin/sh", ["sh", "{DRIVER}"], 0x7ff /* 3 vars */) = 0',
        f'{DRIVER_PROCESS}     execve{base}, "{DRIVER}"], 0x7ff /* 4 vars */) = 0',
        f"{DRIVER_PROCESS}     vfork( <unfinished ...>",
        f'{FIRST_STEP}     chdir("/home/dev") = 0',
        f"{FIRST_STEP}     execve{step} /* 4 vars */ <unfinished ...>",
        f"{DRIVER_PROCESS}     <... vfork resumed>)   = 3 /* {FIRST_STEP} in strace's PID NS */",
        f"{FIRST_STEP}     <... execve resumed>)   = 0",
        *(line if line[:1].isdigit() else f"{FIRST_STEP}     {line}" for line in lines),
        f"{FIRST_STEP}     +++ exited with 0 +++",
        f"{DRIVER_PROCESS}     +++ exited with 0 +++",
    ]
    return "\n".join(map(_escape, whole)).encode() + b"\n"


def _escape(line: str) -> str:
    line = re.sub(r'"([^"]*)"', lambda found: f'"{escaped(found[1])}"', line)
    return re.sub(r"<(/[^>]*)>", lambda found: f"<{escaped(found[1])}>", line)
