"""Which part of a body a request asks for. Pure. Source: RFC 9110 § 14."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_RANGE_CHARS = 100

_SINGLE = re.compile(r"bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{0,18})|-\s*(\d{1,18}))\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int


class Unsatisfiable:
    """The header asks for bytes beyond the end: 416."""


WHOLE = None
"""No range, or one that we answer with the whole body, as RFC 9110 § 14.2 allows for any range."""


def choose_part(asked: str | None, size: int, *, if_range: str | None, etag: str) -> Part | Unsatisfiable | None:
    """The part to send, `WHOLE`, or `Unsatisfiable`.

    Several ranges, other units and what cannot be read give the whole body. So does an `If-Range` that is not
    exactly our strong ETag (§ 13.1.5): a client with another file must not glue this one onto it.
    """
    if asked is None or len(asked) > MAX_RANGE_CHARS or (if_range is not None and if_range.strip() != etag):
        return WHOLE
    found = _SINGLE.fullmatch(asked.strip())
    if found is None:
        return WHOLE
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        return Part(size - length, size) if length else Unsatisfiable()
    start = int(first)
    stop = int(last) + 1 if last else size
    if stop <= start and last:
        return WHOLE  # "5-2" is not a range at all
    if start >= size:
        return Unsatisfiable()
    return Part(start, min(stop, size))
