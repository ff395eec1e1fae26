"""The first start: folders, secrets, keys, database, founding metadata, an administrator.

Every step may be repeated, and a first start that was cut short goes on where it stopped: files are created and never
overwritten, and nothing is served before `Repository.founded_at` is set, in the transaction that writes the first
snapshot.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max

from wheelmark.errors import Refused, Unavailable
from wheelmark.server.ceremonies import open_path
from wheelmark.server.config import Config
from wheelmark.server.projects.models import JournalEntry
from wheelmark.server.publishing.commit import NewSnapshot, begin, commit
from wheelmark.server.publishing.keys import role_file_key, role_key
from wheelmark.server.publishing.models import Repository
from wheelmark.server.publishing.passphrase import online_passphrase
from wheelmark.server.publishing.rows import role_rows
from wheelmark.server.publishing.signing import bins_key_uris, online_signers, timestamp_key_uris
from wheelmark.server.publishing.signing_log import SigningLog
from wheelmark.store import Store
from wheelmark.trust import (
    SCRYPT_COST,
    ExpiryPolicy,
    Foundation,
    Layout,
    OfflineMetadata,
    OfflineRole,
    OfflineRoles,
    OnlineSigners,
    PublicKey,
    choose_bit_length,
    entries_of,
    found_on,
    found_repository,
    generate_key,
    open_signer,
)

if TYPE_CHECKING:
    from wheelmark.trust.ceremony import Completed

ADMIN_NAME = "admin"
INCOMING_SECONDS = 3600
"""Nothing writes to an upload that has not been written to for so long."""

GENERATED_PASSPHRASE_COST = 2**14
"""Nobody guesses 256 random bits, however quick a guess is; a passphrase that a person chose costs them the default."""

_SECRET_BYTES = 32

# Any constant that nobody else in the database uses as an advisory lock.
_FOUNDING_LOCK = 0x574D46

_OFFLINE_NOTE = """\
What lies here can replace every other key of this index: the key of root, targets and bins (1 of 1), and its
passphrase. The index never reads this folder again. Move it to a medium that you keep offline, with a copy at a second
place, and delete it here. Whoever has it can sign anything in the name of this index; without it you cannot renew root
after a year, nor recover from a stolen server.

For an index that others rely on, hold a ceremony (`wheelmark trust ceremony`): several holders, 2 of 3, each with a key
of their own, take the place of this one.
"""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start made, for the operator's eyes, once."""

    admin_name: str | None  # None: there were users already
    admin_password: str | None
    root_sha256: str
    offline_folder: Path | None  # None: the holders of a ceremony have the offline keys


def prepare_folders(config: Config) -> None:
    """Make the data folder and what must lie in it before Django can be set up: folders and secrets.

    Raises:
        Unavailable: the folder cannot be written (`data-folder`).
    """
    try:
        for folder, mode in (
            (config.data, 0o700),
            (config.data / "incoming", 0o700),
            (config.secrets_folder, 0o700),
            (config.keys_folder, 0o700),
        ):
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        _write_secret(config.secrets_folder / "django")
        generated = config.secrets_folder / "online-keys"
        # One that opens nothing would only mislead: whoever looks for the passphrase, and whoever keeps it elsewhere.
        if config.passphrase_file == generated and config.key_passphrase in ("", f"file:{generated}"):
            _write_secret(generated)
        _sweep(config.data / "incoming")
    except OSError as error:
        raise Unavailable(
            f"the data folder {config.data} cannot be written ({error.strerror}): "
            "make it writable for this user, or name another with --data",
            code="data-folder",
        ) from error


def _sweep(incoming: Path) -> None:
    """Drop what a killed web process had begun to receive: nobody was ever told that it was accepted."""
    too_old = time.time() - INCOMING_SECONDS
    for path in incoming.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < too_old:
                path.unlink()


def found(config: Config, store: Store, *, now: datetime, policy: ExpiryPolicy | None = None) -> FirstStart | None:
    """Bring the database up to date, and found the index if it is new; gives nothing if it is not.

    Raises:
        Refused: the store already holds another index (`store-taken`).
        Unavailable: store, database or keys cannot be used.
    """
    with _alone():
        _keep_database_private(config)
        return _found(config, store, None, now=now, policy=policy or ExpiryPolicy())


def found_by_ceremony(
    config: Config, store: Store, completed: Completed, *, now: datetime, policy: ExpiryPolicy | None = None
) -> FirstStart | None:
    """The same on top of root, targets and bins that the holders have signed; gives nothing if the index is founded.

    Raises:
        Refused: the store already holds another index (`store-taken`).
        Unavailable: store, database or online keys cannot be used.
        Untrusted: the online keys are others than the ceremony names.
    """
    with _alone():
        _keep_database_private(config)
        return _found(config, store, completed, now=now, policy=policy or ExpiryPolicy())


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """On PostgreSQL several machines may start at once: one migrates and founds, the others wait and find it done.
    On the embedded default the data folder has a lock of its own."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_FOUNDING_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_FOUNDING_LOCK])


def _keep_database_private(config: Config) -> None:
    """SQLite would let everybody read a new database, and what lies beside it; the data folder may be an open one."""
    if not config.on_postgresql:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(config.database_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _found(
    config: Config, store: Store, completed: Completed | None, *, now: datetime, policy: ExpiryPolicy
) -> FirstStart | None:
    migrate()
    repository = Repository.objects.first()
    if repository is not None and repository.founded_at is not None:
        return None
    if completed is None and (ceremony := open_path(config)).exists():
        raise Refused.because(
            "ceremony-open",
            "data",
            f"expected no ceremony, got the founding of this index in {ceremony}: end it with `wheelmark trust "
            "ceremony finish`, or take it back with `wheelmark trust ceremony abandon`",
        )
    if repository is None:
        if store.head(role_key(1, "root")) is not None:
            raise Refused.because(
                "store-taken",
                "store",
                f"expected an empty store, got a signed index ({store.url}) while the database is empty: "
                "restore the database that belongs to it, or name another store",
            )
        # From here on the store is ours: a first start that is cut short finds this row and goes on.
        layout = completed.layout if completed else Layout(choose_bit_length(config.expected_projects))
        repository = Repository.objects.create(bit_length=layout.bit_length, begun_at=now)
    if completed is None:
        return _found_alone(config, store, repository, now=now, policy=policy)
    if repository.bit_length != completed.layout.bit_length:
        # A quick start was cut short before: nobody has seen anything of it.
        repository.bit_length = completed.layout.bit_length
    online = online_signers(config, completed.online)
    foundation = found_on(
        OfflineMetadata(completed.objects, completed.roles),
        layout=completed.layout,
        now=now,
        online=online,
        policy=policy,
    )
    return _commit_founding(foundation, config, store, repository, online, now=now, offline_folder=None)


def migrate() -> None:
    """Bring the tables up to date. The usual start finds nothing to do, and does not pay for what follows a migration
    (content types, permissions)."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)


