"""What the bins list: read from the committed rows, and remembered, so that a publication reads what it does not know.

Remembering is safe because there is one writer: whoever signs holds the lock, its commit is fenced (`commit.py`), and
after any failure it forgets everything and reads the rows again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wheelmark.server.publishing.rows import committed_rows
from wheelmark.trust import BinContent, ChangedBin, Layout, TargetRow

MAX_REMEMBERED_BYTES = 128_000_000
"""Bins remembered as they are written: 150 bytes a page, so all of an index with 700,000 projects."""

_READ_TOGETHER = 100  # bins whose rows are in memory at once


@dataclass(slots=True)
class Change:
    """What becomes of the targets of one bin."""

    new: list[TargetRow] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)  # paths


class Changes:
    """What becomes of targets, each in the bin where clients look for it."""

    def __init__(self, layout: Layout, sign_again: Iterable[int] = ()) -> None:
        """`sign_again` are bins to be signed whether or not something in them changes."""
        self._layout = layout
        self.bins = {index: Change() for index in sign_again}

    def put(self, row: TargetRow) -> int:
        """Put a target in place of what stood under its path; return its bin."""
        index = self._layout.bin_of(row.path)
        self.bins.setdefault(index, Change()).new.append(row)
        return index

    def remove(self, path: str) -> None:
        """Take a target away."""
        self.bins.setdefault(self._layout.bin_of(path), Change()).removed.append(path)


class BinContents:
    """The contents of the bins by the committed rows, the least recently used forgotten first."""

    def __init__(self, layout: Layout, *, max_bytes: int = MAX_REMEMBERED_BYTES) -> None:
        self._layout = layout
        self._max_bytes = max_bytes
        self._known: OrderedDict[int, BinContent] = OrderedDict()
        self._bytes = 0

    def after(self, bins: Mapping[int, Change]) -> list[ChangedBin]:
        """The complete contents that these bins will have. Nothing is remembered of it before `committed`.

        Raises:
            Refused: a target that cannot be signed.
        """
        ordered, changed = sorted(bins), []
        for start in range(0, len(ordered), _READ_TOGETHER):
            some = ordered[start : start + _READ_TOGETHER]
            unknown = committed_rows([index for index in some if index not in self._known])
            for index in some:
                content = self._known.get(index) or BinContent.of(self._layout, index, unknown.pop(index))
                new, removed = bins[index].new, bins[index].removed
                changed.append(ChangedBin(index, content.changed(self._layout, index, new=new, removed=removed)))
        return changed

    def committed(self, changed: Iterable[ChangedBin]) -> None:
        """Remember contents that are those of the rows now."""
        for entry in changed:
            self._forget(entry.index)
            content = entry.content(self._layout)
            self._known[entry.index] = content
            self._bytes += len(content.lines)
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._known)))

    def _forget(self, index: int) -> None:
        known = self._known.pop(index, None)
        self._bytes -= len(known.lines) if known is not None else 0
