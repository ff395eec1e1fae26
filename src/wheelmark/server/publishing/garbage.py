"""Garbage collection: takes from the store what no snapshot names any more that a client may still be reading.

Kept are the snapshots of the last day, and at least the newest `KEEP_SNAPSHOTS`, with everything that any of them
names: offline roles, bins, pages. Versions of a role only ever rise, so all of that is said by one file, the oldest
snapshot that is kept: whatever is below the versions that it lists is named by none of them. Roots are kept for ever.
So are distributions and their core metadata, also removed ones: they are what verdicts and reports speak of.

A day is counted from the snapshots' own times, and not by this machine's clock; between two snapshots no more counts
than `MAX_GAP`. A clock that jumps ahead by a year therefore makes nothing older than two hours, and an index that was
down for a week keeps what its clients saw last.

Nothing here takes a lock, and it may run in any process, beside a publisher and beside itself. What it deletes is
never written again: versions are used once, and a page carries the journal serial of its change. An attempt that died
leaves pages that no row names. They are taken only while no attempt is recorded: before that, they may be about to be
named. Every deletion may fail or be repeated; the next run finds what is left.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import orjson
import structlog
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Max

from wheelmark.errors import Unavailable, WheelmarkError
from wheelmark.server.publishing.keys import page_key, role_key
from wheelmark.server.publishing.models import Attempt, PublishedPage, Snapshot, SupersededPage
from wheelmark.store import Missing, Store, Stored
from wheelmark.trust import ROOT, SNAPSHOT

KEEP_FOR = timedelta(hours=24)
KEEP_SNAPSHOTS = 64
"""However old: clients that return within so many publications need only deltas."""

MAX_GAP = timedelta(hours=2)
"""The timestamp is signed again every hour: a longer gap means that we were down, or that the clock jumped."""

FIRST_SECONDS, EVERY_SECONDS = 300.0, 3600.0
ORPHANS_EVERY = 24
"""Passes between two looks at every page in the store; attempts die seldom, and a large index has many pages."""

STOP_SECONDS = 5.0
"""For a pass to end that waits for a store; going on without it is safe, as it is beside another publisher."""

BATCH = 200
PAUSE_SECONDS = 0.05
"""Between two batches, so that the publisher's writes find the disk free."""

MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024

_ROLE_KEY = re.compile(r"tuf/([1-9][0-9]{0,17})\.([a-z][a-z0-9-]{0,63})\.json", re.ASCII)
_PAGE_KEY = re.compile(r"pages/([a-z0-9-]{1,100})/([0-9a-f]{64})\.json", re.ASCII)

log = structlog.get_logger(__name__)

