"""The whole check of one uploaded distribution: name, archive, metadata and contents, with all faults at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wheelmark.dist.archive import archive_faults
from wheelmark.dist.bounds import CHUNK_BYTES, DEFAULT_BOUNDS, Bounds
from wheelmark.dist.contents import Contents
from wheelmark.dist.faults import FaultLog, quoted
from wheelmark.dist.filenames import Filename, parse_filename
from wheelmark.dist.metadata import CoreMetadata, parse_metadata
from wheelmark.dist.metadata_rules import metadata_faults
from wheelmark.dist.names import Sha256
from wheelmark.dist.sdist import check_sdist, wanted_of_sdist
from wheelmark.dist.wheel import check_wheel, dist_info, wanted_of_wheel
from wheelmark.errors import Refused

# After these the members that were seen are not all of them, and what is missing tells nothing.
_UNREADABLE = frozenset(
    {
        "archive-broken",
        "archive-format",
        "archive-members",
        "archive-ratio",
        "archive-size",
        "member-path-depth",
        "member-path-length",
        "member-size",
        "tar-compression",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is known of a distribution that broke no rule."""

    filename: Filename
    sha256: Sha256
    blake2b_256: str
    """BLAKE2b with 32 bytes, in lower-case hexadecimal: the `blake2_256_digest` of the upload API."""
    md5: str
    """For comparing with the `md5_digest` of the upload API only; it vouches for nothing."""
    size: int
    """In bytes."""
    metadata: CoreMetadata
    metadata_bytes: bytes
    """The core metadata file as it stands in the distribution (PEP 658 serves these bytes)."""
    metadata_sha256: Sha256


def inspect_distribution(path: Path, filename: str, *, bounds: Bounds = DEFAULT_BOUNDS) -> Inspection:
    """Check the file at `path` as an upload called `filename`; nothing of it is unpacked, imported or built.

    Memory is bounded by the metadata files and one record a member, not by the size of the file.

    Raises:
        Refused: with every fault of name, archive, metadata and contents.
    """
    log = FaultLog()
    parsed = _parse_name(filename, log)
    with path.open("rb") as stream:
        sha256, blake2b_256, md5, size = _digests(stream)
        wanted = wanted_of_wheel(parsed) if parsed.kind == "bdist_wheel" else wanted_of_sdist(parsed)
        contents = Contents(wanted, only_wanted=parsed.kind == "sdist")
        found = archive_faults(stream, filename=parsed.text, bounds=bounds, observe=contents.observe)
    log.extend(found)
    metadata = None
    if _UNREADABLE.isdisjoint(fault.code for fault in found):
        metadata = _read_metadata(parsed, contents, log)
        if parsed.kind == "bdist_wheel":
            check_wheel(parsed, contents, metadata, log)
        else:
            check_sdist(parsed, contents, metadata, log)
    if log or metadata is None:
        raise Refused(log.found())
    return Inspection(
        filename=parsed,
        sha256=sha256,
        blake2b_256=blake2b_256,
        md5=md5,
        size=size,
        metadata=metadata,
        metadata_bytes=metadata.raw,
        metadata_sha256=Sha256(hashlib.sha256(metadata.raw).hexdigest()),
    )


def _parse_name(filename: str, log: FaultLog) -> Filename:
    """The parsed name; when only its spelling is wrong the check goes on, so that the sender learns of the rest too.

    Raises:
        Refused: the name does not even say what kind of file this is.
    """
    try:
        return parse_filename(filename)
    except Refused as refusal:
        if filename.endswith(".zip"):
            raise
        parsed = parse_filename(filename, strict=False)
        log.extend(refusal.faults)
        return parsed


def _digests(stream: BinaryIO) -> tuple[Sha256, str, str, int]:
    sha256 = hashlib.sha256()
    blake2b = hashlib.blake2b(digest_size=32)
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0
    stream.seek(0)
    while chunk := stream.read(CHUNK_BYTES):
        size += len(chunk)
        for digest in (sha256, blake2b, md5):
            digest.update(chunk)
    return Sha256(sha256.hexdigest()), blake2b.hexdigest(), md5.hexdigest(), size


def _read_metadata(parsed: Filename, contents: Contents, log: FaultLog) -> CoreMetadata | None:
    """The metadata of the file, its own faults and its disagreement with the file's name noted."""
    folder, name = (dist_info(parsed), "METADATA") if parsed.kind == "bdist_wheel" else (parsed.stem, "PKG-INFO")
    raw = contents.wanted_bytes(
        f"{folder}/{name}", log, missing_code="metadata-missing", too_large_code="metadata-size"
    )
    if raw is None:
        return None
    try:
        metadata = parse_metadata(raw)
    except Refused as refusal:
        log.extend(refusal.faults)
        return None
    log.extend(metadata_faults(metadata))
    if metadata.normalized_name != parsed.name:
        log.add("metadata-name", f"expected {parsed.name!r} as in the file's name, got {quoted(metadata.name)}")
    if metadata.version != parsed.version:
        log.add(
            "metadata-release-version",
            f"expected {str(parsed.version)!r} as in the file's name, got {quoted(str(metadata.version))}",
        )
    return metadata
