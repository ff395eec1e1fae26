"""Reads a distribution into memory within bounds: all sources, small data files, and the heads of everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from wheelmark.dist import ArchiveBroken, ArchiveTooLarge, Bounds, Entry, walk_archive
from wheelmark.scan.bounds import ScanBounds
from wheelmark.scan.layout import is_native, is_python
from wheelmark.scan.source_encoding import readable_source

HEAD_BYTES = 64
MAX_GAPS = 20
_STARTUP_SUFFIXES = (".pth", ".start")
# Never code, and often many: not worth the memory.
_NEVER_CODE = (
    *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".woff", ".woff2", ".ttf", ".pdf"),
    *(".mo", ".po", ".css", ".map", ".rst", ".md", ".html"),
)


@dataclass(slots=True)
class Contents:
    """What was read of one archive. `gaps` says what was not."""

    sources: dict[str, bytes] = field(default_factory=dict)
    sides: dict[str, bytes] = field(default_factory=dict)  # small files that are no Python
    natives: dict[str, int] = field(default_factory=dict)  # path of an executable or library -> size
    sizes: dict[str, int] = field(default_factory=dict)
    encodings: dict[str, str] = field(default_factory=dict)  # of the sources that declare an odd one
    gaps: list[str] = field(default_factory=list)

    def keep_source(self, path: str, raw: bytes) -> None:
        """Keep the source of a module, in UTF-8 where it declares an encoding that hides what it says."""
        self.sources[path], encoding = readable_source(raw)
        if encoding:
            self.encodings[path] = encoding

    def gap(self, reason: str) -> None:
        """Remember that something was not looked at."""
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(reason)


def read_contents(stream: BinaryIO, *, filename: str, bounds: ScanBounds, archive_bounds: Bounds) -> Contents:
    """Everything of an archive that the scanner looks at. Never raises for what the archive holds: see `gaps`."""
    taker = _Taker(Contents(), bounds, bounds.max_total_source_bytes, bounds.max_total_side_bytes)
    contents = taker.contents
    try:
        for entry in walk_archive(stream, filename=filename, bounds=archive_bounds):
            if entry.kind != "file":
                continue
            path = entry.path
            while path in contents.sizes:
                # The same name twice: an installer takes one of the two, so look at both.
                path = f"{path.removesuffix('.py')}#again.py" if is_python(path) else f"{path}#again"
            contents.sizes[path] = entry.size
            try:
                taker.take(path, entry)
            except ArchiveBroken as error:
                contents.gap(f"{path}: {error}")
    except (ArchiveTooLarge, ArchiveBroken) as error:
        contents.gap(str(error))
    return contents


@dataclass(slots=True)
class _Taker:
    """Takes members into `contents` while the bounds last."""

    contents: Contents
    bounds: ScanBounds
    left_source_bytes: int
    left_side_bytes: int

    def take(self, path: str, entry: Entry) -> None:
        if is_python(path):
            self._take_source(path, entry)
        elif path.lower().endswith(_STARTUP_SUFFIXES):
            self._take_startup(path, entry)
        else:
            self._take_side(path, entry)

    def _take_source(self, path: str, entry: Entry) -> None:
        limit = min(self.bounds.max_source_bytes, self.left_source_bytes)
        raw = entry.read(limit + 1)
        if len(raw) > limit:
            self.contents.gap(f"{path}: expected at most {limit} bytes of source, got more")
            return
        self.left_source_bytes -= len(raw)
        self.contents.keep_source(path, raw)

    def _take_startup(self, path: str, entry: Entry) -> None:
        raw = entry.read(self.bounds.max_side_bytes + 1)
        if len(raw) > self.bounds.max_side_bytes:
            self.contents.gap(
                f"{path}: expected at most {self.bounds.max_side_bytes} bytes to run at start-up, got more"
            )
            return
        self.contents.sides[path] = raw

    def _take_side(self, path: str, entry: Entry) -> None:
        limit = min(self.bounds.max_side_bytes, self.left_side_bytes)
        whole = entry.size <= limit and not path.lower().endswith(_NEVER_CODE)
        raw = entry.read(limit + 1 if whole else HEAD_BYTES)
        if is_native(raw[:HEAD_BYTES]):
            self.contents.natives[path] = entry.size
        elif whole and len(raw) <= limit:
            self.left_side_bytes -= len(raw)
            self.contents.sides[path] = raw
