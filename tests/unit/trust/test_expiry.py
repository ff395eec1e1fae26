"""Bins come due one by one however they were signed; a clock set back takes no life away."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from support.trust import NOON, POLICY, Repository
from wheelmark.errors import Refused
from wheelmark.trust import ExpiryPolicy, Layout, RepositoryState, due_for_resigning
from wheelmark.trust.expiry import bin_expires_at, expires_at

DAY = timedelta(days=1)
LAYOUT = Layout(8)


def expiries(now: datetime) -> list[datetime]:
    return [bin_expires_at(now, index, layout=LAYOUT, policy=POLICY) for index in range(LAYOUT.bin_count)]


@pytest.mark.parametrize("now", [NOON, NOON + 17 * DAY, NOON + 100 * DAY, datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_bin_lives_between_two_thirds_of_its_life_and_all_of_it(now: datetime) -> None:
    for expires in expiries(now):
        assert now + 60 * DAY <= expires <= now + 90 * DAY
        assert expires.microsecond == 0


def test_bins_signed_in_one_second_expire_evenly_over_a_month() -> None:
    per_day = Counter((expires - NOON) // DAY for expires in expiries(NOON))
    assert len(per_day) >= 30
    assert max(per_day.values()) <= 256 / 30 + 2
    ordered = sorted(expiries(NOON))
    assert max(later - earlier for earlier, later in pairwise(ordered)) <= 30 * DAY / 256 + timedelta(seconds=1)


def test_a_bin_keeps_its_moment_whenever_it_is_signed() -> None:
    for index in (0, 7, 255):
        moments = {
            (bin_expires_at(NOON + days * DAY, index, layout=LAYOUT, policy=POLICY) - NOON) % (30 * DAY)
            for days in range(100)
        }
        assert len(moments) == 1


def test_a_quiet_bin_is_signed_six_times_a_year() -> None:
    now, signed = NOON, 0
    while now < NOON + 360 * DAY:
        now = bin_expires_at(now, 9, layout=LAYOUT, policy=POLICY) - POLICY.bin_cycle
        signed += 1
    assert signed in {6, 7}


def test_a_clock_set_back_takes_no_life_away() -> None:
    before = NOON + 7 * DAY
    assert expires_at(NOON - 365 * DAY, 7 * DAY, not_before=before) == before
    assert bin_expires_at(NOON - 365 * DAY, 3, layout=LAYOUT, policy=POLICY, not_before=before) == before


@pytest.mark.parametrize("field", ["root", "targets", "bins", "bin", "snapshot", "timestamp", "ceremony_notice"])
@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=-1), timedelta(seconds=2)])
def test_a_life_too_short_to_be_renewed_is_refused(field: str, life: timedelta) -> None:
    arguments: dict[str, Any] = {field: life}
    with pytest.raises(Refused, match="expected 3 seconds or more") as refusal:
        ExpiryPolicy(**arguments)
    assert field in {fault.field for fault in refusal.value.faults}


def test_a_timestamp_must_be_renewed_within_its_life() -> None:
    with pytest.raises(Refused, match="expected less than 1 day"):
        ExpiryPolicy(timestamp_every=DAY)


def test_nothing_is_due_right_after_the_founding() -> None:
    due = due_for_resigning(Repository.founded().state, NOON, POLICY)
    assert not (due.bins or due.snapshot or due.timestamp or due.ceremony or due.clock_behind)


def test_a_timestamp_is_due_an_hour_after_it_was_signed() -> None:
    state = Repository.founded().state
    assert not due_for_resigning(state, NOON + timedelta(minutes=59, seconds=59), POLICY).timestamp
    assert due_for_resigning(state, NOON + timedelta(hours=1), POLICY).timestamp


def test_a_snapshot_is_due_when_half_its_life_is_gone() -> None:
    state = Repository.founded().state
    assert not due_for_resigning(state, NOON + timedelta(days=3.5, seconds=-1), POLICY).snapshot
    assert due_for_resigning(state, NOON + timedelta(days=3.5), POLICY).snapshot


def test_bins_are_due_a_third_of_their_life_before_they_expire_the_most_urgent_first() -> None:
    state = Repository.founded(layout=Layout(5)).state
    now = NOON + 45 * DAY
    due = due_for_resigning(state, now, POLICY)
    assert set(due.bins) == {index for index in range(32) if state.bin_expires_at[index] - now <= 30 * DAY}
    assert 0 < len(due.bins) < 32
    urgency = [state.bin_expires_at[index] for index in due.bins]
    assert urgency == sorted(urgency)


def test_offline_roles_ask_for_a_ceremony_in_time() -> None:
    state = Repository.founded().state
    assert due_for_resigning(state, NOON + 304 * DAY, POLICY).ceremony == ()
    assert due_for_resigning(state, NOON + 305 * DAY, POLICY).ceremony == ("bins", "root", "targets")


@pytest.mark.parametrize("role", ["bins", "snapshot", "timestamp"])
def test_an_expiry_that_this_clock_could_not_have_signed_is_reported(role: str) -> None:
    state = Repository.founded().state
    assert due_for_resigning(_living_too_long(state, role), NOON, POLICY).clock_behind
    assert due_for_resigning(state, NOON - 100 * DAY, POLICY).clock_behind


def _living_too_long(state: RepositoryState, role: str) -> RepositoryState:
    late = NOON + 91 * DAY
    if role == "bins":
        return replace(state, bin_expires_at=(*state.bin_expires_at[1:], late))
    if role == "snapshot":
        return replace(state, snapshot=replace(state.snapshot, expires_at=late))
    return replace(state, timestamp=replace(state.timestamp, expires_at=late))


def test_resigning_what_is_due_keeps_a_quiet_index_alive_for_a_year() -> None:
    """An index that nobody uploads to, looked at every six hours: no client ever meets expired metadata."""
    repository = Repository.founded(
        layout=Layout(3), policy=ExpiryPolicy(root=800 * DAY, targets=800 * DAY, bins=800 * DAY)
    )
    now, most = NOON, 0
    while now < NOON + 365 * DAY:
        now += timedelta(hours=6)
        due = due_for_resigning(repository.state, now, repository.policy)
        assert due.timestamp
        most = max(most, len(due.bins))
        repository.publish(resign=due.bins, now=now)
        assert min(repository.state.bin_expires_at) > now + 29 * DAY
        assert repository.state.snapshot.expires_at > now + 3 * DAY
    assert most == 1
    assert repository.audit(now=now).faults == ()
    assert max(repository.state.bin_versions) <= 8
