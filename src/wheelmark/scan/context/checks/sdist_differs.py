"""A wheel whose modules are not those of its own sdist: what people read is not what they install."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

MAX_NAMED = 3
# Written by build backends, and different in each file for good reason.
_GENERATED = frozenset({"_version.py", "version.py", "__version__.py", "_version_info.py", "__about__.py"})
_MANY = 0.2
"""When a larger part of the modules differs, the build rewrites code, and no single module counts."""


def check(upload: Upload) -> Iterator[Sign]:
    mine = dict(upload.file.python_digests)
    for sibling in upload.release.siblings:
        other = dict(sibling.python_digests)
        if not mine or not other or sibling.is_wheel == upload.file.is_wheel:
            continue
        wheel, sdist = (mine, other) if upload.file.is_wheel else (other, mine)
        changed = sorted(path for path in wheel if path in sdist and _differs(path, wheel, sdist))
        added = sorted(path for path in wheel if path not in sdist and not _is_generated(path))
        shared = sum(path in sdist for path in wheel)
        if not shared:
            continue  # another layout: nothing can be compared
        found = changed if len(changed) <= max(1, shared * _MANY) else []
        for path in found[:MAX_NAMED]:
            yield Sign(
                severity=_severity(upload, path),
                place=path,
                text=f"{path} is another file in {sibling.filename} ({len(changed)} of {shared} modules differ)",
                other="",
            )
        if added and len(added) <= max(1, shared * _MANY):
            yield Sign(
                severity=max((_severity(upload, path) for path in added), key=lambda each: each.rank),
                place=added[0],
                text=f"only in the wheel: {', '.join(added[:MAX_NAMED])} ({len(added)} of {len(wheel)} modules)",
            )


def _differs(path: str, wheel: Mapping[str, str], sdist: Mapping[str, str]) -> bool:
    return wheel[path] != sdist[path] and not _is_generated(path)


def _is_generated(path: str) -> bool:
    return path.rpartition("/")[2] in _GENERATED or path.endswith(("_pb2.py", "_pb2_grpc.py"))


def _severity(upload: Upload, path: str) -> Severity:
    """Medium where the scanner found something in that very module."""
    flagged = any(
        finding.severity.rank >= Severity.MEDIUM.rank and finding.member.endswith(path)
        for finding in upload.file.findings
    )
    return Severity.MEDIUM if flagged else Severity.LOW


CHECK = Check(
    id="sdist-differs",
    version=1,
    family=Family.CHANGE,
    subject=Subject.RELEASE,
    severity=Severity.MEDIUM,
    message="Wheel and sdist of this release hold different code.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
)
