"""What an attacker can do who owns the mirror, the network, or one online key: the attacks of the TUF specification.

Each test states what the client does: trusts nothing, and keeps the last trusted state.
"""

from __future__ import annotations

import gzip
import re
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import zstandard
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    Metadata,
    TargetFile,
    Targets,
)

from support.repository import Answer, IndexServer, SignedRepository, endless, flipped
from wheelmark.client import HttpFetcher, Limits, Verifier, verify_repository
from wheelmark.errors import Unavailable, Untrusted, WheelmarkError
from wheelmark.simple import SimpleFile

QUICK = Limits(
    connect_seconds=2,
    gap_seconds=1,
    headers_seconds=0.4,
    metadata_seconds=0.4,
    grace_seconds=0.3,
    min_bytes_per_second=10_000,
)
MEBIBYTE = 1 << 20


@dataclass
class Index:
    """A published index with one project, the server in the attacker's hands, and a victim who saw nothing yet."""

    repository: SignedRepository
    server: IndexServer
    cache: Path
    file: SimpleFile

    def verifier(self, limits: Limits = QUICK) -> Verifier:
        return Verifier(self.server.index_url, self.repository.root_bytes, self.cache, fetcher=HttpFetcher(limits))

    def tamper(self, part: str, answer: Answer | bytes | None = None) -> None:
        """Another answer, or one flipped bit, for every path in which the expression `part` is found."""

        def hostile(path: str, true: bytes | None) -> Answer | bytes | None:
            if true is None or not re.search(part, path):
                return None
            return flipped(true) if answer is None else answer

        self.server.hostile = hostile


@contextmanager
def an_index(cache: Path) -> Iterator[Index]:
    repository = SignedRepository()
    file = repository.add_wheel("demo", filler=200_000)
    repository.add_wheel("other")
    repository.publish()
    with IndexServer(repository) as server:
        yield Index(repository, server, cache, file)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with an_index(tmp_path / "cache") as made:
        yield made


def read_all(index: Index, limits: Limits = QUICK) -> None:
    """Everything that a client does with a project: page, core metadata, file."""
    verifier = index.verifier(limits)
    page = verifier.page("demo")
    assert page is not None
    for file in page.files:
        verifier.metadata(file)
        for _ in verifier.open_file(file):
            pass


def refusal(index: Index) -> WheelmarkError:
    with pytest.raises(Untrusted) as caught:
        read_all(index)
    return caught.value


@pytest.mark.parametrize(
    "part",
    ["timestamp.json", "snapshot.json", "targets.json", "/1.bins.json", ".bins-", "index.json", ".metadata", r"\.whl$"],
)
def test_one_flipped_bit_anywhere_is_untrusted(index: Index, part: str) -> None:
    index.tamper(part)
    said = str(refusal(index))
    assert "expected" in said
    assert "got" in said


@pytest.mark.parametrize("part", ["timestamp.json", "index.json", ".metadata", r"\.whl$", "snapshot.json", ".bins-"])
def test_endless_answer_is_cut_off(index: Index, part: str) -> None:
    index.tamper(part, Answer(200, {}, endless()))
    assert refusal(index).code in {"endless-data", "file"}


