"""Which file a call is about, and what it does to it."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Literal

from wheelmark.scan.dynamic.trace import Event, unescaped

_HEX = rb"(?:\\x[0-9a-f]{2})*"
# A descriptor with what it stands for (`-y`), then a path; or a path alone, which is from the working folder.
_PLACE = re.compile(rb"(?:(?:AT_FDCWD|\d+)(?:<(" + _HEX + rb")>)?, )?\"(" + _HEX + rb')"')
_DESCRIPTOR = re.compile(rb"\d+<(" + _HEX + rb")>")
_FOR_WRITING = re.compile(rb"\bO_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)\b")
_OPENS = frozenset({"open", "openat", "openat2"})
_DELETES = frozenset({"unlink", "unlinkat"})
_RENAMES = frozenset({"rename", "renameat", "renameat2"})
_LINKS = frozenset({"link", "linkat", "symlink", "symlinkat"})

ChangeKind = Literal["read", "write", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """One file, and whether it is read, written (also: put there under this name) or removed."""

    kind: ChangeKind
    path: str


def change_of(event: Event, cwd: str) -> Change | None:
    """What a call does to a file; None for calls that are about none. A rename speaks of where the file comes to lie.

    `cwd` is the folder that relative paths start from where the call does not say.
    """
    places = _places(event.arguments, cwd)
    if not places:
        return None
    if event.name in _OPENS:
        return Change("write" if _FOR_WRITING.search(event.arguments) else "read", places[0])
    if event.name == "creat":
        return Change("write", places[0])
    if event.name in _DELETES:
        return Change("delete", places[0])
    if event.name in _RENAMES or event.name in _LINKS:
        return Change("write", places[-1])
    return None


def opened(event: Event, cwd: str) -> str:
    """The path that an execution or a change of folder names; that of the descriptor where the path is empty."""
    places = _places(event.arguments, cwd)
    return places[0] if places else ""


def folder_of_descriptor(arguments: bytes) -> str:
    """What the first descriptor of a call stands for; "" when it is not said."""
    found = _DESCRIPTOR.match(arguments)
    return unescaped(found[1]).decode("utf-8", "backslashreplace") if found else ""


def _places(arguments: bytes, cwd: str) -> list[str]:
    found = []
    for match in _PLACE.finditer(arguments):
        folder = cwd if match[1] is None else unescaped(match[1]).decode("utf-8", "backslashreplace")
        path = unescaped(match[2]).decode("utf-8", "backslashreplace")
        whole = posixpath.join(folder, path) if path else folder
        found.append(posixpath.normpath(whole) if whole else "")
    return found
