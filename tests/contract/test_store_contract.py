"""What every store promises, held against each of them."""

from __future__ import annotations

import random
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.s3 import S3Server, moto_server, rclone_server
from wheelmark.errors import Refused
from wheelmark.store import CHUNK_BYTES, Conflict, Missing, Store, Stored, open_store

NewStore = Callable[[], Store]
# More than one part of an S3 upload, and no multiple of anything.
BIG_BYTES = 9 * 1024 * 1024 + 13
EDGES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7]


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="module")
def rclone() -> Iterator[S3Server]:
    with rclone_server() as server:
        yield server


@pytest.fixture(
    scope="module",
    params=["local", "memory", "moto", pytest.param("rclone", marks=pytest.mark.services)],
)
def new_store(request: pytest.FixtureRequest) -> Iterator[NewStore]:
    """Makes empty stores of one kind."""
    with tempfile.TemporaryDirectory(prefix="wheelmark-store-") as folder:
        kind: str = request.param

        def new() -> Store:
            name = uuid.uuid4().hex
            if kind == "memory":
                return open_store("memory://")
            if kind == "local":
                return open_store((Path(folder) / name).as_uri())
            server: S3Server = request.getfixturevalue(kind)
            return open_store(server.url(f"stores/{name}"))

        yield new


@pytest.fixture
def store(new_store: NewStore) -> Store:
    return new_store()


def content(store: Store, key: str) -> bytes:
    return store.read_all(key, max_bytes=1 << 30)


