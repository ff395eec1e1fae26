"""One member of an archive, as the walk hands it out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from typing_extensions import Buffer

EntryKind = Literal["file", "directory", "symlink", "hardlink", "other"]

Sink = Callable[[bytes], None]
"""Takes the bytes of one member, chunk after chunk."""

Observer = Callable[[str, EntryKind], Sink | None]
"""Told each member's path and kind while an archive is checked; says who takes its bytes, None when nobody does."""


def nobody(path: str, kind: EntryKind) -> Sink | None:
    """The observer that wants no bytes."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member of an archive. Its bytes can be had once, and only until the next one is asked for.

    `path` is what an installer would write, as text that can be encoded: bytes that are not UTF-8 show as `\\xNN`.
    Nothing of it is checked: it may be absolute, or climb.
    """

    path: str
    size: int
    """In bytes, as declared: what comes out may differ, and then the reading raises `ArchiveBroken`."""
    kind: EntryKind
    """`other` is a device, a pipe, a sparse file or a type unknown to us."""
    target: str = ""
    """Where a link of a tar points."""
    mode: int = 0
    """The permission bits, 0 where the archive has none."""
    chunks: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)
    """The bytes, a bounded chunk at a time. A symbolic link of a zip has them too: pip writes it as a file."""

    def open(self) -> BinaryIO:
        """The bytes as a stream, which cannot seek.

        Raises (when read):
            ArchiveBroken: the bytes do not decode, or are not what the headers say.
            ArchiveTooLarge: a bound is crossed.
        """
        return io.BufferedReader(_ChunkReader(self.chunks()))

    def read(self, max_bytes: int | None = None) -> bytes:
        """The first `max_bytes` bytes, or all of them (bounded only by the bounds of the walk).

        Raises: as `open`.
        """
        parts: list[bytes] = []
        missing = max_bytes
        for chunk in self.chunks() if missing != 0 else ():
            parts.append(chunk if missing is None else chunk[:missing])
            if missing is not None:
                missing -= len(parts[-1])
                if not missing:
                    break
        return b"".join(parts)


class _ChunkReader(io.RawIOBase):
    """An iterator of chunks as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if not self._rest:
            self._rest = next(self._chunks, b"")
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
