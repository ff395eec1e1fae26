"""Pure parts of reading that all stores share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wheelmark.errors import Refused, Unavailable


def clip(start: int, stop: int | None, size: int) -> tuple[int, int]:
    """The range `[start, stop)` of an object of `size` bytes, cut as a slice is; an empty one gives equal ends."""
    stop = size if stop is None else min(stop, size)
    return (start, stop) if start < stop else (0, 0)


def check_range(start: int, stop: int | None) -> None:
    """Raise ValueError for a range that no caller can mean: a negative end, or an end before the start."""
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"expected 0 <= start <= stop, got start={start}, stop={stop}")


def exactly(key: str, chunks: Iterable[bytes], length: int) -> Iterator[bytes]:
    """The chunks, unless they are not `length` bytes together.

    Raises:
        Unavailable: too few bytes came, or more than were asked for; no byte past `length` is ever yielded.
    """
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > length:
            break
        yield chunk
    if seen != length:
        message = f"expected {length} bytes of {key}, got {'more' if seen > length else seen}; read it again"
        raise Unavailable(message, code="store-wrong-length")


def joined(key: str, chunks: Iterable[bytes], *, max_bytes: int) -> bytes:
    """All chunks as one value.

    Raises:
        Refused: they are more than `max_bytes` bytes; reading stops there.
    """
    kept: list[bytes] = []
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > max_bytes:
            raise Refused.because("store-object-too-big", key, f"expected at most {max_bytes} bytes, got more")
        kept.append(chunk)
    return b"".join(kept)


def same_bytes(one: Iterable[bytes], other: Iterable[bytes]) -> bool:
    """Whether two streams say the same, however each is cut into chunks. Stops at the first difference."""
    others = iter(other)
    pending = memoryview(b"")
    for chunk in one:
        rest = memoryview(chunk)
        while rest:
            if not pending:
                following = next(others, None)
                if following is None:
                    return False
                pending = memoryview(following)
                continue
            length = min(len(rest), len(pending))
            if rest[:length] != pending[:length]:
                return False
            rest, pending = rest[length:], pending[length:]
    return not pending and not any(others)
