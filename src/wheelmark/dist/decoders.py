"""Streaming decompression with one interface for deflate, gzip, bzip2 and xz, never more than a chunk at a time."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from wheelmark.dist.bounds import CHUNK_BYTES, MIB, broken

MAX_LZMA_MEMORY_BYTES = 128 * MIB
"""A decoder for the largest preset of xz needs 65 MiB; a hostile header may ask for 4 GiB."""

GZIP_WBITS = 31
RAW_DEFLATE_WBITS = -15

DecodeError = (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError)
"""What the standard library's decoders raise on bytes that make no sense to them."""


class Decoder(Protocol):
    """What `bz2` and `lzma` offer, and `Inflater` for `zlib`."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflater:
    """`zlib` with the interface of the other decoders."""

    __slots__ = ("_full", "_zlib")

    def __init__(self, wbits: int = RAW_DEFLATE_WBITS) -> None:
        self._zlib = zlib.decompressobj(wbits)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._full and not self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(out) == max_length
        return out


def gzip_decoder() -> Decoder:
    """One gzip stream; the checksum and length at its end are verified."""
    return Inflater(GZIP_WBITS)


def bzip2_decoder() -> Decoder:
    """One bzip2 stream."""
    return bz2.BZ2Decompressor()


def xz_decoder() -> Decoder:
    """One xz stream, within a bounded memory."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_LZMA_MEMORY_BYTES)


def decode(pieces: Iterator[bytes], decoder: Decoder) -> Iterator[bytes]:
    """The decoded bytes of one stream, in chunks of at most `CHUNK_BYTES`.

    What was read beyond the end of the stream is in `decoder.unused_data`.

    Raises:
        ArchiveBroken: the bytes make no sense, or end before the stream does.
    """
    while not decoder.eof:
        piece = b""
        if decoder.needs_input:
            piece = next(pieces, b"")
            if not piece:
                raise broken("expected the compressed stream to end, got the end of its bytes")
        try:
            out = decoder.decompress(piece, CHUNK_BYTES)
        except DecodeError as error:
            raise broken(f"expected a compressed stream, got bytes that do not decode ({error})") from error
        if out:
            yield out


def pieces_of(stream: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    """At most `length` raw bytes from `start`. Seeks before every read: others may use the stream meanwhile."""
    position, end = start, start + length
    while position < end:
        stream.seek(position)
        piece = stream.read(min(CHUNK_BYTES, end - position))
        if not piece:
            return
        position += len(piece)
        yield piece
