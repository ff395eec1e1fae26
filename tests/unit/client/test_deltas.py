"""Deltas: a returning client fetches little, and a delta that is absent, wrong or hostile changes nothing but that."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
import zstandard

from support.repository import Answer, IndexServer, SignedRepository, a_delta, endless, flipped
from wheelmark.client import HttpFetcher, Kind, Limits
from wheelmark.client.deltas import MAX_DELTA_BYTES, MAX_HELD_BYTES, Listed, RoleFile, rebuild
from wheelmark.client.metadata import FRESH_SECONDS, TrustedMetadata
from wheelmark.client.tuf_fetcher import DELTA_PAUSE_SECONDS
from wheelmark.errors import Untrusted

DEMO = "simple/demo/index.json"
MEBIBYTE = 1 << 20
SNAPSHOT_DELTA = r"/deltas/\d+\.snapshot\."
BIN_DELTA = r"/deltas/\d+\.bins-"


class Returning:
    """A client that has been here before, and an index that has changed since."""

    def __init__(self, server: IndexServer, repository: SignedRepository, directory: Path, limits: Limits) -> None:
        self.server, self.repository, self.directory = server, repository, directory
        self.elapsed = 0.0
        self.fetcher = HttpFetcher(limits)
        self.metadata = TrustedMetadata(
            f"{server.origin}/tuf/",
            repository.root_bytes,
            directory,
            fetcher=self.fetcher,
            now=lambda: datetime.now(UTC),
            monotonic=lambda: self.elapsed,
        )

    def change(self) -> None:
        """Another release of `demo`, published, and time enough to look again."""
        self.repository.add_wheel("demo", f"1.{len(self.repository.page_files['demo'])}")
        self.repository.publish()
        self.elapsed += FRESH_SECONDS * 2

    def asks(self) -> list[str]:
        """What one look-up asks for, once it is sure that it finds the newest page."""
        before = len(self.server.requests)
        found = self.metadata.find(DEMO)
        assert found is not None
        assert found.length == len(self.repository.pages["demo"])
        asked = [request.removeprefix("/tuf/") for request in self.server.requests[before:]]
        return [name for name in asked if "snapshot" in name or "bins" in name]

    def tamper(self, part: str, answer: Answer | bytes) -> None:
        self.server.hostile = lambda path, _: answer if re.search(part, path) else None


@pytest.fixture
def limits() -> Limits:
    return Limits(delta_seconds=0.3)


@pytest.fixture
def returning(tmp_path: Path, limits: Limits) -> Iterator[Returning]:
    repository = SignedRepository()
    for number in range(40):
        repository.add_wheel(f"project-{number}")
    repository.add_wheel("demo")
    repository.publish()
    with IndexServer(repository) as server:
        server.makes_deltas = True
        made = Returning(server, repository, tmp_path / "metadata", limits)
        made.asks()
        made.change()
        yield made


def test_returning_client_fetches_deltas_and_nothing_else_of_what_grew(returning: Returning) -> None:
    before = dict(returning.fetcher.wire_bytes)
    asked = returning.asks()
    assert [name.partition("/")[0] for name in asked] == ["deltas", "deltas"]
    spent = returning.fetcher.wire_bytes[Kind.DELTA] - before[Kind.DELTA]
    assert 0 < spent < 600
    assert (returning.directory / "snapshot.json").read_bytes() == returning.repository.objects["/tuf/3.snapshot.json"]


def test_deltas_go_on_from_what_a_delta_made(returning: Returning) -> None:
    returning.asks()
    returning.change()
    assert [name.partition("/")[0] for name in returning.asks()] == ["deltas", "deltas"]


def test_index_without_deltas_costs_one_request_in_an_hour(returning: Returning) -> None:
    returning.server.makes_deltas = False
    first = returning.asks()
    assert [name for name in first if name.startswith("deltas")] == ["deltas/3.snapshot.from-2.zst"]
    returning.change()
    assert not any(name.startswith("deltas") for name in returning.asks())
    returning.change()
    returning.elapsed += DELTA_PAUSE_SECONDS
    assert sum(name.startswith("deltas") for name in returning.asks()) == 1


def test_version_that_is_gone_for_one_role_does_not_end_deltas_for_the_others(returning: Returning) -> None:
    returning.tamper(SNAPSHOT_DELTA, Answer(410))
    asked = returning.asks()
    assert asked[:2] == ["deltas/3.snapshot.from-2.zst", "3.snapshot.json"]
    assert asked[2].startswith("deltas/")
    assert len(asked) == 3


def other_delta(returning: Returning, part: str, change: bytes) -> bytes:
    """A delta that makes a file which is the true one with some bytes changed, and of the same length."""
    [new_path] = [path for path in returning.repository.objects if re.search(part, path)]
    old_path = re.sub(r"/(\d+)\.", lambda found: f"/{int(found[1]) - 1}.", new_path)
    new = returning.repository.objects[new_path]
    signature = orjson.loads(new)["signatures"][0]["sig"].encode()
    lie = new.replace(signature, change * (len(signature) // len(change)))
    assert lie != new
    return a_delta(returning.repository.objects[old_path], lie)


LIES = (
    "wrong bytes, well made",
    "no zstd",
    "nothing",
    "half",
    "another role's",
    "endless",
    "bomb",
    "bomb in a bomb",
    "broken",
    "away",
    "redirect",
    "not found",
    "gone",
)


def hostile_answers(returning: Returning, part: str) -> dict[str, Answer | bytes]:
    true_file = r"/tuf/3\.snapshot\.json" if part == SNAPSHOT_DELTA else r"/tuf/3\.bins-"
    return {
        "wrong bytes, well made": other_delta(returning, true_file, b"ab"),
        "no zstd": b"<html>404, says the captive portal, with status 200</html>",
        "nothing": b"",
        "half": other_delta(returning, true_file, b"cd")[:-10],
        "another role's": a_delta(b"x", returning.repository.objects["/tuf/1.targets.json"]),
        "endless": Answer(200, {}, endless()),
        "bomb": zstandard.compress(bytes(64 * MEBIBYTE)),
        "bomb in a bomb": Answer(200, {"Content-Encoding": "zstd"}, zstandard.compress(bytes(64 * MEBIBYTE))),
        "broken": Answer(500),
        "away": Answer(503),
        "redirect": Answer(302, {"Location": "http://127.0.0.1:1/"}),
        "not found": Answer(404),
        "gone": Answer(410),
    }


@pytest.mark.parametrize("part", [SNAPSHOT_DELTA, BIN_DELTA], ids=["snapshot", "bin"])
@pytest.mark.parametrize("lie", LIES)
def test_hostile_delta_neither_fails_the_look_up_nor_is_trusted(returning: Returning, part: str, lie: str) -> None:
    answers = hostile_answers(returning, part)
    assert set(answers) == set(LIES)
    returning.tamper(part, answers[lie])
    asked = returning.asks()
    assert any(name.startswith("3.") for name in asked), "fetched whole"
    for held, true in (("snapshot.json", "/tuf/3.snapshot.json"), ("timestamp.json", "/tuf/timestamp.json")):
        assert (returning.directory / held).read_bytes() == returning.repository.objects[true]


def test_bin_delta_that_makes_a_bad_signature_costs_one_more_look_and_no_more_deltas(returning: Returning) -> None:
    returning.tamper(BIN_DELTA, other_delta(returning, r"/tuf/3\.bins-", b"ab"))
    asked = returning.asks()
    assert asked[0].startswith("deltas/3.snapshot")
    assert asked[1].startswith("deltas/3.bins-")
    assert asked[2].startswith("3.bins-")
    assert len(asked) == 3
    returning.change()
    assert not any(name.startswith("deltas") for name in returning.asks())


def test_file_that_is_wrong_without_deltas_is_refused_and_not_asked_for_twice(returning: Returning) -> None:
    [path] = [path for path in returning.repository.objects if path.startswith("/tuf/3.bins-")]
    returning.server.makes_deltas = False
    returning.tamper(re.escape(path), flipped(returning.repository.objects[path]))
    with pytest.raises(Untrusted):
        returning.metadata.find(DEMO)
    assert returning.server.requests.count(path) == 1


def test_delta_bomb_is_cut_off_in_little_memory(returning: Returning) -> None:
    bomb = zstandard.compress(bytes(64 * MEBIBYTE))
    returning.tamper(SNAPSHOT_DELTA, bomb)
    tracemalloc.start()
    try:
        returning.asks()
        with pytest.raises(Untrusted, match="expected a delta of at most 1000 bytes, got more"):
            rebuild(bomb, b"held", 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MEBIBYTE


def drip() -> Iterator[bytes]:
    while True:
        time.sleep(0.02)
        yield b"x"


def test_slow_delta_is_given_up_long_before_metadata_would_be(returning: Returning) -> None:
    returning.tamper(SNAPSHOT_DELTA, Answer(200, {}, drip()))
    started = time.monotonic()
    assert returning.asks()[1] == "3.snapshot.json"
    assert time.monotonic() - started < 5


def test_held_file_that_somebody_changed_leads_to_the_whole_file(returning: Returning) -> None:
    for name in ("snapshot.json", "timestamp.json"):
        (returning.directory / name).write_bytes(b'{"signed": {"version": 1}}')
    assert "3.snapshot.json" in returning.asks()


def test_delta_is_asked_only_for_roles_that_grow_and_from_earlier_versions() -> None:
    for name in (
        "1.root.json",
        "2.targets.json",
        "1.bins.json",
        "timestamp.json",
        "0.snapshot.json",
        "1.bins-xyz.json",
    ):
        assert RoleFile.parse(name) is None
    file = RoleFile.parse("7.bins-0a3.json")
    assert file is not None
    held = {version: b'{"signed":{"version":%d}}' % version for version in (1, 6, 7, 8, 0, -1)}
    assert file.delta_name(held[6]) == "deltas/7.bins-0a3.from-6.zst"
    assert [file.delta_name(held[version]) for version in (7, 8, 0, -1)] == [None] * 4
    for junk in (b"", b"[]", b"{", b'{"signed":{"version":"6"}}', b'{"signed":{"version":true}}', b"null"):
        assert file.delta_name(junk) is None
    assert file.delta_name(held[6] + b" " * MAX_HELD_BYTES) is None


def test_listed_length_or_hash_that_differs_is_seen() -> None:
    listed = Listed(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert listed.agrees(b"abc")
    assert not listed.agrees(b"abd")
    assert not listed.agrees(b"abcd")
    assert Listed.of_snapshot(b"no timestamp").agrees(b"anything")


def test_window_larger_than_every_decoder_supports_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=24, write_content_size=0)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = compressor.compress(bytes(32 * MEBIBYTE)) + compressor.flush()
    with pytest.raises(Untrusted, match="expected a delta from the held version, got"):
        rebuild(frame, b"held", 64 * MEBIBYTE)
    assert len(frame) < MAX_DELTA_BYTES
