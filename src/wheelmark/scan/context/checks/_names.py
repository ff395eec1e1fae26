"""What the checks of names share: how much a resemblance says, and whether the rest of the upload plays along."""

from __future__ import annotations

from collections.abc import Mapping

from wheelmark.dist import normalize
from wheelmark.errors import Refused
from wheelmark.scan.context.names import MIN_CHARS, is_plain_series
from wheelmark.scan.context.popular import LOOKS_ALIKE, OTHER_ORDER, OTHER_SEPARATORS, Resemblance
from wheelmark.scan.context.sources import sources_of
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity, Verdict

THROW_AWAY_CHARS = 200

# How famous a name must be, and how long, for a slip of this kind to be no coincidence. Names that happen to lie one
# slip apart are common among short names and for plain replacements, and rare for the slips of a hurried hand: see
# docs/explanation/context-checks.md for the measured rates.
_Table = Mapping[str, tuple[int, int]]
_TELLING: _Table = {
    "two letters swapped": (15_000, 7),
    "a letter twice": (15_000, 7),
    "a double letter once": (15_000, 7),
    LOOKS_ALIKE: (15_000, 6),
    "a character less": (2_000, 8),
    "a neighbouring key": (500, 8),
}
_TELLING_WITHOUT_A_TEXT: _Table = {
    "two letters swapped": (15_000, 5),
    "a letter twice": (15_000, 5),
    "a double letter once": (15_000, 5),
    LOOKS_ALIKE: (15_000, 5),
    OTHER_SEPARATORS: (15_000, 5),
    "a character less": (500, 7),
    "a character more": (500, 7),
    "a neighbouring key": (500, 7),
    "another character": (500, 7),
}
_DOUBTFUL: _Table = {
    **_TELLING_WITHOUT_A_TEXT,
    OTHER_ORDER: (5_000, 8),
    "a character less": (5_000, 6),
    "a character more": (5_000, 6),
    "a neighbouring key": (5_000, 6),
    "another character": (2_000, 7),
}


def severity_of(name: str, near: Resemblance, *, throw_away: bool) -> Severity | None:
    """How much a resemblance says by itself; None where it says nothing.

    With `throw_away` nothing but the name speaks of the project, and the name says more.
    """
    if min(len(name), len(near.target)) < MIN_CHARS or is_plain_series(name, near.target):
        return None
    if _is_in(_TELLING, name, near) or (throw_away and _is_in(_TELLING_WITHOUT_A_TEXT, name, near)):
        return Severity.HIGH
    return Severity.MEDIUM if _is_in(_DOUBTFUL, name, near) else Severity.LOW


def _is_in(table: _Table, name: str, near: Resemblance) -> bool:
    most_rank, least_chars = table.get(near.how, (0, 0))
    return near.rank <= most_rank and min(len(name), len(near.target)) >= least_chars


def pretence(upload: Upload, target: str) -> str:
    """What of the upload plays the part of `target`, in words; "" when nothing does."""
    for source in sources_of(upload.file.metadata):
        if source.name == target:
            return f"its repository is {source}"
    for module in upload.file.facts.modules:
        if upload.index.lists.popular.owner_of_module(module) == target or _normal(module) == target:
            return f"it is imported as {module}"
    if upload.file.verdict in (Verdict.SUSPICIOUS, Verdict.MALICIOUS):
        return f"its scan says {upload.file.verdict}"
    return ""


def is_throw_away(upload: Upload) -> bool:
    """Whether nobody took the trouble to describe the project: no address at all, and next to no text."""
    metadata = upload.file.metadata
    return not metadata.urls and len(metadata.description.strip()) < THROW_AWAY_CHARS


def depends_on(upload: Upload, target: str) -> bool:
    """Whether the upload requires the project that its name is near to: add-ons do, impostors rarely."""
    return target in upload.file.metadata.requires


def _normal(module: str) -> str:
    try:
        return normalize(module)
    except Refused:
        return ""
