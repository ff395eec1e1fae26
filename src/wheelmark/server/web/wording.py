"""How values are said to people: dates, sizes, numbers, states, and text that somebody else wrote. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from wheelmark.server.projects.rules import FileState

Kind = Literal["good", "wait", "warn", "stop", "plain"]

_STEPS = (
    (60, 1, "s"),
    (3_600, 60, "min"),
    (86_400, 3_600, "h"),
)
_DAY = 86_400


def grouped(number: int) -> str:
    """A whole number with its thousands grouped: `4,211`."""
    return f"{number:,}"


def size(size_bytes: int) -> str:
    """A size in bytes, kB, MB or GB (powers of 1,000), with two significant digits at least."""
    if size_bytes < 1_000:
        return f"{size_bytes} byte{'' if size_bytes == 1 else 's'}"
    for unit, factor in (("kB", 1_000), ("MB", 1_000_000)):
        # 999,960 bytes are 1.0 MB, not 1,000 kB: the rounded figure decides about the unit.
        if round(size_bytes / factor, 1) < 1_000:
            figure = size_bytes / factor
            return f"{figure:.1f} {unit}" if figure < 100 else f"{figure:.0f} {unit}"
    return f"{size_bytes / 1_000_000_000:,.1f} GB"


def relative(at: datetime, *, now: datetime) -> str:
    """How long ago, or how soon: `3 s ago`, `in 6 days`, and the date itself when it is more than 60 days away."""
    seconds = (now - at).total_seconds()
    distance = abs(seconds)
    if distance < 1:
        return "now"
    if distance >= 60 * _DAY:
        return at.astimezone(UTC).strftime("%-d %b %Y")
    for limit, unit_seconds, unit in _STEPS:
        if distance < limit:
            words = f"{int(distance // unit_seconds)} {unit}"
            break
    else:
        days = int(distance // _DAY)
        words = f"{days} day{'' if days == 1 else 's'}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def exact(at: datetime) -> str:
    """The exact time in UTC, for a title: `2026-08-01 12:00:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# What a reader cannot see or is misled by: format characters (bidirectional overrides, joiners, tags, soft hyphens),
# controls, private use, line and paragraph separators, and letters that are drawn as nothing.
_HIDDEN_CATEGORIES = frozenset({"Cf", "Cc", "Co", "Cs", "Cn", "Zl", "Zp"})
_DRAWN_AS_NOTHING = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\u00a0\u034f")
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_SHOWN_AS_THEY_ARE = frozenset("\t")
_LONG_BLANK = re.compile(r"(?<=\S)[ \t]{33,}(?=\S)|\A[ \t]{65,}(?=\S)")
_MAX_LINE_CHARS = 20_000
"""What is looked at of one line to see whether it fits."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text; `hidden` names the character that stands in its place."""

    text: str
    hidden: bool = False


def is_hidden(character: str) -> bool:
    """True for a character that a page would not show, or that changes how its neighbours are shown."""
    if character in _SHOWN_AS_THEY_ARE:
        return False
    if character.isascii():
        return not character.isprintable()
    return (
        unicodedata.category(character) in _HIDDEN_CATEGORIES
        or character in _DRAWN_AS_NOTHING
        or any(ord(character) in block for block in _VARIATION_SELECTORS)
    )


def reveal(text: str) -> list[Run]:
    """Split text so that what a reader would not see becomes a run of its own that spells it: `U+202E`, `180 spaces`.

    Long blanks are spelled because code is hidden behind them, beyond the right edge of what people look at.
    """
    if text.isascii() and text.isprintable() and not _LONG_BLANK.search(text):
        return [Run(text)] if text else []
    runs: list[Run] = []
    start = 0
    for blank in _LONG_BLANK.finditer(text):
        runs += _reveal_characters(text[start : blank.start()])
        runs.append(Run(f"{blank.end() - blank.start():,} spaces", hidden=True))
        start = blank.end()
    return runs + _reveal_characters(text[start:])


def _reveal_characters(text: str) -> list[Run]:
    runs: list[Run] = []
    plain: list[str] = []
    for character in text:
        if not is_hidden(character):
            plain.append(character)
            continue
        if plain:
            runs.append(Run("".join(plain)))
            plain.clear()
        runs.append(Run(f"U+{ord(character):04X}", hidden=True))
    if plain:
        runs.append(Run("".join(plain)))
    return runs


def code_line(line: str, *, evidence: str, max_chars: int) -> list[Run]:
    """A line of code as runs, no longer than `max_chars` or so; a longer one is shown where the evidence is."""
    at = line.find(evidence) if evidence else -1
    runs = reveal(line[:_MAX_LINE_CHARS])
    if len(line) <= _MAX_LINE_CHARS and sum(len(run.text) for run in runs) <= max_chars:
        return runs
    begin = max(0, at - max_chars // 4) if at > max_chars // 2 else 0
    shown = reveal(line[begin : begin + max_chars])
    rest = len(line) - begin - max_chars
    before = [Run(f"{begin:,} characters before", hidden=True)] if begin else []
    after = [Run(f"{rest:,} characters more", hidden=True)] if rest > 0 else []
    return [*before, *shown, *after]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWords:
    """How one state is drawn: its colour's name and its words; `verified` when a signed snapshot lists it."""

    kind: Kind
    text: str
    verified: bool = False


_FILE_STATES: Mapping[FileState, StateWords] = {
    FileState.UPLOADED: StateWords(kind="wait", text="uploaded: being checked"),
    FileState.VALIDATED: StateWords(kind="wait", text="waiting for its scan"),
    FileState.SCANNED: StateWords(kind="wait", text="scanned: listed by the next snapshot"),
    FileState.HELD: StateWords(kind="warn", text="held for review"),
    FileState.REJECTED: StateWords(kind="stop", text="rejected"),
    FileState.REMOVED: StateWords(kind="plain", text="removed"),
}


def file_state_words(state: FileState, *, snapshot: int | None) -> StateWords:
    """What to say of a file in `state`; `snapshot` is the version that listed it first, if the current one lists it.

    What is served is what the snapshot lists, so that comes first: a file whose hold is not yet published is still
    there for installers, and the words say both.
    """
    if snapshot is None:
        if state is FileState.PUBLISHED:
            return StateWords(kind="wait", text="in no current snapshot")
        return _FILE_STATES[state]
    listed = f"published in snapshot {grouped(snapshot)}"
    if state in (FileState.PUBLISHED, FileState.SCANNED):
        return StateWords(kind="good", text=listed, verified=True)
    return StateWords(kind="warn", text=f"{_FILE_STATES[state].text}; leaves with the next snapshot")


def uploaded_with_words(label: str) -> str:
    """With what a file was uploaded, from `File.uploaded_with`; the token's id stays between us and its owner."""
    kind, _, rest = label.partition(":")
    if kind == "publisher" and rest:
        return f"trusted publisher {rest}"
    return "an API token"


SEVERITY_KINDS: Mapping[str, Kind] = {
    "critical": "stop",
    "high": "stop",
    "medium": "warn",
    "low": "wait",
    "info": "plain",
}
VERDICT_KINDS: Mapping[str, Kind] = {
    "malicious": "stop",
    "suspicious": "warn",
    "incomplete": "warn",
    "benign": "plain",  # nothing found is not a proof: no green
}
CONTEXT_KINDS: Mapping[str, Kind] = {"strong": "stop", "doubtful": "warn", "noted": "wait", "nothing": "plain"}
CONTEXT_WORDS: Mapping[str, str] = {
    "strong": "Name, texts, changes or account speak strongly against it. They prove nothing: look at the evidence.",
    "doubtful": "Name, texts, changes or account give a doubt. By itself it holds nothing.",
    "noted": "Small things were noted, as they are with many honest projects.",
    "nothing": "Name, texts, changes and account are like those of others.",
}
MESSAGE_KINDS: Mapping[str, Kind] = {"success": "good", "warning": "warn", "error": "stop", "info": "wait"}

_ACTIONS = {
    "project-created": "created",
    "project-active": "made active again",
    "project-archived": "archived",
    "project-deprecated": "deprecated",
    "project-quarantined": "quarantined",
    "release-created": "new release",
    "release-yanked": "yanked",
    "release-unyanked": "yank taken back",
}


def action_words(action: str) -> str:
    """A journal action in words; an unknown one is shown as it is written."""
    return _ACTIONS.get(action) or action.removeprefix("file-").replace("-", " ")
