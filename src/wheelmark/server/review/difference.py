"""What one file has that another has not, member by member and line by line. Pure, and bounded: both are hostile."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from wheelmark.server.review.archives import Member, Members, lines_of

MAX_CHANGES = 200
"""Members that are told of; the page says how many there are."""
MAX_WINDOW_LINES = 1_500
"""Lines of one member, after what both begin and end with is put aside, that are compared line by line."""
MAX_LINES_SHOWN = 3_000
MAX_LINES_OF_MEMBER = 400
CONTEXT_LINES = 3

_RUNS_BY_ITSELF = frozenset({"setup.py", "setup.cfg", "pyproject.toml", "__init__.py"})
_CODE = frozenset({".py", ".pyw", ".pyx", ".ipynb", ".sh", ".ps1", ".bat", ".js"})
_START_UP = frozenset({".pth", ".start"})


class ChangeKind(StrEnum):
    """What happened to one member."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class LineKind(StrEnum):
    """What a line of a difference is."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    GAP = "gap"  # lines between two places that are the same in both


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line; `number` counts in the newer file, for removed lines in the older one."""

    kind: LineKind
    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One member that is not the same in both."""

    kind: ChangeKind
    place: str
    older: Member | None
    newer: Member | None
    lines: tuple[DiffLine, ...]  # empty where `why_no_lines` says why
    more_lines: int = 0  # lines that differ, too, and are not in `lines`
    why_no_lines: str = ""

    @property
    def size_change(self) -> int:
        """In bytes."""
        return (self.newer.size if self.newer else 0) - (self.older.size if self.older else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs, what runs by itself first."""

    changes: tuple[Change, ...]
    total: int
    same: int  # members that are equal in both
    gaps: tuple[str, ...]  # what could not be read: then members may differ that are not named here


def difference(older: Members, newer: Members) -> Difference:
    """What differs between two archives."""
    before, after = older.by_place, newer.by_place
    places = [
        place
        for place in before.keys() | after.keys()
        if place not in before or place not in after or before[place].sha256 != after[place].sha256
    ]
    places.sort(key=lambda place: (_rank(place, place not in before), place))
    shown_lines, changes = 0, []
    for place in places[:MAX_CHANGES]:
        change = _change(place, before.get(place), after.get(place), MAX_LINES_SHOWN - shown_lines)
        shown_lines += len(change.lines)
        changes.append(change)
    same = len(before.keys() & after.keys()) - sum(1 for place in places if place in before and place in after)
    gaps = older.gaps + newer.gaps
    return Difference(changes=tuple(changes), total=len(places), same=same, gaps=gaps)


def _rank(place: str, is_new: bool) -> int:
    """What a moderator reads first: start-up files, what runs at installation or import, new code, code, the rest."""
    path = PurePosixPath(place)
    if path.suffix in _START_UP:
        return 0
    if path.name in _RUNS_BY_ITSELF:
        return 1
    if path.suffix in _CODE:
        return 2 if is_new else 3
    return 4 if is_new else 5


def _change(place: str, older: Member | None, newer: Member | None, room: int) -> Change:
    kind = ChangeKind.ADDED if older is None else ChangeKind.REMOVED if newer is None else ChangeKind.CHANGED
    texts = [None if member is None else member.text for member in (older, newer)]
    if any(member is not None and member.text is None for member in (older, newer)):
        return Change(
            kind=kind, place=place, older=older, newer=newer, lines=(), why_no_lines="not text, or too long to show"
        )
    old, new = (lines_of(text) if text else [] for text in texts)
    lines = _compared(old, new)
    if lines is None:
        return Change(
            kind=kind,
            place=place,
            older=older,
            newer=newer,
            lines=(),
            why_no_lines=f"more than {MAX_WINDOW_LINES:,} lines lie between the first and the last change",
        )
    limit = max(0, min(room, MAX_LINES_OF_MEMBER))
    why = "" if lines[:limit] or not lines else "the page is full"
    return Change(
        kind=kind,
        place=place,
        older=older,
        newer=newer,
        lines=tuple(lines[:limit]),
        more_lines=sum(1 for line in lines[limit:] if line.kind in (LineKind.ADDED, LineKind.REMOVED)),
        why_no_lines=why,
    )


def _compared(old: Sequence[str], new: Sequence[str]) -> list[DiffLine] | None:
    """The lines that differ, each with some context; None where comparing them would take too long."""
    if not old or not new:
        kind, lines = (LineKind.ADDED, new) if new else (LineKind.REMOVED, old)
        return [DiffLine(kind, number, text) for number, text in enumerate(lines, 1)]
    begin = _common_start(old, new)
    end = _common_start(old[begin:][::-1], new[begin:][::-1])
    if max(len(old), len(new)) - begin - end > MAX_WINDOW_LINES:
        return None
    begin, end = max(0, begin - CONTEXT_LINES), max(0, end - CONTEXT_LINES)
    old_window, new_window = old[begin : len(old) - end], new[begin : len(new) - end]
    matcher = difflib.SequenceMatcher(None, old_window, new_window)
    shown: list[DiffLine] = []
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        if shown:
            shown.append(DiffLine(LineKind.GAP, 0, ""))
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                shown += _numbered(LineKind.SAME, new_window, new_from, new_to, begin)
                continue
            shown += _numbered(LineKind.REMOVED, old_window, old_from, old_to, begin)
            shown += _numbered(LineKind.ADDED, new_window, new_from, new_to, begin)
    return shown


def _numbered(kind: LineKind, lines: Sequence[str], start: int, stop: int, offset: int) -> list[DiffLine]:
    return [DiffLine(kind, offset + at + 1, lines[at]) for at in range(start, stop)]


def _common_start(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
