"""A whole copy of the embedded database while the index runs, and the way back. PostgreSQL has tools of its own.

SQLite keeps what was written last in a second file (`-wal`) beside the database. A copy of the main file alone is
therefore no backup, and a main file that is put back beside an older `-wal` is overwritten by it at the next start.
So the copy is made by SQLite, stands alone in one file, and goes back only when no `-wal` is left.

Who may write a backup: the operator. Whoever steals one has what the database holds: hashes of passwords and tokens,
addresses of users, and what is held. No key lies in it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import structlog
from django.apps import apps
from django.db.migrations.loader import MigrationLoader

from wheelmark.errors import Refused, Unavailable
from wheelmark.server.projects.models import JournalEntry
from wheelmark.server.publishing.models import PublishedPage, Repository, Snapshot

BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite may keep beside a database file."""

_OURS: Final = "wheelmark.server."
_MAX_FAULTS: Final = 3
# Media without hard links: FAT, and some network file systems.
_NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a copy of the database holds."""

    size: int  # bytes
    snapshot: int  # version
    signed_at: datetime  # its timestamp
    serial: int  # the journal goes up to here
    projects: int  # that have a page


def back_up(database: Path, file: Path) -> Contents:
    """Copy the database, as it is at one moment, into a new file (mode 0600). Others may write meanwhile.

    Raises:
        Refused: there is such a file already (`backup-exists`), or the database is damaged (`backup-damaged`).
        Unavailable: it cannot be read or written (`backup-failed`).
    """
    _refuse_existing(file)
    with _copied(database, beside=file) as (copy, contents):
        try:
            _move_to_new(copy, file)
        except FileExistsError:
            _refuse_existing(file)
        except OSError as error:
            raise _failed(f"{file} cannot be written", error) from error
    return contents


def restore(file: Path, database: Path, *, now: datetime) -> tuple[Contents, Path | None]:
    """Put a copy of the database in the place of the present one. Gives what it holds, and where the replaced database
    lies now. The caller holds the locks of the data folder and of the publisher.

    1. The copy is read, copied and checked; nothing has changed so far.
    2. The present database is copied aside, byte for byte with its `-wal`, for it may be evidence.
    3. The `-wal` is taken into the present database and goes away: a power cut leaves the old database whole.
    4. The copy is renamed into place.

    Raises:
        Refused: the file is no whole database of an index (`backup-…`).
        Unavailable: another program has the database open (`data-in-use`), or the disk fails (`backup-failed`).
    """
    if not file.is_file():
        raise Refused.because("backup-missing", "FILE", f"expected a backup, got no file at {file}")
    if database.exists() and file.samefile(database):
        raise Refused.because("backup-in-place", "FILE", f"expected a backup, got the database itself: {file}")
    with _copied(file, beside=database) as (copy, contents):
        try:
            aside = _free_name(database, now)
            try:
                kept = _copy_aside(database, aside)
                _take_in_wal(database)
            except BaseException:
                _remove(aside)
                raise
            copy.replace(database)
            _sync_folder(database.parent)
        except OSError as error:
            raise _failed(f"{database} cannot be replaced", error) from error
    return contents, aside if kept else None


def truncate_wal(database: Path) -> None:
    """Write everything into the main file, as the last step of a clean stop. What cannot be done is no fault: SQLite
    does it at the next start."""
    try:
        # Not `connect(database)`: that would make a new, empty one if there is none.
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=1.0)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        log.warning("the database's -wal file was left as it is", error=str(error))


def postgresql_refusal(word: str, database: str, file: Path) -> Refused:
    """What to type instead; the password is not repeated."""
    parts = urlsplit(database)
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    address = urlunsplit((parts.scheme, user + host, parts.path, parts.query, ""))
    words = {
        "backup": ["pg_dump", "--format=custom", f"--file={file}", address],
        "restore": ["pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={address}", str(file)],
    }[word]
    command = shlex.join(words)
    then = (
        " (stop every `wheelmark serve` and `worker` first; then `wheelmark trust recover`)"
        if word == "restore"
        else ""
    )
    return Refused.because(
        f"{word}-postgresql", "database", f"expected SQLite, got PostgreSQL, which has its own tool: {command}{then}"
    )


# --- Reading a copy ---------------------------------------------------------------------------------------------------


@contextmanager
def _copied(source: Path, *, beside: Path) -> Iterator[tuple[Path, Contents]]:
    """A checked copy in one file (mode 0600), durable, in the folder where it shall lie; it goes away if nobody moves
    it."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{beside.name}.", dir=beside.parent)
        os.close(handle)
    except OSError as error:
        raise _failed(f"{beside.parent} cannot be written", error) from error
    copy = Path(name)
    try:
        try:
            with (
                closing(sqlite3.connect(f"file:{quote(str(source.absolute()))}?mode=ro", uri=True)) as original,
                closing(sqlite3.connect(copy)) as target,
            ):
                original.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")  # it shall stand alone, in one file
            contents = _contents(copy)
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{source} cannot be copied: {error}", code="backup-failed") from error
        except sqlite3.DatabaseError as error:
            raise _damaged(str(error)) from error
        with copy.open("rb") as written:
            os.fsync(written.fileno())
        yield copy, contents
    finally:
        _remove(copy)


