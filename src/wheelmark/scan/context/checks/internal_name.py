"""A name that the operator keeps for certain accounts, from somebody else: dependency confusion."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity


def check(upload: Upload) -> Iterator[Sign]:
    name = upload.project.normalized_name
    for internal in upload.index.lists.internal:
        pattern = internal.pattern_of(name)
        if pattern is not None and upload.uploader.name not in internal.accounts:
            yield Sign(
                severity=Severity.HIGH,
                place="Name",
                text=f"{name} fits {pattern}, and {upload.uploader.name or 'the uploader'} is none of its accounts",
            )


CHECK = Check(
    id="internal-name",
    version=1,
    family=Family.IDENTITY,
    subject=Subject.PROJECT,
    severity=Severity.HIGH,
    message="The operator keeps this name for accounts of the organisation, and another one uploads to it.",
    reference="https://attack.mitre.org/techniques/T1195/001/",
    check=check,
)
