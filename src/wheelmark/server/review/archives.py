"""Stored archives, opened within small bounds for people to look at. Hostile bytes: they are shown, never run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from wheelmark.dist import Bounds
from wheelmark.errors import WheelmarkError
from wheelmark.server.projects.models import File
from wheelmark.server.publishing.keys import file_key
from wheelmark.store import Store

if TYPE_CHECKING:
    from wheelmark.scan.members import MemberReader, ReadMember

MAX_ARCHIVE_BYTES = 50_000_000
"""What is opened at all while somebody waits for a page."""
MAX_TEXT_BYTES = 400_000
"""What is kept of one member as text; a longer one is compared by its digest alone."""
MAX_ONE_TEXT_BYTES = 8_388_608
"""The same of a member that is looked at alone: what a scan reads of one source."""
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
    is_text: bool = True
    reading: str = ""  # what the text is, where it is not what the member says


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


def read_members(store: Store, file: File, *, inside: bool = False) -> Members:
    """All members of a stored archive, and those of the archives `inside` it, as far as the bounds allow."""
    from wheelmark.scan.members import MemberReader  # late: the web process needs no scanner until somebody looks

    reader = MemberReader(keep_bytes=MAX_TEXT_BYTES, inside=inside, archive_bounds=READ_BOUNDS)
    found: dict[str, Member] = {}
    text_left = MAX_ALL_TEXT_BYTES

    def take(read: ReadMember) -> None:
        nonlocal text_left
        text = as_text(read.start)
        kept = text is not None and read.size <= min(MAX_TEXT_BYTES, text_left)
        text_left -= read.size if kept else 0
        found[place_of(read.path, file.kind)] = Member(
            path=read.path, size=read.size, sha256=read.sha256, text=text if kept else None, is_text=text is not None
        )

    return Members(by_place=found, gaps=_read(store, file, reader, take))


def read_member(store: Store, file: File, path: str) -> Members:
    """The one member of that path, also inside archives, in the lines that a report counts: no other costs or hinders
    anything, and it may be long."""
    from wheelmark.scan.members import MemberReader  # late, as above

    reader = MemberReader(keep_bytes=MAX_ONE_TEXT_BYTES, wanted=[path], archive_bounds=READ_BOUNDS)
    found: dict[str, Member] = {}

    def take(read: ReadMember) -> None:
        if read.path == path:
            counted, reading = read.as_counted()
            text = as_text(counted)
            kept = text if read.size <= MAX_ONE_TEXT_BYTES else None
            found[path] = Member(
                path=path, size=read.size, sha256=read.sha256, text=kept, is_text=text is not None, reading=reading
            )

    return Members(by_place=found, gaps=_read(store, file, reader, take))


def _read(store: Store, file: File, reader: MemberReader, take: Callable[[ReadMember], None]) -> tuple[str, ...]:
    """Hand all that is read of a stored archive to `take`; what was not read is said."""
    if file.size > MAX_ARCHIVE_BYTES:
        return (f"{file.filename} is larger than what is opened here",)
    try:
        with opened(store, file) as stream:
            for member in reader.members(stream, filename=file.filename):
                take(member)
    except WheelmarkError as error:
        return (f"{file.filename}: {error}",)
    return tuple(f"{gap.path or file.filename}: {gap.reason}" for gap in reader.gaps)


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
