"""The signing log on disk: `signing-log.jsonl`, which the publisher writes before anything of a publication.

Who may write it: the publisher (and the founding), under the publisher's lock. Whoever steals it learns when this index
published; whoever can write it can hide that a stolen key was used here. So copy it away: to a machine that the index
cannot write to, with any tool that follows a file.

The form of a line, and what the chain proves, is `wheelmark.trust.signing_log`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final, Protocol

import structlog

from wheelmark.errors import Unavailable, Untrusted
from wheelmark.store.disk import Disk
from wheelmark.trust import FIRST_LINE, MAX_LINE_BYTES, LogEntry, chained, format_entries, parse_line, read_log

FILE_MODE: Final = 0o644
"""Nothing in it is secret, and what copies it away runs as another user."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_TAIL_BYTES: Final = 64 * 1024
"""How much of the end is looked at before the first line is added: the torn line and several whole ones."""

log = structlog.get_logger(__name__)


class SigningRecord(Protocol):
    """Where uses of keys are written down."""

    def append(self, entries: Iterable[LogEntry]) -> None:
        """Keep these entries for ever; they are durable when this returns.

        Raises:
            Unavailable: they may not be, and nothing may be published under these signatures.
        """
        ...


class SigningLog:
    """The log in one file. It is found as it is at every append, so that it may be moved away between two."""

    def __init__(self, path: Path, *, disk: Disk | None = None) -> None:
        self.path = path
        self._disk = disk or Disk()
        self._descriptor: int | None = None
        self._end = 0  # bytes of the file after our last append …
        self._previous = FIRST_LINE  # … and the digest of its last line

    def append(self, entries: Iterable[LogEntry]) -> None:
        """See `SigningRecord`.

        Raises:
            Untrusted: the last lines are not as they were written (`signing-log-broken`).
        """
        try:
            self._append(entries)
        except Untrusted as error:
            self.close()
            raise Untrusted(
                f"{error}. Keep {self.path} as evidence under another name: a new one begins, and publishing goes on",
                code=error.code,
            ) from error
        except OSError as error:
            self.close()
            raise _unavailable(self.path, error) from error

    def entries(self, *, on_torn: Callable[[int, bytes], None] | None = None) -> Iterator[LogEntry]:
        """Every entry from the first on, verified. A log that is not there has none; a torn last line is not given.

        Raises:
            Untrusted: the chain is broken (`signing-log-broken`).
            Unavailable: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                yield from read_log(_lines(file), on_torn=on_torn)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unavailable(self.path, error) from error

    def close(self) -> None:
        """Forget the open file; the next append looks at it anew."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = None

    def _append(self, entries: Iterable[LogEntry]) -> None:
        descriptor = self._at_the_end()
        # The publisher's lock has kept others away already; this one is for a folder that two indexes share by mistake.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            lines, previous = format_entries(entries, self._previous)
            if lines:
                self._write(descriptor, lines)
                self._end, self._previous = self._end + len(lines), previous
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _write(self, descriptor: int, lines: bytes) -> None:
        try:
            self._disk.write(descriptor, lines)
            self._disk.sync(descriptor)
        except OSError:
            # What is half there, or whole but perhaps never on the medium, goes away again. If even that fails, it is
            # a torn line at the next opening, or a line for a use that was not published; both are true.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._end)
            raise

    def _at_the_end(self) -> int:
        """The open file, if it is still the one under our name and nobody else has written to it; else opened anew."""
        if self._descriptor is not None:
            ours = os.fstat(self._descriptor)
            with contextlib.suppress(FileNotFoundError):
                named = self.path.stat()
                if os.path.samestat(ours, named) and named.st_size == self._end:
                    return self._descriptor
            self.close()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        self._disk.sync_folder(self.path.parent)
        self._find_end(self._descriptor)
        return self._descriptor

    def _find_end(self, descriptor: int) -> None:
        """Cut off what a power cut left of a last line, and chain on to the line before it. Only the last lines are
        looked at; `wheelmark trust log` verifies all of them."""
        size = os.fstat(descriptor).st_size
        start = max(0, size - _TAIL_BYTES)
        tail = os.pread(descriptor, _TAIL_BYTES, start)
        whole = tail[: tail.rfind(b"\n") + 1]
        torn = tail[len(whole) :]
        if len(torn) > MAX_LINE_BYTES:
            raise self._broken(f"expected at most {MAX_LINE_BYTES:,} bytes in its last line, got more")
        lines = whole.splitlines(keepends=True)
        if start > 0:
            del lines[0]  # it began before what was read
        parsed = [(parse_line(line)[1], chained(line)) for line in lines]
        for (_, digest), (named, _) in itertools.pairwise(parsed):
            if named != digest:
                raise self._broken("expected each of its last lines to follow the one before it, got one that does not")
        self._end, self._previous = start + len(whole), parsed[-1][1] if parsed else FIRST_LINE
        if torn:
            log.warning("the signing log ended in a torn line; it was cut off", path=str(self.path), torn=repr(torn))
            os.ftruncate(descriptor, self._end)
            self._disk.sync(descriptor)

    def _broken(self, what: str) -> Untrusted:
        return Untrusted(f"the signing log is broken: {what}", code="signing-log-broken")


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line


def _unavailable(path: Path, error: OSError) -> Unavailable:
    said = error.strerror or str(error)
    if error.errno in _FULL:
        return Unavailable(
            f"the disk of the signing log {path} is full ({said}): nothing is published before there is space again",
            code="signing-log-full",
        )
    return Unavailable(
        f"the signing log {path} cannot be written or read ({said}): nothing is published before it can",
        code="signing-log-away",
    )
