"""Shares, intervals and percentiles, against values worked out elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scan_statistics import Share, percent, percentile


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.27753),
        (8, 10, 0.49016, 0.94331),
        (50, 100, 0.40383, 0.59617),
        (10, 10, 0.72247, 1.0),
        (213, 300, 0.65623, 0.75845),  # GuardDog's published 71.0 % of 300 families
    ],
)
def test_wilson_interval_is_the_one_of_the_textbook(hits: int, total: int, low: float, high: float) -> None:
    assert Share(hits, total).interval == pytest.approx((low, high), abs=6e-5)


def test_nothing_seen_in_n_bounds_the_rate_by_three_over_n() -> None:
    assert Share(0, 300).at_most == pytest.approx(0.01)
    assert Share(0, 2).at_most == 1.0
    assert Share(0, 0).at_most == 1.0


def test_once_something_was_seen_the_bound_is_the_upper_end_of_the_interval() -> None:
    assert Share(1, 300).at_most == Share(1, 300).interval[1] > 3 / 300


@given(st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_an_interval_holds_its_rate_and_stays_between_0_and_1(counted: tuple[int, int]) -> None:
    share = Share(*counted)
    low, high = share.interval
    assert 0 <= low <= share.rate <= high <= 1
    assert low < high


@given(st.integers(1, 200), st.integers(2, 30))
def test_more_samples_of_the_same_rate_narrow_the_interval(hits: int, times: int) -> None:
    one, many = Share(hits, 3 * hits), Share(times * hits, 3 * times * hits)
    assert many.interval[1] - many.interval[0] < one.interval[1] - one.interval[0]


@pytest.mark.parametrize(("hits", "total"), [(3, 2), (-1, 5)])
def test_more_hits_than_samples_are_refused(hits: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"got {hits}"):
        Share(hits, total)


def test_share_counts_what_is_true_and_says_so() -> None:
    assert Share.of(number > 1 for number in (1, 2, 3)) == Share(2, 3)
    assert str(Share(0, 300)) == "0 of 300 (<= 1.0 %)"
    assert str(Share(213, 300)) == "71.0 % [65.6 %, 75.8 %] (213 of 300)"
    assert str(Share(0, 0)) == "none"


def test_percentages_below_one_have_two_digits() -> None:
    assert [percent(value) for value in (0.0, 0.0025, 0.012, 1.0)] == ["0.0 %", "0.25 %", "1.2 %", "100.0 %"]


def test_percentile_is_the_nearest_rank() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.2, 1.0)] == [3.0, 5.0, 1.0, 5.0]
    assert percentile([], 0.5) == 0.0
