"""Bytes kept by their hash: bounded, verified when read, and no trouble to anybody when the disk fails."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from wheelmark.client.content import STALE_SECONDS, ContentCache

KILOBYTE = 1024


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        self.at += 1
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_cache(folder: Path, clock: Clock, max_bytes: int = 100 * KILOBYTE) -> ContentCache:
    return ContentCache(folder, max_bytes=max_bytes, clock=clock)


def a_content(number: int, size: int = KILOBYTE) -> tuple[str, bytes]:
    content = number.to_bytes(4, "big") * (size // 4)
    return hashlib.sha256(content).hexdigest(), content


def sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*"))


def test_kept_bytes_are_given_back_whole_and_in_pieces(tmp_path: Path, clock: Clock) -> None:
    cache = a_cache(tmp_path, clock)
    sha256, content = a_content(1)
    assert cache.read(sha256, max_bytes=KILOBYTE) is None
    assert cache.pieces(sha256, KILOBYTE) is None
    cache.write(sha256, content)
    assert cache.read(sha256, max_bytes=KILOBYTE) == content
    pieces = cache.pieces(sha256, KILOBYTE)
    assert pieces is not None
    assert b"".join(pieces) == content
    assert cache.read(sha256, max_bytes=KILOBYTE - 1) is None
    assert a_cache(tmp_path, clock).read(sha256, max_bytes=KILOBYTE) == content


def test_wrong_size_is_not_given_and_wrong_bytes_are_thrown_away(tmp_path: Path, clock: Clock) -> None:
    cache = a_cache(tmp_path, clock)
    sha256, content = a_content(1)
    for change in (content[:-1] + b"x", content[:-1], content + b"x", b""):
        cache.write(sha256, content)
        path = tmp_path / sha256[:2] / sha256
        path.write_bytes(change)
        assert cache.pieces(sha256, len(content)) is None
        assert not path.exists()
        cache.write(sha256, content)
        path.write_bytes(change)
        assert cache.read(sha256, max_bytes=2 * KILOBYTE) is None
        assert not path.exists()


def test_longest_unused_make_room(tmp_path: Path, clock: Clock) -> None:
    cache = a_cache(tmp_path, clock)
    first, _ = a_content(0)
    for number in range(300):
        cache.write(*a_content(number))
        assert cache.read(first, max_bytes=KILOBYTE) is not None, "used all the time"
        assert sizes(tmp_path) <= (100 + 100 / 16 + 1) * KILOBYTE
    assert cache.read(a_content(1)[0], max_bytes=KILOBYTE) is None
    assert cache.read(a_content(299)[0], max_bytes=KILOBYTE) is not None


def test_object_that_would_fill_much_of_the_cache_is_not_kept(tmp_path: Path, clock: Clock) -> None:
    cache = a_cache(tmp_path, clock)
    sha256, content = a_content(1, 13 * KILOBYTE)
    cache.write(sha256, content)
    assert cache.read(sha256, max_bytes=13 * KILOBYTE) is None
    assert sizes(tmp_path) == 0


def test_what_is_not_kept_by_the_end_leaves_nothing(tmp_path: Path, clock: Clock) -> None:
    cache = a_cache(tmp_path, clock)
    sha256, content = a_content(1)
    with pytest.raises(RuntimeError, match="the transfer broke"), cache.receiving(sha256, KILOBYTE) as receiving:
        receiving.add(content[:100])
        raise RuntimeError("the transfer broke")
    assert cache.read(sha256, max_bytes=KILOBYTE) is None
    assert list(tmp_path.glob(".partial/*")) == []


def test_partial_files_of_the_dead_are_swept_in_time_and_those_of_the_living_stay(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / ".partial").mkdir()
    for name, age in (("dead", STALE_SECONDS + 60), ("living", STALE_SECONDS / 2)):
        path = tmp_path / ".partial" / name
        path.write_bytes(b"half")
        os.utime(path, (clock.at - age, clock.at - age))
    a_cache(tmp_path, clock).write(*a_content(1))
    assert [path.name for path in tmp_path.glob(".partial/*")] == ["living"]


@pytest.mark.parametrize("sha256", ["", "..", "../" + "0" * 61, "A" * 64, "0" * 63, "0" * 64 + "\n", "g" * 64])
def test_name_that_is_no_hash_is_never_a_path(tmp_path: Path, clock: Clock, sha256: str) -> None:
    cache = a_cache(tmp_path / "cache", clock)
    cache.write(sha256, b"x")
    assert cache.read(sha256, max_bytes=10) is None
    assert cache.pieces(sha256, 1) is None
    assert list(tmp_path.rglob("*")) == []


def test_folder_that_is_none_is_as_good_as_no_cache(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = a_cache(tmp_path / "file" / "cache", clock)
    sha256, content = a_content(1)
    cache.write(sha256, content)
    assert cache.read(sha256, max_bytes=KILOBYTE) is None
