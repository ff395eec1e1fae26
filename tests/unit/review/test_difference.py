"""What one archive has that another has not: what runs by itself first, lines numbered as in the newer one."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from wheelmark.server.review.archives import Member, Members, lines_of, place_of
from wheelmark.server.review.difference import (
    MAX_LINES_OF_MEMBER,
    MAX_LINES_SHOWN,
    MAX_WINDOW_LINES,
    ChangeKind,
    LineKind,
    difference,
)


def members(gap: str = "", **texts: str | None) -> Members:
    return Members(
        by_place={
            path.replace("__dot__", "."): Member(
                path=path,
                size=len(text or ""),
                sha256=hashlib.sha256((text or path).encode()).hexdigest(),
                text=text,
            )
            for path, text in texts.items()
        },
        gaps=(gap,) if gap else (),
    )


def test_equal_archives_do_not_differ() -> None:
    found = difference(members(a="x\n", b="y\n"), members(a="x\n", b="y\n"))
    assert (found.changes, found.total, found.same) == ((), 0, 2)


def test_changed_lines_stand_between_their_neighbours_with_the_newer_numbers() -> None:
    old = "".join(f"line {number}\n" for number in range(1, 21))
    new = old.replace("line 10\n", "line ten\nline ten and a half\n")
    [change] = difference(members(a=old), members(a=new)).changes
    assert change.kind is ChangeKind.CHANGED
    shown = [(line.kind, line.number, line.text) for line in change.lines]
    assert (LineKind.REMOVED, 10, "line 10") in shown
    assert (LineKind.ADDED, 10, "line ten") in shown
    assert (LineKind.ADDED, 11, "line ten and a half") in shown
    assert shown[0] == (LineKind.SAME, 7, "line 7")
    assert shown[-1] == (LineKind.SAME, 14, "line 13")


def test_what_runs_by_itself_is_read_first() -> None:
    new = members(README="r", lib__dot__py="c", setup__dot__py="s", evil__dot__pth="p")
    assert [change.place for change in difference(members(), new).changes] == [
        "evil.pth",
        "setup.py",
        "lib.py",
        "README",
    ]


def test_binary_member_is_named_without_lines() -> None:
    [change] = difference(members(a=None), members(a="text")).changes
    assert change.lines == ()
    assert "not text" in change.why_no_lines


def test_gap_of_either_archive_is_told() -> None:
    found = difference(members(gap="the old one broke"), members(gap="the new one broke"))
    assert found.gaps == ("the old one broke", "the new one broke")


def test_many_changed_lines_are_not_compared_one_by_one() -> None:
    old = "\n".join(f"a{number}" for number in range(MAX_WINDOW_LINES + 1))
    new = "\n".join(f"b{number}" for number in range(MAX_WINDOW_LINES + 1))
    [change] = difference(members(a=old), members(a=new)).changes
    assert change.lines == ()
    assert f"{MAX_WINDOW_LINES:,}" in change.why_no_lines


def test_lines_of_one_member_and_of_the_page_are_bounded() -> None:
    text = "\n".join(str(number) for number in range(MAX_LINES_OF_MEMBER + 50))
    count = MAX_LINES_SHOWN // MAX_LINES_OF_MEMBER + 2
    found = difference(members(), members(**{f"m{number:03}": text for number in range(count)}))
    assert sum(len(change.lines) for change in found.changes) == MAX_LINES_SHOWN
    assert found.changes[0].more_lines == 50
    assert found.changes[-1].why_no_lines == "the page is full"


def test_place_is_the_same_in_every_release() -> None:
    assert place_of("demo-1.0/demo/a.py", "sdist") == place_of("demo-2.0/demo/a.py", "sdist") == "demo/a.py"
    assert place_of("demo-1.0.dist-info/METADATA", "bdist_wheel") == "*.dist-info/METADATA"
    assert place_of("demo-1.0/src/demo.egg-info/PKG-INFO", "sdist") == "src/*.egg-info/PKG-INFO"


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_every_line_of_the_newer_text_that_is_shown_stands_where_its_number_says(
    old: list[str], new: list[str]
) -> None:
    before, after = "\n".join(old), "\n".join(new)
    for change in difference(members(a=before), members(a=after)).changes:
        lines = lines_of(after)
        for line in change.lines:
            if line.kind in (LineKind.SAME, LineKind.ADDED):
                assert lines[line.number - 1] == line.text
