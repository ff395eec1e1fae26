"""The pure parts of reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.errors import Unavailable
from wheelmark.store.streams import clip, exactly, same_bytes

CHUNKS = st.lists(st.binary(max_size=5), max_size=6)


@given(st.binary(max_size=20), st.integers(0, 25), st.none() | st.integers(0, 25))
def test_clip_cuts_as_a_slice_does(whole: bytes, start: int, stop: int | None) -> None:
    first, end = clip(start, stop, len(whole))
    assert 0 <= first <= end <= len(whole)
    assert whole[first:end] == whole[start:stop]


@given(CHUNKS, CHUNKS)
def test_same_bytes_sees_bytes_and_not_chunks(one: list[bytes], other: list[bytes]) -> None:
    assert same_bytes(one, other) == (b"".join(one) == b"".join(other))


@given(st.binary(max_size=30), st.integers(1, 9), st.integers(1, 9))
def test_same_bytes_however_they_are_cut(whole: bytes, step: int, other_step: int) -> None:
    def parts(step: int) -> list[bytes]:
        return [b"", *(whole[at : at + step] for at in range(0, len(whole), step)), b""]

    assert same_bytes(parts(step), parts(other_step))


@given(CHUNKS, st.integers(0, 30))
def test_exactly_yields_the_length_or_raises(chunks: list[bytes], length: int) -> None:
    whole = b"".join(chunks)
    seen = b""
    try:
        for chunk in exactly("key", chunks, length):
            seen += chunk
    except Unavailable as error:
        assert error.code == "store-wrong-length"
        assert len(whole) != length
        assert str(error).startswith(f"expected {length} bytes of key, got ")
    else:
        assert len(whole) == length
    assert whole.startswith(seen)
    assert len(seen) <= length


def test_exactly_says_how_few_came() -> None:
    with pytest.raises(Unavailable, match="expected 3 bytes of key, got 2; read it again"):
        list(exactly("key", [b"ab"], 3))
