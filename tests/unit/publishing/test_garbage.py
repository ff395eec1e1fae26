"""Garbage goes, and nothing that a snapshot of the last day names, whatever clock, store or publisher do."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from support.garbage import closure, publish, snapshots, stored
from support.publishing import HOUR, Client, FoundedIndex, found_index
from support.rows import a_file
from wheelmark.errors import Unavailable
from wheelmark.server.publishing import commit as commit_module
from wheelmark.server.publishing import garbage
from wheelmark.server.publishing import publisher as publisher_module
from wheelmark.server.publishing.commit import begin
from wheelmark.server.publishing.garbage import KEEP_FOR, KEEP_SNAPSHOTS, MAX_GAP, collect, collecting, find_floor
from wheelmark.server.publishing.keys import page_key, role_key
from wheelmark.server.publishing.models import Attempt, PublishedPage, Snapshot, SupersededPage
from wheelmark.store import MemoryStore, Stored

pytestmark = pytest.mark.django_db(transaction=True)
YEAR = timedelta(days=365)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two snapshots are kept, so that a test need not make 64 of them."""
    monkeypatch.setattr(garbage, "KEEP_SNAPSHOTS", 2)


@pytest.fixture
def index(few: None) -> FoundedIndex:
    """Two projects, 40 snapshots, an hour between two of them."""
    index = found_index()
    index.store.put("files/ab/" + "ab" * 32, [b"a distribution"], immutable=True)
    index.store.put("metadata/ab/" + "ab" * 32, [b"its metadata"], immutable=True)
    for number in range(40):
        publish(index, "alpha" if number % 3 else "beta", after=HOUR)
    return index


def check_kept(index: FoundedIndex, count: int) -> None:
    for row in snapshots()[:count]:
        assert closure(index, row) <= stored(index)


def test_what_snapshots_of_the_last_day_name_is_kept_and_the_rest_goes(index: FoundedIndex) -> None:
    before = stored(index)
    newest = snapshots()
    collected = collect(index.store)
    assert collected.oldest_snapshot == newest[24].version
    check_kept(index, 25)
    kept = set().union(*(closure(index, row) for row in newest[:25]))
    roots = {key for key in before if key.endswith(".root.json")}
    apart = {key for key in before if key.startswith(("files/", "metadata/"))}
    assert len(apart) == 2
    assert stored(index) == kept | roots | apart
    assert collected.roles + collected.pages == len(before) - len(stored(index)) > 40


def test_rows_of_pages_go_with_them_and_snapshots_stay_as_a_log(index: FoundedIndex) -> None:
    rows = SupersededPage.objects.count()
    collected = collect(index.store)
    assert SupersededPage.objects.count() == rows - collected.pages > 0
    assert len(snapshots()) == 41
    for page in SupersededPage.objects.all():
        assert page_key(page.name, page.sha256) in stored(index)


def test_second_pass_finds_nothing(index: FoundedIndex) -> None:
    collect(index.store)
    again = collect(index.store)
    assert (again.roles, again.pages, again.orphans, again.freed_bytes) == (0, 0, 0, 0)


def test_dry_run_counts_the_same_and_deletes_nothing(index: FoundedIndex) -> None:
    before, rows = stored(index), SupersededPage.objects.count()
    counted = collect(index.store, dry_run=True)
    assert (stored(index), SupersededPage.objects.count()) == (before, rows)
    assert counted == collect(index.store)


def test_clients_old_and_new_go_on_after_a_pass(index: FoundedIndex) -> None:
    client = Client(index)
    seen = client.sees("alpha", "beta", "nobody")
    collect(index.store)
    assert client.sees("alpha", "beta", "nobody") == seen == index.client_sees("alpha", "beta", "nobody")
    publish(index, "beta", after=HOUR)
    assert len(client.sees("beta")["beta"] or []) == len(seen["beta"] or []) + 1


