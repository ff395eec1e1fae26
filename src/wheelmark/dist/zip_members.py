"""The members of a zip file: how their bytes decode, and the tolerant walk over them.

Source: PKWARE APPNOTE.TXT 6.3.10 § 4.4.5, § 5.8.
"""

from __future__ import annotations

import bz2
import lzma
import stat
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from wheelmark.dist.bounds import Bounds, Meter, broken, too_large
from wheelmark.dist.decoders import MAX_LZMA_MEMORY_BYTES, Decoder, Inflater, decode, pieces_of
from wheelmark.dist.entries import Entry
from wheelmark.dist.faults import quoted
from wheelmark.dist.zip_format import (
    DEFLATED,
    FLAG_ENCRYPTED,
    STORED,
    EndRecord,
    LocalHeader,
    Record,
    read_at,
    read_local,
    read_records,
    size_of,
)

BZIP2, LZMA = 12, 14


def member_decoder(record: Record, stream: BinaryIO, local: LocalHeader) -> tuple[Decoder | None, int]:
    """The decoder for a member (None: stored), and how many bytes of its data come before the compressed stream.

    Raises:
        ArchiveBroken: the member is encrypted, or compressed in a way no installer reads.
    """
    if record.flags & FLAG_ENCRYPTED:
        raise broken(f"expected a member that can be read, got an encrypted one: {quoted(record.path)}")
    if record.method == STORED:
        return None, 0
    if record.method == DEFLATED:
        return Inflater(), 0
    if record.method == BZIP2:
        return bz2.BZ2Decompressor(), 0
    if record.method == LZMA:
        return _zip_lzma_decoder(read_at(stream, local.data_offset, 9)), 9
    raise broken(f"expected a known compression method, got {record.method} for {quoted(record.path)}")


def _zip_lzma_decoder(header: bytes) -> Decoder:
    """The decoder of method 14. Before its stream stand a version, a length (always 5) and properties (§ 5.8.8)."""
    if len(header) < 9 or header[2:4] != b"\x05\0" or header[4] >= 9 * 5 * 5:
        raise broken("expected the properties of an LZMA stream, got something else")
    dictionary_bytes = int.from_bytes(header[5:9], "little")
    if dictionary_bytes > MAX_LZMA_MEMORY_BYTES:
        raise too_large(
            "archive-size",
            f"expected an LZMA dictionary of at most {MAX_LZMA_MEMORY_BYTES} bytes, got {dictionary_bytes}",
        )
    rest, literal_context = divmod(header[4], 9)
    position, literal_position = divmod(rest, 5)
    properties = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(dictionary_bytes, 4096),
        "lc": literal_context,
        "lp": literal_position,
        "pb": position,
    }
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[properties])
    except (lzma.LZMAError, ValueError) as error:
        raise broken(f"expected the properties of an LZMA stream, got impossible ones ({error})") from error


def member_bytes(stream: BinaryIO, record: Record, prefix: int, meter: Meter) -> Iterator[bytes]:
    """All that comes out of one member, however much its headers say; counted as it comes.

    Raises:
        ArchiveBroken: it does not decode, or its size or CRC-32 is not what the central directory says. An installer
            may see only the declared part then, or refuse: do not take what came before for the whole.
        ArchiveTooLarge: a bound is crossed.
    """
    local = read_local(stream, prefix + record.header_offset)
    decoder, skipped = member_decoder(record, stream, local)
    raw = pieces_of(stream, local.data_offset + skipped, record.compressed_size - skipped)
    size, crc32 = 0, 0
    # An LZMA stream may end without a mark (general purpose bit 1): then its declared size says where.
    for chunk in raw if decoder is None else decode(raw, decoder):
        size += len(chunk)
        crc32 = zlib.crc32(chunk, crc32)
        meter.came_out(len(chunk))
        meter.member_size(record.path, size)
        yield chunk
        if record.method == LZMA and size == record.size:
            break
    if (size, crc32) != (record.size, record.crc32):
        raise broken(
            f"expected {record.size} bytes with CRC-32 {record.crc32:08x} in {quoted(record.path)}, "
            f"got {size} with {crc32:08x}"
        )


def walk_zip(stream: BinaryIO, end: EndRecord, bounds: Bounds) -> Iterator[Entry]:
    """The members that the central directory lists, in its order."""
    meter = Meter(bounds, size_of(stream))
    for record in read_records(stream, end, bounds):
        path = record.path
        meter.member(path)
        yield Entry(
            path=path,
            size=record.size,
            kind=record.kind,
            mode=stat.S_IMODE(record.mode),
            chunks=partial(member_bytes, stream, record, end.prefix, meter),
        )
