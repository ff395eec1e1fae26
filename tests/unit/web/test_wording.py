"""How values are said to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wheelmark.server.projects.rules import FileState
from wheelmark.server.web.wording import (
    action_words,
    code_line,
    exact,
    file_state_words,
    grouped,
    is_hidden,
    relative,
    reveal,
    size,
    uploaded_with_words,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (123_456, "123 kB"),
        (999_960, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (999_960_000, "1.0 GB"),
        (5_000_000_000_000, "5,000.0 GB"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(size_bytes: int, words: str) -> None:
    assert size(size_bytes) == words


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(milliseconds=300), "now"),
        (timedelta(seconds=3), "3 s ago"),
        (timedelta(seconds=59.9), "59 s ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=59), "59 days ago"),
        (timedelta(days=60), "24 Sep 2026"),
        (-timedelta(seconds=5), "in 5 s"),
        (-timedelta(days=7), "in 7 days"),
    ],
)
def test_dates_are_relative_until_they_are_far_away(ago: timedelta, words: str) -> None:
    assert relative(NOW - ago, now=NOW) == words


def test_exact_time_is_utc_and_numbers_are_grouped() -> None:
    assert exact(NOW) == "2026-11-23 12:00:00 UTC"
    assert grouped(4211) == "4,211"


@pytest.mark.parametrize("state", list(FileState))
def test_only_a_listed_file_is_called_published_and_gets_the_hallmark(state: FileState) -> None:
    unlisted = file_state_words(state, snapshot=None)
    assert not unlisted.verified
    assert unlisted.kind != "good"
    listed = file_state_words(state, snapshot=7)
    assert listed.verified == (state in {FileState.PUBLISHED, FileState.SCANNED})
    assert listed.verified == (listed.text == "published in snapshot 7")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", ["plain"]),
        ("", []),
        ("a\u202eb", ["a", "U+202E", "b"]),
        ("\u200b", ["U+200B"]),
        ("x\u3164y", ["x", "U+3164", "y"]),
        ("a\0b", ["a", "U+0000", "b"]),
        ("\u05d0\u05d1", ["\u05d0\u05d1"]),
        ("x\ufe0f", ["x", "U+FE0F"]),
        ("x = 1;" + " " * 300 + "evil()", ["x = 1;", "300 spaces", "evil()"]),
        (" " * 100 + "evil()", ["100 spaces", "evil()"]),
        ("    return 1", ["    return 1"]),
    ],
)
def test_what_a_reader_would_not_see_is_spelled_out(text: str, shown: list[str]) -> None:
    assert [run.text for run in reveal(text)] == shown


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_revealing_loses_no_visible_character_and_lets_no_hidden_one_through(text: str) -> None:
    runs = reveal(text)
    assert not any(is_hidden(character) for run in runs for character in run.text)
    visible = "".join(character for character in text if not is_hidden(character) and character not in " \t")
    assert "".join(run.text for run in runs if not run.hidden).replace(" ", "").replace("\t", "") == visible


def test_code_behind_a_long_line_is_shown_where_the_evidence_is() -> None:
    line = "x = '" + "a" * 5_000 + "'; exec(payload)" + "b" * 5_000
    runs = code_line(line, evidence="exec(payload)", max_chars=400)
    assert any("exec(payload)" in run.text for run in runs if not run.hidden)
    assert sum(len(run.text) for run in runs) < 500
    assert "characters before" in runs[0].text
    assert "characters more" in runs[-1].text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.integers(0, 100_000), st.text(max_size=10))
def test_code_line_is_bounded_whatever_the_line(text: str, repeat: int, evidence: str) -> None:
    runs = code_line(text * min(repeat, 200), evidence=evidence, max_chars=100)
    # A hidden character is drawn as eight characters at most (U+10FFFF).
    assert sum(len(run.text) for run in runs) < 100 * 8 + 80


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("token:6f1c", "an API token"),
        ("publisher:github.com/a/b", "trusted publisher github.com/a/b"),
        ("", "an API token"),
    ],
)
def test_token_ids_stay_between_us_and_their_owner(label: str, words: str) -> None:
    assert uploaded_with_words(label) == words


def test_actions_are_words() -> None:
    assert action_words("file-published") == "published"
    assert action_words("release-unyanked") == "yank taken back"
    assert action_words("something-new") == "something new"
