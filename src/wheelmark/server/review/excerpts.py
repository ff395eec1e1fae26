"""The lines around findings, read from the stored archive within small bounds, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from wheelmark.errors import WheelmarkError
from wheelmark.server.projects.models import File
from wheelmark.server.review.archives import MAX_ARCHIVE_BYTES, READ_BOUNDS, lines_of, opened
from wheelmark.server.web.wording import Run, code_line
from wheelmark.store import Store

MAX_MEMBER_BYTES = 1_048_576
"""What is read of one member; a finding further down shows its evidence alone."""
MAX_MEMBERS_READ = 20
MAX_LINE_CHARS = 400
CONTEXT_LINES = 3

Place = tuple[str, int]
"""Member and 1-based line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is drawn."""

    number: int
    runs: tuple[Run, ...]
    marked: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some lines of one member."""

    member: str
    lines: tuple[Line, ...]
    reading: str = ""  # what these are lines of, where that is not what the member says

    @property
    def first(self) -> int:
        """Number of the first line."""
        return self.lines[0].number

    @property
    def last(self) -> int:
        """Number of the last line."""
        return self.lines[-1].number

    def shows(self, evidence: str) -> bool:
        """Whether the marked line has this text in it, as it stands."""
        return any(evidence in run.text for line in self.lines if line.marked for run in line.runs)


@dataclass(frozen=True, slots=True)
class NoCode:
    """Why there are no lines around a finding; `in_code` when the page of the whole member may show them."""

    reason: str
    in_code: bool = False


@dataclass(frozen=True, slots=True)
class Excerpts:
    """What can be shown of findings: the lines, or why there are none."""

    by_place: Mapping[Place, Excerpt]
    why_none: Mapping[Place, NoCode]


def read_excerpts(store: Store, file: File, findings: Sequence[Mapping[str, Any]]) -> Excerpts:
    """The lines around each finding that names a line, as far as the bounds allow; also inside archives.

    Where a line is missing the desk shows the finding's own evidence, and why. The archive is hostile and its bytes are
    shown, never run.
    """
    wanted: dict[str, dict[int, str]] = {}
    for finding in findings:
        if finding.get("line"):
            wanted.setdefault(str(finding["member"]), {})[int(finding["line"])] = str(finding.get("evidence", ""))
    excerpts: dict[Place, Excerpt] = {}
    why: dict[Place, NoCode] = {}
    if wanted and file.size > MAX_ARCHIVE_BYTES:
        _say(why, wanted, f"the file is larger than the {MAX_ARCHIVE_BYTES:,} bytes that are opened here")
    elif wanted:
        read = dict(list(wanted.items())[:MAX_MEMBERS_READ])
        beyond = {member: wanted[member] for member in wanted.keys() - read}
        _say(why, beyond, f"this page reads {MAX_MEMBERS_READ} members, and others have worse findings", in_code=True)
        try:
            with opened(store, file) as stream:
                _collect(stream, file.filename, read, excerpts, why)
        except WheelmarkError as error:
            _say(why, read, str(error))
    return Excerpts(excerpts, why)


def _collect(
    stream: BinaryIO,
    filename: str,
    wanted: dict[str, dict[int, str]],
    excerpts: dict[Place, Excerpt],
    why: dict[Place, NoCode],
) -> None:
    """Take the wanted members out of the archive; what is left of `wanted` is said `why`, and taken out, too."""
    from wheelmark.scan.members import MemberReader  # late: the web process needs no scanner until then

    reader = MemberReader(keep_bytes=MAX_MEMBER_BYTES, wanted=wanted, to_the_end=False, archive_bounds=READ_BOUNDS)
    for member in reader.members(stream, filename=filename):
        places = wanted.pop(member.path, {})
        counted, reading = member.as_counted()
        lines = lines_of(counted.decode("utf-8", errors="backslashreplace").removeprefix("\ufeff"))
        for number, evidence in places.items():
            if number <= len(lines):
                excerpts[member.path, number] = _excerpt(member.path, lines, number, evidence, reading)
            elif reason := reader.why_not(member.path):
                why[member.path, number] = NoCode(reason)
            else:
                there_is_more = member.size > len(member.start)
                why[member.path, number] = NoCode(f"{len(lines):,} lines of the member were read", there_is_more)
        if not wanted:
            return
    for path in list(wanted):
        _say(why, {path: wanted.pop(path)}, reader.why_not(path) or "the file has no member of this path")


def _say(
    why: dict[Place, NoCode], wanted: Mapping[str, Mapping[int, str]], reason: str, *, in_code: bool = False
) -> None:
    why.update({(member, line): NoCode(reason, in_code) for member, lines in wanted.items() for line in lines})


def _excerpt(member: str, lines: list[str], marked: int, evidence: str, reading: str) -> Excerpt:
    first, last = max(1, marked - CONTEXT_LINES), min(len(lines), marked + CONTEXT_LINES)
    return Excerpt(
        member,
        tuple(
            Line(
                number=number,
                runs=tuple(
                    code_line(
                        lines[number - 1], evidence=evidence if number == marked else "", max_chars=MAX_LINE_CHARS
                    )
                ),
                marked=number == marked,
            )
            for number in range(first, last + 1)
        ),
        reading,
    )
