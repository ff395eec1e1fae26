"""Which keys may be stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.errors import Refused
from wheelmark.store import MAX_KEY_CHARS, MAX_SEGMENT_CHARS, check_key
from wheelmark.store.keys import folder_of, is_key

AMBIGUOUS = [
    *("", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/.b", ".a", "a./b", "a b", "a\n", "\n", "a\0b", "a\\b"),
    *("C:", "a?b", "a*", "a%2e", "a#b", "ä", "\u2024", "\uff0e\uff0e/a", "a|b", "a<b", "\x7f"),
]
SEGMENTS = st.from_regex(r"\A[A-Za-z0-9_!+,=@~-]([A-Za-z0-9_!+,=@~.-]{0,20}[A-Za-z0-9_!+,=@~-])?\Z")


@given(st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join))
def test_well_formed_key_comes_back_unchanged(key: str) -> None:
    assert check_key(key) == key


@given(st.text(max_size=30))
def test_key_that_passes_stays_below_the_root_and_is_plain_ascii(key: str) -> None:
    if is_key(key):
        assert key.isascii()
        assert key.isprintable()
        assert not set(key) & set(" \\:*?\"<>|%#&;$'`")
        assert all(segment.strip(".") == segment != "" for segment in key.split("/"))


@pytest.mark.parametrize("key", AMBIGUOUS)
def test_key_that_could_mean_something_else_is_refused(key: str) -> None:
    with pytest.raises(Refused, match="expected segments of letters, digits and") as told:
        check_key(key)
    assert told.value.code == "store-key"
    assert repr(key) in str(told.value)


def test_bounds_are_exact() -> None:
    segment = "s" * MAX_SEGMENT_CHARS
    assert is_key(segment)
    assert not is_key(segment + "s")
    longest = "/".join([segment, segment, segment, "k" * (MAX_KEY_CHARS - 3 * MAX_SEGMENT_CHARS - 3)])
    assert len(longest) == MAX_KEY_CHARS
    assert is_key(longest)
    assert not is_key(longest + "k")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Refused) as told:
        check_key("../" + "x" * 2000)
    messages = [str(fault) for fault in told.value.faults]
    assert messages[0] == f"key: expected at most {MAX_KEY_CHARS} characters, got 2003 [store-key-length]"
    assert [fault.code for fault in told.value.faults] == ["store-key-length", "store-key-length", "store-key"]
    assert len(str(told.value)) < 600


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("a", ""), ("a/", "a"), ("a/b", "a"), ("tuf/1.", "tuf")])
def test_folder_of_a_prefix_holds_all_its_keys(prefix: str, folder: str) -> None:
    assert folder_of(prefix) == folder


@pytest.mark.parametrize("prefix", ["/", "/a", "../", "a//", "a/../b", ".partial/"])
def test_prefix_of_no_key_is_refused(prefix: str) -> None:
    with pytest.raises(Refused, match="prefix: expected segments"):
        folder_of(prefix)
