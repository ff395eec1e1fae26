"""Doubles for stores: one that fails on purpose, and a disk that remembers what would survive a power cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wheelmark.errors import Unavailable
from wheelmark.store import Store, Stored
from wheelmark.store.disk import Disk


class FaultyStore:
    """A store whose `fail_at`-th write (from 1) raises `Unavailable`, once; `stored` says whether it took place anyway.

    Each object of a `put_many` is one write, in order: those before the failing one are stored, those after it are
    not. `writes` counts every write tried, so a run without `fail_at` tells how many there are to fail.
    """

    def __init__(self, inner: Store, *, fail_at: int | None = None, stored: bool = False) -> None:
        self._inner = inner
        self._fail_at = fail_at
        self._stored = stored
        self.writes = 0

    @property
    def url(self) -> str:
        return self._inner.url

    def put(self, key: str, chunks: Iterable[bytes], *, immutable: bool) -> Stored:
        failing = self._count()
        if failing and not self._stored:
            raise _injected(key)
        stored = self._inner.put(key, chunks, immutable=immutable)
        if failing:
            raise _injected(key)
        return stored

    def put_file(self, key: str, path: Path, *, immutable: bool) -> Stored:
        failing = self._count()
        if failing and not self._stored:
            raise _injected(key)
        stored = self._inner.put_file(key, path, immutable=immutable)
        if failing:
            raise _injected(key)
        return stored

    def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
        for key, content in objects:
            self.put(key, [content], immutable=immutable)

    def delete(self, key: str) -> None:
        failing = self._count()
        if not failing or self._stored:
            self._inner.delete(key)
        if failing:
            raise _injected(key)

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        return self._inner.read(key, start=start, stop=stop)

    def read_all(self, key: str, *, max_bytes: int) -> bytes:
        return self._inner.read_all(key, max_bytes=max_bytes)

    def head(self, key: str) -> Stored | None:
        return self._inner.head(key)

    def list(self, prefix: str) -> Iterator[Stored]:
        return self._inner.list(prefix)

    def local_path(self, key: str) -> Path | None:
        return self._inner.local_path(key)

    def _count(self) -> bool:
        self.writes += 1
        return self.writes == self._fail_at


def _injected(key: str) -> Unavailable:
    return Unavailable(f"writing {key} failed on purpose", code="store-injected")


@dataclass(frozen=True, slots=True)
class Change:
    """One call that changed the disk, or made a change durable."""

    call: str
    path: Path
    target: Path | None = None
    content: bytes = b""


class RecordingDisk(Disk):
    """The real disk, and a list of what was done to it in order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._open: dict[int, Path] = {}

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._open[descriptor] = path
        self.changes.append(Change("create", path))
        return descriptor

    def write(self, descriptor: int, chunk: bytes) -> None:
        super().write(descriptor, chunk)
        self.changes.append(Change("write", self._open[descriptor], content=bytes(chunk)))

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.changes.append(Change("sync", self._open[descriptor]))

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        del self._open[descriptor]

    def sync_file(self, path: Path) -> int:
        size = super().sync_file(path)
        self.changes.append(Change("sync", path))
        return size

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.changes.append(Change("sync_folder", path))

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        self.changes.append(Change("link", source, target))

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self.changes.append(Change("replace", source, target))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.changes.append(Change("unlink", path))

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.changes.append(Change("make_folder", path))

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        self.changes.append(Change("remove_folder", path))


@dataclass(slots=True, eq=False)
class _Inode:
    """A file's bytes as written and as they are on the medium, or a folder's entries likewise."""

    content: bytearray = field(default_factory=bytearray)
    durable_content: bytes = b""
    entries: dict[str, _Inode] | None = None
    durable_entries: dict[str, _Inode] = field(default_factory=dict)


class PowerCut:
    """What may be on the medium when the power fails after some of the changes, in the two worst cases.

    POSIX promises no more than this: bytes of a file survive from its last sync on, and names in a folder from the last
    sync of that folder on. `late_names`: no name survives that was not synced. `early_names`: all names survive, as
    file systems write them at any time, and only the bytes are missing.
    """

    def __init__(self, root: Path, changes: Sequence[Change], *, spool: dict[Path, bytes] | None = None) -> None:
        self._root = root
        self._top = _Inode(entries={})
        self._outside = {path: _Inode(content=bytearray(content)) for path, content in (spool or {}).items()}
        for change in changes:
            self._apply(change)

    def late_names(self) -> dict[str, bytes]:
        return dict(self._files(self._top, "", durable=True))

    def early_names(self) -> dict[str, bytes]:
        return dict(self._files(self._top, "", durable=False))

    def _apply(self, change: Change) -> None:
        match change.call:
            case "create":
                self._folder(change.path.parent)[change.path.name] = _Inode()
            case "write":
                self._at(change.path).content += change.content
            case "sync":
                inode = self._at(change.path)
                inode.durable_content = bytes(inode.content)
            case "sync_folder":
                if change.path.is_relative_to(self._root):
                    self._at(change.path).durable_entries = dict(self._folder(change.path))
            case "link":
                assert change.target is not None
                self._folder(change.target.parent)[change.target.name] = self._at(change.path)
            case "replace":
                assert change.target is not None
                moved = self._at(change.path)
                self._remove(change.path)
                self._folder(change.target.parent)[change.target.name] = moved
            case "unlink" | "remove_folder":
                self._remove(change.path)
            case "make_folder":
                if change.path != self._root and change.path.is_relative_to(self._root):
                    self._folder(change.path.parent)[change.path.name] = _Inode(entries={})
            case call:
                raise AssertionError(f"no rule for {call}")

    def _at(self, path: Path) -> _Inode:
        if path in self._outside:
            return self._outside[path]
        inode = self._top
        for name in path.relative_to(self._root).parts:
            assert inode.entries is not None
            inode = inode.entries[name]
        return inode

    def _folder(self, path: Path) -> dict[str, _Inode]:
        entries = self._at(path).entries
        assert entries is not None
        return entries

    def _remove(self, path: Path) -> None:
        if self._outside.pop(path, None) is None:
            del self._folder(path.parent)[path.name]

    def _files(self, folder: _Inode, prefix: str, *, durable: bool) -> Iterator[tuple[str, bytes]]:
        entries = folder.durable_entries if durable else folder.entries or {}
        for name, inode in entries.items():
            key = f"{prefix}{name}"
            if inode.entries is not None:
                if name != ".partial":
                    yield from self._files(inode, f"{key}/", durable=durable)
            else:
                yield key, inode.durable_content
