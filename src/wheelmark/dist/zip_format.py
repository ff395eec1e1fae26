"""The structures of a zip file as bytes: end record, central directory, local headers, member data.

Reads what an installer would see (the view of Python's `zipfile`): the last end record counts, the central directory is
what is listed, and a prefix before the archive shifts all offsets. What is odd about it is judged in `zip_faults`.

Source: PKWARE APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from wheelmark.dist.bounds import Bounds, broken, too_large
from wheelmark.dist.entries import EntryKind

STORED, DEFLATED = 0, 8

FLAG_ENCRYPTED = 0x0001
FLAG_DESCRIPTOR = 0x0008
FLAG_UTF8 = 0x0800

EXTRA_ZIP64 = 0x0001
EXTRA_UNICODE_PATH = 0x7075

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
END64_SIGNATURE = b"PK\x06\x06"
LOCATOR64_SIGNATURE = b"PK\x06\x07"
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL_FRONT = struct.Struct("<4s2xBx2H4x3L")
_CENTRAL_BACK = struct.Struct("<4H2x2L")
_CENTRAL_BYTES = 46
_LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA_HEADER = struct.Struct("<2H")

END_BYTES, END64_BYTES, LOCATOR64_BYTES = _END.size, _END64.size, _LOCATOR64.size
MAX_COMMENT_BYTES = 0xFFFF
FULL_16, FULL_32, FULL_64 = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """The end of a zip file: where its central directory is, and what the records say about it."""

    offset: int
    """Where the end record itself starts in the file."""
    disk: int
    directory_disk: int
    records_on_disk: int
    records: int
    directory_size: int
    directory_offset: int
    """As declared; add `prefix` for the place in the file."""
    comment_size: int
    zip64: bool
    zip64_locator_offset: int | None
    """Where the locator says that the zip64 end record is, as declared."""
    zip64_extra_bytes: int
    """Bytes of the zip64 end record beyond its fixed part."""
    narrow: tuple[int, int, int, int]
    """Records on disk, records, size and offset as the 32-bit end record has them."""

    @property
    def directory_start(self) -> int:
        """Where the central directory really starts: its end is fixed by what follows it."""
        tail = self.offset - (LOCATOR64_BYTES + END64_BYTES + self.zip64_extra_bytes if self.zip64 else 0)
        return tail - self.directory_size

    @property
    def prefix(self) -> int:
        """By how many bytes all declared offsets are short."""
        return self.directory_start - self.directory_offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the central directory."""

    raw_name: bytes
    version_needed: int
    """Ten times the version of the format that a reader must know."""
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    header_offset: int
    disk: int
    attributes: int
    extra: bytes
    narrow: tuple[int, ...]
    """Size, compressed size and offset as the fixed part has them, where a zip64 field may follow."""

    @property
    def path(self) -> str:
        """The name as `zipfile` would write it: a Unicode path field wins, and a NUL ends the name."""
        text = (
            self.raw_name.decode("utf-8", "backslashreplace")
            if self.flags & FLAG_UTF8
            else self.raw_name.decode("cp437")
        )
        for kind, body in extra_fields(self.extra):
            if kind == EXTRA_UNICODE_PATH and (unicode_path := unicode_path_of(body, self.raw_name)):
                text = unicode_path
        return text.partition("\0")[0]

    @property
    def mode(self) -> int:
        """The Unix mode with its file type, 0 when there is none."""
        return self.attributes >> 16

    @property
    def kind(self) -> EntryKind:
        """What an installer would write, told by name and Unix mode."""
        if self.path.endswith("/"):
            return "directory"
        file_type = stat.S_IFMT(self.mode)
        if file_type == stat.S_IFLNK:
            return "symlink"
        return "file" if file_type in (0, stat.S_IFREG) else "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHeader:
    """The header before a member's bytes."""

    raw_name: bytes
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    extra: bytes
    narrow: tuple[int, ...]
    """Size and compressed size as the fixed part has them."""
    data_offset: int
    """Where the member's bytes start in the file."""


def size_of(stream: BinaryIO) -> int:
    """The length of a seekable stream, in bytes."""
    return stream.seek(0, io.SEEK_END)


def read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    """At most `length` bytes from `offset`."""
    stream.seek(offset)
    return stream.read(length)