@pytest.mark.parametrize("part", ["timestamp.json", "index.json", ".metadata"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_decompression_bomb_is_cut_off_in_constant_memory(index: Index, part: str, encoding: str) -> None:
    plain = bytes(64 * MEBIBYTE)
    bomb = gzip.compress(plain, 9) if encoding == "gzip" else zstandard.compress(plain)
    del plain
    index.tamper(part, Answer(200, {"Content-Encoding": encoding}, bomb))
    tracemalloc.start()
    try:
        assert refusal(index).code == "endless-data"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Core metadata has no length on the page, so its own bound of 16 MiB is what may be held.
    assert peak < (40 if part == ".metadata" else 8) * MEBIBYTE


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_encoding_that_lies_is_untrusted(index: Index, encoding: str) -> None:
    index.tamper("timestamp.json", Answer(200, {"Content-Encoding": encoding}, b"not compressed"))
    assert refusal(index).code == "encoding"


def drip(piece: bytes = b"x", pause: float = 0.02) -> Iterator[bytes]:
    while True:
        time.sleep(pause)
        yield piece


@pytest.mark.parametrize(
    ("part", "limits"),
    [
        ("timestamp.json", Limits(metadata_seconds=0.3)),
        ("index.json", Limits(metadata_seconds=0.3)),
        (r"\.metadata$", Limits(metadata_seconds=0.3)),
        (r"\.whl$", Limits(grace_seconds=0.2, min_bytes_per_second=10_000)),
    ],
)
def test_slow_retrieval_is_stopped_though_bytes_keep_coming(index: Index, part: str, limits: Limits) -> None:
    index.tamper(part, Answer(200, {}, drip()))
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        read_all(index, limits)
    assert caught.value.code == "slow-retrieval"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("part", ["timestamp.json", r"\.whl$"])
def test_redirect_to_elsewhere_is_untrusted(index: Index, part: str) -> None:
    index.tamper(part, Answer(302, {"Location": "ftp://example.invalid/x"}))
    assert refusal(index).code == "redirect"


def test_metadata_is_not_redirected_even_within_the_index(index: Index) -> None:
    index.tamper("timestamp.json", Answer(302, {"Location": "/tuf/timestamp.json?again"}))
    assert refusal(index).code == "redirect"


def test_redirect_loop_of_a_file_is_untrusted(index: Index) -> None:
    index.server.hostile = lambda path, _: Answer(302, {"Location": "?again"}) if path.startswith("/files/") else None
    with pytest.raises(Untrusted) as caught:
        b"".join(index.verifier().open_file(index.file))
    assert caught.value.code == "redirect"


def test_file_redirected_to_an_object_store_is_verified_all_the_same(index: Index) -> None:
    true = index.repository.objects[f"/files/{index.file.sha256}/{index.file.filename}"]
    index.repository.objects["/bucket/right"] = true
    index.repository.objects["/bucket/wrong"] = flipped(true)
    for name in ("right", "wrong"):
        index.tamper(r"\.whl$", Answer(307, {"Location": f"/bucket/{name}"}))
        index.cache = index.cache.with_name(name)  # what was verified once would not be fetched again
        pieces = index.verifier().open_file(index.file)
        if name == "right":
            assert b"".join(pieces) == true
        else:
            with pytest.raises(Untrusted):
                b"".join(pieces)


def test_last_piece_of_a_wrong_file_is_never_given(index: Index) -> None:
    true = index.repository.objects[f"/files/{index.file.sha256}/{index.file.filename}"]
    index.tamper(r"\.whl$")
    given = b""
    with pytest.raises(Untrusted):
        for piece in index.verifier().open_file(index.file):
            given += piece
    assert 0 < len(given) < len(true)


@pytest.mark.parametrize("change", [b"", b"more"])
def test_file_of_another_length_is_untrusted(index: Index, change: bytes) -> None:
    true = index.repository.objects[f"/files/{index.file.sha256}/{index.file.filename}"]
    index.tamper(r"\.whl$", true + change if change else true[:-1])
    assert refusal(index).code == "file"


def test_page_of_another_project_is_untrusted_even_when_signed(index: Index) -> None:
    index.repository.pages["demo"] = index.repository.pages["other"]
    index.repository.publish()
    assert refusal(index).code == "page-foreign"


def test_page_swapped_by_a_mirror_is_untrusted(index: Index) -> None:
    index.tamper("/demo/", index.repository.pages["other"])
    assert refusal(index).code in {"hash", "endless-data"}


def test_signed_page_that_names_another_projects_file_is_untrusted(index: Index) -> None:
    page = orjson.loads(index.repository.pages["demo"])
    page["files"] += orjson.loads(index.repository.pages["other"])["files"]
    index.repository.pages["demo"] = orjson.dumps(page)
    index.repository.publish()
    assert refusal(index).code == "page-foreign-file"


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_expired_role_is_untrusted(index: Index, role: str) -> None:
    index.repository.expires_in[role] = timedelta(seconds=-1)
    index.repository.publish()
    assert refusal(index).code == "expired"


def test_expired_bin_is_untrusted(index: Index) -> None:
    index.repository.expires_in["bin"] = timedelta(seconds=-1)
    index.repository.add_wheel("demo", "2.0")
    index.repository.publish()
    assert refusal(index).code == "expired"


def test_freeze_ends_when_the_timestamp_expires_in_a_running_client(index: Index) -> None:
    clock = [datetime.now(UTC)]
    verifier = Verifier(index.server.index_url, index.repository.root_bytes, index.cache, now=lambda: clock[0])
    assert verifier.page("demo") is not None
    clock[0] += timedelta(days=366)
    with pytest.raises(Untrusted) as caught:
        verifier.page("demo")
    assert caught.value.code == "expired"


def test_rollback_keeps_the_trusted_version(index: Index) -> None:
    old = dict(index.repository.objects)
    index.repository.add_wheel("demo", "2.0")
    index.repository.publish()
    read_all(index)
    index.server.objects = old
    assert refusal(index).code == "rollback"
    index.server.objects = index.repository.objects
    page = index.verifier().page("demo")
    assert page is not None
    assert page.versions == ("1.0", "2.0")


def test_client_without_memory_accepts_the_old_state_until_it_expires(index: Index) -> None:
    # What the standard cannot give: this is why the memory lies outside the cache folder.
    old = dict(index.repository.objects)
    index.repository.add_wheel("demo", "2.0")
    index.repository.publish()
    index.server.objects = old
    page = index.verifier().page("demo")
    assert page is not None
    assert page.versions == ("1.0",)


def test_mix_of_two_snapshots_is_untrusted(index: Index) -> None:
    old = index.repository.objects["/tuf/2.snapshot.json"]
    index.repository.add_wheel("demo", "2.0")
    index.repository.publish()
    index.tamper("3.snapshot.json", old)
    assert refusal(index).code in {"hash", "endless-data"}


def test_metadata_signed_by_an_unknown_key_is_untrusted(index: Index) -> None:
    index.repository.objects.update(
        {path: raw for path, raw in SignedRepository().objects.items() if path == "/tuf/timestamp.json"}
    )
    assert refusal(index).code == "signature"


def test_rotated_key_is_followed_and_the_old_one_refused(index: Index) -> None:
    stolen = index.repository.signers["timestamp"]
    index.repository.rotate_key("timestamp")
    index.repository.publish()
    read_all(index)
    index.repository.signers["timestamp"] = stolen
    index.repository.publish()
    assert refusal(index).code == "signature"


def test_garbage_instead_of_no_next_root_is_untrusted(index: Index) -> None:
    index.server.hostile = lambda path, _: b"<html>log in</html>" if path.endswith("/2.root.json") else None
    assert refusal(index).code == "metadata"


def test_withheld_bin_is_not_taken_for_an_unknown_project(index: Index) -> None:
    index.tamper(".bins-", Answer(404))
    with pytest.raises(Unavailable):
        index.verifier().page("demo")


def test_withheld_page_is_not_taken_for_an_unknown_project(index: Index) -> None:
    index.tamper("index.json", Answer(404))
    with pytest.raises(Unavailable):
        index.verifier().page("demo")


def test_unknown_project_is_proven_absent(index: Index) -> None:
    assert index.verifier().page("nothing-here") is None


def test_walk_names_what_is_wrong_and_where(index: Index) -> None:
    index.repository.pages["demo"] = index.repository.pages["other"]
    index.repository.publish()
    summary = verify_repository(index.server.index_url, index.repository.root_bytes)
    assert [(fault.code, fault.field) for fault in summary.faults] == [("page-foreign", "simple/demo/index.json")]
    assert (summary.roles, summary.pages) == (5, 1)


@pytest.mark.parametrize(("part", "code"), [(r"\.whl$", "file"), (".metadata", "file"), ("index.json", "hash")])
def test_walk_with_files_sees_every_flipped_bit(index: Index, part: str, code: str) -> None:
    index.tamper(part)
    summary = verify_repository(index.server.index_url, index.repository.root_bytes, include_files=True)
    assert {fault.code for fault in summary.faults} == {code}


def bin_of_demo(index: Index, **changes: object) -> tuple[str, bytes]:
    """The bin that lists `demo`, changed and signed anew with the right key: its name, its bytes."""
    path, raw = next(
        (path, raw) for path, raw in index.repository.objects.items() if ".bins-" in path and b"simple/demo/" in raw
    )
    metadata = Metadata[Targets].from_bytes(raw)
    for name, value in changes.items():
        setattr(metadata.signed, name, value)
    metadata.sign(index.repository.signers["bin"])
    index.tamper(path, metadata.to_bytes())
    return path.split(".")[1], raw


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 7}, "metadata"),
        ({"expires": datetime(2026, 1, 1, tzinfo=UTC)}, "metadata"),
        ({"unrecognized_fields": {"x-": "unsigned"}}, "signature"),
    ],
    ids=["version", "expired", "unsigned"],
)
def test_walk_names_the_bin_that_does_not_verify(index: Index, changes: dict[str, object], code: str) -> None:
    if code == "signature":
        index.repository.signers["bin"] = SignedRepository().signers["bin"]
    name, _ = bin_of_demo(index, **changes)
    summary = verify_repository(index.server.index_url, index.repository.root_bytes)
    assert (code, name) in [(fault.code, fault.field) for fault in summary.faults]


