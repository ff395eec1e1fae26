"""What pages list and what the signed metadata has as file targets, on disk, to be held against one another.

A page and the files of its project lie in different bins, so nothing can be compared before the walk's end; and a large
index has more files than should be kept in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.errors import Fault
from wheelmark.simple import ProjectPage

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE listed (path TEXT PRIMARY KEY, sha256 TEXT, size INTEGER, metadata TEXT) WITHOUT ROWID;
CREATE TABLE signed (path TEXT PRIMARY KEY, file TEXT, kind TEXT, sha256 TEXT, length INTEGER) WITHOUT ROWID;
CREATE INDEX signed_file ON signed (file);
"""
_METADATA_SUFFIX = ".metadata"
_UNLISTED = "SELECT s.path FROM signed s LEFT JOIN listed l ON l.path = s.file WHERE l.path IS NULL ORDER BY s.path"
_OTHER_FILES = """
SELECT s.path, l.sha256, l.size, s.sha256, s.length FROM signed s JOIN listed l ON l.path = s.file
WHERE s.kind = 'file' AND (s.sha256 IS NOT l.sha256 OR s.length IS NOT l.size) ORDER BY s.path
"""
_OTHER_METADATA = """
SELECT s.path, l.metadata, s.sha256 FROM signed s JOIN listed l ON l.path = s.file
WHERE s.kind = 'metadata' AND s.sha256 IS NOT l.metadata ORDER BY s.path
"""
_UNSIGNED = """
SELECT l.path FROM listed l LEFT JOIN signed s ON s.path = l.path WHERE s.path IS NULL
UNION ALL
SELECT l.path || '.metadata' FROM listed l LEFT JOIN signed s ON s.path = l.path || '.metadata'
WHERE l.metadata IS NOT NULL AND s.path IS NULL
"""


class Ledger:
    """Files as pages list them and as targets; for one thread."""

    def __init__(self, path: Path) -> None:
        self._rows = sqlite3.connect(path)
        self._rows.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def add_page(self, page: ProjectPage) -> None:
        """What a verified page lists."""
        rows = (
            (f"files/{file.sha256}/{file.filename}", file.sha256, file.size, file.core_metadata_sha256)
            for file in page.files
        )
        self._rows.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?)", rows)

    def add_target(self, target: TargetFile) -> None:
        """A target that is a file or a file's core metadata, by its path."""
        file = target.path.removesuffix(_METADATA_SUFFIX)
        kind: Literal["file", "metadata"] = "file" if file == target.path else "metadata"
        row = (target.path, file, kind, target.hashes.get("sha256"), target.length)
        self._rows.execute("INSERT OR REPLACE INTO signed VALUES (?, ?, ?, ?, ?)", row)

    def faults(self) -> Iterator[Fault]:
        """What does not agree, as strict PEP 458 mode wants it: each listed file is a target and each target listed.

        The metadata does not say which mode the index is in. Where no file at all is a target, it is another.
        """
        if self._rows.execute("SELECT 1 FROM signed LIMIT 1").fetchone() is None:
            return
        for (path,) in self._rows.execute(_UNLISTED):
            yield Fault("unlisted-target", path, "expected a file that its project's page lists, got another")
        for path, sha256, size, signed, length in self._rows.execute(_OTHER_FILES):
            message = f"expected sha256 {sha256} and {size} bytes as on the page, got {signed}, {length}"
            yield Fault("other-target", path, message)
        for path, sha256, signed in self._rows.execute(_OTHER_METADATA):
            message = f"expected the core metadata of the page, sha256 {sha256}, got {signed}"
            yield Fault("other-target", path, message)
        for (path,) in self._rows.execute(_UNSIGNED):
            yield Fault("missing-target", path, "expected what a page lists to be a target, as other files are")
