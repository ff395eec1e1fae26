"""What is true for weeks is said once a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from structlog.testing import capture_logs

from support.trust import NOON, POLICY, Repository
from wheelmark.server.publishing.warnings import DailyWarnings
from wheelmark.trust import due_for_resigning

STATE = Repository.founded().state
DAY = timedelta(days=1)


def said(warnings: DailyWarnings, at: timedelta) -> list[tuple[str, str, int]]:
    now = NOON + at
    with capture_logs() as logs:
        warnings.say(due_for_resigning(STATE, now, POLICY), STATE, now)
    return [(line["log_level"], line.get("role", "clock"), line.get("days", -1)) for line in logs]


def test_nothing_is_said_before_the_notice() -> None:
    assert said(DailyWarnings(), 300 * DAY) == []


def test_a_role_that_expires_soon_is_named_once_a_day() -> None:
    warnings = DailyWarnings()
    first = said(warnings, 310 * DAY)
    assert first == [("warning", "bins", 55), ("warning", "root", 55), ("warning", "targets", 55)]
    for minutes in range(1, 24 * 60, 7):
        assert said(warnings, 310 * DAY + timedelta(minutes=minutes)) == []
    assert len(said(warnings, 311 * DAY)) == 3


def test_the_last_two_weeks_and_what_comes_after_are_errors() -> None:
    warnings = DailyWarnings()
    assert {level for level, _, _ in said(warnings, 352 * DAY)} == {"error"}
    assert {days for _, _, days in said(warnings, 400 * DAY)} == {0}


def test_clock_set_back_is_said_and_does_not_silence_the_rest() -> None:
    warnings = DailyWarnings()
    assert said(warnings, 310 * DAY)
    assert said(warnings, -30 * DAY) == [("warning", "clock", -1)]
    assert len(said(warnings, 320 * DAY)) == 3


def test_another_role_is_news() -> None:
    warnings = DailyWarnings()
    soon = replace(STATE.offline["root"], expires_at=NOON + 20 * DAY)
    state = replace(STATE, offline={**STATE.offline, "root": soon})
    with capture_logs() as logs:
        warnings.say(due_for_resigning(state, NOON, POLICY), state, NOON)
        warnings.say(due_for_resigning(state, NOON, POLICY), state, NOON)
    assert [line["role"] for line in logs] == ["root"]
