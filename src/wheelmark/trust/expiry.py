"""How long metadata lives and when it is signed again: pure functions of the clock.

Bins live long and are spread: each bin has its own moment in a cycle of a third of their life, and its expiry always
falls on that moment. However many bins are signed at once (a founding, an import), they come due again one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final

from wheelmark.errors import Refused
from wheelmark.trust.layout import BINS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Layout
from wheelmark.trust.metadata import utc_seconds

EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Where the cycles of the bins start. Any fixed moment does."""

SPREAD: Final = 3
"""A bin's life has this many cycles: signed for at least two of them, signed again when one is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryPolicy:
    """The life of each role's metadata.

    A network attacker can hold a client back (freeze) for no longer than `timestamp`; a thief of online key 2 alone can
    feed a *new* client bins that are up to `bin` old. (PEP 458 § Metadata Expiry Times says one day for both, but has a
    single online key, whose thief needs no old bins.)

    Raises:
        Refused: a life too short to be signed again in time.
    """

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    bins: timedelta = timedelta(days=365)
    bin: timedelta = timedelta(days=90)
    snapshot: timedelta = timedelta(days=7)
    timestamp: timedelta = timedelta(days=1)
    timestamp_every: timedelta = timedelta(hours=1)
    ceremony_notice: timedelta = timedelta(days=60)

    def __post_init__(self) -> None:
        for life in fields(self):
            if getattr(self, life.name) < timedelta(seconds=SPREAD):
                raise Refused.because(
                    "expiry-policy", life.name, f"expected {SPREAD} seconds or more, got {getattr(self, life.name)}"
                )
        if self.timestamp_every >= self.timestamp:
            raise Refused.because(
                "expiry-policy", "timestamp_every", f"expected less than {self.timestamp}, got {self.timestamp_every}"
            )

    def life_of(self, role: str) -> timedelta:
        """The life of a role by its name; every role that is not a top-level one or `bins` is a bin."""
        lives = {
            ROOT: self.root,
            TARGETS: self.targets,
            BINS: self.bins,
            SNAPSHOT: self.snapshot,
            TIMESTAMP: self.timestamp,
        }
        return lives.get(role, self.bin)

    @property
    def bin_cycle(self) -> timedelta:
        return self.bin / SPREAD


def expires_at(now: datetime, life: timedelta, *, not_before: datetime | None = None) -> datetime:
    """When metadata signed now expires: after its life, and never before the expiry it had (`not_before`).

    A clock set back must not publish metadata that expires earlier than what it replaces. The price: an expiry signed
    while a clock was far ahead stays; `Due.clock_behind` and the audit report it.
    """
    fresh = utc_seconds(now + life)
    return fresh if not_before is None else max(fresh, not_before)


def bin_expires_at(
    now: datetime, index: int, *, layout: Layout, policy: ExpiryPolicy, not_before: datetime | None = None
) -> datetime:
    """When a bin signed now expires: the bin's own last moment of the cycle that lies within its life."""
    cycle = policy.bin_cycle
    latest = utc_seconds(now) + policy.bin
    own_moment = EPOCH + cycle * index / layout.bin_count
    return expires_at(now, policy.bin - (latest - own_moment) % cycle, not_before=not_before)
