"""An account that never uploaded to this project before."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity


def check(upload: Upload) -> Iterator[Sign]:
    if upload.release.uploader_is_new and upload.release.earlier is not None:
        yield Sign(
            severity=Severity.LOW,
            place="uploader",
            text=f"{upload.uploader.name}; the release before came from {upload.release.earlier.uploader}",
        )


CHECK = Check(
    id="new-uploader",
    version=1,
    family=Family.ACCOUNT,
    subject=Subject.RELEASE,
    severity=Severity.LOW,
    message="The uploader never uploaded to this project before.",
    reference="https://attack.mitre.org/techniques/T1078/",
    check=check,
)
