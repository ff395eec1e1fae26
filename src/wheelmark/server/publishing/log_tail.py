"""The end of this machine's signing log: cheap to read at every scrape and every look, however long the log is.

`wheelmark trust log` verifies all of it.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wheelmark.errors import Untrusted
from wheelmark.trust import FIRST_LINE, MAX_LINE_BYTES, TIMESTAMP, LogEntry, chained, parse_line

_TAIL_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogTail:
    """The end of the signing log, whose last lines follow one another."""

    size: int  # bytes
    last: LogEntry | None
    timestamp: int | None  # version of the last timestamp in these lines; 0: the whole log is here, and has none


def read_tail(path: Path) -> LogTail:
    """The last lines of the log, checked to follow one another.

    Raises:
        Untrusted: they do not.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        content = file.read(_TAIL_BYTES)
    lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
    if len(content) - sum(map(len, lines)) > MAX_LINE_BYTES:
        raise Untrusted("the signing log is broken near its end: expected lines, got none", code="signing-log-broken")
    parsed = [parse_line(line) for line in (lines[1:] if start else lines)]
    digests = [chained(line) for line in (lines[1:] if start else lines)]
    if parsed and not start and parsed[0][1] != FIRST_LINE:
        raise Untrusted("the signing log is broken: its first line follows another", code="signing-log-broken")
    for digest, (_, named) in zip(digests, itertools.islice(parsed, 1, None), strict=False):
        if named != digest:
            raise Untrusted(
                "the signing log is broken near its end: a line does not follow the one before it",
                code="signing-log-broken",
            )
    timestamps = [entry.version for entry, _ in parsed if entry.role == TIMESTAMP]
    return LogTail(size, parsed[-1][0] if parsed else None, timestamps[-1] if timestamps else None if start else 0)
