"""Reads a distribution into memory within bounds: all sources, small data files, and the heads of everything else."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from wheelmark.dist import ArchiveBroken, ArchiveTooLarge, Bounds, Entry, walk_archive
from wheelmark.scan.bounds import MIB, ScanBounds
from wheelmark.scan.executables import Executable, read_executable
from wheelmark.scan.layout import is_native, is_pure, is_python
from wheelmark.scan.nested import HEAD_BYTES as ARCHIVE_HEAD_BYTES
from wheelmark.scan.nested import INSIDE, NestedBudget, begins_archive, depth_of, holds_archive, nested_entries
from wheelmark.scan.scripts import is_python_script, notebook_source
from wheelmark.scan.source_encoding import readable_source

HEAD_BYTES = 64
# Executables in a wheel for one platform are what it is for; only small ones are looked into there.
MAX_ODD_BYTES, MAX_TOTAL_ODD_BYTES = 16 * MIB, 32 * MIB
MAX_EXPECTED_BYTES, MAX_TOTAL_EXPECTED_BYTES = MIB // 2, 4 * MIB
NOTEBOOK_SUFFIX = ".ipynb"
MAX_NOTEBOOK_BYTES = 1024 * 1024
MAX_GAPS = 20
STARTUP_SUFFIXES = (".pth", ".start")
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
    executables: dict[str, Executable] = field(default_factory=dict)  # of `natives`, those that were looked into
    archives: dict[str, bytes] = field(default_factory=dict)  # not looked into until code is seen to open them
    encodings: dict[str, str] = field(default_factory=dict)  # of the sources that declare an odd one
    gaps: list[str] = field(default_factory=list)

    def keep_source(self, path: str, raw: bytes) -> None:
        """Keep the source of a module, in UTF-8 where it declares an encoding that hides what it says."""
        self.sources[path], encoding = readable_source(raw)
        if encoding:
            self.encodings[path] = encoding

    def free_path(self, path: str) -> str:
        """The path, or another one where it is taken: an installer takes one of two such members, so look at both."""
        return free_path(path, self.sizes)

    def gap(self, reason: str) -> None:
        """Remember that something was not looked at."""
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(reason)


def free_path(path: str, taken: Container[str]) -> str:
    """The path that a report has for a member: its own, or where that is taken, one that says so."""
    while path in taken:
        path = f"{path.removesuffix('.py')}#again.py" if is_python(path) else f"{path}#again"
    return path


class NestedReader:
    """Opens the archives inside a distribution, each once, when code is seen to use them."""

    def __init__(self, contents: Contents, bounds: ScanBounds) -> None:
        self.contents = contents
        self._bounds = bounds
        self._budget = NestedBudget.for_scan(bounds)
        self._taker = _Taker(contents, bounds)
        self._opened: dict[str, tuple[str, ...]] = {}
        self._gaps: dict[str, list[str]] = {}

    def open(self, path: str, *, must: bool) -> tuple[str, ...]:
        """Read an archive's members into the contents and give their paths.

        What was not looked at is a gap where code `must` be known, because nobody has to ask for it to run.
        """
        gaps = self._gaps.setdefault(path, [])
        found = self._opened.get(path)
        if found is None:
            found = self._opened[path] = tuple(self._members(path, gaps))
        if must:
            for reason in gaps:
                self.contents.gap(reason)
            gaps.clear()
        return found

    def _members(self, path: str, gaps: list[str]) -> Iterator[str]:
        raw = self.contents.archives[path]
        if not raw:
            gaps.append(f"{path}: expected an archive of a size and depth that is looked into, got more")
            return
        try:
            for entry in nested_entries(path, raw, self._budget):
                inner = self.contents.free_path(f"{path}{INSIDE}{entry.path}")
                self.contents.sizes[inner] = entry.size
                yield inner
                before = self._bytes_left()
                try:
                    self._taker.take(inner, entry)
                except ArchiveBroken as error:
                    gaps.append(f"{inner}: {error}")
                self._budget.left_bytes -= before - self._bytes_left()
        except (ArchiveTooLarge, ArchiveBroken) as error:
            gaps.append(f"{path}: {error}")

    def _bytes_left(self) -> int:
        return self._taker.left_source_bytes + self._taker.left_side_bytes + self._taker.left_archive_bytes


def read_contents(stream: BinaryIO, *, filename: str, bounds: ScanBounds, archive_bounds: Bounds) -> Contents:
    """Everything of an archive that the scanner looks at. Never raises for what the archive holds: see `gaps`."""
    taker = _Taker(Contents(), bounds, is_pure=is_pure(filename))
    contents = taker.contents
    try:
        for entry in walk_archive(stream, filename=filename, bounds=archive_bounds):
            if entry.kind != "file":
                continue
            path = contents.free_path(entry.path)
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
    left_source_bytes: int = field(init=False)
    left_side_bytes: int = field(init=False)
    is_pure: bool = True  # executables are odd here, and all are looked into
    left_archive_bytes: int = field(init=False)
    left_executable_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.left_source_bytes = self.bounds.max_total_source_bytes
        self.left_side_bytes = self.bounds.max_total_side_bytes
        self.left_archive_bytes = self.bounds.max_total_archive_bytes
        self.left_executable_bytes = MAX_TOTAL_ODD_BYTES if self.is_pure else MAX_TOTAL_EXPECTED_BYTES

    def take(self, path: str, entry: Entry) -> None:
        if is_python(path):
            self._take_source(path, entry)
        elif path.lower().endswith(STARTUP_SUFFIXES):
            self._take_startup(path, entry)
        elif path.lower().endswith(NOTEBOOK_SUFFIX):
            self._take_notebook(path, entry)
        else:
            self._take_side(path, entry)

    def _take_notebook(self, path: str, entry: Entry) -> None:
        """Keep the code of a notebook. One that is larger is full of pictures, and nothing runs it unasked."""
        limit = min(MAX_NOTEBOOK_BYTES, self.left_source_bytes)
        raw = entry.read(limit + 1)
        source = notebook_source(raw) if len(raw) <= limit else None
        if source:
            self.left_source_bytes -= len(raw)
            self.contents.keep_source(path, source)

    def _take_source(self, path: str, entry: Entry) -> None:
        limit = min(self.bounds.max_source_bytes, self.left_source_bytes)
        raw = entry.read(limit + 1)
        if len(raw) > limit:
            self.contents.gap(f"{path}: expected at most {limit} bytes of source, got more")
            return
        self.left_source_bytes -= len(raw)
        self.contents.keep_source(path, raw)
        if holds_archive(raw):
            self._keep_archive(path, raw)  # `python widget.py` runs the zip behind the source, not the source

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
        if path.lower().endswith(_NEVER_CODE):
            if is_native(entry.read(HEAD_BYTES)):
                self.contents.natives[path] = entry.size
            return
        with entry.open() as stream:
            raw = stream.read(limit + 1 if entry.size <= limit else ARCHIVE_HEAD_BYTES)
            if is_native(raw[:HEAD_BYTES]):
                self.contents.natives[path] = max(entry.size, len(raw))
                self._look_into(path, entry.size, raw, stream)
            elif begins_archive(raw[:ARCHIVE_HEAD_BYTES]):
                wanted = min(self.bounds.max_archive_bytes, self.left_archive_bytes) + 1 - len(raw)
                self._keep_archive(path, raw + stream.read(max(wanted, 0)))
                return
        if entry.size > limit or len(raw) > limit:
            return
        if holds_archive(raw):
            self._keep_archive(path, raw)
        if path in self.contents.natives:
            return
        self.left_side_bytes -= len(raw)
        if is_python_script(raw):
            self.contents.keep_source(path, raw)
        self.contents.sides[path] = raw

    def _look_into(self, path: str, size: int, raw: bytes, rest: BinaryIO) -> None:
        limit = min(MAX_ODD_BYTES if self.is_pure else MAX_EXPECTED_BYTES, self.left_executable_bytes)
        if size > limit:
            return
        raw += rest.read(max(limit - len(raw), 0))
        self.left_executable_bytes -= len(raw)
        found = read_executable(raw)
        if found is not None:
            self.contents.executables[path] = found

    def _keep_archive(self, path: str, raw: bytes) -> None:
        """Keep an archive that code may open. One that is too large is kept as empty: opening it is a gap."""
        limit = min(self.bounds.max_archive_bytes, self.left_archive_bytes)
        kept = raw if len(raw) <= limit and depth_of(path) < self.bounds.max_nesting else b""
        self.left_archive_bytes -= len(kept)
        self.contents.archives[path] = kept
