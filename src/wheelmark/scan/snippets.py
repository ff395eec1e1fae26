"""The source lines that findings speak of, read out of the scanned file once more for logs that show them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from wheelmark.dist import ArchiveBroken, ArchiveTooLarge, walk_archive
from wheelmark.scan.engine import ARCHIVE_BOUNDS
from wheelmark.scan.report import Report
from wheelmark.scan.source_encoding import decode_source

MAX_LINE = 300  # characters
MAX_MEMBER_BYTES = 8 * 1024 * 1024
_LINE_END = re.compile(r"\r\n|\r|\n")  # where Python ends lines; `splitlines` knows further ones


def snippets_of(report: Report, path: Path, *, filename: str, root: str = "") -> dict[tuple[str, str, int], str]:
    """The lines of all findings and steps, by file of the report, member and line; what cannot be read is left out.

    `root` is what the members of the archive have before the paths of the report.
    """
    wanted = _wanted(report)
    found: dict[tuple[str, str, int], str] = {}
    if not wanted:
        return found
    try:
        with path.open("rb") as stream:
            for entry in walk_archive(stream, filename=filename, bounds=ARCHIVE_BOUNDS):
                member = entry.path.removeprefix(root)
                lines = wanted.pop(member, None)
                if lines is None or entry.kind != "file":
                    continue
                texts = _LINE_END.split(decode_source(entry.read(MAX_MEMBER_BYTES)))
                for line in lines:
                    if line <= len(texts):
                        found[report.file, member, line] = texts[line - 1][:MAX_LINE]
    except (OSError, ArchiveBroken, ArchiveTooLarge):
        return found
    return found


def _wanted(report: Report) -> dict[str, set[int]]:
    places: Iterable[tuple[str, int]] = [
        *((finding.member, finding.line) for finding in report.findings),
        *((step.member, step.line) for finding in report.findings for step in finding.flow),
    ]
    wanted: dict[str, set[int]] = {}
    for member, line in places:
        if line > 0:
            wanted.setdefault(member, set()).add(line)
    return wanted
