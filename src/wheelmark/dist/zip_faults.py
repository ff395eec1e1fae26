"""The strict check of a zip file: whatever two readers could see differently is a fault.

A zip says everything twice: in local headers, which streaming readers follow, and in the central directory, which the
others follow. An upload is accepted only when both say the same, and when together they account for every byte.

Source: PKWARE APPNOTE.TXT 6.3.10; PEP 427.
"""

from __future__ import annotations

import stat
import struct
import zlib
from itertools import pairwise
from typing import BinaryIO

from wheelmark.dist import zip_format as zf
from wheelmark.dist.bounds import ArchiveBroken, Bounds, Meter
from wheelmark.dist.decoders import Inflater, decode, pieces_of
from wheelmark.dist.entries import Observer, Sink
from wheelmark.dist.faults import FaultLog, quoted
from wheelmark.dist.member_paths import PathLedger, path_faults
from wheelmark.dist.tar_format import BLOCK_BYTES, is_tar_header
from wheelmark.errors import Fault, Refused

ALLOWED_FLAGS = 0x0002 | 0x0004 | zf.FLAG_DESCRIPTOR | zf.FLAG_UTF8
ENCRYPTION_FLAGS = zf.FLAG_ENCRYPTED | 0x0040 | 0x2000
MAX_VERSION = 63
"""Version 6.3 of the format, the last that readers know."""
METHODS = (zf.STORED, zf.DEFLATED)

_DESCRIPTORS = (struct.Struct("<3L"), struct.Struct("<L2Q"))


def zip_faults(stream: BinaryIO, bounds: Bounds, observe: Observer) -> list[Fault]:
    """Every fault of a zip file; the bytes of its files go to the sinks that `observe` names.

    What a sink got may be incomplete or wrong when there are faults.
    """
    check = _ZipCheck(stream, bounds, observe)
    try:
        check.run()
    except Refused as refusal:
        # Nothing can be read beyond this point, but what was found before it still stands.
        check.log.extend(refusal.faults)
    return check.log.found()


