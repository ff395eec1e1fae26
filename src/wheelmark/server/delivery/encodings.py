"""Compressed bodies: which one a client takes, and how it is made. Pure. Source: RFC 9110 § 12.5.3, RFC 8878."""

from __future__ import annotations

import gzip
import re
from enum import StrEnum
from functools import lru_cache

import zstandard

MAX_ACCEPT_ENCODING_CHARS = 512
REMEMBERED_HEADERS = 1024

# A body is compressed once and sent many times, so it pays to try hard: about 10 ms for 100 kB. A list of hundreds of
# thousands of projects would take seconds, and gets the quick levels.
_SMALL_BYTES = 1_000_000
_GZIP_LEVELS = (9, 5)
_ZSTD_LEVELS = (15, 3)
_WEIGHT = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


class Encoding(StrEnum):
    """The value is what stands in `Content-Encoding`."""

    IDENTITY = "identity"
    GZIP = "gzip"
    ZSTD = "zstd"


@lru_cache(maxsize=REMEMBERED_HEADERS)
def choose_encoding(accepted: str | None) -> Encoding:
    """The encoding that the client weighs most, zstd before gzip before none; none when the header cannot be read."""
    if not accepted or len(accepted) > MAX_ACCEPT_ENCODING_CHARS:
        return Encoding.IDENTITY
    weights: dict[str, float] = {}
    for item in accepted.lower().split(","):
        name, _, parameter = (part.strip() for part in item.partition(";"))
        found = _WEIGHT.fullmatch(parameter) if parameter else None
        weights[name] = float(found[1]) if found else (0.0 if parameter else 1.0)
    best, chosen = 0.0, Encoding.IDENTITY
    for encoding in (Encoding.ZSTD, Encoding.GZIP):
        weight = weights.get(encoding.value, weights.get("*", 0.0))
        if weight > best:
            best, chosen = weight, encoding
    # A client that names identity and weighs it more wants it.
    return Encoding.IDENTITY if weights.get("identity", 0.0) > best else chosen


def encode(body: bytes, encoding: Encoding) -> bytes:
    """The body in this encoding. The same body gives the same bytes: ETags depend on it."""
    large = len(body) > _SMALL_BYTES
    if encoding is Encoding.GZIP:
        return gzip.compress(body, compresslevel=_GZIP_LEVELS[large], mtime=0)
    if encoding is Encoding.ZSTD:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVELS[large]).compress(body)
    return body
