"""A source tree as the sdist that it would be: packed into one plain tar, the same bytes for the same files."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from wheelmark.errors import Unavailable
from wheelmark.scan.bounds import MIB

MAX_TREE_BYTES = 1024 * MIB
MAX_TREE_MEMBERS = 100_000
# What tools keep beside sources. No name here can be imported, so that no package hides behind one.
LEFT_OUT = frozenset(
    {".git", ".hg", ".svn", ".venv", ".tox", ".nox", ".direnv", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    | {".hypothesis", ".import_linter_cache"}
)


@dataclass(slots=True)
class PackedTree:
    """What was done with a tree."""

    filename: str  # that the scanner knows the tar by
    root: str  # the folder in the tar that everything lies in, with its slash
    left_out: set[str] = field(default_factory=set)  # names in `LEFT_OUT`, and paths of what else was not packed
    members: int = 0
    size: int = 0


def pack_tree(folder: Path, stream: BinaryIO, *, exclude: Collection[str] = ()) -> PackedTree:
    """Write the regular files of a tree into a tar. Nothing is executed, and no link is followed.

    `exclude` are paths below the folder, or names, that are left out beside `LEFT_OUT`.

    Raises:
        Unavailable: the tree or a file of it cannot be read, or there is more than the bounds allow.
    """
    name = f"{folder.resolve().name or 'tree'}-0"
    packed = PackedTree(f"{name}.tar", f"{name}/")
    try:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, inner in _files(folder, "", frozenset(exclude), packed):
                _add(archive, path, f"{packed.root}{inner}", packed)
    except OSError as error:
        raise Unavailable(f"{folder}: expected a readable tree, got: {error}", code="tree-unreadable") from error
    return packed


def _files(folder: Path, prefix: str, exclude: frozenset[str], packed: PackedTree) -> Iterator[tuple[Path, str]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        inner = f"{prefix}{entry.name}"
        if entry.is_symlink():
            packed.left_out.add(f"{inner} (a link)")
        elif entry.name in exclude or inner in exclude:
            packed.left_out.add(inner)
        elif entry.is_dir():
            if entry.name in LEFT_OUT:
                packed.left_out.add(entry.name)
            else:
                yield from _files(Path(entry.path), f"{inner}/", exclude, packed)
        elif folder.name == "__pycache__" and entry.name.endswith(".pyc"):
            packed.left_out.add("__pycache__")
        elif entry.is_file():
            yield Path(entry.path), inner


def _add(archive: tarfile.TarFile, path: Path, name: str, packed: PackedTree) -> None:
    # A file that became a pipe or a link meanwhile must neither hang us nor lead us out of the tree.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no regular file any more")
        packed.members += 1
        packed.size += status.st_size
        if packed.size > MAX_TREE_BYTES or packed.members > MAX_TREE_MEMBERS:
            limit = f"{MAX_TREE_MEMBERS} files of {MAX_TREE_BYTES} bytes together"
            raise Unavailable(f"expected a tree of at most {limit}, got more: leave folders out", code="tree-too-large")
        entry = tarfile.TarInfo(name)
        entry.size = status.st_size
        archive.addfile(entry, file)
