"""A bin kept as it is written: the same bytes as from its rows, and nothing gets in unchecked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.trust import NOON, a_row
from wheelmark.errors import Refused
from wheelmark.trust import BinContent, Layout, TargetRow, bin_bytes

LAYOUT = Layout(1)
# Paths that begin with one another, parted by what stands before and behind a quote in the order of characters.
PATHS = tuple(
    path
    for stem in "abcdefgh"
    if all(LAYOUT.bin_of(path) == 0 for path in (stem, f"{stem}!"))
    for path in (
        stem,
        f"{stem}!",
        *(longer for longer in (f"{stem}.metadata", f"{stem}+") if LAYOUT.bin_of(longer) == 0),
    )
)
EMPTY = BinContent(b"")

rows_by_path = st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=3))


def rows_of(contents: dict[str, bytes]) -> list[TargetRow]:
    return [a_row(path, contents[path]) for path in sorted(contents)]


def written(content: BinContent) -> bytes:
    return content.signed_part("bins-0", version=3, expires=NOON)


def test_there_are_paths_of_every_kind_in_the_bin() -> None:
    assert len(PATHS) >= 4


@given(st.lists(st.tuples(rows_by_path, st.frozensets(st.sampled_from(PATHS))), max_size=6))
def test_any_changes_give_the_bytes_of_all_rows(story: list[tuple[dict[str, bytes], frozenset[str]]]) -> None:
    content, expected = EMPTY, dict[str, bytes]()
    for new, removed in story:
        content = content.changed(LAYOUT, 0, new=rows_of(new), removed=removed)
        expected = {path: body for path, body in expected.items() if path not in removed} | new
        assert written(content) == bin_bytes("bins-0", version=3, expires=NOON, rows=rows_of(expected))
    assert content == BinContent.of(LAYOUT, 0, rows_of(expected))


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (TargetRow('a"', 1, "0" * 64), "target-path"),
        (TargetRow("a\nb", 1, "0" * 64), "target-path"),
        (TargetRow(PATHS[0], True, "0" * 64), "length"),
        (TargetRow(PATHS[0], -1, "0" * 64), "length"),
        (TargetRow(PATHS[0], 1, "0" * 63 + "G"), "sha256"),
        (TargetRow(next(path for path in "cdefgh" if LAYOUT.bin_of(path) == 1), 1, "0" * 64), "row-astray"),
    ],
)
def test_a_row_that_must_not_be_signed_gets_in_by_neither_door(row: TargetRow, code: str) -> None:
    doors: list[Any] = [lambda: BinContent.of(LAYOUT, 0, [row]), lambda: EMPTY.changed(LAYOUT, 0, new=[row])]
    for door in doors:
        with pytest.raises(Refused) as refusal:
            door()
        assert refusal.value.code == code


def test_a_row_given_twice_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        EMPTY.changed(LAYOUT, 0, new=[a_row(PATHS[0], b"1"), a_row(PATHS[0], b"2")])
    assert refusal.value.code == "rows-unsorted"
