"""Texts of the metadata that read as something else than they are."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.text import Misleading, misleading
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

MANY = 3
"""Places in a long text after which it is no slip of an editor any more."""


def check(upload: Upload) -> Iterator[Sign]:
    metadata = upload.file.metadata
    short = {
        "Summary": metadata.summary,
        "Author": metadata.author,
        "Author-email": metadata.author_email,
        "Maintainer": metadata.maintainer,
        "Maintainer-email": metadata.maintainer_email,
        "Keywords": "\n".join(metadata.keywords),
        "Project-URL": "\n".join(f"{label} {url}" for label, url in metadata.urls),
    }
    for place, text in short.items():
        for found in misleading(text):
            yield _sign(found, place, Severity.MEDIUM, line=0)
    in_description = misleading(metadata.description)
    many = sum(found.kind != "bidi control" for found in in_description) >= MANY
    for found in in_description:
        # An editor leaves one of these behind now and then. Turned direction it never does.
        serious = found.kind == "bidi control" or many
        yield _sign(found, "Description", Severity.MEDIUM if serious else Severity.LOW, line=found.line)


def _sign(found: Misleading, place: str, severity: Severity, *, line: int) -> Sign:
    return Sign(severity=severity, place=place, line=line, text=f"{found.kind}: {found.text}")


CHECK = Check(
    id="hidden-text",
    version=1,
    family=Family.TEXT,
    subject=Subject.RELEASE,
    severity=Severity.MEDIUM,
    message="The text has characters that make it read as something else than it is.",
    reference="https://www.unicode.org/reports/tr39/",
    check=check,
)
