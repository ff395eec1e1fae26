"""`wheelmark trust audit` and `wheelmark trust recover`: is everything as it should be, and bring it back to that."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmark.errors import Fault, Refused, Unavailable

if TYPE_CHECKING:
    from wheelmark.server.config import Config
    from wheelmark.server.publishing.audit import AuditReport
    from wheelmark.server.publishing.recovery import Recovery
    from wheelmark.trust import LogEntry

COMMANDS = ("audit", "recover")
EXIT_FAULTS = 1
SHOWN = 50
"""Names of one kind that are shown on a terminal; `--json` gives all."""

Progress = Callable[[str, int, int], None]


def add_parsers(commands: Any) -> None:
    """The subcommands and their options."""
    audit = commands.add_parser(
        "audit",
        help="compare what is signed with database, store, journal, signing log and an earlier snapshot",
        description="Compares what is signed with the rows of the database, the objects of the store, the journal, the "
        "signing log, and an earlier snapshot. Changes nothing; the index may be running. Ends with 1 if something "
        "does not agree.",
    )
    recover = commands.add_parser(
        "recover",
        help="after a restored backup, a lost object or new keys: burn versions, sign again, name what is lost",
        description="Brings the index back after a database was restored, an object of the store was lost, or keys "
        "were replaced: versions that clients may have seen are burned, what must be signed again is signed, and what "
        "was lost is named. Nobody may publish meanwhile: stop `wheelmark serve` first. May be repeated. Ends with 1 "
        "if it names something for people to do (files to upload again, objects to put back), though the index is in "
        "force; with 0 if nothing was lost.",
    )
    for command in (audit, recover):
        command.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
        command.add_argument(
            "--log",
            type=Path,
            metavar="FILE",
            action="append",
            default=[],
            help="the signing log of another machine that signs, or an earlier log of this one that was moved away; "
            "may be given several times",
        )
        command.add_argument("--json", action="store_true", help="for machines")
    audit.add_argument("--since", metavar="SNAPSHOT|TIME", help="name every change since then without a journal row")
    audit.add_argument("--files", action="store_true", help="read and hash every distribution, too")
    audit.add_argument("--root", type=Path, metavar="FILE", help="trusted root.json; without it the store's first")


def run(arguments: argparse.Namespace) -> int:
    """Run one of `COMMANDS`; return the exit status."""
    from wheelmark.server.bootstrap import bootstrap_existing

    config = bootstrap_existing(arguments.data)
    return _audit(arguments, config) if arguments.command == "audit" else _recover(arguments, config)


def _audit(arguments: argparse.Namespace, config: Config) -> int:
    from django.utils import timezone

    from wheelmark.server.publishing.audit import audit
    from wheelmark.server.stores import current_store

    with progress_bars(as_json=arguments.json) as progress:
        report = audit(
            current_store(),
            _logs(config, arguments.log),
            now=timezone.now(),
            root=_root(arguments.root),
            since=arguments.since,
            read_files=arguments.files,
            progress=progress,
        )
    if arguments.json:
        shown = dataclasses.asdict(report) | {"faults": [_fault(fault) for fault in report.faults]}
        print(json.dumps(shown))
    else:
        _print_audit(report)
    return EXIT_FAULTS if report.fault_count else 0


def _print_audit(report: AuditReport) -> None:
    from wheelmark.server.publishing.audit import faults_by_code

    print(
        f"root {report.root:,}, snapshot {report.snapshot:,}: {report.role_files:,} metadata files, "
        f"{report.log_entries:,} lines of the signing log, {report.targets:,} targets, {report.pages:,} pages, "
        f"{report.files:,} files"
    )
    for fault in report.faults[:SHOWN]:
        print(f"! {fault}", file=sys.stderr)
    if report.fault_count > SHOWN:
        for code, count in faults_by_code(report.faults):
            print(f"! {code}: {count:,}", file=sys.stderr)
    if report.fault_count:
        print(f"{report.fault_count:,} faults. What to do about each kind: docs, how to recover.")
    else:
        print("Everything agrees." if report.since is None else f"Everything agrees, also with {report.since:,}.")


def _recover(arguments: argparse.Namespace, config: Config) -> int:
    from django.utils import timezone

    from wheelmark.server.logs import configure_logs
    from wheelmark.server.publishing.lock import publisher_lock
    from wheelmark.server.publishing.publisher import open_publisher
    from wheelmark.server.publishing.recovery import adopt_offline_roles, recover
    from wheelmark.server.publishing.signing_log import SigningLog
    from wheelmark.server.stores import current_store

    configure_logs(config.log_format, process="recover")  # to stderr: what is printed may go into a pipe
    lock = publisher_lock(config)
    if not lock.acquire():
        raise Unavailable(
            "a publisher is running: stop `wheelmark serve` (on every machine that signs), then recover again",
            code="publisher-running",
        )
    try:
        store = current_store()
        adopted = adopt_offline_roles(store, now=timezone.now())
        publisher = open_publisher(config, store, SigningLog(config.signing_log_path))
        with progress_bars(as_json=arguments.json) as progress:
            done = recover(publisher, _logs(config, arguments.log), adopted=adopted, progress=progress)
    finally:
        lock.release()
    if arguments.json:
        print(json.dumps(dataclasses.asdict(done) | {"remaining": [_fault(fault) for fault in done.remaining]}))
    else:
        _print_recovery(done)
    return EXIT_FAULTS if done.remaining or done.withdrawn.lost else 0


def _print_recovery(done: Recovery) -> None:
    for role, version in done.adopted.items():
        print(f"taken over from the store: {role} {version:,}, which the offline keys signed")
    if done.burned:
        print(f"{len(done.burned):,} roles had versions that the database did not know; none of them is used again")
    if done.ignored:
        print(f"{len(done.ignored):,} versions of keys that no longer count were passed over")
    for title, names in (
        ("held, because a newer snapshot does not list them; moderators decide", done.withdrawn.held),
        ("quarantined again", done.withdrawn.quarantined),
        ("yanked again", done.withdrawn.yanked),
        ("pages that the store had lost", done.pages_restored),
        ("published after the backup, and unknown now; ask for another upload", map(str, done.withdrawn.lost)),
        ("cannot be mended from here", map(str, done.remaining)),
    ):
        _print_names(title, list(names))
    print(f"Snapshot {done.snapshot:,} is in force.")
    print("Now: wheelmark trust audit")


def _print_names(title: str, names: Sequence[str]) -> None:
    if names:
        print(f"{len(names):,} {title}:")
        for name in names[:SHOWN]:
            print(f"  {name}")
        if len(names) > SHOWN:
            print(f"  … and {len(names) - SHOWN:,} more (--json gives all)")


def _logs(config: Config, others: Sequence[Path]) -> list[Iterable[LogEntry]]:
    from wheelmark.server.publishing.signing_log import SigningLog

    for path in others:
        if not path.is_file():
            raise Refused.because("log-unreadable", "--log", f"expected a signing log, got no file at {path}")
    return [SigningLog(path).entries() for path in (config.signing_log_path, *others)]


def _root(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused.because("root-unreadable", "--root", f"expected a readable root.json, got: {error}") from error


def _fault(fault: Fault) -> dict[str, str]:
    return {"code": fault.code, "field": fault.field, "message": fault.message}


@contextmanager
def progress_bars(*, as_json: bool) -> Iterator[Progress]:
    """Bars on a terminal, one for each thing that takes long; nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total or None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield progress