def _contents(copy: Path) -> Contents:
    with closing(sqlite3.connect(copy)) as database:
        # They call functions that only Django's connections have, and say nothing about the bytes.
        database.execute("PRAGMA ignore_check_constraints=ON")
        faults = [str(row[0]) for row in database.execute(f"PRAGMA integrity_check({_MAX_FAULTS})")]
        if faults != ["ok"]:
            raise _damaged("; ".join(faults))
        _refuse_foreign(database)
        newest = database.execute(
            f"SELECT version, at, (SELECT max(serial) FROM {JournalEntry._meta.db_table}),"  # noqa: S608  (our tables)
            f" (SELECT count(*) FROM {PublishedPage._meta.db_table})"
            f" FROM {Snapshot._meta.db_table} ORDER BY timestamp_version DESC LIMIT 1"
        ).fetchone()
    if newest is None:
        raise Refused.because("backup-unfounded", "database", "expected a founded index, got one without a snapshot")
    version, at, serial, projects = newest
    return Contents(
        size=copy.stat().st_size,
        snapshot=version,
        signed_at=datetime.fromisoformat(at).replace(tzinfo=UTC),
        serial=serial or 0,
        projects=projects,
    )


def _refuse_foreign(database: sqlite3.Connection) -> None:
    """Not every whole database is that of an index, nor one that this version can read."""
    tables = {str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    wanted = {model._meta.db_table for model in (Repository, Snapshot, PublishedPage, JournalEntry)}
    if missing := sorted({*wanted, "django_migrations"} - tables):
        raise Refused.because(
            "backup-foreign", "database", f"expected the database of an index, got one without {', '.join(missing)}"
        )
    ours = {app.label for app in apps.get_app_configs() if app.name.startswith(_OURS)}
    known = MigrationLoader(None).disk_migrations or {}
    applied = set(database.execute("SELECT app, name FROM django_migrations"))
    if newer := sorted(f"{app}.{name}" for app, name in applied if app in ours and (app, name) not in known):
        raise Refused.because(
            "backup-newer",
            "database",
            f"expected a database of this version of Wheelmark or an older one, got {', '.join(newer)}: "
            "install the version that made it",
        )


def _damaged(what: str) -> Refused:
    return Refused.because("backup-damaged", "database", f"expected a whole SQLite database, got: {what}")


# --- Files ------------------------------------------------------------------------------------------------------------


def _free_name(database: Path, now: datetime) -> Path:
    stem = f"{database.name}.replaced-{now:%Y%m%dT%H%M%SZ}"
    names = (database.with_name(f"{stem}{f'-{number}' if number else ''}") for number in itertools.count())
    return next(name for name in names if not any(Path(f"{name}{ending}").exists() for ending in ("", *BESIDE)))


def _copy_aside(database: Path, aside: Path) -> bool:
    """Copy the present database with what SQLite has beside it to another name; says whether there was anything."""
    found = False
    for ending in ("", "-wal", "-journal"):
        part = database.with_name(database.name + ending)
        if not part.exists():
            continue
        found = True
        with part.open("rb") as source, open(f"{aside}{ending}", "xb", opener=_private) as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    return found


def _take_in_wal(database: Path) -> None:
    """Leave nothing beside the present database, and be sure that nobody has it open."""
    if database.exists():
        try:
            with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as old:
                old.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise Unavailable(
                    f"another program has {database} open: end it, then restore again", code="data-in-use"
                ) from error
            # It is damaged: what there was to save lies aside.
    for ending in BESIDE:
        database.with_name(database.name + ending).unlink(missing_ok=True)


def _move_to_new(copy: Path, file: Path) -> None:
    """Under its name in one step, and never over another file."""
    try:
        os.link(copy, file)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _refuse_existing(file)
        copy.rename(file)
    _sync_folder(file.parent)


def _refuse_existing(file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise Refused.because(
            "backup-exists", "FILE", f"expected a name that is free, got {file}: an older backup is not overwritten"
        )


def _remove(path: Path) -> None:
    for ending in ("", *BESIDE):
        with contextlib.suppress(OSError):
            path.with_name(path.name + ending).unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(what: str, error: OSError) -> Unavailable:
    return Unavailable(f"{what}: {error.strerror}", code="backup-failed")