def find_end(stream: BinaryIO) -> EndRecord | None:
    """The end record that an installer would find, or None when the file has none.

    Raises:
        ArchiveBroken: there is one, but it points outside the file.
    """
    file_bytes = size_of(stream)
    tail_start = max(0, file_bytes - END_BYTES - MAX_COMMENT_BYTES)
    tail = read_at(stream, tail_start, file_bytes - tail_start)
    at = len(tail) - END_BYTES
    # A record without comment at the very end is preferred to a later-looking signature inside it, as installers do.
    if not (at >= 0 and tail.startswith(END_SIGNATURE, at) and tail.endswith(b"\0\0")):
        at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) - at < END_BYTES:
        return None
    offset = tail_start + at
    end = _read_end(stream, offset, tail[at : at + END_BYTES])
    if end.directory_start < 0 or end.prefix < 0:
        raise broken("expected a zip's central directory before its end record, got one that starts before the file")
    return end


def _read_end(stream: BinaryIO, offset: int, raw: bytes) -> EndRecord:
    _, disk, directory_disk, on_disk, records, size, start, comment_size = _END.unpack(raw)
    narrow = (on_disk, records, size, start)
    zip64, locator_offset, extra_bytes = False, None, 0
    if offset >= LOCATOR64_BYTES + END64_BYTES:
        locator = read_at(stream, offset - LOCATOR64_BYTES, LOCATOR64_BYTES)
        if locator.startswith(LOCATOR64_SIGNATURE):
            _, _, locator_offset, _ = _LOCATOR64.unpack(locator)
            found = _find_end64(stream, offset - LOCATOR64_BYTES, locator_offset)
            if found is not None:
                zip64 = True
                record, extra_bytes = found
                _, _, _, _, disk, directory_disk, on_disk, records, size, start = _END64.unpack(record)
    return EndRecord(
        offset=offset,
        disk=disk,
        directory_disk=directory_disk,
        records_on_disk=on_disk,
        records=records,
        directory_size=size,
        directory_offset=start,
        comment_size=comment_size,
        zip64=zip64,
        zip64_locator_offset=locator_offset,
        zip64_extra_bytes=extra_bytes,
        narrow=narrow,
    )


def _find_end64(stream: BinaryIO, locator_at: int, declared_offset: int) -> tuple[bytes, int] | None:
    """The zip64 end record, before its locator or else where that points, and how many bytes lie between the two."""
    adjacent = locator_at - END64_BYTES
    for candidate in (adjacent, declared_offset):
        if 0 <= candidate <= adjacent:
            record = read_at(stream, candidate, END64_BYTES)
            if len(record) == END64_BYTES and record.startswith(END64_SIGNATURE):
                return record, adjacent - candidate
    return None


def read_records(stream: BinaryIO, end: EndRecord, bounds: Bounds) -> Iterator[Record]:
    """The records of the central directory in their order.

    Raises:
        ArchiveTooLarge: the directory is larger than its bound.
        ArchiveBroken: a record is cut off, or is none.
    """
    if end.directory_size > bounds.max_directory_bytes:
        raise too_large(
            "archive-members",
            f"expected a central directory of at most {bounds.max_directory_bytes} bytes, got {end.directory_size}",
        )
    directory = read_at(stream, end.directory_start, end.directory_size)
    at = 0
    while at < len(directory):
        fixed = directory[at : at + _CENTRAL_BYTES]
        if len(fixed) < _CENTRAL_BYTES or not fixed.startswith(CENTRAL_SIGNATURE):
            raise broken(
                f"expected a record of the central directory at {end.directory_start + at}, got something else"
            )
        _, version_needed, flags, method, crc32, compressed_size, size = _CENTRAL_FRONT.unpack_from(fixed)
        name_size, extra_size, comment_size, disk, attributes, header_offset = _CENTRAL_BACK.unpack_from(fixed, 28)
        at += _CENTRAL_BYTES
        if at + name_size + extra_size + comment_size > len(directory):
            raise broken("expected a whole record of the central directory, got one that is cut off")
        raw_name = directory[at : at + name_size]
        extra = directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        narrow = (size, compressed_size, header_offset)
        size, compressed_size, header_offset = _widen(extra, size, compressed_size, header_offset)
        yield Record(
            raw_name=raw_name,
            version_needed=version_needed,
            flags=flags,
            method=method,
            crc32=crc32,
            compressed_size=compressed_size,
            size=size,
            header_offset=header_offset,
            disk=disk,
            attributes=attributes,
            extra=extra,
            narrow=narrow,
        )


