"""Spam and scams: texts that lure people and search engines, with next to no code behind them."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.lures import Lure, lures_of
from wheelmark.scan.context.text import TextTraits, traits_of
from wheelmark.scan.context.upload import Metadata, Upload
from wheelmark.scan.facts_summary import NOTHING_KNOWN
from wheelmark.scan.report import Severity

EMPTY_BYTES = 3_000
EMPTY_FILES = 4
"""So much Python code, tests and `setup.py` included, is next to none."""
FEW_WORDS = 2
"""Different words of one category that make a lure."""
MANY_WORDS = 4
DENSE_LINKS = 8.0
"""Links for each hundred words; a list of links has more, an ordinary description fewer than three."""
FARM_HOSTS = 6
DENSE_REPETITION = 0.12


def check(upload: Upload) -> Iterator[Sign]:
    if not upload.project.is_young:
        return
    metadata = upload.file.metadata
    short = " ".join((upload.project.normalized_name.replace("-", " "), metadata.summary, *metadata.keywords))
    traits = traits_of(_with_addresses(metadata))
    lures = lures_of(f"{short}\n{metadata.description}")
    lure = lures[0] if lures and len(lures[0].words) >= FEW_WORDS else None
    marks = _marks(traits)
    empty = _is_empty(upload)
    if lure is not None:
        yield Sign(
            severity=_severity(lure, marks, said_at_once=bool(_words_in(lure, short)), empty=empty),
            place="Description" if metadata.description else "Summary",
            text=_told(lure, marks, empty=empty),
        )
    elif marks and empty and traits.foreign_hosts:
        yield Sign(
            severity=Severity.MEDIUM if len(marks) > 1 else Severity.LOW,
            place="Description",
            text=f"{'; '.join(marks)}; next to no code",
        )


def _severity(lure: Lure, marks: list[str], *, said_at_once: bool, empty: bool) -> Severity:
    """High for a lure with links or numbers, and no code; libraries for games, trading or films have code."""
    if empty and marks and (len(lure.words) >= MANY_WORDS or said_at_once):
        return Severity.HIGH
    if empty and (marks or len(lure.words) >= MANY_WORDS):
        return Severity.MEDIUM
    return Severity.LOW if marks or empty else Severity.INFO


def _marks(traits: TextTraits) -> list[str]:
    """What links and numbers say, in words."""
    marks = []
    if traits.phone_numbers:
        marks.append(f"{traits.phone_numbers} freephone numbers")
    if traits.messenger_invitations:
        marks.append("an invitation to a messenger")
    if traits.shorteners:
        marks.append(f"{traits.shorteners} links through shorteners")
    if traits.foreign_hosts and traits.link_density >= DENSE_LINKS:
        marks.append(f"{traits.links} links in {traits.words} words")
    if len(traits.foreign_hosts) >= FARM_HOSTS:
        marks.append(f"links to {len(traits.foreign_hosts)} hosts")
    if traits.foreign_hosts and traits.repetition >= DENSE_REPETITION:
        marks.append(f"the same two words are {traits.repetition:.0%} of the text")
    return marks


def _is_empty(upload: Upload) -> bool:
    facts = upload.file.facts
    if facts == NOTHING_KNOWN:
        return False
    return facts.python_bytes <= EMPTY_BYTES and facts.python_files <= EMPTY_FILES and not facts.natives


def _words_in(lure: Lure, text: str) -> list[str]:
    return [word for word in lure.words if word in text.lower()]


def _told(lure: Lure, marks: list[str], *, empty: bool) -> str:
    parts = [f"{lure.category}: {', '.join(lure.words[:6])}", *marks]
    return "; ".join([*parts, "next to no code"] if empty else parts)


def _with_addresses(metadata: Metadata) -> str:
    return "\n".join((metadata.summary, metadata.description, *(url for _, url in metadata.urls)))


CHECK = Check(
    id="spam",
    version=1,
    family=Family.TEXT,
    subject=Subject.RELEASE,
    severity=Severity.HIGH,
    message="The text lures people or search engines somewhere else, and there is next to no code.",
    reference="https://pypi.org/policy/terms-of-use/",
    check=check,
)
