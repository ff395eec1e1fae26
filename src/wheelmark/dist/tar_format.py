"""The members of a tar archive, read in one pass from a stream of bytes that cannot seek.

The standard library's `tarfile` reads an extended header of any length into memory, and ends in silence at a header
that it does not understand; a scanner can afford neither. The 512 bytes of a header are still left to
`tarfile.TarInfo`, and what a name or size comes to follows `tarfile`, because that is what pip installs from.

Source: POSIX.1-2017 § pax; GNU tar § Basic Tar Format.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from wheelmark.dist.bounds import CHUNK_BYTES, Bounds, Meter, broken, too_large
from wheelmark.dist.entries import Entry, EntryKind
from wheelmark.dist.faults import quoted

BLOCK_BYTES = tarfile.BLOCKSIZE
ZERO_BLOCK = bytes(BLOCK_BYTES)
MAX_EXTENDED_HEADERS = 16
"""Extended headers before one member: two suffice, and more are a way to make us read for ever."""

_KINDS: dict[bytes, EntryKind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
}
# `tarfile` skips no bytes after these, even when their header declares some.
_TYPES_WITHOUT_BYTES = {
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
}
_SPARSE_EXTENDED_AT = 482
_SPARSE_BLOCK_EXTENDED_AT = 504


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """One member with the headers that led to it."""

    path: str
    """Undecodable bytes are surrogates here, as in `tarfile`."""
    target: str
    size: int
    """Bytes that follow in the archive. For a sparse member this is not the size of the file."""
    kind: EntryKind
    header: tarfile.TarInfo
    """The plain header alone."""
    pax: tuple[tuple[str, str], ...]
    """The records of the extended headers before it, in order, repetitions included."""
    global_pax: tuple[tuple[str, str], ...]
    """The records of all global headers so far."""
    long_name: bool
    long_target: bool
    sparse: bool

    @property
    def holds_bytes(self) -> bool:
        """Whether bytes follow in the archive."""
        return self.header.type not in _TYPES_WITHOUT_BYTES


class ByteSource:
    """A pull-style view of an iterator of chunks."""

    __slots__ = ("_chunk", "_chunks", "_start", "position")

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._start = 0
        self.position = 0

    def some(self, max_bytes: int) -> bytes:
        """Between 1 and `max_bytes` bytes; none at the end."""
        if self._start == len(self._chunk):
            self._chunk, self._start = next(self._chunks, b""), 0
        piece = self._chunk[self._start : self._start + max_bytes]
        self._start += len(piece)
        self.position += len(piece)
        return piece

    def exactly(self, count: int) -> bytes:
        """`count` bytes, or fewer when the source ends before."""
        first = self.some(count)
        if len(first) == count:
            return first
        parts = [first]
        missing = count - len(first)
        while missing and (piece := self.some(missing)):
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over `count` bytes.

        Raises:
            ArchiveBroken: the source ends before.
        """
        while count:
            piece = self.some(min(count, CHUNK_BYTES))
            if not piece:
                raise broken(f"expected {count} bytes more in the tar archive, got its end")
            count -= len(piece)


