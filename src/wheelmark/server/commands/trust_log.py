"""`wheelmark trust log`: what the online keys signed, line by line, and whether the log is whole."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wheelmark.errors import Fault, Untrusted
from wheelmark.trust import LogEntry

EXIT_FAULTS = 1


def add_parser(commands: Any) -> None:
    """The subcommand and its options."""
    parser = commands.add_parser(
        "log", help="every use of an online key, and whether the signing log is whole", description=__doc__
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    parser.add_argument("--file", type=Path, metavar="FILE", help="verify this copy of a log; needs no index")
    parser.add_argument(
        "--since", type=_moment, metavar="TIME", help="show only lines from 2026-11-25 or 2026-11-25T14:30 (UTC) on"
    )
    parser.add_argument("--json", action="store_true", help="for machines: an object a line, the summary last")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-11-25T14:30, got {text!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def run(arguments: argparse.Namespace) -> int:
    """Print the log and verify all of it, whatever is shown; the exit status says whether it is whole."""
    # Asked before the log is read: what is in force by then was logged before.
    path, in_force = (arguments.file, None) if arguments.file else _of_index(arguments.data)

    from wheelmark.server.publishing.signing_log import SigningLog

    faults: list[Fault] = []
    torn: list[int] = []
    count, found_in_force = 0, False
    if arguments.file and not path.exists():
        faults.append(Fault("signing-log-missing", str(path), "expected a signing log, got no file"))
    try:
        for entry in SigningLog(path).entries(on_torn=lambda number, _line: torn.append(number)):
            count += 1
            found_in_force |= (entry.role, entry.version, entry.sha256) == in_force
            if arguments.since is None or entry.at >= arguments.since:
                print(_as_json(entry) if arguments.json else _as_text(entry))
    except Untrusted as error:
        faults.append(Fault(error.code, str(path), str(error)))
    else:
        if in_force is not None and not found_in_force:
            faults.append(_missing_end(path, in_force[1]))
    if arguments.json:
        shown = [{"code": fault.code, "field": fault.field, "message": fault.message} for fault in faults]
        print(json.dumps({"lines": count, "torn": bool(torn), "faults": shown}))
    else:
        for number in torn:
            print(f"line {number:,} is torn: it is being written, or the power failed. It counts for nothing.")
        for fault in faults:
            print(f"! {fault}", file=sys.stderr)
        print(f"{count:,} lines, {'the log is whole' if not faults else 'THE LOG IS NOT WHOLE'}.")
    return EXIT_FAULTS if faults else 0


def _missing_end(path: Path, version: int) -> Fault:
    return Fault(
        "signing-log-end",
        str(path),
        f"expected a line for timestamp {version:,}, which is in force, got none: lines at the end were removed, the"
        " log was moved away since, or the database is older than it; compare with your copy of the log",
    )


def _of_index(data: Path | None) -> tuple[Path, tuple[str, int, str] | None]:
    """Where an index's log lies, and role, version and digest of the timestamp that is served now. On PostgreSQL
    another machine may have signed it, whose log is not here: none is expected then."""
    from wheelmark.server.bootstrap import bootstrap_existing

    config = bootstrap_existing(data)

    from wheelmark.server.publishing.models import Snapshot

    current = Snapshot.current()
    if current is None or config.on_postgresql:
        return config.signing_log_path, None
    digest = hashlib.sha256(bytes(current.timestamp)).hexdigest()
    return config.signing_log_path, ("timestamp", current.timestamp_version, digest)


def _fields(entry: LogEntry) -> Mapping[str, Any]:
    return {
        "at": entry.at.isoformat(),
        "role": entry.role,
        "version": entry.version,
        "sha256": entry.sha256,
        "keyid": entry.keyid,
        "serial_from": entry.serial_from,
        "serial_to": entry.serial_to,
    }


def _as_json(entry: LogEntry) -> str:
    return json.dumps(_fields(entry))


def _as_text(entry: LogEntry) -> str:
    serials = "nothing new" if entry.serial_from == entry.serial_to else f"{entry.serial_from + 1}-{entry.serial_to}"
    return (
        f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.role:<12}{entry.version:>9}  sha256 {entry.sha256[:16]}"
        f"  key {entry.keyid[:16]}  journal {serials}"
    )
