"""A new project whose name is one slip of the hand, or one look, away from a well-known one."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.checks._names import depends_on, is_throw_away, pretence, severity_of
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

MAX_NAMED = 3


def check(upload: Upload) -> Iterator[Sign]:
    name = upload.project.normalized_name
    if not upload.project.is_young:
        return
    throw_away = is_throw_away(upload)
    for near in upload.index.lists.popular.near(name)[:MAX_NAMED]:
        severity = severity_of(name, near, throw_away=throw_away)
        if severity is None:
            continue
        why = pretence(upload, near.target)
        if why and severity is not Severity.LOW:
            severity = Severity.HIGH
        elif depends_on(upload, near.target):
            severity = Severity.LOW  # it builds upon the other one, and says so
        yield Sign(
            severity=severity,
            place="Name",
            text=f"{name} is {near.target} with {near.how}" + (f"; {why}" if why else ""),
            other=near.target,
        )


CHECK = Check(
    id="typosquat",
    version=1,
    family=Family.NAME,
    subject=Subject.PROJECT,
    severity=Severity.HIGH,
    message="The name of this new project is easily mistaken for a well-known one.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
)
