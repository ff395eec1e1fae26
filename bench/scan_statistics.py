"""What can be said from so many samples: shares with intervals, bounds where nothing was seen, percentiles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Z_95 = 1.959963984540054  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` out of `total`."""

    hits: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.total:
            raise ValueError(f"expected 0 to {self.total} hits, got {self.hits}")

    @classmethod
    def of(cls, found: Iterable[bool]) -> Share:
        """The share of what is true."""
        everything = list(found)
        return cls(sum(everything), len(everything))

    @property
    def rate(self) -> float:
        """0 to 1; 0 of nothing is 0."""
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval after Wilson, which stays inside 0 to 1 and has a width even at the ends."""
        if not self.total:
            return (0.0, 1.0)
        n, p, z = self.total, self.rate, Z_95
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        # At the ends the formula gives 0 and 1 but for rounding.
        low = 0.0 if self.hits == 0 else max(0.0, centre - half)
        high = 1.0 if self.hits == self.total else min(1.0, centre + half)
        return (low, high)

    @property
    def at_most(self) -> float:
        """What the rate is at most, with 95 % confidence: 3/n when nothing was seen (rule of three), else Wilson's."""
        if not self.total:
            return 1.0
        return min(1.0, 3 / self.total) if self.hits == 0 else self.interval[1]

    def __str__(self) -> str:
        if not self.total:
            return "none"
        if self.hits == 0:
            return f"0 of {self.total} (<= {percent(self.at_most)})"
        low, high = self.interval
        return f"{percent(self.rate)} [{percent(low)}, {percent(high)}] ({self.hits} of {self.total})"


def percent(share: float) -> str:
    """A share as a percentage: one digit after the point, two below 1 %."""
    value = 100 * share
    return f"{value:.2f} %" if 0 < value < 1 else f"{value:.1f} %"


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank); 0 of none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
