"""A first release numbered to win over every other: how dependency confusion gets itself chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

_ONLY_NINES = re.compile(r"(?:[0-9]+!)?9{2,}(?:\.|$|[a-z+])")
_BEYOND = re.compile(r"(?:[0-9]+!)?[0-9]{4,}(?:\.|$|[a-z+])")
_YEAR = re.compile(r"(?:[0-9]+!)?(?:19|20)[0-9]{2}([01][0-9]([0-3][0-9]([0-9]{4,6})?)?)?(?:\.|$|[a-z+])")


def check(upload: Upload) -> Iterator[Sign]:
    if not upload.project.is_young or upload.project.other_releases:
        return
    version = upload.release.version
    if _ONLY_NINES.match(version):
        yield Sign(severity=Severity.HIGH, place="Version", text=f"the first release is {version}")
    elif _BEYOND.match(version) and not _YEAR.match(version):
        yield Sign(severity=Severity.LOW, place="Version", text=f"the first release is {version}")


CHECK = Check(
    id="inflated-version",
    version=1,
    family=Family.IDENTITY,
    subject=Subject.RELEASE,
    severity=Severity.HIGH,
    message="The first release of this new project has a version that wins over any other: dependency confusion.",
    reference="https://attack.mitre.org/techniques/T1195/001/",
    check=check,
)
