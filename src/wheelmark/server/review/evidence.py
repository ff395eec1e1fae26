"""What a report speaks of, for reading: the code with the findings marked, and what is new since another file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet

from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import LISTED
from wheelmark.server.review.archives import Member, Members, lines_of
from wheelmark.server.review.models import Scan
from wheelmark.server.review.queries import badness
from wheelmark.server.web.wording import Run, code_line

LINES_A_PAGE = 800
LINES_ABOVE = 10
MAX_LINE_CHARS = 400
MAX_OTHERS = 50
"""Files of the same project that a moderator can choose from to compare with."""

_LISTED = [state.value for state in LISTED]


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One line of a member, with what was found in it."""

    number: int
    runs: tuple[Run, ...]
    findings: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePage:
    """Some lines of one member. `previous` and `next` are first lines of other pages, None where there are none."""

    member: Member
    lines: tuple[CodeLine, ...]
    total: int
    previous: int | None
    next: int | None


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member in the list."""

    member: Member
    findings: int
    worst: str  # severity, "" without findings


def newest_scan(file: File) -> Scan | None:
    """The scan that counts."""
    return Scan.objects.filter(file=file).first()


def member_rows(members: Members, findings: Sequence[Mapping[str, Any]]) -> list[MemberRow]:
    """All members, those with findings first, the worst on top."""
    counts = Counter(str(finding.get("member", "")) for finding in findings)
    worst: dict[str, str] = {}
    for finding in sorted(findings, key=badness):
        worst.setdefault(str(finding.get("member", "")), str(finding.get("severity", "")))
    rows = [MemberRow(each, counts[each.path], worst.get(each.path, "")) for each in members.by_place.values()]
    return sorted(rows, key=lambda row: (not row.findings, badness({"severity": row.worst}), row.member.path))


def unread_places(members: Members, findings: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Members with findings that are not among those that were read, and how many lie in each; the worst first.

    A list that left them out would look like one of all findings.
    """
    read = {member.path for member in members.by_place.values()}
    named = [str(finding.get("member", "")) for finding in sorted(findings, key=badness)]
    counts = Counter(member for member in named if member and member not in read)
    return list(counts.items())


def code_page(member: Member, findings: Sequence[Mapping[str, Any]], *, first: int) -> CodePage | None:
    """The page of a member that begins with this line; None when it is no text."""
    if member.text is None:
        return None
    lines = lines_of(member.text)
    by_line: dict[int, list[Mapping[str, Any]]] = {}
    for finding in findings:
        if finding.get("member") == member.path:
            by_line.setdefault(int(finding.get("line") or 0), []).append(finding)
    start = max(1, min(first, len(lines)))
    stop = min(len(lines), start + LINES_A_PAGE - 1)
    return CodePage(
        member=member,
        lines=tuple(_line(number, lines[number - 1], by_line.get(number, [])) for number in range(start, stop + 1)),
        total=len(lines),
        previous=max(1, start - LINES_A_PAGE) if start > 1 else None,
        next=stop + 1 if stop < len(lines) else None,
    )


def without_line(member: Member, findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Findings in a member that name no line, or one that it does not show: they must stand somewhere, too."""
    last = len(lines_of(member.text)) if member.text is not None else 0
    mine = [finding for finding in findings if finding.get("member") == member.path]
    return [finding for finding in mine if not 1 <= int(finding.get("line") or 0) <= last]


def query_of_line(member: str, line: int) -> str:
    """What follows `?` in the address of the code page that shows this line a little below its top, and leads to it."""
    return f"{urlencode({'member': member, 'from': max(1, line - LINES_ABOVE)})}#line-{line}"


def to_compare_with(file: File) -> QuerySet[File]:
    """Files of the same project, the most telling first: what was listed before it, of its own kind, the newest."""
    others = File.objects.filter(release__project=file.release.project).exclude(pk=file.pk)
    return others.select_related("release").order_by("-uploaded_at")[:MAX_OTHERS]


def previous_file(file: File, others: Sequence[File]) -> File | None:
    """The file that an installer would have had before this one: uploaded earlier, same kind, listed if any is."""
    earlier = [other for other in others if other.uploaded_at <= file.uploaded_at and other.kind == file.kind]
    earlier = [other for other in earlier if other.release_id != file.release_id] or earlier
    earlier.sort(
        key=lambda other: (other.state in _LISTED, _same_platform(file, other), other.uploaded_at), reverse=True
    )
    return earlier[0] if earlier else None


def _same_platform(file: File, other: File) -> bool:
    """Whether the tags at the end of both names are the same."""
    return file.filename.rsplit("-", 3)[1:] == other.filename.rsplit("-", 3)[1:]


def _line(number: int, text: str, findings: Sequence[Mapping[str, Any]]) -> CodeLine:
    evidence = str(findings[0].get("evidence", "")) if findings else ""
    return CodeLine(number, tuple(code_line(text, evidence=evidence, max_chars=MAX_LINE_CHARS)), tuple(findings))
