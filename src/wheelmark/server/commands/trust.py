"""`wheelmark trust …`: keys and ceremonies; found the signed repository, show its state, check a published one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wheelmark.errors import Fault
from wheelmark.server.commands import trust_audit, trust_ceremony, trust_keys, trust_log, trust_status

EXIT_FAULTS = 1


def main(argv: Sequence[str]) -> int:
    """Run one subcommand; return the exit status."""
    parser = argparse.ArgumentParser(prog="wheelmark trust", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    init = commands.add_parser(
        "init", help="make keys and the first signed metadata; does nothing on an index that has them"
    )
    init.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    init.add_argument("--json", action="store_true", help="for machines")
    trust_status.add_parser(commands)

    verify = commands.add_parser("verify", help="check a whole published index as a client would")
    verify.add_argument("index", metavar="URL", help="address of the Simple API: https://host/simple/")
    verify.add_argument(
        "--root", type=Path, metavar="FILE", default=os.environ.get("WHEELMARK_ROOT"), help="trusted root.json"
    )
    verify.add_argument("--files", action="store_true", help="download and check every file, too")
    verify.add_argument("--json", action="store_true", help="for machines")

    trust_log.add_parser(commands)
    trust_audit.add_parsers(commands)
    trust_keys.add_commands(commands)
    trust_ceremony.add_commands(commands)

    arguments = parser.parse_args(argv)
    if arguments.command in trust_audit.COMMANDS:
        return trust_audit.run(arguments)
    if arguments.command == "log":
        return trust_log.run(arguments)
    if "run" in arguments:
        status_of_run: int = arguments.run(arguments)
        return status_of_run
    if arguments.command == "verify":
        if arguments.root is None:
            verify.error("the trusted root is needed: --root FILE or WHEELMARK_ROOT")
        return _verify(arguments.index, Path(arguments.root), include_files=arguments.files, as_json=arguments.json)
    if arguments.command == "status":
        return trust_status.run(arguments)
    return _init(arguments.data, as_json=arguments.json)


def _init(data: Path | None, *, as_json: bool) -> int:
    from wheelmark.server.bootstrap import bootstrap

    config = bootstrap(data)

    from django.utils import timezone

    from wheelmark.server.founding import found, prepare_folders
    from wheelmark.server.stores import current_store

    prepare_folders(config)
    first = found(config, current_store(), now=timezone.now())
    if first is None:
        print(json.dumps({"founded": False}) if as_json else f"{config.data} holds a founded index already.")
        return 0
    if as_json:
        made = {"founded": True, "root_sha256": first.root_sha256, "offline_folder": str(first.offline_folder)}
        made |= {"admin_name": first.admin_name, "admin_password": first.admin_password}
        print(json.dumps(made))
        return 0
    print(f"Founded in {config.data}.")
    print(f"  root (1 of 1), sha256   {first.root_sha256}")
    print(f"  offline keys            {first.offline_folder}  (move them away from this machine)")
    if first.admin_name:
        print(f"  administrator           {first.admin_name}, password {first.admin_password}  (shown once)")
    return 0


def _verify(index: str, root: Path, *, include_files: bool, as_json: bool) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from wheelmark.client import verify_repository
    from wheelmark.errors import Refused

    try:
        trusted = root.read_bytes()
    except OSError as error:
        raise Refused.because("root-unreadable", "--root", f"expected a readable root.json, got: {error}") from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        summary = verify_repository(index, trusted, progress, include_files=include_files)
    if as_json:
        counts = {"roles": summary.roles, "pages": summary.pages, "files": summary.files, "bytes": summary.file_bytes}
        versions = {"root": summary.root_version, "snapshot": summary.snapshot_version}
        expires = {role: at.isoformat() for role, at in summary.expires.items()}
        faults = [_as_json(fault) for fault in summary.faults]
        print(json.dumps({"versions": versions, **counts, "expires": expires, "faults": faults}))
    else:
        print(
            f"root {summary.root_version}, snapshot {summary.snapshot_version:,}: {summary.roles:,} roles, "
            f"{summary.pages:,} project pages, {summary.files:,} files ({summary.file_bytes:,} bytes)"
        )
        print(", ".join(f"{role} until {at:%Y-%m-%d %H:%M} UTC" for role, at in summary.expires.items()))
        for fault in summary.faults:
            print(f"! {fault}", file=sys.stderr)
        print("Everything verifies." if not summary.faults else f"{len(summary.faults):,} faults.")
    return EXIT_FAULTS if summary.faults else 0


def _as_json(fault: Fault) -> dict[str, str]:
    return {"code": fault.code, "field": fault.field, "message": fault.message}
