"""The fault table of the publisher: every write × (failed | failed but was stored).

However a publication dies, the previous snapshot stays whole for clients that are there already and for new ones; the
next publication, by a publisher that knows nothing but the rows, is right; and no version ever has two contents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from support.publishing import Client, FoundedIndex, MemorySigningLog, found_index
from support.rows import NOW, a_file, a_release
from wheelmark.errors import Unavailable
from wheelmark.server.projects.lifecycle import remove_release
from wheelmark.server.publishing import publisher as publisher_module
from wheelmark.server.publishing.models import Attempt, Snapshot
from wheelmark.server.publishing.publisher import Publisher
from wheelmark.store import MemoryStore
from wheelmark.trust import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)


class PowerCut(Exception):
    """The process dies here: nothing after it happens, and nobody catches it."""


class DyingStore(MemoryStore):
    """A store whose process dies at the nth object that it is given; every content ever stored is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.die_at: int | None = None
        self.stored = False
        self.writes = 0
        self.history: dict[str, set[bytes]] = {}

    def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
        for key, body in objects:
            self.writes += 1
            dies = self.writes == self.die_at
            if not dies or self.stored:
                super().put_many([(key, body)], immutable=immutable)
                self.history.setdefault(key, set()).add(body)
            if dies:
                raise PowerCut(key)


def count_writes() -> int:
    """How many objects the publication under test writes."""
    store = DyingStore()
    index = found_index(store)
    change(index)
    store.writes = 0
    index.publisher().publish_due()
    return store.writes


def change(index: FoundedIndex) -> None:
    """What the publication under test publishes: a new project, and changes of one that is there."""
    a_file("alpha", "1.0")
    a_file("beta", "1.0")
    assert index.publisher().publish_due()
    a_file("gamma", "1.0")
    a_file("alpha", "2.0")
    remove_release(a_release("beta", "1.0"), actor="ada", reason="", now=NOW)


BEFORE = {"alpha": ["alpha-1.0-py3-none-any.whl"], "beta": ["beta-1.0-py3-none-any.whl"], "gamma": None}
AFTER = {
    "alpha": ["alpha-1.0-py3-none-any.whl", "alpha-2.0-py3-none-any.whl"],
    "beta": [],
    "gamma": ["gamma-1.0-py3-none-any.whl"],
}
NAMES = tuple(BEFORE)
STORE_WRITES = 7
"""Three pages, three bins, the snapshot: `test_table_covers_every_write` holds it to the truth."""


def dies(publisher: Publisher) -> None:
    with pytest.raises(PowerCut):
        publisher.publish_due()


def check_recovery(index: FoundedIndex, store: DyingStore, client: Client, *, committed: bool) -> None:
    now_expected = AFTER if committed else BEFORE
    assert client.sees(*NAMES) == now_expected, "a client that was there before"
    assert index.client_sees(*NAMES) == now_expected, "a new client"
    store.die_at = None
    versions = set(Snapshot.objects.values_list("timestamp_version", flat=True))
    published = index.publisher().publish_due()
    assert published is not committed
    assert client.sees(*NAMES) == AFTER
    assert index.client_sees(*NAMES) == AFTER
    assert not Attempt.objects.exists()
    assert versions <= set(Snapshot.objects.values_list("timestamp_version", flat=True))
    twice = [key for key, contents in store.history.items() if len(contents) > 1]
    assert twice == [], "no version has two contents"
    a_file("delta", "1.0")
    assert index.publisher().publish_due()
    assert client.sees("delta") == {"delta": ["delta-1.0-py3-none-any.whl"]}


def test_table_covers_every_write() -> None:
    assert count_writes() == STORE_WRITES


@pytest.mark.parametrize("stored", [False, True], ids=["failed", "failed-but-stored"])
@pytest.mark.parametrize("write", range(1, STORE_WRITES + 1))
def test_death_at_any_store_write_leaves_the_previous_snapshot_whole(write: int, stored: bool) -> None:
    store = DyingStore()
    index = found_index(store)
    change(index)
    client = Client(index)
    client.sees(*NAMES)
    store.die_at, store.stored = store.writes + write, stored
    dies(index.publisher())
    check_recovery(index, store, client, committed=False)


