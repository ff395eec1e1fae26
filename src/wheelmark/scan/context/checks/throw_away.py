"""Nobody took the trouble to say what it is: no address, hardly a text. A small prior: honest beginners do so, too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.checks._names import is_throw_away
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

# What says of itself that it is there to be installed by mistake.
_CONFUSION = re.compile(
    r"(?i)dependency[\s-]?confusion|bug[\s-]?bounty|\bhackerone\b|\bbugcrowd\b|package[\s-]takeover|"
    r"name[\s-]?squat|security research (?:purposes?|package|poc)|\bpoc\b.{0,40}\b(?:package|takeover|confusion)"
)
_FROM_TEMPLATE = re.compile(
    r"(?i)a small example package|my (?:first|short) (?:python )?(?:package|description)|lorem ipsum|"
    r"add your description here|description of my package|put your description"
)


def check(upload: Upload) -> Iterator[Sign]:
    if not upload.project.is_young:
        return
    metadata = upload.file.metadata
    for place, text in (("Summary", metadata.summary), ("Description", metadata.description[:2_000])):
        match = _CONFUSION.search(text)
        if match is not None:
            yield Sign(
                severity=Severity.MEDIUM,
                place=place,
                text=text[max(0, match.start() - 60) : match.end() + 60],
                message="The project says of itself that it is there to be installed by mistake.",
            )
        elif (match := _FROM_TEMPLATE.search(text)) is not None:
            yield Sign(severity=Severity.INFO, place=place, text=match.group())
    if is_throw_away(upload):
        yield Sign(
            severity=Severity.LOW,
            place="Description",
            text=f"{len(metadata.description.strip())} characters, no address",
        )


CHECK = Check(
    id="throw-away",
    version=1,
    family=Family.TEXT,
    subject=Subject.RELEASE,
    severity=Severity.MEDIUM,
    message="The project hardly says what it is.",
    reference="https://packaging.python.org/en/latest/specifications/core-metadata/",
    check=check,
)
