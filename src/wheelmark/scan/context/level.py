"""From context findings to one level. What follows from it is the index's decision, see `server/review/rules.py`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from wheelmark.scan.context.check import ContextFinding
from wheelmark.scan.report import Severity

LOW_FAMILIES = 3
"""So many families that say something, however little, are together worth a doubt."""


class Level(StrEnum):
    """What the context amounts to."""

    NOTHING = "nothing"
    NOTED = "noted"  # shown to whoever looks at the case anyway
    DOUBTFUL = "doubtful"  # holds a file whose scan is suspicious, too
    STRONG = "strong"  # holds a file by itself

    @property
    def rank(self) -> int:
        """0 for nothing up to 3 for strong."""
        return list(Level).index(self)


def level_of(findings: Iterable[ContextFinding]) -> Level:
    """The level: strong by one high finding or by medium ones of two families; doubtful by one medium one, or by
    findings of three families; else noted.

    Findings that do not count, and those of severity info, change nothing.
    """
    gravest: dict[str, int] = {}
    seen = False
    for finding in findings:
        seen = True
        if finding.counts and finding.severity is not Severity.INFO:
            gravest[finding.family] = max(gravest.get(finding.family, 0), finding.severity.rank)
    medium = sum(rank >= Severity.MEDIUM.rank for rank in gravest.values())
    if medium >= 2 or Severity.HIGH.rank in gravest.values():
        return Level.STRONG
    if medium or len(gravest) >= LOW_FAMILIES:
        return Level.DOUBTFUL
    return Level.NOTED if seen else Level.NOTHING
