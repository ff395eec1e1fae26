"""The signing log: one line for every use of a key, each bound to the line before it. Pure.

A line is a JSON object whose `previous` is the SHA-256 of the line before (without its newline). So a line that was
changed, removed, inserted or moved breaks the chain at the next line. Lines cut off at the end leave no trace in the
chain itself: they are missed by whoever compares the log with the snapshot in force, or with an earlier copy of it.

A power cut may leave the last line without its end. Such a torn line is cut off and said; its use of the key was for a
publication that never began to be written. Every line before it must verify.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from wheelmark.errors import Untrusted
from wheelmark.trust.founding import Foundation
from wheelmark.trust.layout import BINS, CLAIMS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from wheelmark.trust.publication import OnlineSigners, Publication

FIRST_LINE: Final = "0" * 64
"""What stands for the line before the first."""

MAX_LINE_BYTES: Final = 4_096
"""An entry takes about 400 bytes; the name of a role is the only part whose length is not fixed."""

_OFFLINE = frozenset({ROOT, TARGETS, BINS, CLAIMS})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One use of one key. Not every use was published: whoever died before the end signs again, under a line of its
    own, perhaps the same version with other contents. What clients were given is what the snapshots name."""

    at: datetime  # UTC
    role: str
    version: int
    sha256: str  # of the whole signed file, as it lies in the store
    keyid: str
    serial_from: int  # the journal's rows behind this serial …
    serial_to: int  # … up to and with this one are covered; the same twice: nothing new was


def entries_of(
    signed: Publication | Foundation, signers: OnlineSigners, *, at: datetime, serial_from: int, serial_to: int
) -> tuple[LogEntry, ...]:
    """The lines for everything that was signed for one publication or founding, offline roles among it."""
    files = [*signed.objects, (f"{signed.state.timestamp.version}.{TIMESTAMP}.json", signed.timestamp)]
    entries = []
    for name, content in files:
        version, role = _role_of(name)
        entries += [
            LogEntry(
                at=at,
                role=role,
                version=version,
                sha256=hashlib.sha256(content).hexdigest(),
                keyid=keyid,
                serial_from=serial_from,
                serial_to=serial_to,
            )
            for keyid in _keyids(role, content, signers)
        ]
    return tuple(entries)


def _role_of(file_name: str) -> tuple[int, str]:
    version, _, rest = file_name.partition(".")
    return int(version), rest.removesuffix(".json")


def _keyids(role: str, content: bytes, signers: OnlineSigners) -> Sequence[str]:
    if role in _OFFLINE:
        # Several holders sign these; the files are small and rare enough to be read.
        return [signature["keyid"] for signature in orjson.loads(content)["signatures"]]
    return [(signers.publish if role in {SNAPSHOT, TIMESTAMP} else signers.bins).keyid]


def format_entry(entry: LogEntry, previous: str) -> bytes:
    """The line of an entry, with its newline; `previous` is the `chained` digest of the line before it."""
    fields = {
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "keyid": entry.keyid,
        "previous": previous,
        "role": entry.role,
        "serial_from": entry.serial_from,
        "serial_to": entry.serial_to,
        "sha256": entry.sha256,
        "version": entry.version,
    }
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def format_entries(entries: Iterable[LogEntry], previous: str) -> tuple[bytes, str]:
    """Several lines after `previous`, and the digest that the next line will be chained to."""
    lines = []
    for entry in entries:
        lines.append(format_entry(entry, previous))
        previous = chained(lines[-1])
    return b"".join(lines), previous


def chained(line: bytes) -> str:
    """The digest by which the next line names this one."""
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


def read_log(lines: Iterable[bytes], *, on_torn: Callable[[int, bytes], None] | None = None) -> Iterator[LogEntry]:
    """The entries of a whole log, one after the other, each verified when it is given. Lines come with their newlines,
    cut at `MAX_LINE_BYTES + 1`. A torn last line is handed to `on_torn`, with its number (from 1), and not given.

    Raises:
        Untrusted: a line was changed, or one before it is missing or not where it was (`signing-log-broken`). What was
            given until then verifies.
    """
    previous, torn = FIRST_LINE, None
    for number, line in enumerate(lines, start=1):
        if torn is not None:
            raise _broken(number - 1, "expected the end of a line, got none")
        if not line.endswith(b"\n"):
            if len(line) > MAX_LINE_BYTES:
                raise _broken(number, f"expected at most {MAX_LINE_BYTES:,} bytes, got more")
            torn = (number, line)
            continue
        entry, named = parse_line(line, number)
        if named != previous:
            raise _broken(number, f"expected it to follow line {previous[:16]}…, got one that follows {named[:16]}…")
        previous = chained(line)
        yield entry
    if torn is not None and on_torn is not None:
        on_torn(*torn)


def parse_line(line: bytes, number: int | None = None) -> tuple[LogEntry, str]:
    """One line's entry, and the digest of the line that it says it follows (not checked here).

    Raises:
        Untrusted: it is no line as `format_entry` writes them, byte for byte (`signing-log-broken`).
    """
    try:
        fields = orjson.loads(line[:MAX_LINE_BYTES])
        at = datetime.fromisoformat(fields["at"])
        previous = str(fields["previous"])
        entry = LogEntry(
            at=at,
            role=str(fields["role"]),
            version=int(fields["version"]),
            sha256=str(fields["sha256"]),
            keyid=str(fields["keyid"]),
            serial_from=int(fields["serial_from"]),
            serial_to=int(fields["serial_to"]),
        )
        sound = at.tzinfo is not None and format_entry(entry, previous) == line
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise _broken(number, f"expected an entry, got none: {error}") from error
    if not sound:
        raise _broken(number, "expected an entry as it was written, got another spelling of one")
    return entry, previous


def _broken(number: int | None, what: str) -> Untrusted:
    where = "near its end" if number is None else f"at line {number:,}"
    return Untrusted(f"the signing log is broken {where}: {what}", code="signing-log-broken")
