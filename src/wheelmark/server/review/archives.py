"""Stored archives, opened within small bounds for people to look at. Hostile bytes: they are shown, never run."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from wheelmark.dist import Bounds, walk_archive
from wheelmark.errors import WheelmarkError
from wheelmark.server.projects.models import File
from wheelmark.server.publishing.keys import file_key
from wheelmark.store import Store

MAX_ARCHIVE_BYTES = 50_000_000
"""What is opened at all while somebody waits for a page."""
MAX_TEXT_BYTES = 400_000
"""What is kept of one member as text; a longer one is compared by its digest alone."""
MAX_ALL_TEXT_BYTES = 24_000_000
"""Text of all members together."""
READ_BOUNDS = Bounds(max_members=20_000, max_member_bytes=64_000_000, max_total_bytes=128_000_000)

# What carries the version in its name would differ in every release: the sdist's folder, the wheel's metadata folders.
_DIST_INFO = re.compile(r"^[^/]+-[^/]+\.(dist-info|data)/")
# As Python's tokenizer counts lines; `splitlines` would also split at form feeds and U+2028, and count differently.
_LINE_END = re.compile(r"\r\n|\r|\n")
_EGG_INFO = re.compile(r"(^|/)[^/]+\.egg-info/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside an archive."""

    path: str  # as the archive has it
    size: int  # bytes
    sha256: str
    text: str | None  # None for what is no text, or too much of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What one archive holds, by a path that is the same in every release; `gap` says what was not read."""

    by_place: dict[str, Member]
    gap: str = ""


@contextmanager
def opened(store: Store, file: File) -> Iterator[BinaryIO]:
    """The stored bytes of a file, at most `MAX_ARCHIVE_BYTES` of them."""
    key = file_key(file.sha256)
    path = store.local_path(key)
    if path is not None:
        with path.open("rb") as stream:
            yield stream
        return
    with tempfile.SpooledTemporaryFile(max_size=1_000_000) as copy:
        for chunk in store.read(key, stop=MAX_ARCHIVE_BYTES):
            copy.write(chunk)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def read_members(store: Store, file: File) -> Members:
    """All members of a stored archive, as far as the bounds allow."""
    if file.size > MAX_ARCHIVE_BYTES:
        return Members(by_place={}, gap=f"{file.filename} is larger than what is opened here")
    found: dict[str, Member] = {}
    try:
        with opened(store, file) as stream:
            text_left = MAX_ALL_TEXT_BYTES
            for entry in walk_archive(stream, filename=file.filename, bounds=READ_BOUNDS):
                if entry.kind != "file":
                    continue
                digest, size, kept = hashlib.sha256(), 0, bytearray()
                for chunk in entry.chunks():
                    digest.update(chunk)
                    size += len(chunk)
                    if size <= MAX_TEXT_BYTES:
                        kept += chunk
                text = as_text(bytes(kept)) if size <= min(MAX_TEXT_BYTES, text_left) else None
                text_left -= size if text is not None else 0
                found[place_of(entry.path, file.kind)] = Member(
                    path=entry.path, size=size, sha256=digest.hexdigest(), text=text
                )
    except WheelmarkError as error:
        return Members(by_place=found, gap=f"{file.filename} could not be read to its end: {error}")
    return Members(by_place=found)


def place_of(path: str, kind: str) -> str:
    """Where a member lies, without what changes with each version: the sdist's folder, names of metadata folders."""
    if kind == "sdist" and "/" in path:
        path = path.split("/", 1)[1]
    return _EGG_INFO.sub(r"\1*.egg-info/", _DIST_INFO.sub(r"*.\1/", path))


def as_text(raw: bytes) -> str | None:
    """Bytes as text, or None where they are none. Code in another encoding than UTF-8 is shown with escapes."""
    if b"\0" in raw[:8192]:
        return None
    return raw.decode("utf-8", errors="backslashreplace").removeprefix("\ufeff")


def lines_of(text: str) -> list[str]:
    """Text in the lines that a report counts."""
    return _LINE_END.split(text)
