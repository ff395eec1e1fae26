"""Zip and tar files put together byte by byte, so that each header can say what it likes. All of it is harmless."""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from support.distributions import gzipped, tar_of

STORED, DEFLATED = 0, 8
UTF8, DESCRIPTOR, ENCRYPTED = 0x0800, 0x0008, 0x0001
REGULAR_MODE = 0o100644
SYMLINK_MODE = 0o120777
FULL_32 = 0xFFFFFFFF


def deflated(content: bytes) -> bytes:
    """A raw deflate stream."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


@dataclass(frozen=True, kw_only=True)
class Part:
    """One member of a raw zip. Every `None` is filled in rightly."""

    name: bytes = b"demo.py"
    content: bytes = b"print('demo')\n"
    method: int = DEFLATED
    flags: int = UTF8
    packed: bytes | None = None
    """The compressed bytes, in place of the right ones."""
    size: int | None = None
    crc32: int | None = None
    mode: int = REGULAR_MODE
    version_needed: int = 20
    extra: bytes = b""
    offset_shift: int = 0
    before: bytes = b""
    after: bytes = b""
    """What follows the bytes: a data descriptor, or what should not be there."""
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_size: int | None = None
    local_packed_size: int | None = None
    local_crc32: int | None = None
    local_extra: bytes = b""
    local_signature: bytes = b"PK\x03\x04"


def descriptor(content: bytes, packed: bytes, *, signature: bool = True, wide: bool = False) -> bytes:
    """A data descriptor in one of its four forms."""
    numbers = struct.pack("<LQQ" if wide else "<LLL", zlib.crc32(content), len(packed), len(content))
    return (b"PK\x07\x08" if signature else b"") + numbers


def streamed(name: bytes = b"demo.py", content: bytes = b"print('demo')\n" * 3, **changes: bytes | int) -> Part:
    """A member as a writer makes it that cannot seek back: sizes stand in a data descriptor."""
    fields: dict[str, object] = {
        "name": name,
        "content": content,
        "flags": UTF8 | DESCRIPTOR,
        "local_size": 0,
        "local_packed_size": 0,
        "local_crc32": 0,
        "after": descriptor(content, deflated(content)),
    }
    return Part(**{**fields, **changes})  # type: ignore[arg-type]  # fields by name


def extra_field(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def unicode_path(name: bytes, says: bytes) -> bytes:
    """The extra field by which a member claims another name."""
    return extra_field(0x7075, b"\x01" + struct.pack("<L", zlib.crc32(name)) + says)


def raw_zip(
    *parts: Part,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    comment: bytes = b"",
    trailing: bytes = b"",
    records: int | None = None,
    disk: int = 0,
    offset_shift: int = 0,
    zip64: bool = False,
    zip64_records: int | None = None,
    locator_shift: int = 0,
    locator_alone: bool = False,
) -> bytes:
    """A zip of these parts. Offsets are right for an archive that begins after `prefix`, unless shifted."""
    body, directory = bytearray(), bytearray()
    for part in parts:
        body += part.before
        offset = len(body) + part.offset_shift
        packed = part.packed
        if packed is None:
            packed = deflated(part.content) if part.method == DEFLATED else part.content
        size = len(part.content) if part.size is None else part.size
        crc32 = zlib.crc32(part.content) if part.crc32 is None else part.crc32
        local_name = part.name if part.local_name is None else part.local_name
        body += part.local_signature + struct.pack(
            "<5H3L2H",
            20,
            part.flags if part.local_flags is None else part.local_flags,
            part.method if part.local_method is None else part.local_method,
            0,
            33,
            crc32 if part.local_crc32 is None else part.local_crc32,
            len(packed) if part.local_packed_size is None else part.local_packed_size,
            size if part.local_size is None else part.local_size,
            len(local_name),
            len(part.local_extra),
        )
        body += local_name + part.local_extra + packed + part.after
        directory += b"PK\x01\x02" + struct.pack(
            "<4B4H3L", 20, 3, part.version_needed, 0, part.flags, part.method, 0, 33, crc32, len(packed), size
        )
        directory += struct.pack("<5H2L", len(part.name), len(part.extra), 0, 0, 0, part.mode << 16, offset)
        directory += part.name + part.extra
    body += before_directory
    start, count = len(body) + offset_shift, len(parts) if records is None else records
    end64 = b""
    if zip64 or locator_alone:
        wide_count = count if zip64_records is None else zip64_records
        record = struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, wide_count, wide_count, len(directory), start
        )
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(directory) + locator_shift, 1)
        end64 = (bytes(len(record)) if locator_alone else record) + locator
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", disk, 0, count, count, len(directory), start, len(comment))
    return prefix + bytes(body) + bytes(directory) + end64 + end + comment + trailing


def tar_info(
    path: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", size: int = 0, mode: int = 0o644
) -> tarfile.TarInfo:
    """A tar header's fields."""
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.size, info.mode = kind, target, size, mode
    return info


def raw_block(info: tarfile.TarInfo) -> bytes:
    """The 512 bytes of one plain header."""
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")


def tar_member(info: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """One header and its padded bytes; the size in the header is left as it is."""
    return raw_block(info) + content + bytes(-len(content) % 512)


def pax_member(records: Sequence[tuple[str, str]], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """An extended header with these records."""
    body = b"".join(pax_record(key, value) for key, value in records)
    return tar_member(tar_info("pax", kind, size=len(body)), body)


def pax_record(key: str, value: str) -> bytes:
    text = f" {key}={value}\n".encode()
    length = len(text)
    while len(str(length)) + len(text) != length:
        length = len(str(length)) + len(text)
    return str(length).encode() + text


TAR_END = bytes(1024)


def raw_tar_gz(*pieces: bytes, end: bytes = TAR_END) -> bytes:
    """A tar.gz of raw pieces and an end."""
    return gzipped(b"".join(pieces) + end)


def simple_tar_gz(*members: tuple[str, bytes]) -> bytes:
    """A sound tar.gz of plain files."""
    return gzipped(tar_of([(tarfile.TarInfo(path), content) for path, content in members]))