def read_local(stream: BinaryIO, offset: int) -> LocalHeader:
    """The local header at this place of the file.

    Raises:
        ArchiveBroken: there is none.
    """
    fixed = read_at(stream, offset, _LOCAL.size)
    if len(fixed) < _LOCAL.size or not fixed.startswith(LOCAL_SIGNATURE):
        raise broken(f"expected a member's local header at {offset}, got something else")
    _, _, flags, method, _, _, crc32, compressed_size, size, name_size, extra_size = _LOCAL.unpack(fixed)
    variable = stream.read(name_size + extra_size)
    if len(variable) < name_size + extra_size:
        raise broken(f"expected a whole local header at {offset}, got one that is cut off")
    extra = variable[name_size:]
    wide_size, wide_compressed, _ = _widen(extra, size, compressed_size, 0)
    return LocalHeader(
        raw_name=variable[:name_size],
        flags=flags,
        method=method,
        crc32=crc32,
        compressed_size=wide_compressed,
        size=wide_size,
        extra=extra,
        narrow=(size, compressed_size),
        data_offset=offset + _LOCAL.size + name_size + extra_size,
    )


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The extra fields by kind; what is cut off at the end is left out (see `extra_is_whole`)."""
    at = 0
    while at + _EXTRA_HEADER.size <= len(extra):
        kind, length = _EXTRA_HEADER.unpack_from(extra, at)
        at += _EXTRA_HEADER.size
        if at + length > len(extra):
            return
        yield kind, extra[at : at + length]
        at += length


def extra_is_whole(extra: bytes) -> bool:
    """Whether the extra fields fill their room exactly."""
    return sum(_EXTRA_HEADER.size + len(body) for _, body in extra_fields(extra)) == len(extra)


def zip64_agrees(extra: bytes, narrow: tuple[int, ...]) -> bool:
    """Whether the zip64 field holds just the numbers that are left to it.

    Some writers (Bazel's) repeat the sizes of every member in the local header; that is fine when they are the same.
    """
    bodies = [body for kind, body in extra_fields(extra) if kind == EXTRA_ZIP64]
    left = [index for index, number in enumerate(narrow) if number == FULL_32]
    if not bodies:
        return not left
    if len(bodies) > 1:
        return False
    size, compressed_size, header_offset = _widen(extra, *(*narrow, 0)[:3])
    wide = (size, compressed_size, header_offset)
    allowed = [struct.pack(f"<{len(left)}Q", *(wide[index] for index in left))] if left else []
    allowed += [struct.pack("<2Q", *wide[:2]), struct.pack("<3Q", *wide)]
    # A disk number of four bytes may follow.
    return any(bodies[0] in (one, one + bytes(4)) for one in allowed)


def end64_expected(end: EndRecord, versions: bytes) -> bytes:
    """The zip64 end record and its locator as they must stand before this end record.

    `versions` are its two numbers that are free.
    """
    count, size, start = end.records, end.directory_size, end.directory_offset
    record = _END64.pack(END64_SIGNATURE, END64_BYTES - 12, 0, 0, 0, 0, count, count, size, start)
    locator = _LOCATOR64.pack(LOCATOR64_SIGNATURE, 0, start + size, 1)
    return record[:12] + versions + record[16:] + locator


def unicode_path_of(body: bytes, raw_name: bytes) -> str | None:
    """The name that a Unicode path field gives, or None when it does not speak of this name (§ 4.6.9)."""
    if len(body) < 5 or body[0] != 1 or int.from_bytes(body[1:5], "little") != zlib.crc32(raw_name):
        return None
    return body[5:].decode("utf-8", "backslashreplace")


def _widen(extra: bytes, size: int, compressed_size: int, header_offset: int) -> tuple[int, int, int]:
    """The three numbers with those that do not fit 32 bits taken from the zip64 field, in this order (§ 4.5.3)."""
    body = next((body for kind, body in extra_fields(extra) if kind == EXTRA_ZIP64), b"")
    numbers = [size, compressed_size, header_offset]
    for index, number in enumerate(numbers):
        if number == FULL_32:
            if len(body) < 8:
                break
            numbers[index], body = int.from_bytes(body[:8], "little"), body[8:]
    return numbers[0], numbers[1], numbers[2]