def _found_alone(
    config: Config, store: Store, repository: Repository, *, now: datetime, policy: ExpiryPolicy
) -> FirstStart:
    """The quick start: one offline key, made here."""
    offline_folder = config.offline_folder
    offline = _offline_role(offline_folder)
    for uri in (bins_key_uris(config)[0], timestamp_key_uris(config)[0]):
        make_online_key(uri, config)
    online = online_signers(config)
    foundation = found_repository(
        layout=Layout(repository.bit_length),
        now=now,
        offline=OfflineRoles.all_by(offline),
        online=online,
        policy=policy,
    )
    return _commit_founding(foundation, config, store, repository, online, now=now, offline_folder=offline_folder)


def _commit_founding(
    foundation: Foundation,
    config: Config,
    store: Store,
    repository: Repository,
    online: OnlineSigners,
    *,
    now: datetime,
    offline_folder: Path | None,
) -> FirstStart:
    serial = JournalEntry.objects.aggregate(newest=Max("serial"))["newest"] or 0
    SigningLog(config.signing_log_path).append(entries_of(foundation, online, at=now, serial_from=0, serial_to=serial))
    # Not immutable: a first start that was cut short left version 1 of everything, which nobody has ever been served.
    store.put_many([(role_file_key(name), body) for name, body in foundation.objects], immutable=False)
    state = foundation.state
    roles = role_rows(None, state)
    with transaction.atomic():
        attempt = begin({}, now=now)
        commit(
            NewSnapshot(
                version=state.snapshot.version,
                timestamp_version=state.timestamp.version,
                timestamp=foundation.timestamp,
                length=state.snapshot.length,
                sha256=state.snapshot.sha256,
                serial=serial,
                roles={name: (role.version, role.expires_at) for name, role in roles.items()},
                pages=(),
                bins={},
            ),
            attempt,
            now=now,
        )
        repository.founded_at = now
        repository.save(update_fields=["founded_at", "bit_length"])
        name, password = _create_admin()
    return FirstStart(name, password, hashlib.sha256(foundation.root).hexdigest(), offline_folder)


def _offline_role(folder: Path) -> OfflineRole:
    """The quick start's one offline key: made beside the index for want of another place, and to be moved away."""
    folder.mkdir(mode=0o700, exist_ok=True)
    passphrase = _write_secret(folder / "passphrase")
    key = folder / "root.pem"
    if not key.exists():
        generate_key(key, passphrase=lambda: passphrase)
    (folder / "README.txt").write_text(_OFFLINE_NOTE, encoding="utf-8")
    return OfflineRole((open_signer(f"pkcs8:{key}", passphrase=lambda: passphrase),))


def make_online_key(uri: str, config: Config) -> None:
    """Make the key that a `pkcs8:` URI names, if it is not there; every other scheme brings its key along."""
    scheme, _, path = uri.partition(":")
    if scheme == "pkcs8" and not Path(path).exists():
        _make_key(Path(path), config)


def make_further_key(stem: str, config: Config) -> str:
    """Make one more online key, beside those that are there, and give its URI. The file is named by the keyid: a number
    that became free would give a new key the place of an old one, which people have been told to delete."""
    public = _make_key(lambda key: further_key_path(stem, key.keyid, config), config)
    return f"pkcs8:{further_key_path(stem, public.keyid, config)}"


def further_key_path(stem: str, keyid: str, config: Config) -> Path:
    """Where a further online key lies that this index made itself."""
    return config.keys_folder / f"{stem}-{keyid[:8]}.pem"


def _make_key(path: Path | Callable[[PublicKey], Path], config: Config) -> PublicKey:
    cost = SCRYPT_COST if config.key_passphrase or config.key_passphrase_file else GENERATED_PASSPHRASE_COST
    return generate_key(path, passphrase=online_passphrase(config), scrypt_cost=cost)


def _create_admin() -> tuple[str | None, str | None]:
    users = get_user_model().objects
    if users.exists():
        return None, None
    password = secrets.token_urlsafe(15)
    user = users.create_user(username=ADMIN_NAME, password=password)
    user.is_administrator = True
    user.save(update_fields=["is_administrator"])
    return ADMIN_NAME, password


def _write_secret(path: Path) -> bytes:
    """A random secret in a file of its own (mode 0600); the one that is there, if there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if existing := path.read_bytes().strip():
            return existing
        # A first start was cut short between making the file and filling it.
        handle = os.open(path, os.O_WRONLY | os.O_TRUNC)
    secret = secrets.token_urlsafe(_SECRET_BYTES).encode()
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return secret
