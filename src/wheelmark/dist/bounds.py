"""How much one archive may ask of us, and the two refusals of an archive that asks for more or makes no sense."""

from __future__ import annotations

from dataclasses import dataclass

from wheelmark.dist.faults import fault, quoted
from wheelmark.errors import Refused

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

CHUNK_BYTES = 128 * KIB
"""How much is read or decompressed at a time; the memory that one archive costs is a small multiple of this."""


class ArchiveTooLarge(Refused):
    """A bound was crossed: the archive may be sound, but we do not read on."""


class ArchiveBroken(Refused):
    """The archive, or one member of it, cannot be read further."""


def broken(message: str) -> ArchiveBroken:
    """The refusal of an archive that cannot be read on."""
    return ArchiveBroken([fault("archive-broken", message)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits for one archive. The defaults suit a wheel of 1 GiB; an index of smaller files may pass tighter ones.

    Time is bounded through work: bytes that come out, members and header bytes are limited, and every check is
    linear in them.
    """

    max_members: int = 100_000
    max_member_bytes: int = 4 * GIB
    """What may come out of one member."""
    max_total_bytes: int = 8 * GIB
    """What may come out of the whole archive."""
    max_ratio: int = 50
    """What comes out, divided by the size of the archive; looked at only above `ratio_floor_bytes`."""
    ratio_floor_bytes: int = 64 * MIB
    max_path_chars: int = 1024
    max_path_parts: int = 64
    max_header_bytes: int = MIB
    """One extended header of a tar member (pax, GNU long name)."""
    max_directory_bytes: int = 32 * MIB
    """The central directory of a zip, which is held in memory."""


DEFAULT_BOUNDS = Bounds()


class Meter:
    """Counts what an archive really yields, whatever its headers say, and stops at the first bound that is crossed."""

    __slots__ = ("_archive_bytes", "_bounds", "_members", "_total_bytes")

    def __init__(self, bounds: Bounds, archive_bytes: int) -> None:
        self._bounds = bounds
        self._archive_bytes = archive_bytes
        self._members = 0
        self._total_bytes = 0

    def member(self, path: str) -> None:
        """Count one member.

        Raises:
            ArchiveTooLarge: there are too many, or its path is too long or too deep.
        """
        self._members += 1
        limit = self._bounds
        if self._members > limit.max_members:
            raise too_large("archive-members", f"expected at most {limit.max_members} members, got more")
        if len(path) > limit.max_path_chars:
            raise too_large(
                "member-path-length",
                f"expected a path of at most {limit.max_path_chars} characters, got {len(path)}: {quoted(path)}",
            )
        if (parts := path.count("/") + 1) > limit.max_path_parts:
            raise too_large(
                "member-path-depth",
                f"expected a path of at most {limit.max_path_parts} parts, got {parts}: {quoted(path)}",
            )

    def came_out(self, count: int) -> None:
        """Count bytes that came out of a decoder.

        Raises:
            ArchiveTooLarge: the whole is too large, or too large for what went in.
        """
        self._total_bytes += count
        total, limit = self._total_bytes, self._bounds
        if total > limit.max_total_bytes:
            raise too_large("archive-size", f"expected at most {limit.max_total_bytes} unpacked bytes, got more")
        if total > limit.ratio_floor_bytes and total > limit.max_ratio * self._archive_bytes:
            raise too_large(
                "archive-ratio",
                f"expected at most {limit.max_ratio} times the {self._archive_bytes} bytes of the archive, got {total}",
            )

    def member_size(self, path: str, size: int) -> None:
        """Check what came out of one member so far.

        Raises:
            ArchiveTooLarge: it is more than one member may hold.
        """
        if size > self._bounds.max_member_bytes:
            raise too_large(
                "member-size",
                f"expected at most {self._bounds.max_member_bytes} bytes in {quoted(path)}, got more",
            )


def too_large(code: str, message: str) -> ArchiveTooLarge:
    """The refusal of an archive that crosses a bound."""
    return ArchiveTooLarge([fault(code, message)])