@pytest.mark.parametrize("stored", [False, True], ids=["failed", "failed-but-stored"])
@pytest.mark.parametrize("step", ["begin", "commit"])
def test_death_at_a_database_commit_is_either_the_old_or_the_new_snapshot(
    step: str, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DyingStore()
    index = found_index(store)
    change(index)
    client = Client(index)
    client.sees(*NAMES)
    real: Callable[..., Any] = getattr(publisher_module, step)

    def dying(*arguments: Any, **keywords: Any) -> None:
        if stored:
            real(*arguments, **keywords)
        raise PowerCut(step)

    monkeypatch.setattr(publisher_module, step, dying)
    dies(index.publisher())
    monkeypatch.undo()
    check_recovery(index, store, client, committed=step == "commit" and stored)


class DyingLog(MemorySigningLog):
    """A signing log whose process dies at the append, after or before the lines are kept."""

    def __init__(self, *, stored: bool) -> None:
        super().__init__()
        self.stored = stored

    def append(self, entries: Iterable[LogEntry]) -> None:
        if self.stored:
            super().append(entries)
        raise PowerCut("signing log")


@pytest.mark.parametrize("stored", [False, True], ids=["failed", "failed-but-stored"])
def test_death_at_the_signing_log_writes_nothing_else(stored: bool) -> None:
    store = DyingStore()
    index = found_index(store)
    change(index)
    client = Client(index)
    client.sees(*NAMES)
    kept, index.signing_log = index.signing_log, DyingLog(stored=stored)
    before = store.writes
    dies(index.publisher())
    assert (store.writes, Attempt.objects.count()) == (before, 0)
    index.signing_log = kept
    check_recovery(index, store, client, committed=False)


def test_signing_log_that_is_away_holds_everything_back_until_it_is_there() -> None:
    class AwayLog(MemorySigningLog):
        away = True

        def append(self, entries: Iterable[LogEntry]) -> None:
            if self.away:
                raise Unavailable("the disk is full", code="signing-log-full")
            super().append(entries)

    store = DyingStore()
    index = found_index(store)
    change(index)
    client = Client(index)
    assert client.sees(*NAMES) == BEFORE
    index.signing_log = away = AwayLog()
    publisher, before = index.publisher(), store.writes
    for _ in range(2):
        with pytest.raises(Unavailable):
            publisher.publish_due()
        assert (store.writes, Attempt.objects.count()) == (before, 0)
    assert client.sees(*NAMES) == BEFORE
    away.away = False
    assert publisher.publish_due()
    assert client.sees(*NAMES) == AFTER
    assert index.client_sees(*NAMES) == AFTER


@pytest.mark.parametrize("write", range(1, STORE_WRITES + 1))
def test_what_lies_in_the_store_was_logged_whenever_the_publisher_dies(write: int) -> None:
    store = DyingStore()
    index = found_index(store)
    founded = set(store.history)
    change(index)
    store.die_at, store.stored = store.writes + write, True
    dies(index.publisher())
    log = index.signing_log
    assert isinstance(log, MemorySigningLog)
    logged = {(f"tuf/{entry.version}.{entry.role}.json", entry.sha256) for entry in log.appended}
    signed = {key: bodies for key, bodies in store.history.items() if key.startswith("tuf/") and key not in founded}
    assert len(signed) >= 3
    assert {(key, hashlib.sha256(body).hexdigest()) for key, bodies in signed.items() for body in bodies} <= logged


def test_deaths_in_a_row_burn_versions_and_lose_nothing() -> None:
    store = DyingStore()
    index = found_index(store)
    change(index)
    client = Client(index)
    client.sees(*NAMES)
    for write in (STORE_WRITES, STORE_WRITES - 1, STORE_WRITES):
        store.die_at, store.stored = store.writes + write, True
        dies(index.publisher())
    check_recovery(index, store, client, committed=False)


class UnavailableStore(MemoryStore):
    """A store that is away for a while, in the middle of a batch or before it."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Iterator[bool] = iter(())

    def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
        for key, body in objects:
            if next(self.fails, False):
                raise Unavailable("the store is away", code="store-unavailable")
            super().put_many([(key, body)], immutable=immutable)


@pytest.mark.parametrize("write", range(STORE_WRITES))
def test_same_publisher_goes_on_when_the_store_comes_back(write: int) -> None:
    store = UnavailableStore()
    index = found_index(store)
    change(index)
    client = Client(index)
    assert client.sees(*NAMES) == BEFORE
    publisher = index.publisher()
    store.fails = iter([False] * write + [True])
    with pytest.raises(Unavailable):
        publisher.publish_due()
    assert client.sees(*NAMES) == BEFORE
    assert publisher.publish_due()
    assert client.sees(*NAMES) == AFTER
