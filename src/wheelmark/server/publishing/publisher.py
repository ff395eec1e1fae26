"""The publisher: turns the journal into pages and signed snapshots, in batches.

What arrives while one snapshot is signed goes into the next one together (group commit), so the cost of a snapshot is
shared the more, the busier the index is. Every step may be repeated, and a death between two of them leaves the
previous snapshot in force: see `commit.py`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from wheelmark.errors import WheelmarkError
from wheelmark.server.changes import DatabaseChanges
from wheelmark.server.config import Config
from wheelmark.server.projects.journal import INDEX
from wheelmark.server.projects.models import JournalEntry
from wheelmark.server.publishing.commit import NewSnapshot, begin, burned_versions, commit
from wheelmark.server.publishing.contents import BinContents, Changes
from wheelmark.server.publishing.file_targets import add_all_files, change_file_targets, remove_all_files
from wheelmark.server.publishing.garbage import collecting
from wheelmark.server.publishing.keys import page_key, role_file_key
from wheelmark.server.publishing.lock import publisher_lock
from wheelmark.server.publishing.models import FileTarget, Heartbeat
from wheelmark.server.publishing.offline import OfflineChanges, step_over_stored
from wheelmark.server.publishing.pages import RenderedPage, render_pages, target_of
from wheelmark.server.publishing.rows import changed_roles, known_pages, load_state, signs_files
from wheelmark.server.publishing.signing import named_keys, online_signers
from wheelmark.server.publishing.signing_log import SigningLog, SigningRecord
from wheelmark.server.publishing.warnings import DailyWarnings
from wheelmark.server.stores import current_store
from wheelmark.store import Conflict, Store
from wheelmark.trust import (
    ExpiryPolicy,
    OnlineSigners,
    Publication,
    RepositoryState,
    due_for_resigning,
    entries_of,
    sign_publication,
)

POLL_SECONDS = 0.05
"""How long a change waits at most before the publisher looks."""

LOCK_POLL_SECONDS = 2.0
"""How long a stand-by waits between two looks at the lock: it takes over within 10 s."""

HEARTBEAT_SECONDS = 5.0
DUE_SECONDS = 60.0
"""How often to look for metadata that should be signed again; the shortest life is a day."""

BACK_OFF_SECONDS = (0.2, 1.0, 5.0)
RESIGN_BATCH = 64
"""Bins signed again in one publication when they come due, so that an upload never waits long behind them."""

MAX_BATCH_ROWS = 5_000
"""Journal rows that one publication covers at most: an import of any size takes memory for so many pages at once."""

# The publisher's own rows: they follow from a snapshot, and must not ask for the next one.
_CONSEQUENCE = "file-published"

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Batch:
    """What one publication changes."""

    changes: Changes
    serial: int  # the journal is published up to here afterwards
    pages: list[RenderedPage] = field(default_factory=list)
    bins: dict[str, int] = field(default_factory=dict)  # page name -> its bin
    file_targets: list[FileTarget] = field(default_factory=list)  # the new ones
    signs_files: bool | None = None  # None: as before


@dataclass
class Publisher:
    """Publishes what the journal holds. One object for the time that the lock is held."""

    store: Store
    signers: OnlineSigners
    signing_log: SigningRecord
    policy: ExpiryPolicy = field(default_factory=ExpiryPolicy)
    clock: Callable[[], datetime] = timezone.now
    resign: frozenset[int] = frozenset()
    """Bins that the next publication signs again whatever the clock says: a recovery found that it must."""
    warnings: DailyWarnings = field(default_factory=DailyWarnings)
    offline: OfflineChanges | None = None  # None: no ceremony is ever applied
    sign_files: bool | None = None
    """Whether files are to be targets too (strict PEP 458); None: as the bins are."""
    _state: RepositoryState | None = None
    _contents: BinContents | None = None
    _signs_files: bool = False  # what the bins hold now
    _serial: int = 0  # published up to here
    _seen: int = 0  # looked at up to here: nothing in between changes a page
    _looked_for_due: float = float("-inf")
    _keys_checked: bool = False

    def publish_due(self) -> bool:
        """Publish everything that waits, and sign again what comes due; say whether there was a new snapshot.

        Raises:
            Unavailable: store, database or signer is away, or the lock was lost. Nothing was published; call again.
        """
        try:
            return self._publish_due()
        except BaseException:
            # Whatever happened, the rows know what was committed; what we remember may not.
            self._state = self._contents = None
            raise

    def _publish_due(self) -> bool:
        now = self.clock()
        if self._state is None or self._contents is None:
            self._state, self._serial = load_state()
            self._contents = BinContents(self._state.layout)
            self._signs_files = signs_files()
            self._seen, self._looked_for_due = self._serial, float("-inf")
            self._keys_checked = False
        if self.offline and (applied := self.offline.apply(self._state, self._serial, self.signers, now=now)):
            self._state, self.signers = applied
            self._contents = BinContents(self._state.layout)  # perhaps of other bins
            self.resign &= frozenset(range(self._state.layout.bin_count))
            return True
        if self.offline and not self._keys_checked:
            # After the ceremony that may wait: its keys may be the only ones that are left.
            self.offline.check(self.signers)
            self._keys_checked = True
        if self.sign_files is not None and self.sign_files != self._signs_files:
            self._switch_files(self._state, self._contents, self.sign_files, now=now)
            return True
        due_bins, due_now = self._due(now)
        if self.resign:
            due_bins, due_now = tuple(sorted({*due_bins, *self.resign})), True
        pages, more = self._changed_pages()
        while more and not pages and not due_now:
            pages, more = self._changed_pages()
        if not pages and not due_now:
            return False
        serial = self._seen
        changes = Changes(self._state.layout, due_bins)
        batch = _Batch(changes=changes, serial=serial, pages=pages)
        batch.bins = {page.name: changes.put(target_of(page)) for page in pages}
        if self._signs_files:
            batch.file_targets = change_file_targets(changes, pages)
        self._publish(self._state, self._contents, batch, now=now)
        self.resign = frozenset()
        return True

    def _switch_files(self, state: RepositoryState, contents: BinContents, on: bool, *, now: datetime) -> None:
        """Sign every bin again, with or without files: in one publication, so that there is nothing half way."""
        changes = Changes(state.layout, range(state.layout.bin_count))
        batch = _Batch(changes=changes, serial=self._serial, signs_files=on)
        if on:
            batch.file_targets = add_all_files(changes)
        else:
            remove_all_files(changes)
        self._publish(state, contents, batch, now=now)
        self._signs_files = on
        log.info("files are targets now" if on else "files are no targets any more")

    def _changed_pages(self) -> tuple[list[RenderedPage], bool]:
        """The pages that journal rows since the last look have changed, and whether there may be more such rows."""
        rows = JournalEntry.objects.filter(serial__gt=self._seen).order_by("serial")
        found = list(rows.values_list("serial", "project", "action", "actor")[:MAX_BATCH_ROWS])
        if not found:
            return [], False
        names = {project for _, project, action, actor in found if (action, actor) != (_CONSEQUENCE, INDEX)}
        self._seen = found[-1][0]
        return render_pages(names, known_pages(names), serial=self._seen) if names else [], len(found) == MAX_BATCH_ROWS

    def _due(self, now: datetime) -> tuple[tuple[int, ...], bool]:
        """The bins to sign again now, and whether anything at all should be."""
        if time.monotonic() - self._looked_for_due < DUE_SECONDS or self._state is None:
            return (), False
        due = due_for_resigning(self._state, now, self.policy)
        self.warnings.say(due, self._state, now)
        if len(due.bins) <= RESIGN_BATCH:
            self._looked_for_due = time.monotonic()
        return due.bins[:RESIGN_BATCH], bool(due.bins) or due.snapshot or due.timestamp

    def _publish(self, state: RepositoryState, contents: BinContents, batch: _Batch, *, now: datetime) -> None:
        began = time.perf_counter()
        changed = contents.after(batch.changes.bins)
        publication = sign_publication(
            state, changed, burned=burned_versions(), now=now, signers=self.signers, policy=self.policy
        )
        following = publication.state
        # Before anything of it is written: what the log does not know is never published.
        self.signing_log.append(
            entries_of(publication, self.signers, at=now, serial_from=self._serial, serial_to=batch.serial)
        )
        roles = changed_roles(state, following, publication.signed_bins)
        attempt = begin({name: role.version for name, role in roles.items()}, now=now)
        self._write(publication, batch.pages)
        commit(
            NewSnapshot(
                version=following.snapshot.version,
                timestamp_version=following.timestamp.version,
                timestamp=publication.timestamp,
                length=following.snapshot.length,
                sha256=following.snapshot.sha256,
                serial=batch.serial,
                roles={name: (role.version, role.expires_at) for name, role in roles.items()},
                pages=batch.pages,
                bins=batch.bins,
                file_targets=batch.file_targets,
                signs_files=batch.signs_files,
            ),
            attempt,
            now=now,
        )
        contents.committed(changed)
        self._state, self._serial, self._seen = following, batch.serial, batch.serial
        log.info(
            "published",
            snapshot=following.snapshot.version,
            timestamp=following.timestamp.version,
            pages=len(batch.pages),
            bins=len(publication.signed_bins),
            serial=batch.serial,
            milliseconds=round((time.perf_counter() - began) * 1000, 1),
        )

    def _write(self, publication: Publication, pages: list[RenderedPage]) -> None:
        """Put everything that the new snapshot names into the store: pages, then bins, then the snapshot. Together,
        so that a disk is asked once; the order is for readers of a mirror, ours see nothing before the commit."""
        objects = [(page_key(page.name, page.sha256), page.body) for page in pages]
        objects += [(role_file_key(name), body) for name, body in publication.objects]
        self.store.put_many(objects, immutable=True)


def open_publisher(config: Config, store: Store, signing_log: SigningRecord) -> Publisher:
    """A publisher with the keys that the index names now, which takes others when a ceremony names them. If those keys
    are lost, but a finished ceremony waits that names others, it is a publisher with the others.

    Raises:
        Unavailable, Untrusted: this machine cannot sign (see `online_signers`).
    """
    policy = ExpiryPolicy()
    offline = OfflineChanges(store, signing_log, lambda named: online_signers(config, named), policy)
    signers = offline.signers_or_waiting(named_keys(store))
    return Publisher(store, signers, signing_log, policy=policy, offline=offline, sign_files=config.sign_files)


def apply_here(config: Config) -> bool:
    """Apply the ceremony that waits, if no publisher runs; say whether we were the publisher. What somebody left in the
    store under the next versions of online roles is stepped over.

    Raises:
        Conflict: a file of root, targets or bins lies there with other bytes, whose version nothing can step over.
        Unavailable, Untrusted: this machine cannot sign, or store or database is away.
    """
    lock = publisher_lock(config)
    if not lock.acquire():
        return False
    try:
        store = current_store()
        publisher = open_publisher(config, store, SigningLog(config.signing_log_path))
        try:
            publisher.publish_due()
        except Conflict:
            step_over_stored(store, now=timezone.now())
            publisher.publish_due()
    finally:
        lock.release()
    return True


def run(stop: threading.Event) -> None:
    """Publish until `stop` is set: wait for the lock, hold it, and never give up for long."""
    lock, signing_log = publisher_lock(settings.CONFIG), SigningLog(settings.CONFIG.signing_log_path)
    failures = 0
    while not stop.is_set():
        try:
            if not lock.acquire():
                stop.wait(LOCK_POLL_SECONDS)
                continue
            store = current_store()
            publisher = open_publisher(settings.CONFIG, store, signing_log)
            log.info("publisher holds the lock")
            with collecting(store):
                while not stop.is_set() and lock.held():
                    _work(publisher, stop)
                    failures = 0
        except (WheelmarkError, DatabaseError) as error:
            delay = BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)]
            failures += 1
            log.error("publishing failed; it is tried again", error=str(error), seconds=delay)
            # Whoever stands by may have what we lack: a key, a store, a connection.
            lock.release()
            connection.close_if_unusable_or_obsolete()
            stop.wait(delay)
    lock.release()


def _work(publisher: Publisher, stop: threading.Event) -> None:
    """Publish for one heartbeat. Between two changes of the database there is nothing to look for but what comes due,
    and once a heartbeat is often enough for that."""
    beat()
    changes = DatabaseChanges()
    until = time.monotonic() + HEARTBEAT_SECONDS
    look = True
    while not stop.is_set() and time.monotonic() < until:
        # After a publication there may be more: what came while it was signed.
        look = (look or changes()) and publisher.publish_due()
        if not look:
            stop.wait(POLL_SECONDS)


def beat() -> None:
    """Say that this publisher lives."""
    holder = f"{socket.gethostname()}:{os.getpid()}"
    Heartbeat.objects.update_or_create(pk=1, defaults={"at": timezone.now(), "holder": holder})
