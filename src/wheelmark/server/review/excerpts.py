"""The lines around findings, read from the stored archive within small bounds, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from wheelmark.dist import walk_archive
from wheelmark.errors import WheelmarkError
from wheelmark.server.projects.models import File
from wheelmark.server.review.archives import MAX_ARCHIVE_BYTES, READ_BOUNDS, lines_of, opened
from wheelmark.server.web.wording import Run, code_line
from wheelmark.store import Store

MAX_MEMBER_BYTES = 1_000_000
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


def read_excerpts(store: Store, file: File, findings: Sequence[Mapping[str, Any]]) -> dict[Place, Excerpt]:
    """The lines around each finding that names a line, as far as the bounds allow.

    What is missing is missing: the desk then shows the finding's own evidence. The archive is hostile and its bytes
    are shown, never run.
    """
    wanted: dict[str, dict[int, str]] = {}
    for finding in findings:
        if finding.get("line"):
            wanted.setdefault(str(finding["member"]), {})[int(finding["line"])] = str(finding.get("evidence", ""))
    excerpts: dict[Place, Excerpt] = {}
    if not wanted or file.size > MAX_ARCHIVE_BYTES:
        return excerpts
    try:
        with opened(store, file) as stream:
            _collect(stream, file.filename, dict(list(wanted.items())[:MAX_MEMBERS_READ]), excerpts)
    except WheelmarkError:
        return excerpts
    return excerpts


def _collect(
    stream: BinaryIO, filename: str, wanted: dict[str, dict[int, str]], excerpts: dict[Place, Excerpt]
) -> None:
    for entry in walk_archive(stream, filename=filename, bounds=READ_BOUNDS):
        places = wanted.pop(entry.path, None) if entry.kind == "file" else None
        if places is not None:
            source = entry.read(MAX_MEMBER_BYTES).decode("utf-8", errors="backslashreplace").removeprefix("\ufeff")
            lines = lines_of(source)
            for number, evidence in places.items():
                if number <= len(lines):
                    excerpts[entry.path, number] = _excerpt(entry.path, lines, number, evidence)
        if not wanted:
            return


def _excerpt(member: str, lines: list[str], marked: int, evidence: str) -> Excerpt:
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
    )
