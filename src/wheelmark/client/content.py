"""Bytes that were verified once, kept by their SHA-256 so that they need not be fetched again.

Nothing here is trusted because it is here: a caller asks for the hash that verified metadata names, and gets bytes only
when they have that hash now. Whoever writes into the folder can make us fetch again, and no more. Several processes
and threads may share one folder: every file is written beside its place and moved there whole.

A cache that cannot be read or written is as good as none; it never stops an install.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

MAX_CACHE_BYTES = 2 * 1024 * 1024 * 1024
LARGEST_SHARE = 8  # no object may fill more than this part of the cache
TRIMMED_TO = 0.8  # of the bound, so that not every further file makes us look at all of them
STALE_SECONDS = 24 * 60 * 60.0  # a partial file that old belongs to no running process
_PIECE_BYTES = 256 * 1024
_PARTIAL = ".partial"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ContentCache:
    """Files named by their SHA-256 in one folder, the longest unused of which make room when it is full."""

    def __init__(
        self, folder: Path, *, max_bytes: int = MAX_CACHE_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._grown_by: int | None = None  # bytes since we looked at the whole folder; None: never looked

    def read(self, sha256: str, *, max_bytes: int) -> bytes | None:
        """The bytes with this hash, if they are here and no more than `max_bytes`."""
        file = self._open(sha256)
        if file is None:
            return None
        with file:
            try:
                content = file.read(max_bytes + 1)
            except OSError:
                return None
        if len(content) > max_bytes:
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            self._drop(sha256)
            return None
        return content

    def pieces(self, sha256: str, size: int) -> Iterator[bytes] | None:
        """The bytes with this hash and size in pieces, verified before this returns; None when they are not here.

        They are read a second time, and whoever could change the file could do so in between: check them again.
        """
        file = self._open(sha256)
        if file is None:
            return None
        try:
            right = os.fstat(file.fileno()).st_size == size and _sha256_of(file) == sha256
        except OSError:
            right = False
        if right:
            return _pieces(file)
        file.close()
        self._drop(sha256)
        return None

    def write(self, sha256: str, content: bytes) -> None:
        """Keep bytes that have this hash."""
        with self.receiving(sha256, len(content)) as receiving:
            receiving.add(content)
            receiving.keep()

    @contextmanager
    def receiving(self, sha256: str, size: int) -> Iterator[Receiving]:
        """For bytes that arrive in pieces: what is not kept by the end of the block is thrown away."""
        wanted = _SHA256.fullmatch(sha256) is not None and size <= self._max_bytes // LARGEST_SHARE
        receiving = Receiving(self._path(sha256), self._folder / _PARTIAL, at=self._clock(), wanted=wanted)
        try:
            yield receiving
        finally:
            receiving.close()
        if receiving.kept:
            self._grown(size)

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _open(self, sha256: str) -> BinaryIO | None:
        if not _SHA256.fullmatch(sha256):  # it becomes a path
            return None
        path = self._path(sha256)
        try:
            file = path.open("rb")
        except OSError:
            return None
        with suppress(OSError):  # only the order of use suffers
            os.utime(path, (self._clock(), self._clock()))
        return file

    def _drop(self, sha256: str) -> None:
        with suppress(OSError):
            self._path(sha256).unlink()

    def _grown(self, size: int) -> None:
        """Look at the whole folder the first time, and then whenever a sixteenth of the bound has come to it."""
        with self._lock:
            if self._grown_by is not None and self._grown_by + size < self._max_bytes // 16:
                self._grown_by += size
                return
            self._grown_by = 0
        with suppress(OSError):
            self._trim()

    def _trim(self) -> None:
        now, found = self._clock(), []
        for entry in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):  # another process trims at the same time
                status = entry.stat()
                if entry.parent.name != _PARTIAL:
                    found.append((status.st_mtime, status.st_size, entry))
                elif status.st_mtime < now - STALE_SECONDS:
                    entry.unlink()
        total = sum(size for _, size, _ in found)
        if total <= self._max_bytes:
            return
        for _, size, entry in sorted(found):
            if total <= self._max_bytes * TRIMMED_TO:
                return
            entry.unlink(missing_ok=True)
            total -= size


class Receiving:
    """One file on its way into the cache."""

    def __init__(self, path: Path, partial_folder: Path, *, at: float, wanted: bool) -> None:
        self._path = path
        self._at = at
        self._partial = partial_folder / secrets.token_hex(16)
        self._file: BinaryIO | None = None
        self.kept = False
        if wanted:
            with suppress(OSError):
                partial_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file = self._partial.open("xb")

    def add(self, piece: bytes) -> None:
        """Take a piece; a disk that fails ends the keeping and nothing else."""
        if self._file is not None:
            try:
                self._file.write(piece)
            except OSError:
                self.close()

    def keep(self) -> None:
        """All pieces were there and have the hash: give the file its name."""
        if self._file is None:
            return
        with suppress(OSError):
            self._file.close()
            os.utime(self._partial, (self._at, self._at))
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._partial.replace(self._path)
            self._file, self.kept = None, True

    def close(self) -> None:
        """Throw away what was not kept."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._partial.unlink()
            self._file = None


def _sha256_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            yield piece
