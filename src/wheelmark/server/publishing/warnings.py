"""Warnings for the log that are true for weeks: said once a day, and not at every look."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from wheelmark.trust import Due, RepositoryState
from wheelmark.trust.outlook import RENEW

AGAIN: Final = timedelta(days=1)
URGENT: Final = timedelta(days=14)

log = structlog.get_logger(__name__)


class DailyWarnings:
    """Says what comes due. One object for the time that a publisher holds its lock."""

    def __init__(self) -> None:
        self._said: dict[str, datetime] = {}

    def say(self, due: Due, state: RepositoryState, now: datetime) -> None:
        """Log what is the matter, if it was not logged within the last day."""
        for role in due.ceremony:
            left = state.offline[role].expires_at - now
            if self._is_news(f"expires {role}", now):
                level = log.error if left <= URGENT else log.warning
                level(
                    "an offline role expires soon: its holders have to sign it again",
                    role=role,
                    days=max(0, left.days),
                    next=RENEW,
                )
        if due.clock_behind and self._is_news("clock", now):
            log.warning("the clock is behind what was signed before; publishing goes on, look at the clock")

    def _is_news(self, what: str, now: datetime) -> bool:
        said = self._said.get(what)
        # A clock that was set back must not silence a warning for longer than a day either.
        if said is not None and abs(now - said) < AGAIN:
            return False
        self._said[what] = now
        return True
