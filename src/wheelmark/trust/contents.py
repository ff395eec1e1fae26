"""What a bin lists, kept as it is written: one line of bytes a target, so that a change costs one line and not the bin.

The lines are the entries of the bin's `targets`, sorted by path and joined by line breaks, which no entry can hold.
Each is checked when it comes in; whoever changes one target need not look at the others again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from wheelmark.errors import Fault, Refused
from wheelmark.trust.layout import Layout
from wheelmark.trust.metadata import TargetRow, check_rows, frame_bin


@dataclass(frozen=True, slots=True)
class BinContent:
    """The targets of one bin. Made by `of` and `changed` alone, which check what comes in."""

    lines: bytes  # about 150 bytes a page

    @classmethod
    def of(cls, layout: Layout, index: int, rows: Sequence[TargetRow]) -> BinContent:
        """The content of a bin from all its rows, sorted by path.

        Raises:
            Refused: a row that cannot be written or that belongs to another bin, rows unsorted or twice.
        """
        check_rows(rows)
        _check_membership(layout, index, rows)
        return cls(b"\n".join(map(_line, rows)))

    def changed(
        self, layout: Layout, index: int, *, new: Iterable[TargetRow] = (), removed: Iterable[str] = ()
    ) -> BinContent:
        """The content with some rows put in place of what stood under their paths, and some paths gone.

        A path that is both is put in place. Removing what is not there changes nothing.

        Raises:
            Refused: a row that cannot be written, comes twice, or belongs to another bin.
        """
        rows = sorted(new, key=_path)
        check_rows(rows)
        _check_membership(layout, index, rows)
        lines = self.lines.split(b"\n") if self.lines else []
        for path in removed:
            at, there = _find(lines, path.encode())
            del lines[at : at + there]
        for row in rows:
            at, there = _find(lines, row.path.encode())
            lines[at : at + there] = [_line(row)]
        return BinContent(b"\n".join(lines))

    def signed_part(self, name: str, *, version: int, expires: datetime) -> bytes:
        """The signed part of the bin of that role name: the same bytes as `bin_bytes` of its rows.

        Raises:
            Refused: more bytes than a client reads (`bin-too-large`).
        """
        # Joined by line breaks in memory and by commas on the wire.
        return frame_bin(name, self.lines.replace(b"\n", b","), version=version, expires=expires)


def _path(row: TargetRow) -> str:
    return row.path


def _line(row: TargetRow) -> bytes:
    return b'"%b":{"hashes":{"sha256":"%b"},"length":%d}' % (row.path.encode(), row.sha256.encode(), row.length)


def _path_of(line: bytes) -> bytes:
    return line[1 : line.index(b'":{')]


def _find(lines: Sequence[bytes], path: bytes) -> tuple[int, bool]:
    """Where the line of a path stands or would stand, and whether it is there."""
    at = bisect_left(lines, path, key=_path_of)
    return at, at < len(lines) and _path_of(lines[at]) == path


def _check_membership(layout: Layout, index: int, rows: Iterable[TargetRow]) -> None:
    """A target in a bin that no client asks for it would be signed and yet absent, without any error."""
    astray = [row.path for row in rows if layout.bin_of(row.path) != index]
    if astray:
        name = layout.bin_name(index)
        raise Refused(
            Fault("row-astray", path, f"expected targets of {name}, got one of another bin") for path in astray
        )
