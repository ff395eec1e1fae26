"""Runs a command as a person does: on a terminal, answering what it asks."""

from __future__ import annotations

import os
import pty
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What stood on the terminal, and how the command ended."""

    output: str
    status: int


def on_terminal(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], answers: Mapping[str, str] | None = None
) -> Seen:
    """Run a command on a terminal of its own. `answers` are typed when their question stands at the end of it."""
    ours, theirs = pty.openpty()
    # The first terminal that a new session opens is its own: getpass asks that one, and not stdin.
    opened = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(theirs), *command]
    child = subprocess.Popen(opened, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        output = _talk(child, ours, answers or {})
        return Seen(output, child.wait(ANSWER_SECONDS))
    finally:
        os.close(ours)
        os.close(theirs)
        if child.poll() is None:
            child.kill()
            child.wait()


def _talk(child: subprocess.Popen[bytes], terminal: int, answers: Mapping[str, str]) -> str:
    output, answered = "", 0
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until:
        ended = child.poll() is not None
        # Not `select.select`, which knows only the first 1,024 files: a process of many tests has more of them open.
        with selectors.DefaultSelector() as waiting:
            waiting.register(terminal, selectors.EVENT_READ)
            readable = waiting.select(0.0 if ended else 0.2)
        if not readable and ended:
            return output
        piece = os.read(terminal, 4096) if readable else b""
        output += piece.decode(errors="replace")
        for question, answer in answers.items():
            if piece and output[answered:].rstrip().endswith(question):
                answered = len(output)
                os.write(terminal, answer.encode() + b"\n")
    raise AssertionError(f"expected the command to end within {ANSWER_SECONDS:g} s, got so far:\n{output}")
