"""Objects as plain files below one folder, durable and race-safe between processes.

An object is written to `.partial/`, brought onto the medium, and only then given its name: by a hard link when it is
immutable (the kernel refuses a taken name, so of two writers one wins), by a rename when it replaces. After that each
folder from the object's up to the root is brought onto the medium too.

Who may write: the user the server runs as. A thief of the folder can withhold or destroy objects, but cannot make a
verifying client accept others.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

from wheelmark.errors import Unavailable
from wheelmark.store.disk import Disk, converted
from wheelmark.store.keys import check_key, folder_of, is_key
from wheelmark.store.model import CHUNK_BYTES, Conflict, Missing, Stored
from wheelmark.store.streams import check_range, clip, exactly, joined, same_bytes

PARTIAL_FOLDER = ".partial"
# A file that has not grown for a day belongs to no living upload.
STALE_AFTER_SECONDS = 24 * 60 * 60
# How many files `put_many` holds open between writing and syncing.
MAX_OPEN_FILES = 128
PARALLEL_SYNCS = 8
# Fewer than this, as the folders of a single object are, are not worth threads.
MIN_PARALLEL_SYNCS = 5
# A deletion in another process may take an empty folder away between our making and using it; so often in a row, not.
MAX_PLACING_ATTEMPTS = 16

# Named here because in the class body `list` is the method.
T = TypeVar("T")
Partials = list[tuple[str, Path]]
Descriptors = list[int]
Entries = list[tuple[str, int | None]]


class LocalStore:
    """A folder of this machine, made when it is absent."""

    def __init__(self, root: Path, *, disk: Disk | None = None) -> None:
        """Open the store.

        Raises:
            Unavailable: the folder can be neither found nor made.
        """
        self._root = root
        self._disk = disk or Disk()
        self._partial = root / PARTIAL_FOLDER
        self.url = root.as_uri()
        with converted(root, writing=True):
            self._make_root()

    def put(self, key: str, chunks: Iterable[bytes], *, immutable: bool) -> Stored:
        """See `Store.put`."""
        check_key(key)
        partial, descriptor = self._create_partial()
        size = 0
        try:
            try:
                for chunk in chunks:
                    with self._writing():
                        self._disk.write(descriptor, chunk)
                    size += len(chunk)
                with self._writing():
                    self._disk.sync(descriptor)
            finally:
                self._close(descriptor)
            with self._writing():
                self._place(partial, key, immutable=immutable)
                self._sync_folders({key})
        finally:
            self._discard(partial)
        return Stored(key, size)

    def put_file(self, key: str, path: Path, *, immutable: bool) -> Stored:
        """See `Store.put_file`."""
        check_key(key)
        self._check_present()
        if path.resolve().is_relative_to(self._root.resolve()):
            # Taking over an object of ours would remove it, and under its own key nothing would be left.
            raise ValueError(f"expected a file outside {self._root}, got {path}")
        with self._writing():
            size = self._disk.sync_file(path)
            try:
                self._place(path, key, immutable=immutable)
                self._sync_folders({key})
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                size = self.put(key, self._chunks_of(path), immutable=immutable).size
        with self._writing(), suppress(FileNotFoundError):
            self._disk.unlink(path)
        return Stored(key, size)

    def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
        """See `Store.put_many`. One sync for each file, and one for each folder."""
        remaining = iter(objects)
        partials: Partials = []
        try:
            while batch := tuple(islice(remaining, MAX_OPEN_FILES)):
                self._write_partials(batch, partials)
            with self._writing():
                for key, partial in partials:
                    self._place(partial, key, immutable=immutable)
                self._sync_folders({key for key, _ in partials})
        finally:
            for _, partial in partials:
                self._discard(partial)

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """See `StoreReader.read`."""
        check_range(start, stop)
        opened = self._read(check_key(key), start, stop)
        # Runs it up to the empty chunk that says "open": an absent object is reported now, not while it is sent.
        next(opened)
        return opened

    def read_all(self, key: str, *, max_bytes: int) -> bytes:
        """See `StoreReader.read_all`."""
        return joined(key, self.read(key), max_bytes=max_bytes)

    def head(self, key: str) -> Stored | None:
        """See `StoreReader.head`."""
        with self._reading():
            try:
                found = self._path(key).stat()
            except (FileNotFoundError, NotADirectoryError):
                self._check_present()
                return None
        return Stored(key, found.st_size) if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str) -> Iterator[Stored]:
        """See `StoreReader.list`."""
        folder = folder_of(prefix)
        self._check_present()
        return self._walk(folder, prefix)

    def delete(self, key: str) -> None:
        """See `Store.delete`. Folders that it leaves empty go too."""
        path = self._path(key)
        with self._writing():
            try:
                self._disk.unlink(path)
            except (FileNotFoundError, NotADirectoryError):
                self._check_present()
                return
            except (IsADirectoryError, PermissionError):
                # What unlink says of a folder: the first is Linux, the second POSIX. A folder is no object.
                if path.is_dir():
                    return
                raise
            self._prune(path.parent)
            self._sync_removal(path)

    def local_path(self, key: str) -> Path | None:
        """See `StoreReader.local_path`."""
        return self._path(key) if self.head(key) else None

    def sweep(self, *, now: float) -> int:
        """Remove what dead writers left in `.partial/`; how many. `now` is in seconds since the epoch."""
        removed = 0
        with self._writing():
            for entry in self._partial.iterdir():
                # Another process may sweep at the same time.
                with suppress(FileNotFoundError):
                    if entry.lstat().st_mtime < now - STALE_AFTER_SECONDS:
                        self._disk.unlink(entry)
                        removed += 1
        return removed

    # Writing

    def _make_root(self) -> None:
        missing = [folder for folder in (self._partial, *self._partial.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            # Another process may start at the same time.
            with suppress(FileExistsError):
                self._disk.make_folder(folder)
            self._disk.sync_folder(folder.parent)

    def _create_partial(self) -> tuple[Path, int]:
        partial = self._partial / secrets.token_hex(16)
        try:
            with self._writing():
                return partial, self._disk.create(partial)
        except Unavailable:
            self._check_present()
            raise

    def _write_partials(self, batch: Iterable[tuple[str, bytes]], partials: Partials) -> None:
        """Write a batch, then sync it: the file system may bring all of it onto the medium in one go."""
        descriptors: Descriptors = []
        try:
            for key, content in batch:
                check_key(key)
                partial, descriptor = self._create_partial()
                partials.append((key, partial))
                descriptors.append(descriptor)
                with self._writing():
                    self._disk.write(descriptor, content)
            with self._writing():
                _in_parallel(self._disk.sync, descriptors)
        finally:
            for descriptor in descriptors:
                self._close(descriptor)

    def _place(self, source: Path, key: str, *, immutable: bool) -> None:
        """Give a synced file its key's name."""
        target = self._path(key)
        for _ in range(MAX_PLACING_ATTEMPTS):
            try:
                if immutable:
                    self._disk.link(source, target)
                else:
                    self._disk.replace(source, target)
                return
            except FileNotFoundError:
                self._make_folders(target.parent)
            except FileExistsError as error:
                if target.is_dir():
                    raise Conflict.shadowed(key) from error
                # Nothing there any more: it was deleted in this very moment.
                with suppress(Missing):
                    if not same_bytes(self._chunks_of(source), self.read(key)):
                        raise Conflict.other_bytes(key) from error
                    return
            except (NotADirectoryError, IsADirectoryError) as error:
                raise Conflict.shadowed(key) from error
        message = f"{key} found no place below {self._root}: its folder or the new file vanishes again and again; retry"
        raise Unavailable(message, code="store-io")

    def _make_folders(self, folder: Path) -> None:
        """Make the folders from the root down to this one. Never the root: if that is gone, a disk is not mounted."""
        self._check_present()
        for part in reversed([folder, *folder.parents][: len(folder.relative_to(self._root).parts)]):
            try:
                self._disk.make_folder(part)
            except FileExistsError:
                continue
            except (FileNotFoundError, NotADirectoryError):
                # Pruned by a deletion in this very moment, or an object: the caller's next attempt tells which.
                return

    def _sync_folders(self, keys: set[str]) -> None:
        """Sync every folder on the way from the objects to the root, each once.

        All of them, not only those made here: one that another process has just made need not be durable yet.
        """
        folders = {folder for key in keys for folder in self._path(key).parents if folder.is_relative_to(self._root)}
        _in_parallel(self._sync_folder, folders)

    def _sync_folder(self, folder: Path) -> None:
        # A folder that is gone lost our object to a deletion: nothing is left to make durable.
        with suppress(FileNotFoundError):
            self._disk.sync_folder(folder)

    def _prune(self, folder: Path) -> None:
        """Remove folders that are empty now, from this one up."""
        while folder != self._root:
            try:
                self._disk.remove_folder(folder)
            except FileNotFoundError:
                pass
            except OSError:
                # Not empty, or not ours to remove: either way it stays, and harms nobody.
                return
            folder = folder.parent

    def _sync_removal(self, path: Path) -> None:
        """Make durable that a name is gone: sync the lowest folder above it that is there, whoever removed the rest."""
        for folder in path.parents:
            with suppress(FileNotFoundError):
                self._disk.sync_folder(folder)
                return

    def _close(self, descriptor: int) -> None:
        # After a sync a failing close says nothing new, and without one something else has failed already.
        with suppress(OSError):
            self._disk.close(descriptor)

    def _discard(self, partial: Path) -> None:
        # What cannot be removed now is swept later; that must not hide the error that brought us here.
        with suppress(OSError):
            self._disk.unlink(partial)

    # Reading

    def _read(self, key: str, start: int, stop: int | None) -> Iterator[bytes]:
        with self._reading():
            try:
                descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError) as error:
                self._check_present()
                raise Missing(key) from error
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise Missing(key)
            first, end = clip(start, stop, found.st_size)
            yield b""
            yield from exactly(key, self._pieces(descriptor, first, end), end - first)
        finally:
            os.close(descriptor)

    def _pieces(self, descriptor: int, first: int, end: int) -> Iterator[bytes]:
        at = first
        while at < end:
            with self._reading():
                chunk = os.pread(descriptor, min(CHUNK_BYTES, end - at), at)
            if not chunk:
                return
            yield chunk
            at += len(chunk)

    def _chunks_of(self, path: Path) -> Iterator[bytes]:
        with self._reading():
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield from self._pieces(descriptor, 0, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def _walk(self, folder: str, prefix: str) -> Iterator[Stored]:
        pending = [folder]
        while pending:
            folder = pending.pop()
            for name, size in self._entries(folder):
                key = f"{folder}/{name}" if folder else name
                if size is None:
                    # Below a folder that parts from the prefix lies nothing that begins with it.
                    if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                        pending.append(key)
                elif key.startswith(prefix) and is_key(key):
                    yield Stored(key, size)

    def _entries(self, folder: str) -> Entries:
        """Names in a folder with their size, None for a folder. Whole, so that no open folder waits for the caller."""
        found: Entries = []
        with self._reading(), suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._root / folder) as names:
            for entry in names:
                if entry.is_dir():
                    if entry.name != PARTIAL_FOLDER:
                        found.append((entry.name, None))
                else:
                    # Deleted since the folder was read.
                    with suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat().st_size))
        return found

    def _check_present(self) -> None:
        """Tell "no such object" from "no such disk": an unmounted volume leaves an empty folder behind."""
        if not self._partial.is_dir():
            message = f"{self._root} holds no {PARTIAL_FOLDER} folder: mount the disk with the objects, then restart"
            raise Unavailable(message, code="store-gone")

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _writing(self) -> AbstractContextManager[None]:
        return converted(self._root, writing=True)

    def _reading(self) -> AbstractContextManager[None]:
        return converted(self._root, writing=False)


def _in_parallel(sync: Callable[[T], None], items: Collection[T]) -> None:
    """Sync many things at once: the file system brings what waits together onto the medium together.

    A disk that merges flushes answers many of them at the price of a few. All have ended when this returns or raises.
    """
    if len(items) < MIN_PARALLEL_SYNCS:
        for item in items:
            sync(item)
        return
    with ThreadPoolExecutor(PARALLEL_SYNCS, thread_name_prefix="store-sync") as pool:
        for _ in pool.map(sync, items):
            pass
