"""Deltas of the read path: exact, cached for ever, for committed versions only, and 404 or 410 for everything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.delivery import Got, ask, delivering, published_file
from support.publishing import FoundedIndex, found_index
from support.store import FaultyStore
from wheelmark.client.deltas import rebuild
from wheelmark.errors import Unavailable
from wheelmark.server.delivery import readpath
from wheelmark.server.delivery.addresses import DeltaAddress, parse_address
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.delivery.deltas import make_delta
from wheelmark.server.delivery.responses import FOREVER
from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.models import PublishedPage, RoleVersion
from wheelmark.store import MemoryStore

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def index() -> FoundedIndex:
    index = found_index()
    for version in ("1.0", "2.0", "3.0"):
        published_file(index, "demo", version)
    return index


@pytest.fixture
def delivery(index: FoundedIndex) -> Iterator[Delivery]:
    with delivering(index) as delivery:
        yield delivery


def demo_bin() -> str:
    return f"bins-{PublishedPage.objects.get(name='demo').bin:x}"


def delta(delivery: Delivery, role: str, base: int, version: int) -> Got:
    return ask(delivery, f"/tuf/deltas/{version}.{role}.from-{base}.zst")


@pytest.mark.parametrize("role", ["snapshot", "bin"])
@pytest.mark.parametrize(("base", "version"), [(1, 2), (1, 4), (3, 4)])
def test_delta_and_the_earlier_file_make_the_later_file(delivery: Delivery, role: str, base: int, version: int) -> None:
    role = demo_bin() if role == "bin" else role
    old, new = (ask(delivery, f"/tuf/{number}.{role}.json").body for number in (base, version))
    got = delta(delivery, role, base, version)
    assert got.status == 200
    assert rebuild(got.body, old, len(new)) == new
    assert len(got.body) < len(new) / 2
    assert int(got.headers["content-length"]) == len(got.body)


def test_delta_is_cached_for_ever_and_never_compressed_again(delivery: Delivery) -> None:
    got = ask(delivery, "/tuf/deltas/4.snapshot.from-3.zst", accept_encoding="gzip, zstd")
    assert got.headers["cache-control"] == FOREVER
    assert got.headers["surrogate-key"] == "deltas"
    assert got.headers["content-type"] == "application/zstd"
    assert "content-encoding" not in got.headers
    again = ask(delivery, "/tuf/deltas/4.snapshot.from-3.zst", if_none_match=got.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_second_look_needs_no_store(index: FoundedIndex, delivery: Delivery) -> None:
    first = delta(delivery, "snapshot", 3, 4)
    for number in (3, 4):
        index.store.delete(role_key(number, "snapshot"))
    assert delta(delivery, "snapshot", 3, 4) == first


def test_version_that_is_gone_says_so_and_one_that_never_was_is_not_found(
    index: FoundedIndex, delivery: Delivery
) -> None:
    index.store.delete(role_key(2, "snapshot"))
    assert delta(delivery, "snapshot", 2, 4).status == 410
    assert delta(delivery, "snapshot", 4, 5).status == 404, "not committed"
    assert delta(delivery, "bins-zz", 1, 2).status == 404
    assert delta(delivery, "bins-f", 1, 2).status == 404, "this index has eight bins"


def test_version_that_lies_in_the_store_but_is_not_committed_is_in_no_delta(
    index: FoundedIndex, delivery: Delivery
) -> None:
    committed = RoleVersion.objects.get(role="snapshot").version
    index.store.put(role_key(committed + 1, "snapshot"), [b"of an attempt that died"], immutable=True)
    assert delta(delivery, "snapshot", committed, committed + 1).status == 404


def test_file_that_is_too_large_has_no_delta(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readpath, "MAX_DELTA_SIDE_BYTES", 100)
    assert delta(delivery, "snapshot", 3, 4).status == 410


def test_store_that_is_away_is_not_a_missing_delta(index: FoundedIndex) -> None:
    class Away(FaultyStore):
        def read_all(self, key: str, *, max_bytes: int) -> bytes:
            raise Unavailable("the store is away", code="store-unreachable")

    with delivering(index, store=Away(index.store)) as delivery:
        assert delta(delivery, "snapshot", 3, 4).status == 503


def test_many_clients_at_once_cost_one_making(
    index: FoundedIndex, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = make_delta

    def counting(old: bytes, new: bytes) -> bytes:
        made.append(1)
        return make(old, new)

    monkeypatch.setattr(readpath, "make_delta", counting)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: delta(delivery, "snapshot", 1, 4), range(48)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert 1 <= len(made) <= 2  # one that asked just before the first was done may make it again


@pytest.mark.parametrize(
    "path",
    [
        "/tuf/deltas/4.snapshot.from-4.zst",
        "/tuf/deltas/3.snapshot.from-4.zst",
        "/tuf/deltas/4.snapshot.from-0.zst",
        "/tuf/deltas/04.snapshot.from-3.zst",
        "/tuf/deltas/4.root.from-3.zst",
        "/tuf/deltas/4.timestamp.from-3.zst",
        "/tuf/deltas/4.targets.from-3.zst",
        "/tuf/deltas/4.bins.from-3.zst",
        "/tuf/deltas/4.bins-000000000.from-3.zst",
        "/tuf/deltas/4.snapshot.from-3",
        "/tuf/deltas/../4.snapshot.from-3.zst",
        "/tuf/deltas/4.snapshot.from-3.zst/",
        "/tuf/deltas/" + "9" * 19 + ".snapshot.from-3.zst",
    ],
)
def test_only_roles_that_grow_and_later_versions_have_an_address(path: str) -> None:
    assert parse_address(path) is None


def test_address_says_role_and_versions() -> None:
    assert parse_address("/tuf/deltas/12.bins-0a3.from-7.zst") == DeltaAddress("bins-0a3", 12, 7)


def test_memory_for_deltas_is_bounded_however_many_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelmark.server.delivery.application.CACHE_BYTES", 40_000)
    store = MemoryStore()
    index = found_index(store)
    for number in range(6):
        published_file(index, "demo", f"{number}.0")
    with delivering(index) as delivery:
        for version in range(2, 8):
            for base in range(1, version):
                assert delta(delivery, "snapshot", base, version).status == 200
        assert delivery._path._cache.held_bytes <= 40_000


def test_metrics_count_deltas_as_such(delivery: Delivery) -> None:
    assert delta(delivery, "snapshot", 3, 4).status == 200
    shown = ask(delivery, "/metrics").body.decode()
    assert re.search(r'route="delta"', shown)