class _ZipCheck:
    """One pass over one zip. The steps share the stream, the meter and the log."""

    def __init__(self, stream: BinaryIO, bounds: Bounds, observe: Observer) -> None:
        self.stream = stream
        self.bounds = bounds
        self.observe = observe
        self.log = FaultLog()
        self.file_bytes = zf.size_of(stream)
        self.meter = Meter(bounds, self.file_bytes)

    def run(self) -> None:
        if is_tar_header(zf.read_at(self.stream, 0, BLOCK_BYTES)):
            self.log.add("zip-also-tar", "expected a zip file, got one that begins with a tar header")
        end = zf.find_end(self.stream)
        if end is None:
            self.log.add("archive-format", "expected a zip file, got one without an end record")
            return
        self.check_end(end)
        records = []
        for record in zf.read_records(self.stream, end, self.bounds):
            self.meter.member(record.path)
            records.append(record)
        if len(records) != end.records:
            self.log.add("zip-end-record", f"expected {end.records} records as the end record says, got {len(records)}")
        self.check_paths(records)
        self.check_layout(end, records)

    def check_end(self, end: zf.EndRecord) -> None:
        """The end record, its zip64 sibling, and what stands before the first and after the last byte."""
        if end.prefix:
            self.log.add("zip-prefix", f"expected the first member at byte 0, got {end.prefix} bytes before it")
        if after := self.file_bytes - end.offset - zf.END_BYTES - end.comment_size:
            self.log.add(
                "zip-trailing", f"expected the file to end with its end record, got a difference of {after} bytes"
            )
        if end.comment_size:
            self.log.add("zip-comment", f"expected no comment, got one of {end.comment_size} bytes")
        if (end.disk, end.directory_disk, end.records_on_disk) != (0, 0, end.records):
            self.log.add("zip-end-record", "expected an archive on one disk, got one on several")
        if end.zip64:
            self.check_end64(end)
        elif end.zip64_locator_offset is not None:
            self.log.add("zip64-record", "expected a zip64 end record where its locator points, got none")

    def check_end64(self, end: zf.EndRecord) -> None:
        """That both end records say the same, and that the locator points to the zip64 one, right before itself."""
        wide = (end.records_on_disk, end.records, end.directory_size, end.directory_offset)
        full = (zf.FULL_16, zf.FULL_16, zf.FULL_32, zf.FULL_32)
        if any(short not in (long, most) for short, long, most in zip(end.narrow, wide, full, strict=True)):
            self.log.add("zip64-record", f"expected both end records to agree, got {end.narrow} and {wide}")
        length = zf.END64_BYTES + zf.LOCATOR64_BYTES
        actual = zf.read_at(self.stream, end.offset - length, length)
        if actual != zf.end64_expected(end, versions=actual[12:16]):
            self.log.add("zip64-record", "expected the plain zip64 end record and its locator, got something else")

    def check_paths(self, records: list[zf.Record]) -> None:
        """The names and kinds that the central directory lists."""
        ledger = PathLedger()
        for record in records:
            try:
                path = record.raw_name.decode("utf-8")
            except UnicodeDecodeError:
                self.log.add("member-path-encoding", f"expected a path in UTF-8, got {quoted(record.path)}")
                continue
            if not path.isascii() and not record.flags & zf.FLAG_UTF8:
                # Some readers take such a name for code page 437, others for UTF-8.
                self.log.add(
                    "member-path-encoding", f"expected the flag for UTF-8 on the path {quoted(path)}, got none"
                )
            is_directory = path.endswith("/")
            plain = path.removesuffix("/")
            self.log.extend(path_faults(plain))
            self.log.extend(ledger.add(plain, is_directory=is_directory))
            file_type = stat.S_IFMT(record.mode)
            if file_type not in (0, stat.S_IFDIR if is_directory else stat.S_IFREG):
                self.log.add(
                    "zip-special-member", f"expected a file or directory, got mode {record.mode:o} for {quoted(path)}"
                )
            if is_directory and record.size:
                self.log.add(
                    "zip-special-member", f"expected no bytes in the directory {quoted(path)}, got {record.size}"
                )
        self.log.extend(ledger.nested())

    def check_layout(self, end: zf.EndRecord, records: list[zf.Record]) -> None:
        """That members and directory follow one another without a gap, and each member by itself."""
        position = end.prefix
        ordered = sorted(records, key=lambda record: record.header_offset)
        starts = [end.prefix + record.header_offset for record in ordered]
        for record, (start, boundary) in zip(ordered, pairwise([*starts, end.directory_start]), strict=True):
            if self.placed(position, start, f"before {quoted(record.path)}"):
                position = self.check_member(record, start, boundary)
        self.placed(position, end.directory_start, "before the central directory")

    def placed(self, position: int, start: int, where: str) -> bool:
        """Whether what starts here does not share bytes with what ended at `position`; a gap is noted."""
        if start > position:
            self.log.add("zip-gap", f"expected nothing {where}, got {start - position} bytes")
        elif start < position:
            self.log.add("zip-overlap", f"expected members that share no bytes, got {position - start} shared {where}")
            return False
        return True

    def check_member(self, record: zf.Record, start: int, boundary: int) -> int:
        """Check one member up to `boundary`, where the next thing starts; gives where it ends."""
        try:
            local = zf.read_local(self.stream, start)
        except ArchiveBroken as refusal:
            self.log.add("zip-local-header", refusal.faults[0].message)
            return boundary
        self.check_headers(record, local)
        data_end = local.data_offset + record.compressed_size
        if data_end > boundary:
            return data_end
        self.check_bytes(record, local)
        if local.flags & zf.FLAG_DESCRIPTOR:
            self.check_descriptor(record, data_end, boundary)
            return boundary
        return data_end

    def check_headers(self, record: zf.Record, local: zf.LocalHeader) -> None:
        """That both headers say the same, and nothing that is not allowed."""
        shown = quoted(record.path)
        if local.raw_name != record.raw_name:
            other = quoted(local.raw_name.decode("utf-8", "backslashreplace"))
            self.log.add(
                "zip-header-mismatch", f"expected the name {shown} in both headers, got {other} in the local one"
            )
        if (local.flags, local.method) != (record.flags, record.method):
            self.log.add(
                "zip-header-mismatch",
                f"expected flags and method of {shown} to be the same in both headers, got "
                f"{record.flags:#x}, {record.method} and {local.flags:#x}, {local.method}",
            )
        central = (record.crc32, record.compressed_size, record.size)
        before = (local.crc32, local.compressed_size, local.size)
        # With a data descriptor the local header may leave these open, as zeros or as zip64 marks.
        open_values = (0, zf.FULL_32) if local.flags & zf.FLAG_DESCRIPTOR else ()
        if any(one != other and one not in open_values for one, other in zip(before, central, strict=True)):
            self.log.add(
                "zip-header-mismatch",
                f"expected CRC-32 and sizes of {shown} to be the same in both headers, got {central} and {before}",
            )
        flags = record.flags | local.flags
        if flags & ENCRYPTION_FLAGS:
            self.log.add("zip-encrypted", f"expected a member that can be read, got an encrypted one: {shown}")
        elif unknown := flags & ~ALLOWED_FLAGS:
            self.log.add("zip-flags", f"expected flags within {ALLOWED_FLAGS:#x}, got {unknown:#x} too for {shown}")
        if record.method not in METHODS:
            self.log.add("zip-method", f"expected a member stored or deflated, got method {record.method} for {shown}")
        if record.version_needed > MAX_VERSION:
            # `zipfile` refuses the whole archive then, and other readers do not look.
            self.log.add(
                "zip-version",
                f"expected a format of at most {MAX_VERSION / 10}, got {record.version_needed / 10} for {shown}",
            )
        if record.disk:
            self.log.add("zip-end-record", f"expected {shown} on disk 0, got {record.disk}")
        self.check_extra(record.extra, record.narrow, record)
        self.check_extra(local.extra, local.narrow, record)

    def check_extra(self, extra: bytes, narrow: tuple[int, ...], record: zf.Record) -> None:
        """The extra fields of one header."""
        shown = quoted(record.path)
        if not zf.extra_is_whole(extra):
            self.log.add("zip-extra", f"expected whole extra fields for {shown}, got one that is cut off")
        if not zf.zip64_agrees(extra, narrow):
            self.log.add("zip-extra", f"expected one zip64 field that agrees for {shown}, got something else")
        unicode_paths = [body for kind, body in zf.extra_fields(extra) if kind == zf.EXTRA_UNICODE_PATH]
        if len(unicode_paths) > 1:
            self.log.add("zip-extra", f"expected at most one Unicode path for {shown}, got {len(unicode_paths)}")
        for body in unicode_paths:
            if body[5:] != record.raw_name or zf.unicode_path_of(body, record.raw_name) is None:
                self.log.add("zip-unicode-path", f"expected a Unicode path equal to the name of {shown}, got another")

    def check_bytes(self, record: zf.Record, local: zf.LocalHeader) -> None:
        """That a member's bytes decode to what its headers say, and fill their room exactly."""
        if record.method not in METHODS or (record.flags | local.flags) & ENCRYPTION_FLAGS:
            return
        sink = self.observe(record.path, record.kind)
        raw = pieces_of(self.stream, local.data_offset, record.compressed_size)
        inflater = Inflater() if record.method == zf.DEFLATED else None
        size, crc32 = 0, 0
        try:
            for chunk in raw if inflater is None else decode(raw, inflater):
                size += len(chunk)
                crc32 = zlib.crc32(chunk, crc32)
                self.count(record, chunk, size, sink)
        except ArchiveBroken as refusal:
            self.log.add("zip-member-data", f"{quoted(record.path)}: {refusal.faults[0].message}")
            return
        if (size, crc32) != (record.size, record.crc32):
            self.log.add(
                "zip-member-data",
                f"expected {record.size} bytes with CRC-32 {record.crc32:08x} in {quoted(record.path)}, "
                f"got {size} with {crc32:08x}",
            )
        if inflater is not None and (inflater.unused_data or next(raw, b"")):
            self.log.add(
                "zip-member-data", f"expected nothing after the deflated bytes of {quoted(record.path)}, got more"
            )

    def count(self, record: zf.Record, chunk: bytes, size: int, sink: Sink | None) -> None:
        """Meter what came out, then hand it on."""
        self.meter.came_out(len(chunk))
        self.meter.member_size(record.path, size)
        if sink is not None:
            sink(chunk)

    def check_descriptor(self, record: zf.Record, start: int, boundary: int) -> None:
        """That what follows a member's bytes is a data descriptor, in one of its four forms, that agrees.

        A stored member may have one only when it is empty: without its size a streaming reader cannot tell its end.
        """
        shown = quoted(record.path)
        if record.method == zf.STORED and record.size:
            self.log.add(
                "zip-descriptor", f"expected the size of the stored member {shown} before its bytes, got it after"
            )
        numbers = (record.crc32, record.compressed_size, record.size)
        # A size beyond 32 bits fits the second form only.
        packed = [form.pack(*numbers) for form in _DESCRIPTORS[record.size > zf.FULL_32 :]]
        expected = [*packed, *(zf.DESCRIPTOR_SIGNATURE + one for one in packed)]
        longest = max(len(one) for one in expected)
        if boundary - start > longest or zf.read_at(self.stream, start, boundary - start) not in expected:
            self.log.add("zip-descriptor", f"expected a data descriptor that agrees after {shown}, got something else")
