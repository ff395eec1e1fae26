"""Who uploads: an account made for the occasion, or one whose files were rejected before. A small prior."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

FRESH_DAYS = 2.0


def check(upload: Upload) -> Iterator[Sign]:
    account = upload.uploader
    if account.rejected_files:
        yield Sign(
            severity=Severity.MEDIUM,
            place="uploader",
            text=f"{account.rejected_files} earlier files of {account.name} were rejected",
            message="Moderators rejected files of this account before.",
        )
    elif (
        account.age_days is not None
        and account.age_days < FRESH_DAYS
        and not account.has_second_factor
        and not account.is_trusted_publisher
        and upload.project.is_young
    ):
        yield Sign(
            severity=Severity.LOW,
            place="uploader",
            text=f"{account.name} is {account.age_days:.1f} days old and has no second factor",
        )


CHECK = Check(
    id="fresh-account",
    version=1,
    family=Family.ACCOUNT,
    subject=Subject.FILE,
    severity=Severity.MEDIUM,
    message="The account is new and protected by a password alone.",
    reference="https://attack.mitre.org/techniques/T1585/",
    check=check,
)
