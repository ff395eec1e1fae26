"""The store of the tests: a dictionary with every promise of the others but surviving the process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from wheelmark.errors import Unavailable
from wheelmark.store.keys import check_key, folder_of
from wheelmark.store.model import CHUNK_BYTES, Conflict, Missing, Stored
from wheelmark.store.streams import check_range, clip, joined


class MemoryStore:
    """Objects in this process's memory. Each instance is its own store."""

    url = "memory://"

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._folders: Counter[str] = Counter()  # how many objects lie below each folder
        self._lock = threading.Lock()

    def put(self, key: str, chunks: Iterable[bytes], *, immutable: bool) -> Stored:
        """See `Store.put`. Here, and only here, a stream is whole in memory: that is where it is stored."""
        check_key(key)
        content = b"".join(chunks)
        with self._lock:
            stored = self._objects.get(key)
            if immutable and stored is not None and stored != content:
                raise Conflict.other_bytes(key)
            if stored is None:
                if self._shadows(key):
                    raise Conflict.shadowed(key)
                self._folders.update(_folders_above(key))
            self._objects[key] = content
        return Stored(key, len(content))

    def put_file(self, key: str, path: Path, *, immutable: bool) -> Stored:
        """See `Store.put_file`."""
        try:
            stored = self.put(key, [path.read_bytes()], immutable=immutable)
            path.unlink()
        except OSError as error:
            raise Unavailable(f"{path} could not be taken over: {error.strerror}", code="store-io") from error
        return stored

    def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
        """See `Store.put_many`."""
        for key, content in objects:
            self.put(key, [content], immutable=immutable)

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """See `StoreReader.read`."""
        check_range(start, stop)
        content = self._objects.get(check_key(key))
        if content is None:
            raise Missing(key)
        first, end = clip(start, stop, len(content))
        return (content[at : min(at + CHUNK_BYTES, end)] for at in range(first, end, CHUNK_BYTES))

    def read_all(self, key: str, *, max_bytes: int) -> bytes:
        """See `StoreReader.read_all`."""
        return joined(key, self.read(key), max_bytes=max_bytes)

    def head(self, key: str) -> Stored | None:
        """See `StoreReader.head`."""
        content = self._objects.get(check_key(key))
        return None if content is None else Stored(key, len(content))

    def list(self, prefix: str) -> Iterator[Stored]:
        """See `StoreReader.list`."""
        folder_of(prefix)
        with self._lock:
            found = [Stored(key, len(content)) for key, content in self._objects.items() if key.startswith(prefix)]
        return iter(found)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        with self._lock:
            if self._objects.pop(key, None) is not None:
                self._folders -= Counter(_folders_above(key))

    def local_path(self, key: str) -> Path | None:
        """See `StoreReader.local_path`."""
        check_key(key)
        return None

    def _shadows(self, key: str) -> bool:
        """Whether the key is a folder of a stored key, or the other way round, as files and folders cannot be."""
        return key in self._folders or any(folder in self._objects for folder in _folders_above(key))


def _folders_above(key: str) -> Iterator[str]:
    """`a/b/c` has the folders `a` and `a/b`."""
    segments = key.split("/")
    return ("/".join(segments[:depth]) for depth in range(1, len(segments)))
