"""Archives inside a distribution: what they are told by, and their members, within bounds that all of them share.

An archive is told by its bytes, never by its name: `data.bin` may be a zip, and a zip may stand behind other bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from wheelmark.dist import ArchiveBroken, ArchiveTooLarge, Bounds, Entry, walk_archive
from wheelmark.dist.archive import TarFormat, tar_bytes
from wheelmark.dist.bounds import too_large
from wheelmark.scan.bounds import MIB, ScanBounds

INSIDE = "!/"  # between the path of an archive and that of a member
_TAR_MAGIC_AT = 257
_COMPRESSED: tuple[tuple[bytes, TarFormat], ...] = (
    (b"\x1f\x8b\x08", "tar.gz"),
    (b"BZh", "tar.bz2"),
    (b"\xfd7zXZ\0", "tar.xz"),
)
_ZIP_HEAD = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_WITHIN = 65_535 + 22  # bytes of a comment and of the record itself
_RATIO = 100
_RATIO_FLOOR = 8 * MIB
HEAD_BYTES = 512  # what an archive can be told by when it begins with one


@dataclass(slots=True)
class NestedBudget:
    """What the archives inside one distribution may still yield, all together."""

    left_bytes: int
    left_members: int

    @classmethod
    def for_scan(cls, bounds: ScanBounds) -> NestedBudget:
        """A fresh one."""
        return cls(bounds.max_nested_bytes, bounds.max_nested_members)


def begins_archive(head: bytes) -> bool:
    """True when a file that begins with these bytes is an archive, or one compressed stream."""
    return (
        head.startswith(_ZIP_HEAD)
        or _compression(head) is not None
        or head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"
    )


def holds_archive(raw: bytes) -> bool:
    """True when the bytes are an archive, or a zip stands at their end, as installers and Python find it."""
    return begins_archive(raw[:HEAD_BYTES]) or raw.rfind(_ZIP_END, -_ZIP_END_WITHIN) >= 0


def depth_of(path: str) -> int:
    """In how many archives a member lies."""
    return path.count(INSIDE)


def nested_entries(path: str, raw: bytes, budget: NestedBudget) -> Iterator[Entry]:
    """The files of an archive, or the one file of a compressed stream. Valid as those of `walk_archive` are.

    What was read of them counts against the budget, and so does their number.

    Raises: ArchiveBroken, ArchiveTooLarge, as `walk_archive` does.
    """
    compression = _compression(raw)
    stream = io.BytesIO(raw)
    if compression is not None and not path.lower().endswith((".whl", ".zip", ".egg")):
        start = next(_plain(stream, compression, budget), b"")
        if start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] != b"ustar":
            yield _single(path, stream, compression, budget)
            return
    bounds = Bounds(
        max_members=max(budget.left_members, 0),
        max_member_bytes=max(budget.left_bytes, 0),
        max_total_bytes=max(budget.left_bytes, 0),
        max_ratio=_RATIO,
        ratio_floor_bytes=_RATIO_FLOOR,
    )
    for entry in walk_archive(stream, filename=path, bounds=bounds):
        budget.left_members -= 1
        if entry.kind == "file":
            yield entry


def decompressed(raw: bytes, max_bytes: int) -> bytes:
    """What a compressed stream gives, its first bytes where it is longer; the bytes themselves where it is none."""
    compression = _compression(raw)
    if compression is None:
        return raw
    parts: list[bytes] = []
    left = max_bytes
    try:
        for chunk in tar_bytes(io.BytesIO(raw), compression):
            parts.append(chunk[:left])
            left -= len(parts[-1])
            if left <= 0:
                break
    except (ArchiveBroken, ArchiveTooLarge):
        pass  # what came before it broke is what a reader gets, too
    return b"".join(parts)


def _compression(head: bytes) -> TarFormat | None:
    return next((name for magic, name in _COMPRESSED if head.startswith(magic)), None)


def _plain(stream: io.BytesIO, compression: TarFormat, budget: NestedBudget) -> Iterator[bytes]:
    """The decompressed bytes, as far as the budget goes."""
    came = 0
    for chunk in tar_bytes(stream, compression):
        came += len(chunk)
        if came > budget.left_bytes:
            raise too_large("archive-size", f"expected at most {budget.left_bytes} unpacked bytes, got more")
        yield chunk


def _single(path: str, stream: io.BytesIO, compression: TarFormat, budget: NestedBudget) -> Entry:
    stem = path.rpartition("/")[2]
    name = stem.rpartition(".")[0] or stem
    budget.left_members -= 1
    # How long it is nobody knows before it is read: as long as it may be.
    return Entry(path=name, size=0, kind="file", chunks=lambda: _plain(stream, compression, budget))
