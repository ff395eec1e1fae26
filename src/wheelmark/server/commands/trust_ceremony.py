"""`wheelmark trust ceremony` and `wheelmark trust rotate`: begin, gather, and end a ceremony on the index's machine."""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmark.errors import Refused, Unavailable, WheelmarkError
from wheelmark.server.commands.trust_change import NEW, ROLE_HELP, ROLES, add_change, add_out, wished

if TYPE_CHECKING:
    from wheelmark.server.config import Config
    from wheelmark.trust.ceremony import Ceremony, Completed

APPLY_SECONDS = 60.0
"""How long `finish` waits for a publisher that runs elsewhere. The ceremony is kept, whatever happens."""

EXIT_WAITS = 1


def add_commands(commands: Any) -> None:
    """Add `trust ceremony` and its short forms, `trust rotate`."""
    ceremony = commands.add_parser("ceremony", help="sign root, targets and bins with the keys of several holders")
    verbs = ceremony.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    begin = verbs.add_parser("begin", help="say what shall change, and write the file that the holders sign")
    add_change(begin)
    begin.set_defaults(run=_begin)
    show = verbs.add_parser("show", help="what a ceremony's file would change, and who has signed it; needs no index")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--json", action="store_true", help="for machines")
    show.set_defaults(run=_show)
    gather = verbs.add_parser("import", help="take in copies that came back signed, in any order")
    gather.add_argument("files", type=Path, nargs="+", metavar="FILE")
    gather.set_defaults(run=_import)
    status = verbs.add_parser("status", help="the open ceremony, and whose signatures it waits for")
    status.set_defaults(run=_status)
    finish = verbs.add_parser("finish", help="check everything once more, and put it into force")
    finish.set_defaults(run=_finish)
    abandon = verbs.add_parser("abandon", help="drop the open ceremony; nothing changes")
    abandon.set_defaults(run=_abandon)
    rehearse = verbs.add_parser("rehearse", help="hold a whole ceremony with throw-away keys; touches nothing")
    rehearse.add_argument("--holders", type=int, default=3, metavar="N")
    rehearse.add_argument("--threshold", type=int, default=2, metavar="N")
    rehearse.set_defaults(run=_rehearse)
    for command in (begin, gather, status, finish, abandon, rehearse):
        _add_index(command)

    rotate = commands.add_parser("rotate", help="begin a ceremony for one usual change")
    kinds = rotate.add_subparsers(dest="kind", required=True, metavar="WHAT")
    for kind, option, text in (
        ("bins-key", "bins_key", "a new online key 1: all bins are signed again"),
        ("timestamp-key", "timestamp_key", "a new online key 2 for snapshot and timestamp"),
    ):
        key = kinds.add_parser(kind, help=text)
        key.add_argument("--key", default=NEW, dest=option, metavar="URI", help="a key that is there; without it, made")
        add_out(key)
        key.set_defaults(run=_begin)
    online = kinds.add_parser("online-keys", help="both online keys, as after a theft of the server")
    online.set_defaults(run=_begin, bins_key=NEW, timestamp_key=NEW)
    add_out(online)
    holder = kinds.add_parser("holder", help="one holder comes in the place of another")
    holder.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="KEYID",
        help="who leaves: the first digits do, without the space",
    )
    holder.add_argument(
        "--add", action="append", default=[], type=Path, metavar="FILE", help="who comes: public key file"
    )
    holder.add_argument("--role", action="append", choices=ROLES, help=ROLE_HELP)
    add_out(holder)
    holder.set_defaults(run=_begin)
    bins = kinds.add_parser("bins", help="another number of bins, with new online keys")
    bins.add_argument("bins", type=int, metavar="N", help="how many: a power of two")
    add_out(bins)
    bins.set_defaults(run=_begin, bins_key=NEW, timestamp_key=NEW)
    for command in (*kinds.choices.values(),):
        _add_index(command)


def _add_index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    parser.add_argument("--json", action="store_true", help="for machines")


