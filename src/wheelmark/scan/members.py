"""Every member of a distribution, those of archives inside it too, for people who look at what a report speaks of.

The members have the paths that a report has for them, and the bounds are those of a scan. All archives are opened here,
not only those that code opens. Nothing is written to disk; hostile bytes are shown, never run.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from wheelmark.dist import DEFAULT_BOUNDS, Bounds, Entry, walk_archive
from wheelmark.errors import Refused
from wheelmark.scan.bounds import ScanBounds
from wheelmark.scan.contents import MAX_GAPS, MAX_NOTEBOOK_BYTES, NOTEBOOK_SUFFIX, free_path
from wheelmark.scan.layout import is_python
from wheelmark.scan.nested import (
    HEAD_BYTES,
    INSIDE,
    NestedBudget,
    begins_archive,
    depth_of,
    holds_archive,
    nested_entries,
)
from wheelmark.scan.scripts import is_python_script, notebook_source
from wheelmark.scan.source_encoding import readable_source

MAX_ARCHIVES = 100
"""Archives inside one distribution that are opened. Each may make us decompress what nobody asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMember:
    """One member as far as it was read."""

    path: str  # as a report has it
    size: int  # bytes that were read
    sha256: str  # of these bytes
    start: bytes  # the first of them

    def as_counted(self) -> tuple[bytes, str]:
        """The text whose lines a report counts, and what it is where that is not what the member says.

        For a source in an odd encoding it is what Python runs, for a notebook its code.
        """
        if self.path.lower().endswith(NOTEBOOK_SUFFIX) and self.size <= min(len(self.start), MAX_NOTEBOOK_BYTES):
            source = notebook_source(self.start)
            return (source, "the code of a notebook") if source else (self.start, "")
        if is_python(self.path) or is_python_script(self.start):
            text, encoding = readable_source(self.start)
            return text, f"what Python reads, for the file declares the encoding {encoding}" if encoding else ""
        return self.start, ""


@dataclass(frozen=True, slots=True)
class Gap:
    """What was not read, and why."""

    path: str  # of the archive or member; "" for the distribution itself
    reason: str

    def covers(self, path: str) -> bool:
        """Whether this may be why a member of that path was not read."""
        return not self.path or path == self.path or path.startswith(self.path + INSIDE)


class MemberReader:
    """Reads the members of one distribution, first its own, then those of archives; `gaps` has what was not read.

    `keep_bytes` is how much of each member is kept. Where some are `wanted`, only these are read, and what leads to
    them. Without `inside` no archive is opened, without `to_the_end` a member is read no further than it is kept.
    """

    def __init__(
        self,
        *,
        keep_bytes: int,
        wanted: Collection[str] | None = None,
        inside: bool = True,
        to_the_end: bool = True,
        bounds: ScanBounds = ScanBounds(),  # noqa: B008 - immutable
        archive_bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        self.gaps: list[Gap] = []
        self._keep_bytes = keep_bytes
        self._wanted = None if wanted is None else frozenset(wanted)
        self._opens = inside
        self._to_the_end = to_the_end
        self._bounds = bounds
        self._archive_bounds = archive_bounds
        self._budget = NestedBudget.for_scan(bounds)
        self._left_archive_bytes = bounds.max_total_archive_bytes
        self._taken: set[str] = set()
        self._archives: deque[tuple[str, bytes]] = deque()

    def members(self, stream: BinaryIO, *, filename: str) -> Iterator[ReadMember]:
        """The members that are wanted. Never raises for what the archive holds: see `gaps`."""
        try:
            for entry in walk_archive(stream, filename=filename, bounds=self._archive_bounds):
                if entry.kind == "file":
                    yield from self._read(entry.path, entry)
        except Refused as error:
            self._gap("", str(error))
        opened = 0
        # As in a scan, archives come after all that lies beside them, so that the same paths are taken.
        while self._archives:
            path, raw = self._archives.popleft()
            opened += 1
            if opened > MAX_ARCHIVES:
                self._gap("", f"expected at most {MAX_ARCHIVES} archives inside one distribution, got more")
                return
            yield from self._inside(path, raw)

    def why_not(self, path: str) -> str:
        """Why a member was not read; "" when nothing says so, and then there is none of this path."""
        untold = "more was not read than is told" if len(self.gaps) == MAX_GAPS else ""
        return next((gap.reason for gap in self.gaps if gap.covers(path)), untold)

    def _wants(self, path: str) -> bool:
        if self._wanted is None or path in self._wanted:
            return True
        return any(wanted.startswith(path + INSIDE) for wanted in self._wanted)

    def _inside(self, path: str, raw: bytes) -> Iterator[ReadMember]:
        try:
            for entry in nested_entries(path, raw, self._budget):
                for member in self._read(f"{path}{INSIDE}{entry.path}", entry):
                    self._budget.left_bytes -= member.size
                    yield member
        except Refused as error:
            self._gap(path, str(error))

    def _read(self, path: str, entry: Entry) -> Iterator[ReadMember]:
        """The member, when it is wanted. What came before it broke is given, too: an installer may have written it."""
        path = free_path(path, self._taken)
        self._taken.add(path)
        if not self._wants(path):
            return
        digest, size, keep, start = hashlib.sha256(), 0, 0, bytearray()
        try:
            for chunk in entry.chunks():
                keep = keep or self._worth(path, chunk)
                digest.update(chunk)
                size += len(chunk)
                start += chunk[: max(keep - len(start), 0)]
                if size > keep and not self._to_the_end:
                    break
        except Refused as error:
            self._gap(path, str(error))
        raw = bytes(start)
        self._remember(path, raw, size)
        yield ReadMember(path=path, size=size, sha256=digest.hexdigest(), start=raw[: self._keep_bytes])

    def _worth(self, path: str, head: bytes) -> int:
        """How many bytes of a member are kept: enough to open it where it may be an archive."""
        if not self._opens:
            return self._keep_bytes
        if begins_archive(head[:HEAD_BYTES]):
            return max(self._bounds.max_archive_bytes, self._keep_bytes)
        return max(self._bounds.max_source_bytes, self._keep_bytes) if is_python(path) else self._keep_bytes

    def _remember(self, path: str, raw: bytes, size: int) -> None:
        """Keep an archive, to open it later."""
        if not self._opens or not (begins_archive(raw[:HEAD_BYTES]) or (size == len(raw) and holds_archive(raw))):
            return
        limit = min(self._bounds.max_archive_bytes, self._left_archive_bytes)
        if depth_of(path) >= self._bounds.max_nesting:
            self._gap(path, f"expected archives in at most {self._bounds.max_nesting} levels, got more")
        elif size > limit:
            self._gap(path, f"expected at most {limit} bytes of an archive inside the distribution, got more")
        else:
            self._left_archive_bytes -= size
            self._archives.append((path, raw))

    def _gap(self, path: str, reason: str) -> None:
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(Gap(path, reason))
