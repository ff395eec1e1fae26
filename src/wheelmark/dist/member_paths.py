"""What a member of an archive may be called, alone and beside the others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from wheelmark.dist.faults import fault, quoted
from wheelmark.errors import Fault

_DRIVE = re.compile(r"[A-Za-z]:")
# Controls, invisible format characters (they reverse or hide text), lone surrogates, line and paragraph separators.
_UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def path_faults(path: str) -> Iterator[Fault]:
    """Every fault of one path, which is given without the slash that ends a directory.

    Source: PEP 721 § Filters (the `data` filter), and what Windows makes of a path.
    """
    shown = quoted(path)
    if path.startswith("/"):
        yield fault("member-path-absolute", f"expected a relative path, got {shown}")
    if _DRIVE.match(path):
        yield fault("member-path-drive", f"expected a path without a drive, got {shown}")
    if "\\" in path:
        yield fault("member-path-backslash", f"expected a path with forward slashes only, got {shown}")
    parts = re.split(r"[/\\]", path)
    if ".." in parts:
        yield fault("member-path-traversal", f"expected a path without `..`, got {shown}")
    if "." in parts or "" in parts[1:] or path == "":
        yield fault("member-path-empty", f"expected a path without empty parts and single dots, got {shown}")
    if not path.isascii() or not path.isprintable():
        if any("\udc80" <= char <= "\udcff" for char in path):
            yield fault("member-path-encoding", f"expected a path in UTF-8, got {shown}")
        elif any(unicodedata.category(char) in _UNPRINTABLE_CATEGORIES for char in path):
            yield fault("member-path-unprintable", f"expected a path of visible characters, got {shown}")


class PathLedger:
    """Remembers the paths of one archive and tells which cannot stand beside one another."""

    __slots__ = ("_below", "_files", "_folded", "_kept")

    def __init__(self) -> None:
        self._kept: set[str] = set()
        self._folded: set[str] = set()
        self._files: set[str] = set()
        self._below: dict[str, str] = {}

    def add(self, path: str, *, is_directory: bool) -> Iterator[Fault]:
        """Note a path; its faults beside those noted before."""
        if path in self._kept:
            yield fault("member-duplicate", f"expected each path once, got {quoted(path)} again")
            return
        self._kept.add(path)
        folded = path if path.isascii() and path.islower() else unicodedata.normalize("NFC", path.casefold())
        if folded in self._folded:
            yield fault(
                "member-collision",
                f"expected paths that differ on every file system, got {quoted(path)} beside its equal",
            )
        self._folded.add(folded)
        if not is_directory:
            self._files.add(path)
        parent = path.rpartition("/")[0]
        # Stop at the first parent that is known: its own parents were noted with it.
        while parent and parent not in self._below:
            self._below[parent] = path
            parent = parent.rpartition("/")[0]

    def nested(self) -> Iterator[Fault]:
        """The faults that only the whole shows: members below a path that is a file or a link."""
        for path in sorted(self._files & self._below.keys()):
            yield fault(
                "member-under-file", f"expected nothing below the file {quoted(path)}, got {quoted(self._below[path])}"
            )
