"""What the verifier asks of the network: bytes of a kind, bounded in time and size.

Nothing here is trusted or checked for content; that is the verifier's part. `http_fetcher` is the real network.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from wheelmark.errors import Unavailable, Untrusted

CHUNK_BYTES = 256 * 1024


class Kind(Enum):
    """What is fetched, because not all may arrive in the same way."""

    METADATA = "metadata"  # TUF metadata and pages: small, may be compressed, never redirected
    DELTA = "delta"  # as metadata, but nobody waits long for it: the whole file can be had
    FILE = "file"  # bytes that a page names by hash: exactly as stored, perhaps redirected to an object store


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long an answer may take. A slow sender is stopped even if it never pauses for long (PEP 458)."""

    connect_seconds: float = 10
    gap_seconds: float = 20  # between two pieces
    headers_seconds: float = 20  # until the headers are complete
    metadata_seconds: float = 60  # until a metadata file or page is complete
    delta_seconds: float = 10  # until a delta is complete, and between two pieces of it
    grace_seconds: float = 20  # before the rate of a file counts
    min_bytes_per_second: int = 2048  # average since the start, for files


class HttpStatus(Unavailable):
    """An answer that is not the thing asked for."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url}: expected status 200, got {status}", code="http-status")
        self.status = status


class Fetcher(Protocol):
    """The network, as the verifier sees it."""

    def stream(self, url: str, kind: Kind) -> Generator[bytes]:
        """The body in pieces of at most `CHUNK_BYTES`; endless when the sender is, so the caller counts.

        Raises:
            HttpStatus: the status is not 200.
            Unavailable: no connection, or too slow.
            Untrusted: a redirect or an encoding that we do not take.
        """


def download(fetcher: Fetcher, url: str, max_bytes: int, kind: Kind = Kind.METADATA) -> bytes:
    """A whole metadata file, delta or page.

    Raises:
        Untrusted: longer than `max_bytes`, which is where reading stops; or as `Fetcher.stream`.
        Unavailable: as `Fetcher.stream`.
    """
    received = bytearray()
    with contextlib.closing(fetcher.stream(url, kind)) as pieces:
        for piece in pieces:
            received += piece
            if len(received) > max_bytes:
                raise Untrusted(f"{url}: expected at most {max_bytes} bytes, got more", code="endless-data")
    return bytes(received)
