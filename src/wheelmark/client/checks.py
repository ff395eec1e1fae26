"""What makes bytes trusted, step by step below the signed metadata: page, file, what lies beside it. Pure.

The metadata gives a `TargetFile` for a page; the page, once `parse_page_json` has read it, a `SimpleFile` for each
file. Each function here takes one of these and bytes, and lets through what may be used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable

from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.metadata import converted_errors
from wheelmark.errors import Refused, Untrusted
from wheelmark.simple import MAX_PAGE_BYTES, SimpleFile

# A page gives the hash of these, not their size.
MAX_CORE_METADATA_BYTES = 16 * 1024 * 1024
MAX_PROVENANCE_BYTES = 4 * 1024 * 1024


def page_sha256(target: TargetFile) -> str:
    """The sha256 of a page, by which it is fetched; before anything of it is.

    Raises:
        Untrusted: the target has none, or is longer than a page may be.
    """
    sha256 = target.hashes.get("sha256")
    if sha256 is None or target.length > MAX_PAGE_BYTES:
        raise Untrusted(f"{target.path}: expected a sha256 and at most {MAX_PAGE_BYTES} bytes", code="target")
    return sha256


def check_page_bytes(target: TargetFile, raw: bytes) -> None:
    """Pass only the bytes that the signed metadata means.

    Raises:
        Untrusted: other bytes than those of the target.
    """
    page_sha256(target)
    with converted_errors(target.path):
        target.verify_length_and_hashes(raw)


def checked_pieces(file: SimpleFile, pieces: Iterable[bytes]) -> Generator[bytes]:
    """The same pieces, but the last comes only when size and sha256 of all are right.

    Raises:
        Untrusted: more bytes than the page says, fewer, or others. What was yielded before must be thrown away.
    """
    held = b""
    received = 0
    digest = hashlib.sha256()
    for piece in pieces:
        received += len(piece)
        if received > file.size:
            raise _wrong(file, f"{file.size} bytes", "more")
        digest.update(piece)
        if held:
            yield held
        held = piece
    if received != file.size:
        raise _wrong(file, f"{file.size} bytes", f"{received}")
    if digest.hexdigest() != file.sha256:
        raise _wrong(file, f"sha256 {file.sha256}", digest.hexdigest())
    if held:
        yield held


def core_metadata_sha256(file: SimpleFile) -> str:
    """The sha256 of a file's core metadata.

    Raises:
        Refused: the page names none for this file.
    """
    if file.core_metadata_sha256 is None:
        raise Refused.because("no-core-metadata", "file", f"expected core metadata for {file.filename}, got none")
    return file.core_metadata_sha256


def provenance_sha256(file: SimpleFile) -> str:
    """The sha256 of a file's provenance object.

    Raises:
        Refused: the page names none for this file.
    """
    if file.provenance_sha256 is None:
        raise Refused.because("no-provenance", "file", f"expected provenance of {file.filename}, got none")
    return file.provenance_sha256


def checked_beside(file: SimpleFile, what: str, sha256: str, raw: bytes) -> bytes:
    """Core metadata or provenance of a file, by the hash in the page.

    Raises:
        Untrusted: the bytes are not those of the hash.
    """
    came = hashlib.sha256(raw).hexdigest()
    if came != sha256:
        raise _wrong(file, f"{what} with sha256 {sha256}", came)
    return raw


def _wrong(file: SimpleFile, expected: str, got: str) -> Untrusted:
    return Untrusted(f"{file.filename}: expected {expected}, got {got}", code="file")