Progress = Callable[[str, int], None]  # what is being looked at, how many so far
Pause = Callable[[], object]  # called between two batches; may raise to end the pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The oldest snapshot that is kept, and what follows from it."""

    snapshot: int  # its version
    counted_age: timedelta  # up to the newest snapshot
    versions: Mapping[str, int]  # role -> the lowest version that is kept
    superseded_until: datetime  # pages superseded then or before are named by no kept snapshot …
    superseded_before: datetime | None  # … if it was also before this


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one pass took, or would have taken."""

    oldest_snapshot: int  # the version of the oldest snapshot that is kept
    roles: int = 0
    pages: int = 0
    orphans: int = 0  # pages of attempts that died
    freed_bytes: int = 0
    orphans_sought: bool = False


def collect(
    store: Store,
    *,
    orphans: bool = True,
    dry_run: bool = False,
    progress: Progress = lambda *_: None,
    pause: Pause = lambda: None,
) -> Collected:
    """One pass over the store.

    Raises:
        Unavailable: the store or the index's first snapshot is away, or the store has lost the oldest kept snapshot;
            what was deleted before that was garbage.
    """
    floor = find_floor(store)
    sweep = _Sweep(store, dry_run=dry_run, progress=progress, pause=pause)
    roles = sweep.roles(floor)
    pages = sweep.superseded(floor)
    found, sought = sweep.orphans() if orphans else (0, False)
    return Collected(
        oldest_snapshot=floor.snapshot,
        roles=roles,
        pages=pages,
        orphans=found,
        freed_bytes=sweep.freed_bytes,
        orphans_sought=sought,
    )


def find_floor(store: Store) -> Floor:
    """What has to be kept, from the committed snapshots and the signed bytes of the oldest that is kept.

    Raises:
        Unavailable: nothing is published yet (`not-founded`), or that snapshot's bytes are not what was committed
            (`store-damaged`): then nobody may delete anything.
    """
    rows = Snapshot.objects.order_by("-timestamp_version").values_list("timestamp_version", "version", "at")
    counted, versions, later_at = timedelta(), set[int](), None
    oldest: tuple[int, int, datetime] | None = None
    for timestamp_version, version, at in rows.iterator(chunk_size=2000):
        if oldest is not None:
            if counted >= KEEP_FOR and len(versions) >= KEEP_SNAPSHOTS:
                break
            counted += min(max(oldest[2] - at, timedelta()), MAX_GAP)
            later_at = oldest[2] if later_at is None else min(later_at, oldest[2])
        versions.add(version)
        oldest = (timestamp_version, version, at)
    if oldest is None:
        raise Unavailable("this index is not founded yet: there is nothing to collect", code="not-founded")
    row = Snapshot.objects.get(timestamp_version=oldest[0])
    return Floor(
        snapshot=row.version,
        counted_age=counted,
        versions=_listed_versions(store, row),
        superseded_until=row.at,
        superseded_before=later_at,
    )


def _listed_versions(store: Store, row: Snapshot) -> dict[str, int]:
    key = role_key(row.version, SNAPSHOT)
    try:
        raw = store.read_all(key, max_bytes=MAX_SNAPSHOT_BYTES)
    except Missing as error:
        raise Unavailable(f"nothing is collected: the store has lost {key}", code="store-damaged") from error
    if (got := hashlib.sha256(raw).hexdigest()) != row.sha256:
        raise Unavailable(f"nothing is collected: {key}: expected sha256 {row.sha256}, got {got}", code="store-damaged")
    listed = orjson.loads(raw)["signed"]["meta"]
    return {name.removesuffix(".json"): entry["version"] for name, entry in listed.items()} | {SNAPSHOT: row.version}


class _Sweep:
    """The deletions of one pass, in batches."""

    def __init__(self, store: Store, *, dry_run: bool, progress: Progress, pause: Pause) -> None:
        self._store = store
        self._dry_run = dry_run
        self._progress = progress
        self._pause = pause
        self.freed_bytes = 0
        self._newest_stored = 0  # version of the newest snapshot in the store

    def roles(self, floor: Floor) -> int:
        """Signed metadata below the floor. What the floor does not name stays, whatever it is."""
        deleted = 0
        for batch in self._batches("signed metadata", self._store.list("tuf/")):
            for found in batch:
                match = _ROLE_KEY.fullmatch(found.key)
                if match is None or match[2] == ROOT:
                    continue
                if match[2] == SNAPSHOT:
                    self._newest_stored = max(self._newest_stored, int(match[1]))
                if int(match[1]) < floor.versions.get(match[2], 0):
                    self._delete(found)
                    deleted += 1
        return deleted

    def superseded(self, floor: Floor) -> int:
        """Pages that later ones took the place of, with their rows. The object goes first: a row without an object is
        found again, an object without a row would have to be looked for."""
        # A clock that went back between two snapshots makes `at` say too little of their order; then less is deleted.
        rows = SupersededPage.objects.filter(at__lte=floor.superseded_until)
        if floor.superseded_before is not None:
            rows = rows.filter(at__lt=floor.superseded_before)
        deleted, last, seen = 0, 0, 0
        while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
            current = _current({page.name for page in batch})
            for page in batch:
                if (page.name, page.sha256) not in current:
                    self._delete(Stored(page_key(page.name, page.sha256), page.size))
                    deleted += 1
            if not self._dry_run:
                rows.filter(pk__in=[page.pk for page in batch]).delete()
            last, seen = batch[-1].pk, seen + len(batch)
            self._progress("superseded pages", seen)
            self._pause()
        return deleted

    def orphans(self) -> tuple[int, bool]:
        """Pages that no row names, and whether all were looked at: not while an attempt is under way or has died."""
        deleted = 0
        for batch in self._batches("pages", self._store.list("pages/")):
            pages = {(match[1], match[2]): found for found in batch if (match := _PAGE_KEY.fullmatch(found.key))}
            # In this order. What an attempt wrote before we listed it is either still recorded now, or committed, and
            # then the rows that are read next name it.
            if Attempt.objects.exists():
                return deleted, False
            self._check_database_is_not_behind()
            names = {name for name, _ in pages}
            superseded = SupersededPage.objects.filter(name__in=names).values_list("name", "sha256")
            for page in pages.keys() - _current(names) - set(superseded):
                self._delete(pages[page])
                deleted += 1
        return deleted, True

    def _check_database_is_not_behind(self) -> None:
        """To a database that was restored from a backup, all pages published since are orphans; recovery needs them."""
        committed = Snapshot.objects.aggregate(newest=Max("version"))["newest"] or 0
        if self._newest_stored > committed:
            raise Unavailable(
                f"orphaned pages are not collected: expected no snapshot newer than {committed} in the store, got "
                f"{self._newest_stored}. Was the database restored? Then run `wheelmark trust recover` first",
                code="database-behind",
            )

    def _batches(self, what: str, found: Iterator[Stored]) -> Iterator[list[Stored]]:
        seen = 0
        while batch := list(islice(found, BATCH)):
            yield batch
            seen += len(batch)
            self._progress(what, seen)
            self._pause()

    def _delete(self, found: Stored) -> None:
        if not self._dry_run:
            self._store.delete(found.key)
        self.freed_bytes += found.size


def _current(names: Iterable[str]) -> set[tuple[str, str]]:
    return set(PublishedPage.objects.filter(name__in=names).values_list("name", "sha256"))


class _Stopped(Exception):
    """The publisher ends, and the pass with it."""


@contextmanager
def collecting(store: Store) -> Iterator[None]:
    """Collect about once an hour in a thread of its own, for as long as the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=_collect_hourly, args=(store, stop), name="garbage", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(STOP_SECONDS)


def _collect_hourly(store: Store, stop: threading.Event) -> None:
    def pause() -> None:
        if stop.wait(PAUSE_SECONDS):
            raise _Stopped

    passes, wait = 0, FIRST_SECONDS
    while not stop.wait(wait):
        wait = EVERY_SECONDS
        try:
            collected = collect(store, orphans=passes % ORPHANS_EVERY == 0, pause=pause)
            passes += 1
        except _Stopped:
            break
        except (WheelmarkError, DatabaseError) as error:
            log.warning("garbage was not collected; it is tried again in an hour", error=str(error))
        else:
            log.info(
                "garbage collected",
                oldest_snapshot=collected.oldest_snapshot,
                roles=collected.roles,
                pages=collected.pages,
                orphans=collected.orphans,
                bytes=collected.freed_bytes,
            )
        finally:
            connection.close()  # an hour is too long to hold one
