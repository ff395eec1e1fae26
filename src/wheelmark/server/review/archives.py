"""Stored archives, opened within small bounds for people to look at. Hostile bytes: they are shown, never run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from wheelmark.dist import Bounds
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

    path: str  # as a report has it
    size: int  # bytes
    sha256: str
    text: str | None  # None for what is no text, or too much of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What one archive holds, by a path that is the same in every release; `gaps` say what was not read."""

    by_place: dict[str, Member]
    gaps: tuple[str, ...] = ()


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


def read_members(store: Store, file: File, *, inside: bool = False, only: str | None = None) -> Members:
    """All members of a stored archive, and those of the archives `inside` it, as far as the bounds allow.

    With `only` the path of one it is that one, and the archives where it lies: then no other costs or hinders anything.
    """
    from wheelmark.scan.members import MemberReader  # late: the web process needs no scanner until somebody looks

    if file.size > MAX_ARCHIVE_BYTES:
        return Members(by_place={}, gaps=(f"{file.filename} is larger than what is opened here",))
    found: dict[str, Member] = {}
    reader = MemberReader(
        keep_bytes=MAX_TEXT_BYTES, inside=inside, wanted=None if only is None else [only], archive_bounds=READ_BOUNDS
    )
    gaps: list[str] = []
    try:
        with opened(store, file) as stream:
            text_left = MAX_ALL_TEXT_BYTES
            for read in reader.members(stream, filename=file.filename):
                text = as_text(read.start) if read.size <= min(MAX_TEXT_BYTES, text_left) else None
                text_left -= read.size if text is not None else 0
                found[place_of(read.path, file.kind)] = Member(
                    path=read.path, size=read.size, sha256=read.sha256, text=text
                )
    except WheelmarkError as error:
        gaps.append(f"{file.filename}: {error}")
    gaps += [f"{gap.path or file.filename}: {gap.reason}" for gap in reader.gaps]
    return Members(by_place=found, gaps=tuple(gaps))


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
