"""Generations: one request, one snapshot; what is remembered is what the rows say; the database may go away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from support.rows import NOW
from wheelmark.errors import Unavailable
from wheelmark.server.delivery.cache import SingleFlight, TwoSegmentCache
from wheelmark.server.delivery.catalog import Current, FileRow, PageRow, Pulse
from wheelmark.server.delivery.generation import Generation, Snapshots

A, B = "a" * 64, "b" * 64


@dataclass
class MemoryCatalog:
    """The rows as plain values; every method answers from one moment, as the statements of the real one do."""

    version: int = 1
    pages: dict[str, PageRow] = field(default_factory=dict)
    files: dict[str, FileRow] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)  # page -> version that changed it
    away: bool = False
    reads: int = 0

    def publish(self, name: str, sha256: str, *files: str) -> None:
        """Commit a snapshot in which this page has these files."""
        self.version += 1
        self.pages[name] = PageRow(name, sha256, 10, self.version)
        self.files = {key: row for key, row in self.files.items() if row.page != name}
        self.files |= {file: FileRow(sha256, 10, "", 0, name) for file in files}
        self.changed[name] = self.version

    def current(self) -> Current | None:
        self._read()
        version = self.version
        return Current(
            version=version,
            timestamp_version=version,
            timestamp=b"{}",
            serial=version,
            at=NOW,
            projects=len(self.pages),
        )

    def page(self, name: str) -> tuple[int, PageRow | None]:
        self._read()
        return self.version, self.pages.get(name)

    def file(self, filename: str) -> tuple[int, FileRow | None]:
        self._read()
        return self.version, self.files.get(filename)

    def role(self, role: str) -> tuple[int, int | None]:
        self._read()
        return self.version, self.version if role == "snapshot" else None

    def superseded(self, name: str, sha256: str) -> int | None:
        return None

    def names(self) -> tuple[int, list[str]]:
        self._read()
        return self.version, sorted(self.pages)

    def changed_since(self, version: int) -> set[str] | None:
        self._read()
        return {name for name, changed in self.changed.items() if changed > version}

    def pulse(self) -> Pulse:
        return Pulse(NOW, {})

    def may_have_changed(self) -> bool:
        return True

    def _read(self) -> None:
        self.reads += 1
        if self.away:
            raise Unavailable("away", code="database-away")


@pytest.fixture
def catalog() -> MemoryCatalog:
    return MemoryCatalog()


@pytest.fixture
def snapshots(catalog: MemoryCatalog) -> Iterator[Snapshots]:
    flights = SingleFlight(2, patience=5)
    yield Snapshots(catalog, flights)
    flights.close()


def test_second_question_is_answered_from_memory(catalog: MemoryCatalog, snapshots: Snapshots) -> None:
    catalog.publish("demo", A, "demo-1.whl")
    assert snapshots.page(snapshots.generation, "demo")[1] == catalog.pages["demo"]
    assert snapshots.page(snapshots.generation, "nobody")[1] is None
    reads = catalog.reads
    for _ in range(10):
        snapshots.page(snapshots.generation, "demo")
        snapshots.page(snapshots.generation, "nobody")
    assert catalog.reads == reads


def test_row_of_a_newer_snapshot_takes_the_request_there_whole(catalog: MemoryCatalog, snapshots: Snapshots) -> None:
    old = snapshots.generation
    catalog.publish("demo", A)
    generation, row = snapshots.page(old, "demo")
    assert row is not None
    assert generation.current.version == catalog.version > old.current.version
    assert snapshots.page(generation, "demo")[0] is generation
    assert old.pages == {}


def test_request_that_began_before_a_snapshot_ends_in_its_own(catalog: MemoryCatalog, snapshots: Snapshots) -> None:
    catalog.publish("demo", A)
    before = snapshots.page(snapshots.generation, "demo")[0]
    catalog.publish("demo", B)
    snapshots.renew()
    _, row = snapshots.page(before, "demo")
    assert row is not None
    assert row.sha256 == A
    _, row = snapshots.page(snapshots.generation, "demo")
    assert row is not None
    assert row.sha256 == B


def test_new_snapshot_forgets_what_it_changed_and_only_that(catalog: MemoryCatalog, snapshots: Snapshots) -> None:
    catalog.publish("demo", A, "demo-1.whl")
    catalog.publish("other", B, "other-1.whl")
    for name in ("demo", "other", "fresh"):
        snapshots.page(snapshots.generation, name)
    for filename in ("demo-1.whl", "other-1.whl", "fresh-1.whl"):
        snapshots.file(snapshots.generation, filename)
    catalog.publish("demo", B)  # its file is taken back
    catalog.publish("fresh", A, "fresh-1.whl")
    snapshots.renew()
    generation = snapshots.generation
    assert set(generation.pages) == {"other"}
    assert set(generation.files) == {"other-1.whl"}
    assert snapshots.file(generation, "demo-1.whl")[1] is None
    assert snapshots.file(generation, "fresh-1.whl")[1] is not None


def test_everything_is_forgotten_when_pages_went_away_or_too_many_changed(snapshots: Snapshots) -> None:
    old = snapshots.generation
    old.pages["demo"] = PageRow("demo", A, 1, 1)
    later = replace(old.current, version=9, timestamp_version=9)
    assert set(old.followed_by(later, set()).pages) == {"demo"}
    assert old.followed_by(later, None).pages == {}
    many = Generation(replace(old.current, projects=5), pages=dict(old.pages))
    assert many.followed_by(replace(later, projects=4), set()).pages == {}


def test_database_that_is_away_leaves_the_last_snapshot_served(catalog: MemoryCatalog, snapshots: Snapshots) -> None:
    catalog.publish("demo", A)
    generation, row = snapshots.page(snapshots.generation, "demo")
    catalog.away = True
    with pytest.raises(Unavailable):
        snapshots.renew()
    assert snapshots.page(snapshots.generation, "demo") == (generation, row)
    with pytest.raises(Unavailable, match="away"):
        snapshots.page(snapshots.generation, "other")
    catalog.away = False
    catalog.publish("demo", B)
    assert snapshots.renew()
    assert snapshots.page(snapshots.generation, "demo")[1] == catalog.pages["demo"]


def test_restored_backup_makes_the_older_snapshot_current_and_forgets_the_rest(
    catalog: MemoryCatalog, snapshots: Snapshots
) -> None:
    catalog.publish("demo", A)
    snapshots.page(snapshots.generation, "demo")
    catalog.version, catalog.pages = 1, {}
    assert snapshots.renew()
    assert snapshots.page(snapshots.generation, "demo")[1] is None


def test_watcher_sees_a_new_snapshot_by_itself(catalog: MemoryCatalog, snapshots: Snapshots) -> None:
    snapshots.start()
    try:
        version = snapshots.generation.current.version
        catalog.publish("demo", A)
        deadline = time.monotonic() + 5
        while snapshots.generation.current.version == version and time.monotonic() < deadline:
            time.sleep(0.01)
        assert snapshots.generation.current.version == catalog.version
    finally:
        snapshots.stop()


def test_watcher_that_failed_looks_again_although_nothing_changed_since(
    catalog: MemoryCatalog, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter([True])
    monkeypatch.setattr(MemoryCatalog, "may_have_changed", lambda self: next(told, False))
    version = snapshots.generation.current.version
    catalog.publish("demo", A)
    catalog.away = True
    snapshots.start()
    try:
        time.sleep(0.3)
        assert snapshots.generation.current.version == version
        catalog.away = False
        deadline = time.monotonic() + 5
        while snapshots.generation.current.version == version and time.monotonic() < deadline:
            time.sleep(0.01)
        assert snapshots.generation.current.version == catalog.version
    finally:
        snapshots.stop()


def test_index_without_a_snapshot_says_so(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryCatalog, "current", lambda self: None)
    with pytest.raises(Unavailable, match="not published"):
        _ = snapshots.generation


def test_many_who_ask_for_the_same_thing_cause_one_reading() -> None:
    flights, entered, let_go, runs = SingleFlight(4, patience=5), threading.Event(), threading.Event(), []

    def load() -> int:
        runs.append(1)
        entered.set()
        let_go.wait(5)
        return 42

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(flights.load("key", load))) for _ in range(30)]
    for thread in threads:
        thread.start()
    assert entered.wait(5)
    time.sleep(0.1)  # the others arrive
    let_go.set()
    for thread in threads:
        thread.join(5)
    flights.close()
    assert (results, len(runs)) == ([42] * 30, 1)


def test_flight_that_takes_too_long_lets_the_request_go() -> None:
    flights, let_go = SingleFlight(1, patience=0.05), threading.Event()
    with pytest.raises(Unavailable, match="got none"):
        flights.load("key", lambda: let_go.wait(5))
    let_go.set()
    flights.close()


def test_failed_flight_is_tried_again() -> None:
    flights = SingleFlight(1, patience=5)
    with pytest.raises(ZeroDivisionError):
        flights.load("key", lambda: 1 // 0)
    assert flights.load("key", lambda: 7) == 7
    flights.close()


def test_cache_keeps_within_its_bytes_and_keeps_what_is_used() -> None:
    cache: TwoSegmentCache[int] = TwoSegmentCache(1000)
    cache.put("hot", 0, 10)
    for number in range(1000):
        cache.put(number, number, 50)
        assert cache.get("hot") == 0
        assert cache.held_bytes <= 1000
    assert cache.get(0) is None
    cache.put("huge", 1, 501)
    assert cache.get("huge") is None


def test_random_names_do_not_grow_the_memory(
    catalog: MemoryCatalog, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wheelmark.server.delivery.generation.MAX_REMEMBERED", 100)
    for number in range(350):
        snapshots.page(snapshots.generation, f"nobody-{number}")
        assert len(snapshots.generation.pages) <= 100
