"""What the user says of patience becomes limits, within bounds."""

from __future__ import annotations

import pytest

from wheelmark.client import Limits
from wheelmark.client.patience import limits_from
from wheelmark.errors import Refused


@pytest.mark.parametrize("environment", [{}, {"WHEELMARK_TIMEOUT": "", "WHEELMARK_MIN_SPEED": " "}])
def test_silence_means_the_usual_limits(environment: dict[str, str]) -> None:
    assert limits_from(environment) == Limits()


def test_one_number_stands_for_all_waits() -> None:
    assert limits_from({"WHEELMARK_TIMEOUT": "2.5", "WHEELMARK_MIN_SPEED": "100"}) == Limits(
        connect_seconds=2.5,
        gap_seconds=2.5,
        headers_seconds=2.5,
        metadata_seconds=7.5,
        delta_seconds=2.5,
        grace_seconds=2.5,
        min_bytes_per_second=100,
    )


def test_patience_with_an_answer_is_not_patience_with_a_connection() -> None:
    assert limits_from({"WHEELMARK_TIMEOUT": "600"}).connect_seconds == 10


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "soon", "1,5"])
def test_no_patience_is_without_end(text: str) -> None:
    with pytest.raises(Refused) as caught:
        limits_from({"WHEELMARK_TIMEOUT": text, "WHEELMARK_MIN_SPEED": "0"})
    assert [fault.field for fault in caught.value.faults] == ["WHEELMARK_TIMEOUT", "WHEELMARK_MIN_SPEED"]
    assert repr(text) in str(caught.value)
