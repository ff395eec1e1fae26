"""The index's deltas and the client's rebuilding belong together, whatever the two files are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wheelmark.client.deltas import MAX_WINDOW_BYTES, rebuild
from wheelmark.errors import Untrusted
from wheelmark.server.delivery.deltas import MAX_DELTA_SIDE_BYTES, make_delta


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A file, and the same after some insertions, deletions and moves."""
    old = draw(st.binary(max_size=400)) * draw(st.integers(1, 300))
    new = old
    for _ in range(draw(st.integers(0, 5))):
        start, stop = sorted(draw(st.tuples(st.integers(0, len(new)), st.integers(0, len(new)))))
        new = new[:start] + draw(st.binary(max_size=40)) + draw(st.sampled_from([new[stop:], new[start:]]))
    return old, new


@given(st.one_of(edited(), st.tuples(st.binary(max_size=2000), st.binary(max_size=2000))))
def test_what_is_rebuilt_is_the_new_file_to_the_byte(files: tuple[bytes, bytes]) -> None:
    old, new = files
    assert rebuild(make_delta(old, new), old, len(new)) == new


@given(edited())
def test_same_two_files_give_the_same_delta(files: tuple[bytes, bytes]) -> None:
    assert make_delta(*files) == make_delta(*files)


@settings(max_examples=200)
@given(edited(), st.binary(min_size=1, max_size=200), st.integers(0, 400))
def test_damaged_delta_makes_the_file_or_nothing_more_than_its_length(
    files: tuple[bytes, bytes], junk: bytes, at: int
) -> None:
    old, new = files
    delta = make_delta(old, new)
    try:
        rebuilt = rebuild(delta[:at] + junk + delta[at + len(junk) :], old, len(new))
    except Untrusted as error:
        assert error.code == "delta"
    else:
        assert len(rebuilt) <= len(new)


def test_largest_files_need_no_larger_window_than_clients_take() -> None:
    old = random.Random(1).randbytes(MAX_DELTA_SIDE_BYTES)
    new = old[len(old) // 2 :] + old[: len(old) // 2]
    assert rebuild(make_delta(old, new), old, len(new)) == new
    assert 2 * MAX_DELTA_SIDE_BYTES <= MAX_WINDOW_BYTES
    with pytest.raises(ValueError, match="expected at most 4194304 bytes on each side"):
        make_delta(old + b"x", new)


@pytest.mark.parametrize("bins", [256, 8192, 65536])
@pytest.mark.parametrize(("changed", "most"), [(1, 250), (10, 320), (100, 900), (1000, 3500)])
def test_delta_of_a_snapshot_is_as_small_as_what_changed(bins: int, changed: int, most: int) -> None:
    choose = random.Random(2)
    versions = [choose.choice([1, 1, 2, 30, 400]) for _ in range(bins)]
    later = list(versions)
    for index in choose.sample(range(bins), min(changed, bins)):
        later[index] += 1
    old, new = (
        b",".join(b'"bins-%04x.json":{"version":%d}' % (number, version) for number, version in enumerate(listed))
        for listed in (versions, later)
    )
    assert len(make_delta(old, new)) < most
