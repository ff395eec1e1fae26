"""The double that fails on purpose must itself be right: fault tables of other rooms lean on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.store import FaultyStore
from wheelmark.errors import Unavailable
from wheelmark.store import MemoryStore, Store


def four_writes(store: Store, upload: Path) -> None:
    upload.write_bytes(b"3")
    store.put("one", [b"1"], immutable=True)
    store.put_many([("two", b"2"), ("two-too", b"2")], immutable=True)
    store.put_file("three", upload, immutable=False)
    store.delete("one")


def keys(store: Store) -> set[str]:
    return {found.key for found in store.list("")}


def test_without_a_failure_it_counts_what_there_is_to_fail(tmp_path: Path) -> None:
    store = FaultyStore(MemoryStore())
    four_writes(store, tmp_path / "upload")
    assert store.writes == 5
    assert keys(store) == {"two", "two-too", "three"}


@pytest.mark.parametrize(
    ("fail_at", "stored", "left"),
    [
        (1, False, set()),
        (1, True, {"one"}),
        (2, False, {"one"}),
        (2, True, {"one", "two"}),
        (3, True, {"one", "two", "two-too"}),
        (4, False, {"one", "two", "two-too"}),
        (4, True, {"one", "two", "two-too", "three"}),
        (5, False, {"one", "two", "two-too", "three"}),
        (5, True, {"two", "two-too", "three"}),
    ],
)
def test_chosen_write_fails_and_is_stored_or_not(tmp_path: Path, fail_at: int, left: set[str], *, stored: bool) -> None:
    inner = MemoryStore()
    store = FaultyStore(inner, fail_at=fail_at, stored=stored)
    with pytest.raises(Unavailable, match="failed on purpose") as told:
        four_writes(store, tmp_path / "upload")
    assert told.value.code == "store-injected"
    assert store.writes == fail_at
    assert keys(inner) == left


def test_it_fails_once_and_reads_pass_through() -> None:
    store = FaultyStore(MemoryStore(), fail_at=1)

    def write() -> object:
        return store.put("a", [b"whole"], immutable=True)

    with pytest.raises(Unavailable):
        write()
    write()
    assert store.url == "memory://"
    assert b"".join(store.read("a", start=1, stop=3)) == b"ho"
    assert store.read_all("a", max_bytes=5) == b"whole"
    assert store.head("a") is not None
    assert store.local_path("a") is None
