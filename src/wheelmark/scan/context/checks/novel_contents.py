"""Contents that the release before had not: programs, hosts, a jump in size."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.upload import Earlier, Upload
from wheelmark.scan.facts_summary import NOTHING_KNOWN
from wheelmark.scan.report import Severity

JUMP = 8.0
"""A file so many times as large as the one before, or as small, is noted."""
LEAST_BYTES = 200_000
"""Below this, small things change a file's size by large factors."""
_NEAR = frozenset({"localhost", "127.0.0.1", "0.0.0.0"})  # noqa: S104  (a name to compare with, nothing is bound)
MAX_HOSTS = 5


def check(upload: Upload) -> Iterator[Sign]:
    earlier = upload.release.earlier
    if earlier is None or not earlier.same_kind or NOTHING_KNOWN in (earlier.facts, upload.file.facts):
        return
    mine, theirs = upload.file.facts, earlier.facts
    if mine.natives and not theirs.natives:
        yield Sign(
            severity=Severity.MEDIUM if upload.release.uploader_is_new else Severity.LOW,
            place=mine.natives[0],
            text=f"{len(mine.natives)} programs or libraries, none in {earlier.version}: {', '.join(mine.natives[:3])}",
        )
    hosts = sorted(set(mine.hosts) - set(theirs.hosts) - _NEAR - _said(upload))
    if hosts:
        yield Sign(
            severity=Severity.LOW,
            place="code",
            text=f"talks to {', '.join(hosts[:MAX_HOSTS])}, which {earlier.version} did not name",
        )
    yield from _jump(upload, earlier)


def _said(upload: Upload) -> set[str]:
    """Hosts that the description or the addresses of the project name anyway."""
    texts = (upload.file.metadata.description, *(url for _, url in upload.file.metadata.urls))
    return {host for host in upload.file.facts.hosts if any(host in text for text in texts)}


def _jump(upload: Upload, earlier: Earlier) -> Iterator[Sign]:
    size, before = upload.file.size, earlier.size
    if max(size, before) < LEAST_BYTES or not before:
        return
    if size >= before * JUMP or size * JUMP <= before:
        yield Sign(severity=Severity.LOW, place="size", text=f"{size:,} bytes after {before:,} in {earlier.version}")


CHECK = Check(
    id="novel-contents",
    version=1,
    family=Family.CHANGE,
    subject=Subject.RELEASE,
    severity=Severity.MEDIUM,
    message="The file holds something that the release before did not.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
)
