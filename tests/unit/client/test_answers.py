"""How much of a file is looked at before the first byte of it is passed on."""

from __future__ import annotations

import time
from collections.abc import Generator
from itertools import count

import pytest

from wheelmark.client import answers


def pieces(number: int) -> Generator[bytes]:
    for one in range(number):
        yield bytes([one])


def test_all_of_a_file_that_comes_in_time_is_had_before_it_is_passed_on() -> None:
    assert answers._beginning(pieces(4), 60.0) == (b"\x00\x01\x02\x03", True)
    assert answers._beginning(pieces(0), 60.0) == (b"", True)


def test_file_that_takes_long_is_passed_on_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    rest = pieces(9)
    assert answers._beginning(rest, 3.0) == (b"\x00\x01\x02", False)
    assert b"".join(rest) == bytes(range(3, 9))


def test_of_a_long_file_only_the_first_piece_is_waited_for() -> None:
    assert answers._beginning(pieces(9), 0.0) == (b"\x00", False)
