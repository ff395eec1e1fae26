"""A new project whose name is one slip away from an established project of this index, of other people."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.checks._names import depends_on, pretence, severity_of
from wheelmark.scan.context.names import look, one_edit, word_orders
from wheelmark.scan.context.popular import LOOKS_ALIKE, OTHER_ORDER, Resemblance
from wheelmark.scan.context.upload import LocalProject, Upload
from wheelmark.scan.report import Severity

ESTABLISHED_DAYS = 90.0
ESTABLISHED_RELEASES = 3
LOCAL_RANK = 1_000
"""An established project of this index is worth as much as so well known a one."""


def check(upload: Upload) -> Iterator[Sign]:
    name = upload.project.normalized_name
    if not upload.project.is_young or upload.index.lists.popular.rank(name) is not None:
        return
    for local in upload.index.near:
        how = _resemblance(name, local.normalized_name)
        if how is None or local.shares_collaborator or not _is_established(local):
            continue
        near = Resemblance(LOCAL_RANK, local.normalized_name, how)
        severity = severity_of(name, near, throw_away=False)
        if severity is None:
            continue
        why = pretence(upload, local.normalized_name)
        if why and severity is not Severity.LOW:
            severity = Severity.HIGH
        elif depends_on(upload, local.normalized_name):
            severity = Severity.LOW
        elif severity is Severity.HIGH:
            severity = Severity.MEDIUM  # on a small index, names are near one another because their owners are
        yield Sign(
            severity=severity,
            place="Name",
            text=f"{name} is {local.normalized_name} with {how}" + (f"; {why}" if why else ""),
            other=local.normalized_name,
        )


def _is_established(local: LocalProject) -> bool:
    return local.age_days >= ESTABLISHED_DAYS and local.releases >= ESTABLISHED_RELEASES


def _resemblance(name: str, other: str) -> str | None:
    slip = one_edit(name, other)
    if slip is not None:
        return slip
    if look(name) == look(other):
        return LOOKS_ALIKE
    return OTHER_ORDER if other in word_orders(name) else None


CHECK = Check(
    id="local-typosquat",
    version=1,
    family=Family.NAME,
    subject=Subject.PROJECT,
    severity=Severity.HIGH,
    message="The name of this new project is easily mistaken for an established project of this index.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
)
