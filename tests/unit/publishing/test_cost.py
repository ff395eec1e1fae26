"""What keeps a publication cheap, and stays right all the same: remembered bins, bounded batches, counted pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from support.publishing import Client, FoundedIndex, found_index, published_names
from support.rows import NOW, a_file, a_release
from wheelmark.errors import Unavailable
from wheelmark.server.projects.lifecycle import remove_release
from wheelmark.server.publishing import publisher as publisher_module
from wheelmark.server.publishing.contents import BinContents, Changes
from wheelmark.server.publishing.models import PublishedPage, Snapshot
from wheelmark.store import MemoryStore
from wheelmark.trust import Layout, TargetRow, page_target_path

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = tuple(f"project-{number}" for number in range(24))
LAYOUT = Layout(3)


@pytest.fixture
def index() -> FoundedIndex:
    return found_index()


def everything(index: FoundedIndex) -> dict[str, list[str] | None]:
    return {name: [f"{name.replace('-', '_')}-1.0-py3-none-any.whl"] for name in published_names()}


def test_import_larger_than_a_batch_is_published_whole_and_in_order(
    index: FoundedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "MAX_BATCH_ROWS", 5)
    for name in NAMES:
        a_file(name, "1.0")
    publisher, turns = index.publisher(), 0
    client = Client(index)
    while publisher.publish_due():
        turns += 1
        assert client.sees(*published_names()) == everything(index), "each batch is a whole snapshot"
    assert turns == 5
    assert published_names() == sorted(NAMES)
    # The rows that publishing wrote itself fill several batches, in which nothing is to be published.
    a_file("one-more", "1.0")
    assert publisher.publish_due()
    assert client.sees("one-more") == {"one-more": ["one_more-1.0-py3-none-any.whl"]}
    assert not index.publisher().publish_due()


def test_pages_are_counted_as_they_come(index: FoundedIndex) -> None:
    publisher = index.publisher()
    for round_ in ("1.0", "2.0"):
        for name in NAMES[:7]:
            a_file(name, round_)
        publisher.publish_due()
        current = Snapshot.current()
        assert current is not None
        assert current.projects == 7
    remove_release(a_release(NAMES[0], "1.0"), actor="ada", reason="", now=NOW)
    a_file(NAMES[7], "1.0")
    index.publisher().publish_due()
    current = Snapshot.current()
    assert current is not None
    assert current.projects == PublishedPage.objects.count() == 8


def test_publication_asks_as_often_for_many_pages_as_for_one(index: FoundedIndex) -> None:
    publisher = index.publisher()
    a_file(NAMES[0], "1.0")
    publisher.publish_due()
    asked = []
    for count in (1, 20):
        for name in NAMES[:count]:
            a_file(name, f"{count}.1")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert publisher.publish_due()
        asked.append(len(queries))
    assert asked[1] <= asked[0] + 2


def test_publisher_that_failed_does_not_remember_what_it_would_have_published() -> None:
    class Away(MemoryStore):
        away = False

        def put_many(self, *arguments: object, **keywords: object) -> None:
            if self.away:
                raise Unavailable("the store is away", code="store-unavailable")
            super().put_many(*arguments, **keywords)  # type: ignore[arg-type]

    store = Away()
    index = found_index(store)
    publisher = index.publisher()
    a_file("demo", "1.0")
    publisher.publish_due()
    store.away = True
    file = a_file("demo", "2.0")
    with pytest.raises(Unavailable):
        publisher.publish_due()
    store.away = False
    remove_release(a_release("demo", "2.0"), actor="ada", reason="", now=NOW)
    for name in NAMES:
        a_file(name, "1.0")
    assert publisher.publish_due()
    assert Client(index).sees("demo", *NAMES) == everything(index)
    assert file.filename not in everything(index)["demo"]  # type: ignore[operator]


def test_publisher_whose_commit_failed_but_was_stored_knows_it(
    index: FoundedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = index.publisher()
    for name in NAMES[:12]:
        a_file(name, "1.0")
    publisher.publish_due()
    real: Callable[..., None] = getattr(publisher_module, "commit")  # noqa: B009 - it exports none

    def failing(*arguments: Any, **keywords: Any) -> None:
        real(*arguments, **keywords)
        raise Unavailable("the connection is gone", code="database-away")

    monkeypatch.setattr(publisher_module, "commit", failing)
    for name in NAMES[12:18]:
        a_file(name, "1.0")
    with pytest.raises(Unavailable):
        publisher.publish_due()
    monkeypatch.undo()
    for name in NAMES[18:]:
        a_file(name, "1.0")
    assert publisher.publish_due()
    assert Client(index).sees(*NAMES) == everything(index)


def test_bins_beyond_the_bound_are_forgotten_and_read_again(index: FoundedIndex) -> None:
    for name in NAMES:
        a_file(name, "1.0")
    index.publisher().publish_due()
    unbounded, bounded = BinContents(LAYOUT), BinContents(LAYOUT, max_bytes=1_000)
    every = Changes(LAYOUT, range(LAYOUT.bin_count)).bins
    for contents in (unbounded, bounded):
        contents.committed(contents.after(every))
    row = TargetRow(page_target_path(NAMES[3]), 5, "ab" * 32)
    changes = Changes(LAYOUT, range(LAYOUT.bin_count))
    changes.put(row)
    with CaptureQueriesContext(connection) as remembered:
        expected = unbounded.after(changes.bins)
    assert len(remembered) == 0
    assert bounded.after(changes.bins) == expected
    assert unbounded.after(every) != expected, "what is not committed is not remembered"
