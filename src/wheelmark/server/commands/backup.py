"""`wheelmark admin backup` and `restore`: the embedded database in one file, and back."""

from __future__ import annotations

import argparse
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmark.errors import Unavailable

if TYPE_CHECKING:
    from wheelmark.server.backup import Contents
    from wheelmark.server.config import Config

NEXT = "wheelmark trust recover"


def backup(arguments: argparse.Namespace) -> dict[str, Any]:
    """Copy the database; say what the copy holds, and what else has to be kept."""
    from wheelmark.server.backup import back_up, postgresql_refusal

    config, file = _config(), arguments.file.absolute()
    if config.on_postgresql:
        raise postgresql_refusal("backup", config.database, file)
    contents = back_up(config.database_file, file)
    return {"file": str(file), **_fields(contents), "keep_too": [name for name, there in _others(config) if there]}


def restore(arguments: argparse.Namespace) -> dict[str, Any]:
    """Put a copy in the place of the database; say where the replaced one lies, and how to go on."""
    from wheelmark.server.backup import postgresql_refusal
    from wheelmark.server.backup import restore as put_back
    from wheelmark.server.founding import migrate
    from wheelmark.server.processes.family import lock_folder
    from wheelmark.server.publishing.lock import publisher_lock

    config, file = _config(), arguments.file.absolute()
    if config.on_postgresql:
        raise postgresql_refusal("restore", config.database, file)
    with lock_folder(config.data):
        lock = publisher_lock(config)
        if not lock.acquire():
            raise Unavailable(
                "a publisher is running (a ceremony's end, or a recovery): wait for its end, then restore again",
                code="publisher-running",
            )
        try:
            contents, aside = put_back(file, config.database_file, now=datetime.now(UTC))
            migrate()  # the copy may be of an older version, and `recover` comes before the next start
        finally:
            lock.release()
    return {
        "file": str(file),
        **_fields(contents),
        "replaced": str(aside) if aside else None,
        "missing": [name for name, there in _others(config) if not there],
        "next": f"{NEXT} --data {shlex.quote(str(config.data))}",
    }


def add_parsers(groups: Any, common: argparse.ArgumentParser) -> None:
    """Both commands and their argument."""
    from wheelmark.server.bootstrap import bootstrap

    save = groups.add_parser(
        "backup",
        parents=[common],
        help="copy the database into a new file; the index may be running",
        description="Copies the database into a new file (mode 0600), as it is at one moment; the index may be "
        "running. Says what the copy holds, and what has to be kept beside it. SQLite only.",
    )
    save.add_argument("file", type=Path, metavar="FILE", help="is not overwritten")
    save.set_defaults(run=backup)
    back = groups.add_parser(
        "restore",
        parents=[common],
        help="put a backup in the place of the database; the index must be stopped",
        description="Checks a backup and puts it in the place of the database, which is kept beside it under another "
        "name. The index must be stopped. `wheelmark trust recover` comes next, before any start. SQLite only.",
    )
    back.add_argument("file", type=Path, metavar="FILE", help="what `wheelmark admin backup` wrote")
    back.set_defaults(run=restore, prepare=bootstrap)  # the data folder may have no database any more


def _config() -> Config:
    from django.conf import settings

    config: Config = settings.CONFIG
    return config


def _fields(contents: Contents) -> dict[str, Any]:
    return {
        "bytes": contents.size,
        "snapshot": contents.snapshot,
        "signed_at": contents.signed_at.isoformat(timespec="seconds"),
        "journal_serial": contents.serial,
        "projects": contents.projects,
    }


def _others(config: Config) -> list[tuple[str, bool]]:
    """What an index needs beside its database, and whether it is there. A store elsewhere is not looked for."""
    store = config.data / "store"
    wanted = [(config.store, True) if config.store else (str(store), store.is_dir())]
    paths = [config.secrets_folder / "django", config.signing_log_path]
    if not (config.bins_key and config.timestamp_key):
        paths.append(config.keys_folder)
    if not config.key_passphrase:
        paths.append(config.passphrase_file)
    wanted += [(str(path), path.exists()) for path in paths]
    # These need not be there.
    settings = [config.data / "wheelmark.toml", config.data / "context.toml"]
    return wanted + [(str(path), True) for path in settings if path.exists()]