def test_young_index_loses_nothing(few: None) -> None:
    index = found_index()
    for _ in range(23):
        publish(index, after=HOUR)
    before = stored(index)
    collect(index.store)
    assert stored(index) == before


def test_busy_day_is_kept_whole_and_a_quiet_year_keeps_the_newest_snapshots() -> None:
    index = found_index()
    for _ in range(KEEP_SNAPSHOTS + 6):
        publish(index, after=timedelta(days=9))
    collect(index.store)
    check_kept(index, KEEP_SNAPSHOTS)
    assert role_key(snapshots()[KEEP_SNAPSHOTS].version, "snapshot") not in stored(index)
    assert KEEP_SNAPSHOTS >= 2


def test_timestamps_signed_again_do_not_push_snapshots_out() -> None:
    index = found_index()
    for _ in range(5):
        publish(index, after=HOUR)
    for _ in range(70):
        index.now += HOUR
        assert index.publisher().publish_due()
    assert len({row.version for row in snapshots()}) < len(snapshots())
    before = stored(index)
    collect(index.store)
    assert stored(index) == before


def test_clock_that_jumps_ahead_makes_nothing_old(few: None) -> None:
    index = found_index()
    for _ in range(6):
        publish(index, after=HOUR)
    publish(index, after=YEAR)
    publish(index, after=HOUR)
    before = stored(index)
    assert find_floor(index.store).counted_age <= 6 * HOUR + MAX_GAP + HOUR
    collect(index.store)
    assert stored(index) == before


def test_clock_that_jumps_back_makes_nothing_old_either(few: None) -> None:
    index = found_index()
    for _ in range(30):
        publish(index, after=HOUR)
    index.now -= 20 * HOUR
    for _ in range(6):
        publish(index, "beta", after=HOUR)
        publish(index, after=timedelta(minutes=1))
    collect(index.store)
    floor = find_floor(index.store)
    for row in snapshots():
        if row.version >= floor.snapshot:
            assert closure(index, row) <= stored(index)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_clock_and_publications_do_the_last_day_stays_whole(few: None, seed: int) -> None:
    choose = random.Random(seed)
    index = found_index()
    seconds = [0, 1, 60, 3600, 7200, 86_400, 10 * 86_400, 365 * 86_400, -1, -3600, -86_400]
    for number in range(45):
        publish(index, choose.choice(["alpha", "beta", "gamma"]), after=timedelta(seconds=choose.choice(seconds)))
        if number % 5 == 4:
            kept: list[tuple[Snapshot, set[str]]] = []
            counted, newer = timedelta(), None
            for row in snapshots():
                if newer is not None:
                    counted += max(timedelta(), min(newer.at - row.at, MAX_GAP))
                if counted < KEEP_FOR or len(kept) < 2:
                    kept.append((row, closure(index, row)))
                newer = row
            collect(index.store)
            for row, keys in kept:
                assert keys <= stored(index), (seed, number, row.version)


def test_page_that_is_current_again_stays(index: FoundedIndex) -> None:
    page = PublishedPage.objects.get(name="alpha")
    SupersededPage.objects.create(name="alpha", sha256=page.sha256, size=page.size, at=index.now - 30 * HOUR)
    collect(index.store)
    check_kept(index, 25)
    assert not SupersededPage.objects.filter(sha256=page.sha256).exists()


@pytest.mark.parametrize("damage", ["lost", "changed"])
def test_nothing_is_deleted_when_the_oldest_kept_snapshot_is_damaged(index: FoundedIndex, damage: str) -> None:
    key = role_key(find_floor(index.store).snapshot, "snapshot")
    true = index.store.read_all(key, max_bytes=10_000_000)
    index.store.delete(key)
    if damage == "changed":
        index.store.put(key, [true.replace(b'"version":1}', b'"version":9}')], immutable=True)
    before = stored(index)
    with pytest.raises(Unavailable, match="nothing is collected") as caught:
        collect(index.store)
    assert caught.value.code == "store-damaged"
    assert stored(index) == before


