"""Metadata that names the repository or the author of another project of this index, which has other people."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.names import look, one_edit, squash
from wheelmark.scan.context.upload import Claimant, Upload
from wheelmark.scan.report import Severity

ESTABLISHED_DAYS = 30.0
_PLACES = {"repository": "Project-URL", "email": "Author-email"}
_WORDS = {"repository": "the repository", "email": "the address"}


def check(upload: Upload) -> Iterator[Sign]:
    if not upload.project.is_young:
        return
    for claim in upload.index.claimants:
        place = _PLACES.get(claim.kind)
        if place is None or claim.age_days < ESTABLISHED_DAYS:
            continue
        alike = _is_alike(upload.project.normalized_name, claim.project)
        yield Sign(
            severity=Severity.MEDIUM if alike and claim.kind == "repository" else Severity.LOW,
            place=place,
            text=f"{_WORDS[claim.kind]} {claim.value} is also named by {claim.project}, {_since(claim)}",
            other=claim.project,
        )


def _is_alike(name: str, other: str) -> bool:
    """Whether the names are near as well: a fork under a name of its own is no impostor."""
    return one_edit(name, other) is not None or look(name) == look(other) or squash(other) in squash(name)


def _since(claim: Claimant) -> str:
    return f"here for {claim.age_days:.0f} days, with other people"


CHECK = Check(
    id="claimed-identity",
    version=1,
    family=Family.IDENTITY,
    subject=Subject.RELEASE,
    severity=Severity.MEDIUM,
    message="The metadata names the repository or the author of another project, which has other people.",
    reference="https://packaging.python.org/en/latest/specifications/well-known-project-urls/",
    check=check,
)
