"""What every store promises: the interface, its values and its two own errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wheelmark.errors import WheelmarkError

# No `read` yields more bytes at once.
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """One object that lies in a store whole."""

    key: str
    size: int  # bytes


class Conflict(WheelmarkError):
    """The key holds other bytes already, and they stay. Writing the same again cannot help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="store-conflict")

    @classmethod
    def other_bytes(cls, key: str) -> Conflict:
        """An immutable key was to be written with bytes that differ from the stored ones."""
        return cls(f"expected {key} to be absent or to hold the same bytes, got other bytes; what was stored stays")

    @classmethod
    def shadowed(cls, key: str) -> Conflict:
        """One key would be the folder of another, which no file system can hold."""
        return cls(f"expected {key} to be neither above nor below another key, got a key that is a folder of the other")


class Missing(WheelmarkError):
    """Nothing is stored under the key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"expected an object at {key}, got none", code="store-missing")
        self.key = key


class StoreReader(Protocol):
    """The half of a store that delivery needs. All methods may be called from several threads at once.

    Every method raises `Refused` for a key that breaks the rules of `check_key`, and `Unavailable` when the disk or
    the network fails. A store whose disk or bucket is gone says so; it never says "absent".
    """

    @property
    def url(self) -> str:
        """The address that `open_store` was given. It never holds credentials."""

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes `[start, stop)` in pieces of at most `CHUNK_BYTES`, clipped at the end as a slice is.

        The object is opened before this returns. What is yielded is the range of one version of the object, exact to
        the byte: when the store delivers fewer or more bytes, the iterator raises instead of ending.

        Raises:
            Missing: nothing is stored under the key.
            Unavailable: at once, or from the iterator.
        """

    def read_all(self, key: str, *, max_bytes: int) -> bytes:
        """The whole object.

        Raises:
            Missing: nothing is stored under the key.
            Refused: the object is bigger than `max_bytes` (`store-object-too-big`).
        """

    def head(self, key: str) -> Stored | None:
        """The size of an object, or None when there is none."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key begins with `prefix`, in no promised order.

        What is written or deleted meanwhile may be in it or not.
        """

    def local_path(self, key: str) -> Path | None:
        """A real file with the object's bytes, to send or to map; None when there is none. Never write to it."""


class Store(StoreReader, Protocol):
    """Where bytes lie. When a writing method returns, what it wrote survives a power cut.

    `immutable=True` creates: the same bytes under the same key again are accepted and change nothing, other bytes raise
    `Conflict`, and what was stored stays. `immutable=False` replaces in one step. Either way, a reader sees the whole
    object or none of it. A key must not be a folder of another key.
    """

    def put(self, key: str, chunks: Iterable[bytes], *, immutable: bool) -> Stored:
        """Store a stream of any length in bounded memory. An error that `chunks` raises passes through unchanged.

        Raises:
            Conflict: the key holds other bytes.
        """

    def put_file(self, key: str, path: Path, *, immutable: bool) -> Stored:
        """Store a file and remove it from `path`: a rename where the file system allows, else a streamed copy.

        Nobody may have the file open for writing. An error before the object had its name leaves it at `path`;
        after that it may be stored already, as with every write that fails.

        Raises:
            Conflict: the key holds other bytes.
        """

    def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
        """Store many small objects. All are durable when it returns; after an error any of them may be stored.

        Raises:
            Conflict: a key holds other bytes.
        """

    def delete(self, key: str) -> None:
        """Remove an object. Removing what is not there succeeds."""