def test_index_that_is_not_founded_has_nothing_to_collect() -> None:
    with pytest.raises(Unavailable) as caught:
        collect(MemoryStore())
    assert caught.value.code == "not-founded"


def test_pages_of_an_attempt_that_died_are_taken_once_no_attempt_is_recorded(index: FoundedIndex) -> None:
    orphan = page_key("alpha", "0f" * 32)
    begin({"snapshot": 999}, now=index.now)
    index.store.put(orphan, [b"written, and never named"], immutable=True)
    collected = collect(index.store)
    assert (collected.orphans, collected.orphans_sought) == (0, False)
    assert orphan in stored(index)
    publish(index, after=HOUR)
    assert not Attempt.objects.exists()
    collected = collect(index.store)
    assert (collected.orphans, collected.orphans_sought) == (1, True)
    assert orphan not in stored(index)
    check_kept(index, 25)


def test_pages_that_a_restored_database_does_not_know_are_kept_for_the_recovery(index: FoundedIndex) -> None:
    index.store.put(role_key(999, "snapshot"), [b"signed after the backup"], immutable=True)
    unknown = page_key("alpha", "0e" * 32)
    index.store.put(unknown, [b"published after the backup"], immutable=True)
    with pytest.raises(Unavailable, match="wheelmark trust recover") as caught:
        collect(index.store)
    assert caught.value.code == "database-behind"
    assert unknown in stored(index)
    check_kept(index, 25)


def test_what_is_no_metadata_and_no_page_of_ours_is_left_alone(index: FoundedIndex) -> None:
    foreign = ["tuf/notes.txt", "tuf/1.claims-07.json", "pages/alpha/index.html", "pages/readme", "probe/readyz"]
    index.store.put_many([(key, b"x") for key in foreign], immutable=True)
    collect(index.store)
    assert set(foreign) <= stored(index)


class Meanwhile(MemoryStore):
    """Does something else in the middle of the nth listing or deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.then: tuple[int, Callable[[], object]] | None = None

    def _step(self) -> None:
        self.steps += 1
        if self.then is not None and self.steps == self.then[0]:
            _, what = self.then
            self.then = None
            what()

    def list(self, prefix: str) -> Iterator[Stored]:
        for found in super().list(prefix):
            self._step()
            yield found

    def delete(self, key: str) -> None:
        self._step()
        super().delete(key)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.8, 0.99])
def test_publication_in_the_middle_of_a_pass_loses_nothing(few: None, share: float) -> None:
    store = Meanwhile()
    index = found_index(store)
    for _ in range(30):
        publish(index, after=HOUR)
    collect(store, dry_run=True)
    total, store.steps = store.steps, 0
    store.then = (max(1, int(total * share)), lambda: publish(index, after=HOUR))
    collect(store)
    assert store.steps >= total * share
    check_kept(index, 25)
    assert index.client_sees("demo")["demo"]


def test_attempt_that_has_written_and_not_committed_loses_nothing(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    index = found_index()
    for _ in range(30):
        publish(index, after=HOUR)
    real = commit_module.commit

    def collecting_first(*arguments: object, **keywords: object) -> None:
        collect(index.store)
        real(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(publisher_module, "commit", collecting_first)
    publish(index, "brand-new", after=HOUR)
    check_kept(index, 25)
    assert index.client_sees("brand-new")["brand-new"]


def test_publisher_collects_by_itself_and_stops_when_told(index: FoundedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    real = garbage.collect

    def collected(*arguments: object, **keywords: object) -> object:
        try:
            return real(*arguments, **keywords)  # type: ignore[arg-type]
        finally:
            done.set()

    monkeypatch.setattr(garbage, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(garbage, "collect", collected)
    before = len(stored(index))
    with collecting(index.store):
        assert done.wait(30)
    assert len(stored(index)) < before
    assert not any(thread.name == "garbage" for thread in threading.enumerate())
    a_file("alpha", "99.0")
    assert index.publisher().publish_due()
