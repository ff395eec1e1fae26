"""The fault table of garbage collection: every deletion × (failed | failed but done), and the process dying there."""

from __future__ import annotations

import pytest

from support.garbage import closure, publish, snapshots, stored
from support.publishing import HOUR, FoundedIndex, found_index
from support.store import FaultyStore
from wheelmark.errors import Unavailable
from wheelmark.server.publishing import garbage
from wheelmark.server.publishing.garbage import collect
from wheelmark.server.publishing.models import SupersededPage

pytestmark = pytest.mark.django_db(transaction=True)

DELETIONS = 17
"""Six old snapshots, six old bins, five old pages: `test_table_covers_every_deletion` holds it to the truth."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> FoundedIndex:
    monkeypatch.setattr(garbage, "KEEP_SNAPSHOTS", 2)
    monkeypatch.setattr(garbage, "KEEP_FOR", 4 * HOUR)
    monkeypatch.setattr(garbage, "BATCH", 3)
    index = found_index()
    for _ in range(10):
        publish(index, after=HOUR)
    return index


def test_table_covers_every_deletion(index: FoundedIndex) -> None:
    store = FaultyStore(index.store)
    collect(store)
    assert store.writes == DELETIONS


@pytest.mark.parametrize("done", [False, True], ids=["failed", "failed-but-done"])
@pytest.mark.parametrize("deletion", range(1, DELETIONS + 1))
def test_failure_at_any_deletion_leaves_the_snapshots_whole_and_the_rest_to_the_next_pass(
    index: FoundedIndex, deletion: int, done: bool
) -> None:
    kept = set().union(*(closure(index, row) for row in snapshots()[:5]))
    roots = {key for key in stored(index) if key.endswith(".root.json")}
    with pytest.raises(Unavailable):
        collect(FaultyStore(index.store, fail_at=deletion, stored=done))
    assert kept | roots <= stored(index)
    assert index.client_sees("demo")["demo"]
    publish(index, "beta", after=HOUR)
    collect(index.store, orphans=False)  # the hourly pass is enough: a row is found until its object is gone
    now_kept = set().union(*(closure(index, row) for row in snapshots()[:5]))
    assert stored(index) == now_kept | roots
    assert SupersededPage.objects.count() == sum("pages/demo/" in key for key in stored(index)) - 1