def noise(size: int, *, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def cut(whole: bytes, step: int = 100_003) -> Iterator[bytes]:
    return (whole[at : at + step] for at in range(0, len(whole), step))


def test_put_gives_back_every_byte(store: Store) -> None:
    stored = store.put("files/ab/sampleproject-1.0.tar.gz", [b"some ", b"", b"bytes"], immutable=True)
    assert stored == Stored("files/ab/sampleproject-1.0.tar.gz", 10)
    assert store.head("files/ab/sampleproject-1.0.tar.gz") == stored
    assert content(store, "files/ab/sampleproject-1.0.tar.gz") == b"some bytes"


@pytest.mark.parametrize("immutable", [True, False])
def test_empty_object_exists(store: Store, *, immutable: bool) -> None:
    store.put("empty", [], immutable=immutable)
    assert store.head("empty") == Stored("empty", 0)
    assert content(store, "empty") == b""
    assert list(store.read("empty", start=3, stop=9)) == []


def test_big_object_is_streamed_both_ways(store: Store) -> None:
    whole = noise(BIG_BYTES)
    assert store.put("big", cut(whole), immutable=False) == Stored("big", BIG_BYTES)
    chunks = list(store.read("big"))
    assert b"".join(chunks) == whole
    assert max(len(chunk) for chunk in chunks) <= CHUNK_BYTES


def test_immutable_again_with_same_bytes_is_accepted(store: Store) -> None:
    whole = noise(BIG_BYTES)
    store.put("same", cut(whole), immutable=True)
    assert store.put("same", cut(whole, 77_777), immutable=True) == Stored("same", BIG_BYTES)
    assert content(store, "same") == whole


@pytest.mark.parametrize("other", [b"otherness", b"other", b"", b"one conten7", b"one content and more"])
def test_immutable_with_other_bytes_is_a_conflict_and_the_first_stays(store: Store, other: bytes) -> None:
    store.put("taken", [b"one content"], immutable=True)
    with pytest.raises(
        Conflict, match=r"expected taken to be absent or to hold the same bytes, got other bytes"
    ) as told:
        store.put("taken", [other], immutable=True)
    assert told.value.code == "store-conflict"
    assert content(store, "taken") == b"one content"


def test_mutable_put_replaces(store: Store) -> None:
    for whole in (b"first and longer", b"second", b""):
        store.put("timestamp.json", [whole], immutable=False)
        assert content(store, "timestamp.json") == whole
        assert store.head("timestamp.json") == Stored("timestamp.json", len(whole))


def test_failing_stream_stores_nothing_and_passes_its_error_on(store: Store) -> None:
    def broken(before: int) -> Iterator[bytes]:
        yield noise(before)
        raise ConnectionResetError("the sender went away")

    store.put("kept", [b"as it was"], immutable=False)
    for before in (10, BIG_BYTES):
        for key in ("kept", "fresh"):
            with pytest.raises(ConnectionResetError, match="the sender went away"):
                store.put(key, broken(before), immutable=False)
    assert content(store, "kept") == b"as it was"
    assert [found.key for found in store.list("")] == ["kept"]


@pytest.mark.parametrize("size", [0, 10, BIG_BYTES])
def test_put_file_consumes_the_file(store: Store, tmp_path: Path, size: int) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(noise(size))
    assert store.put_file("files/x", upload, immutable=True) == Stored("files/x", size)
    assert content(store, "files/x") == noise(size)
    assert not upload.exists()


@pytest.mark.parametrize("immutable", [True, False])
def test_put_file_again_with_same_bytes_consumes_the_file(store: Store, tmp_path: Path, *, immutable: bool) -> None:
    for _ in range(2):
        upload = tmp_path / "upload"
        upload.write_bytes(b"whole")
        store.put_file("files/x", upload, immutable=immutable)
        assert not upload.exists()
    assert content(store, "files/x") == b"whole"


def test_put_file_conflict_leaves_both_as_they_were(store: Store, tmp_path: Path) -> None:
    store.put("files/x", [b"first"], immutable=True)
    upload = tmp_path / "upload"
    upload.write_bytes(b"other")
    with pytest.raises(Conflict):
        store.put_file("files/x", upload, immutable=True)
    assert content(store, "files/x") == b"first"
    assert upload.read_bytes() == b"other"


def test_put_many_stores_all(store: Store) -> None:
    objects = {f"simple/project-{number % 7}/{number}.json": noise(number, seed=number) for number in range(150)}
    store.put_many(iter(objects.items()), immutable=True)
    store.put_many(objects.items(), immutable=True)
    assert {found.key: found.size for found in store.list("simple/")} == {
        key: len(whole) for key, whole in objects.items()
    }
    assert all(content(store, key) == whole for key, whole in objects.items())


def test_put_many_conflict_is_told_and_keeps_what_was_stored(store: Store) -> None:
    store.put("b", [b"first"], immutable=True)
    with pytest.raises(Conflict):
        store.put_many([("a", b"x"), ("b", b"other"), ("c", b"y")], immutable=True)
    assert content(store, "b") == b"first"


def test_put_many_replaces(store: Store) -> None:
    store.put_many([("a", b"1"), ("b", b"2")], immutable=False)
    store.put_many([("a", b"33"), ("c", b"")], immutable=False)
    assert {found.key: content(store, found.key) for found in store.list("")} == {"a": b"33", "b": b"2", "c": b""}


def test_put_many_of_nothing_is_nothing(store: Store) -> None:
    store.put_many([], immutable=True)
    assert list(store.list("")) == []


@pytest.mark.parametrize("size", EDGES)
def test_ranges_are_those_of_a_slice(store: Store, size: int) -> None:
    whole = noise(size)
    store.put("ranged", [whole], immutable=False)
    for start in sorted({0, 1, size // 2, max(size - 1, 0), size, size + 5}):
        for stop in (None, start, start + 1, start + CHUNK_BYTES, size, size + 99):
            if stop is None or stop >= start:
                assert b"".join(store.read("ranged", start=start, stop=stop)) == whole[start:stop], (start, stop)


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (3, 2), (0, -1)])
def test_range_that_nobody_can_mean_is_a_mistake(store: Store, start: int, stop: int | None) -> None:
    store.put("ranged", [b"whole"], immutable=False)
    with pytest.raises(ValueError, match="expected 0 <= start <= stop"):
        store.read("ranged", start=start, stop=stop)


def test_absent_object_is_missing_before_the_first_byte(store: Store) -> None:
    store.put("there/is/one", [b""], immutable=True)
    for key in ("absent", "there", "there/is", "there/is/another", "there/is/one/below"):
        with pytest.raises(Missing, match=f"expected an object at {key}, got none") as told:
            store.read(key)
        assert told.value.code == "store-missing"
        with pytest.raises(Missing):
            store.read(key, start=1, stop=2)
        with pytest.raises(Missing):
            store.read_all(key, max_bytes=10)
        assert store.head(key) is None
        assert store.local_path(key) is None


def test_read_all_stops_at_its_bound(store: Store) -> None:
    store.put("bound", [bytes(1000)], immutable=True)
    assert len(store.read_all("bound", max_bytes=1000)) == 1000
    with pytest.raises(Refused, match="expected at most 999 bytes, got more") as told:
        store.read_all("bound", max_bytes=999)
    assert told.value.code == "store-object-too-big"


def test_replaced_object_is_read_whole_in_one_version(store: Store) -> None:
    """A reader that began before the replacement gets the old bytes or an error, never a mixture."""
    old, new = noise(300_000, seed=1), noise(300_000, seed=2)
    store.put("page", [old], immutable=False)
    reading = store.read("page")
    begun = next(reading)
    store.put("page", [new], immutable=False)
    assert begun + b"".join(reading) in (old, new)
    assert content(store, "page") == new


def test_list_gives_keys_that_begin_with_the_prefix(store: Store) -> None:
    keys = {"a", "ab/c", "ab/cd/e", "ab/cd-f", "abc", "b/a"}
    store.put_many([(key, key.encode()) for key in keys], immutable=True)
    for prefix in ("", "a", "ab", "ab/", "ab/c", "ab/cd", "ab/cd/", "ab/cd/e", "b/", "c", "ab/cd/e/f"):
        expected = {Stored(key, len(key)) for key in keys if key.startswith(prefix)}
        found = list(store.list(prefix))
        assert set(found) == expected, prefix
        assert len(found) == len(expected)


def test_delete_is_idempotent_and_frees_the_key(store: Store) -> None:
    store.put("files/ab/x", [b"first"], immutable=True)
    store.put("files/ab/y", [b"other"], immutable=True)
    for _ in range(2):
        store.delete("files/ab/x")
        assert store.head("files/ab/x") is None
    assert [found.key for found in store.list("")] == ["files/ab/y"]
    store.put("files/ab/x", [b"second"], immutable=True)
    assert content(store, "files/ab/x") == b"second"


def test_what_a_listing_gives_can_be_deleted_while_it_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As garbage collection does; more objects than one page of an S3 listing has."""
    monkeypatch.setattr("wheelmark.store.s3.LIST_PAGE", 20)
    keys = {f"tuf/{number}.snapshot.json" for number in range(70)}
    store.put_many([(key, b"x") for key in sorted(keys)], immutable=True)
    seen = set()
    for found in store.list("tuf/"):
        seen.add(found.key)
        store.delete(found.key)
        if len(seen) % 30 == 1:
            store.put("pages/written/meanwhile", [b"y"], immutable=True)
    assert seen == keys
    assert [found.key for found in store.list("")] == ["pages/written/meanwhile"]


def test_key_whose_objects_are_all_gone_may_become_an_object(store: Store) -> None:
    store.put("a/b/c", [b"below"], immutable=True)
    store.delete("a/b/c")
    store.put("a", [b"above"], immutable=True)
    assert content(store, "a") == b"above"


KEYS_IN_USE = [
    "tuf/1.root.json",
    "simple/zope.interface/index.v1+json",
    "files/" + "0" * 64 + "/Sample_Project-1!2.0rc1+local.1-py3-none-any.whl.metadata",
    "a~b=c,d@e/-_",
    "x" * 255,
]


@pytest.mark.parametrize("key", KEYS_IN_USE)
def test_keys_in_use_are_kept_to_the_letter(store: Store, key: str) -> None:
    store.put(key, [b"whole"], immutable=True)
    assert list(store.list("")) == [Stored(key, 5)]
    assert content(store, key) == b"whole"
    store.delete(key)
    assert list(store.list("")) == []


@pytest.mark.parametrize("key", ["../up", "a/../b", "/abs", "a//b", "", "a/", ".partial/x", "a b", "ä", "a\n", "a\\b"])
def test_bad_key_is_refused_everywhere(store: Store, tmp_path: Path, key: str) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(b"whole")
    attempts: list[Callable[[], object]] = [
        lambda: store.put(key, [b""], immutable=True),
        lambda: store.put_file(key, upload, immutable=True),
        lambda: store.put_many([(key, b"")], immutable=True),
        lambda: store.read(key),
        lambda: store.read_all(key, max_bytes=1),
        lambda: store.head(key),
        lambda: store.delete(key),
        lambda: store.local_path(key),
    ]
    for attempt in attempts:
        with pytest.raises(Refused, match="expected segments of letters, digits"):
            attempt()
    assert upload.exists()
    assert list(store.list("")) == []


def test_many_threads_share_a_store(store: Store) -> None:
    def write_and_read(number: int) -> bool:
        key = f"threads/{number % 10}/object"
        store.put(key, [noise(1000, seed=number % 10)], immutable=True)
        return content(store, key) == noise(1000, seed=number % 10)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(40)))
    assert len(list(store.list("threads/"))) == 10


KEYS = st.sampled_from(["a", "b/c", "b/d", "b/e/f", "g"])
CONTENTS = st.one_of(st.binary(max_size=40), st.sampled_from([noise(size) for size in EDGES]))
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, CONTENTS, st.booleans()),
    st.tuples(st.just("put_many"), st.dictionaries(KEYS, CONTENTS, max_size=3), st.booleans()),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("read"), KEYS, st.integers(0, 200_000), st.none() | st.integers(0, 200_000)),
    st.tuples(st.just("list"), st.sampled_from(["", "b", "b/", "b/e", "g", "h"])),
)


# The servers are shared by all examples; every example has a store of its own.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=3, max_size=12))
def test_any_sequence_behaves_as_a_dict(new_store: NewStore, steps: list[tuple[object, ...]]) -> None:
    store, model = new_store(), dict[str, bytes]()
    for step in steps:
        take_step(store, model, step)
    assert {found.key: content(store, found.key) for found in store.list("")} == model


def take_step(store: Store, model: dict[str, bytes], step: tuple[object, ...]) -> None:
    """Do one step to the store and to the dict, and compare what they say."""
    match step:
        case ("put", str(key), bytes(whole), bool(immutable)):
            if immutable and model.setdefault(key, whole) != whole:
                with pytest.raises(Conflict):
                    store.put(key, [whole], immutable=True)
            else:
                assert store.put(key, cut(whole, 50_000), immutable=immutable) == Stored(key, len(whole))
                model[key] = whole
        case ("put_many", dict(objects), bool(immutable)):
            fresh = {key: whole for key, whole in objects.items() if not immutable or model.get(key, whole) == whole}
            store.put_many(fresh.items(), immutable=immutable)
            model.update(fresh)
        case ("delete", str(key)):
            store.delete(key)
            model.pop(key, None)
        case ("read", str(key), int(start), stop):
            assert stop is None or isinstance(stop, int)
            end = None if stop is None else max(start, stop)
            if key in model:
                assert b"".join(store.read(key, start=start, stop=end)) == model[key][start:end]
            else:
                with pytest.raises(Missing):
                    store.read(key, start=start, stop=end)
        case ("list", str(prefix)):
            assert {found.key for found in store.list(prefix)} == {key for key in model if key.startswith(prefix)}
        case _:
            raise AssertionError(f"no rule for {step}")