def test_walk_names_a_target_in_a_bin_where_no_client_finds_it(index: Index) -> None:
    row = TargetFile.from_data("simple/elsewhere/index.json", b"page")
    rows = {f"simple/elsewhere-{number}/index.json": row for number in range(16)}  # some belong to other bins
    bin_of_demo(index, targets=rows)
    summary = verify_repository(index.server.index_url, index.repository.root_bytes)
    assert "misplaced-target" in {fault.code for fault in summary.faults}


@pytest.mark.parametrize("suffix", ["", ".metadata"])
def test_walk_names_a_signed_file_that_its_page_does_not_list_so(index: Index, suffix: str) -> None:
    page = index.verifier().page("demo")
    assert page is not None
    [file] = page.files
    unlisted = f"files/{'0' * 64}/{file.filename}{suffix}"
    other = f"files/{file.sha256}/{file.filename}{suffix}"
    bin_of_demo(
        index, targets={path: TargetFile.from_data(path, b"other") for path in (unlisted, other)} | targets_of(index)
    )
    summary = verify_repository(index.server.index_url, index.repository.root_bytes)
    beside = {"misplaced-target", "missing-target"}
    found = {(fault.code, fault.field) for fault in summary.faults if fault.code not in beside}
    assert found == {("unlisted-target", unlisted), ("other-target", other)}


def targets_of(index: Index) -> dict[str, TargetFile]:
    """What the bin of `demo` lists."""
    raw = next(raw for path, raw in index.repository.objects.items() if ".bins-" in path and b"simple/demo/" in raw)
    return Metadata[Targets].from_bytes(raw).signed.targets


def test_walk_of_a_good_index_is_complete(index: Index) -> None:
    steps: list[tuple[str, int, int]] = []
    summary = verify_repository(
        index.server.index_url, index.repository.root_bytes, lambda *step: steps.append(step), include_files=True
    )
    assert summary.faults == ()
    assert (summary.roles, summary.pages, summary.files) == (5, 2, 2)
    assert steps[-1] == ("roles", 5, 5)