def _begin(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import keep_open, open_path, write_durably
    from wheelmark.trust import ExpiryPolicy
    from wheelmark.trust.ceremony import propose
    from wheelmark.trust.ceremony_file import format_ceremony

    config, current = _index(arguments.data)
    if open_path(config).exists():
        raise Refused.because(
            "ceremony-open",
            "ceremony",
            f"expected no open ceremony, got one in {open_path(config)}: `wheelmark trust ceremony status` shows it, "
            "`wheelmark trust ceremony abandon` drops it",
        )
    if current:
        _refuse_second_change()
    wish = wished(arguments, config, current)
    ceremony = propose(current, wish, now=datetime.now(UTC), policy=ExpiryPolicy())
    out: Path = arguments.out or Path(f"ceremony-{ceremony.fingerprint[:8]}.json")
    write_durably(out, format_ceremony(ceremony))
    keep_open(config, ceremony)
    _say(ceremony, arguments.json, extra={"file": str(out)})
    if not arguments.json:
        print(f"\nSend {out} to the holders. Each of them signs a copy:")
        print(f"  wheelmark trust sign {out.name} --key pkcs8:THEIR-KEY.pem")
        print("then take the copies in:  wheelmark trust ceremony import FILE…")
    return 0


def _index(data: Path | None) -> tuple[Config, dict[str, bytes]]:
    """The settings, and the signed offline roles as they are; none for an index that is to be founded."""
    from wheelmark.server.bootstrap import bootstrap

    config = bootstrap(data)

    from wheelmark.server.founding import prepare_folders

    prepare_folders(config)
    if not config.on_postgresql and not config.database_file.exists():
        return config, {}
    return config, _founded_files()


def _founded_files() -> dict[str, bytes]:
    """Root, targets and bins of a founded index; nothing before that."""
    from django.db import connection

    from wheelmark.server.publishing.models import Repository
    from wheelmark.server.publishing.signing import current_files
    from wheelmark.server.stores import current_store

    if Repository._meta.db_table not in connection.introspection.table_names():
        return {}
    if not Repository.objects.filter(founded_at__isnull=False).exists():
        return {}
    return current_files(current_store(), ROLES)


def _refuse_second_change() -> None:
    from wheelmark.server.publishing.models import OfflineChange

    if waiting := OfflineChange.objects.filter(waiting=True).first():
        raise Refused.because(
            "ceremony-waiting",
            "ceremony",
            f"expected no finished ceremony that waits, got {waiting.fingerprint[:8]}: start `wheelmark serve`, which "
            "applies it, or drop it with `wheelmark trust ceremony abandon`",
        )


def _show(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import read_ceremony_file

    return _say(read_ceremony_file(arguments.file), arguments.json)


def _import(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import keep_open, read_ceremony_file, read_open
    from wheelmark.trust.ceremony import merge

    config = _settings(arguments.data)
    ceremony = merge([read_open(config), *(read_ceremony_file(path) for path in arguments.files)])
    keep_open(config, ceremony)
    _say(ceremony, arguments.json)
    if not arguments.json:
        print("\nReady: wheelmark trust ceremony finish" if ceremony.ready else "\nNot ready yet.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import read_open

    ceremony = read_open(_settings(arguments.data))
    _say(ceremony, arguments.json)
    return 0 if ceremony.ready else EXIT_WAITS


def _abandon(arguments: argparse.Namespace) -> int:
    from wheelmark.server.bootstrap import bootstrap
    from wheelmark.server.ceremonies import close, open_path

    config = _settings(arguments.data)
    dropped, unused = open_path(config).exists(), list[str]()
    if config.on_postgresql or config.database_file.exists():
        bootstrap(arguments.data)
        from wheelmark.server.publishing.offline import take_back
        from wheelmark.server.stores import current_store

        dropped = take_back(current_store()) or dropped
        unused = _unused_key_files(config)
    if not dropped:
        raise Refused.because("no-ceremony", "ceremony", "expected an open ceremony, got none")
    close(config)  # last: where it may not be dropped, it is still open
    if arguments.json:
        print(json.dumps({"abandoned": True, "unused_keys": unused}))
    else:
        print("The ceremony was dropped. Nothing has changed.")
        for path in unused:
            print(f"Made for it, and named by nothing now; you may delete it: {path}")
    return 0


def _unused_key_files(config: Config) -> list[str]:
    """The key files that were made for the open ceremony; none where that cannot be said for certain."""
    from wheelmark.server.ceremonies import read_open
    from wheelmark.server.founding import further_key_path
    from wheelmark.server.publishing.signing import has_later_offline_roles, named_keys
    from wheelmark.server.stores import current_store

    try:
        bins, publish = read_open(config).after.online_keys
        current = named_keys(current_store())
        if has_later_offline_roles(current_store()):
            return []
    except WheelmarkError:  # it is damaged, or not the index's only trouble: it is dropped all the same
        return []
    made = [("bins", bins, current.bins), ("timestamp", publish, current.publish)]
    paths = [further_key_path(stem, new.keyid, config) for stem, new, old in made if new != old]
    return [str(path) for path in paths if path.exists()]


def _finish(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import close, read_open
    from wheelmark.trust.ceremony import complete

    ceremony = read_open(_settings(arguments.data))
    completed = complete(ceremony, now=datetime.now(UTC))
    config, _current = _index(arguments.data)
    said = _found(config, completed) if completed.before is None else _apply(config, ceremony, completed)
    close(config)
    if arguments.json:
        print(
            json.dumps({"fingerprint": completed.fingerprint, "root_version": completed.roles["root"].version, **said})
        )
    else:
        print(f"In force: root {completed.roles['root'].version}, by the ceremony {completed.fingerprint[:8]}.")
        for name, value in said.items():
            print(f"  {name:<16}{value}")
    return 0


def _found(config: Config, completed: Completed) -> dict[str, Any]:
    from django.utils import timezone

    from wheelmark.server.founding import found_by_ceremony
    from wheelmark.server.stores import current_store

    first = found_by_ceremony(config, current_store(), completed, now=timezone.now())
    if first is None:
        raise Refused.because("ceremony-founded", "data", f"expected no index in {config.data}, got a founded one")
    said: dict[str, Any] = {"root_sha256": first.root_sha256}
    if first.admin_name:
        said |= {"admin_name": first.admin_name, "admin_password": first.admin_password}
    return said


def _apply(config: Config, ceremony: Ceremony, completed: Completed) -> dict[str, Any]:
    """Hand a completed ceremony to the publisher, and wait until it is in force."""
    from wheelmark.server.logs import configure_logs
    from wheelmark.server.publishing.offline import hand_over
    from wheelmark.server.publishing.publisher import apply_here
    from wheelmark.server.publishing.signing import online_signers
    from wheelmark.server.publishing.state import in_force
    from wheelmark.store import Conflict
    from wheelmark.trust.ceremony_file import format_ceremony

    configure_logs(config.log_format, process="ceremony", level=logging.WARNING)  # on stderr: stdout is the answer's
    online_signers(config, completed.online)  # before anything is written: this machine can sign with the new keys
    row = hand_over(completed, format_ceremony(ceremony), now=datetime.now(UTC))
    until = time.monotonic() + APPLY_SECONDS
    while row.waiting and time.monotonic() < until:
        # If no publisher runs, we are one for as long as it takes.
        try:
            applied = apply_here(config)
        except Conflict as error:
            raise Unavailable(
                f"{error}. The ceremony is kept. Either the database is older than that file (then: `wheelmark trust "
                "recover`), or somebody else put it there: move it out of the store, and run this command again",
                code=error.code,
            ) from error
        if not applied:
            time.sleep(0.2)
        row.refresh_from_db()
    if row.waiting:
        raise Unavailable(
            f"the ceremony is kept, but no publisher has applied it within {APPLY_SECONDS:g} s: see the log of "
            "`wheelmark serve`, and run this command again",
            code="ceremony-waiting",
        )
    return {"snapshot": row.snapshot or in_force().state.snapshot.version}  # a recovery knows no snapshot of its own


def _settings(data: Path | None) -> Config:
    from wheelmark.server.config import load_config

    return load_config(os.environ, data=data)


def _say(ceremony: Ceremony, as_json: bool, *, extra: dict[str, Any] | None = None) -> int:
    from wheelmark.trust.ceremony_summary import summarize

    summary = summarize(ceremony, now=datetime.now(UTC))
    print(json.dumps({**(extra or {}), **summary.as_json()}) if as_json else summary.text())
    return 0


def _rehearse(arguments: argparse.Namespace) -> int:
    from wheelmark.server.bootstrap import bootstrap_existing
    from wheelmark.server.commands.trust_rehearsal import rehearse

    current = {}
    try:
        bootstrap_existing(arguments.data)
    except Refused as error:
        if error.code != "no-data-folder":
            raise
    else:
        current = _founded_files()
    return rehearse(arguments, current)