def is_tar_header(block: bytes) -> bool:
    """Whether 512 bytes are a tar header with a right checksum."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def pax_records(body: bytes) -> list[tuple[str, str]]:
    """The records `length keyword=value` of an extended header.

    Raises:
        ArchiveBroken: they do not follow one another exactly.
    """
    records = []
    at = 0
    # Padding with NULs is not in the standard, but `tarfile` takes it and some writers make it.
    end = len(body.rstrip(b"\0"))
    while at < end:
        digits, _, _ = body[at : at + 20].partition(b" ")
        if not digits.isdigit():
            raise broken("expected the length of a pax record, got something else")
        length = int(digits)
        keyword, equals, value = body[at + len(digits) + 1 : at + length].partition(b"=")
        if at + length > len(body) or not equals or not keyword or not value.endswith(b"\n"):
            raise broken("expected a pax record `length keyword=value`, got something else")
        records.append((keyword.decode("utf-8", "surrogateescape"), value[:-1].decode("utf-8", "surrogateescape")))
        at += length
    return records


class TarReader:
    """Reads members one after another; the bytes of one must be had before the next is asked for."""

    def __init__(self, source: ByteSource, bounds: Bounds) -> None:
        self._source = source
        self._bounds = bounds
        self._global_pax: list[tuple[str, str]] = []
        self._data_left = 0
        self._padding = 0
        self._serial = 0
        self.end_marked = False
        """Whether a zero block ended the archive, and not the end of its bytes."""

    def next_member(self) -> TarMember | None:
        """The next member, or None at the end mark or, where that is missing, at the end of the bytes.

        Raises:
            ArchiveBroken: what stands here is no header, or is cut off.
            ArchiveTooLarge: an extended header is larger than its bound.
        """
        self._serial += 1
        self._source.skip(self._data_left + self._padding)
        self._data_left = self._padding = 0
        pax: list[tuple[str, str]] = []
        long_name: str | None = None
        long_target: str | None = None
        for _ in range(MAX_EXTENDED_HEADERS):
            block = self._source.exactly(BLOCK_BYTES)
            if not block or block == ZERO_BLOCK:
                if pax or long_name is not None or long_target is not None:
                    raise broken("expected a member after an extended header, got the end of the tar archive")
                self.end_marked = bool(block)
                return None
            header = self._header(block)
            if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                pax += pax_records(self._extended(header))
            elif header.type == tarfile.XGLTYPE:
                self._global_pax += pax_records(self._extended(header))
                if len(self._global_pax) > self._bounds.max_members:
                    raise too_large("archive-members", "expected few global pax records, got more than members may be")
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                long_name = _c_string(self._extended(header))
            elif header.type == tarfile.GNUTYPE_LONGLINK:
                long_target = _c_string(self._extended(header))
            else:
                if header.type == tarfile.GNUTYPE_SPARSE:
                    self._skip_sparse_map(block)
                return self._member(header, pax, long_name, long_target)
        raise too_large("archive-members", f"expected at most {MAX_EXTENDED_HEADERS} headers before a member, got more")

    def chunks(self, serial: int) -> Iterator[bytes]:
        """The bytes of the member that was read last; `serial` (from `serial_now`) tells that it is still that one.

        Raises:
            ArchiveBroken: the archive ends before.
        """
        while True:
            if serial != self._serial:
                raise RuntimeError("a tar member must be read before the next one is asked for")
            if not self._data_left:
                return
            piece = self._source.some(min(self._data_left, CHUNK_BYTES))
            if not piece:
                raise broken(f"expected {self._data_left} bytes more of a tar member, got the end of the archive")
            self._data_left -= len(piece)
            yield piece

    @property
    def serial_now(self) -> int:
        """Names the member that was read last."""
        return self._serial

    def _header(self, block: bytes) -> tarfile.TarInfo:
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            at = self._source.position - len(block)
            raise broken(f"expected a tar header at {at}, got something else ({error})") from error

    def _extended(self, header: tarfile.TarInfo) -> bytes:
        if not 0 <= header.size <= self._bounds.max_header_bytes:
            raise too_large(
                "archive-size",
                f"expected an extended header of at most {self._bounds.max_header_bytes} bytes, got {header.size}",
            )
        body = self._source.exactly(header.size)
        if len(body) < header.size:
            raise broken("expected a whole extended header, got the end of the tar archive")
        self._source.skip(-header.size % BLOCK_BYTES)
        return body

    def _member(
        self, header: tarfile.TarInfo, pax: list[tuple[str, str]], long_name: str | None, long_target: str | None
    ) -> TarMember:
        effective = dict(self._global_pax) | dict(pax)
        sparse = header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in effective)
        path = effective.get("path", header.name if long_name is None else long_name)
        path = effective.get("GNU.sparse.name", path)
        target = effective.get("linkpath", header.linkname if long_target is None else long_target)
        kind: EntryKind = "other" if sparse else _KINDS.get(header.type, "other")
        size = _size(effective.get("size"), header)
        if header.type in _TYPES_WITHOUT_BYTES:
            self._data_left = self._padding = 0
        else:
            self._data_left, self._padding = size, -size % BLOCK_BYTES
        return TarMember(
            path=path.rstrip("/") if kind == "directory" else path,
            target=target,
            size=size,
            kind=kind,
            header=header,
            pax=tuple(pax),
            global_pax=tuple(self._global_pax),
            long_name=long_name is not None,
            long_target=long_target is not None,
            sparse=sparse,
        )

    def _skip_sparse_map(self, header_block: bytes) -> None:
        # The old GNU format chains blocks of the map between the header and the bytes.
        extended = bool(header_block[_SPARSE_EXTENDED_AT])
        while extended:
            block = self._source.exactly(BLOCK_BYTES)
            if len(block) < BLOCK_BYTES:
                raise broken("expected the map of a sparse tar member, got the end of the archive")
            extended = bool(block[_SPARSE_BLOCK_EXTENDED_AT])


def _c_string(body: bytes) -> str:
    return body.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _size(pax_size: str | None, header: tarfile.TarInfo) -> int:
    if pax_size is None:
        size = header.size
    else:
        if not (pax_size.isdigit() and pax_size.isascii() and len(pax_size) < 20):
            raise broken(f"expected a pax size in digits, got {quoted(pax_size)}")
        size = int(pax_size)
    if size < 0:
        raise broken(f"expected a member's size, got {size}")
    return size


def printable(path: str) -> str:
    """A path with the bytes that were not UTF-8 shown as `\\xNN`, so that it can be encoded."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def walk_tar(source: ByteSource, meter: Meter, bounds: Bounds) -> Iterator[Entry]:
    """The members in their order. The bytes that come out are counted where they are decompressed, headers included."""
    reader = TarReader(source, bounds)
    while (member := reader.next_member()) is not None:
        path = printable(member.path)
        meter.member(path)
        meter.member_size(path, member.size)
        yield Entry(
            path=path,
            size=member.size,
            kind=member.kind,
            target=printable(member.target),
            mode=member.header.mode & 0o7777,
            chunks=partial(reader.chunks, reader.serial_now),
        )
