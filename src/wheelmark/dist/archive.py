"""Reading hostile archives: one bounded pass over the members, and the strict check of an upload.

`walk_archive` is tolerant: it shows what an installer would see, so that the scanner sees inside odd files too.
`archive_faults` is strict: it names everything about an archive that two readers could see differently, or that would
harm whoever unpacks it. Nothing is written to disk, no link is followed, no header is believed about sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Literal

from wheelmark.dist.bounds import DEFAULT_BOUNDS, ArchiveBroken, Bounds, Meter, broken
from wheelmark.dist.decoders import Decoder, bzip2_decoder, decode, gzip_decoder, pieces_of, xz_decoder
from wheelmark.dist.entries import Entry, Observer, nobody
from wheelmark.dist.faults import quoted
from wheelmark.dist.tar_faults import tar_faults
from wheelmark.dist.tar_format import BLOCK_BYTES, ByteSource, is_tar_header, walk_tar
from wheelmark.dist.zip_faults import zip_faults
from wheelmark.dist.zip_format import EndRecord, find_end, size_of
from wheelmark.dist.zip_members import walk_zip
from wheelmark.errors import Fault

TarFormat = Literal["tar", "tar.gz", "tar.bz2", "tar.xz"]

_MAGIC: tuple[tuple[bytes, TarFormat], ...] = (
    (b"\x1f\x8b", "tar.gz"),
    (b"BZh", "tar.bz2"),
    (b"\xfd7zXZ\0", "tar.xz"),
)
_ZIP_SUFFIXES = (".whl", ".zip", ".egg")


def walk_archive(stream: BinaryIO, *, filename: str, bounds: Bounds = DEFAULT_BOUNDS) -> Iterator[Entry]:
    """The members of a zip (whl, egg) or of a tar (plain, gzip, bzip2, xz), as an installer would see them.

    The format is told by content; only where a file is both zip and tar does its name decide, as for installers.
    `stream` must be seekable and is read while the walk goes on. An entry is valid until the next is asked for.

    Raises (also while iterating and reading entries):
        ArchiveTooLarge: a bound was crossed; what was seen is not everything.
        ArchiveBroken: the archive cannot be read further. After one member of a zip failed, the walk may go on.
    """
    found = detect(stream, filename)
    if isinstance(found, EndRecord):
        return walk_zip(stream, found, bounds)
    meter = Meter(bounds, size_of(stream))
    return walk_tar(ByteSource(_metered(tar_bytes(stream, found), meter)), meter, bounds)


def archive_faults(
    stream: BinaryIO, *, filename: str, bounds: Bounds = DEFAULT_BOUNDS, observe: Observer = nobody
) -> list[Fault]:
    """Every fault of an archive as an upload: a `.whl`, `.zip` or `.egg` is checked as zip, anything else as tar.gz.

    The name decides here, since it decides how installers read the file. Nothing is raised: an archive that cannot be
    read, or crosses a bound, has that as its last fault. `observe` may take the bytes of members on the way.
    """
    if filename.lower().endswith(_ZIP_SUFFIXES):
        return zip_faults(stream, bounds, observe)
    return tar_faults(stream, bounds, observe)


def detect(stream: BinaryIO, filename: str) -> EndRecord | TarFormat:
    """What the file is: a zip (then its end record), or a tar and its compression.

    Raises:
        ArchiveBroken: it is no archive that an installer takes.
    """
    stream.seek(0)
    head = stream.read(BLOCK_BYTES)
    tar_format: TarFormat | None = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if tar_format is None and is_tar_header(head):
        tar_format = "tar"
    if tar_format is not None and not filename.lower().endswith(_ZIP_SUFFIXES):
        return tar_format
    try:
        end = find_end(stream)
    except ArchiveBroken:
        if tar_format is None:
            raise
        end = None
    found = end or tar_format
    if found is None:
        raise broken(f"expected a zip or tar archive in {quoted(filename)}, got neither")
    return found


def tar_bytes(stream: BinaryIO, tar_format: TarFormat) -> Iterator[bytes]:
    """The plain tar in chunks. As for `tarfile`, further compressed streams belong to it, and other bytes end it."""
    raw = pieces_of(stream, 0, size_of(stream))
    if tar_format == "tar":
        yield from raw
        return
    magic = next(magic for magic, name in _MAGIC if name == tar_format)
    rest = b""
    while True:
        decoder = _decoder(tar_format)
        yield from decode(_chain(rest, raw), decoder)
        rest = decoder.unused_data
        while len(rest.lstrip(b"\0")) < len(magic) and (piece := next(raw, b"")):
            rest = rest.lstrip(b"\0") + piece
        rest = rest.lstrip(b"\0")
        if not rest.startswith(magic):
            return


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _decoder(tar_format: TarFormat) -> Decoder:
    if tar_format == "tar.gz":
        return gzip_decoder()
    return bzip2_decoder() if tar_format == "tar.bz2" else xz_decoder()


def _metered(chunks: Iterator[bytes], meter: Meter) -> Iterator[bytes]:
    for chunk in chunks:
        meter.came_out(len(chunk))
        yield chunk
