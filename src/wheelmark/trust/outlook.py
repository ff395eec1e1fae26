"""Who speaks for which role, until when, and what somebody should do, the most urgent first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final, Self

import orjson

from wheelmark.errors import Untrusted
from wheelmark.trust.expiry import ExpiryPolicy
from wheelmark.trust.layout import BINS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from wheelmark.trust.publication import due_for_resigning
from wheelmark.trust.state import RepositoryState

OFFLINE: Final = (ROOT, TARGETS, BINS)
LATE: Final = 3
"""A timestamp this many times older than it should be was not signed again: nobody publishes."""


RENEW: Final = "wheelmark trust ceremony begin --renew"


class Urgency(IntEnum):
    """How soon. The lower, the sooner."""

    NOW = 0  # clients refuse the index, or it cannot sign
    SOON = 1  # weeks, or days
    NOTE = 2  # worth knowing


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do: a stable code, what is the matter, and what to do about it."""

    code: str
    urgency: Urgency
    text: str
    command: str = ""  # to begin with

    def __str__(self) -> str:
        return f"{self.text}{f': {self.command}' if self.command else ''} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Keyring:
    """How many of which keys sign for a role."""

    threshold: int
    keyids: tuple[str, ...]

    @classmethod
    def _of(cls, role: Mapping[str, Any]) -> Self:
        return cls(int(role["threshold"]), tuple(str(keyid) for keyid in role["keyids"]))

    @classmethod
    def named_in(cls, root: bytes, targets: bytes, bins: bytes) -> dict[str, Self]:
        """The keys of every role by its name, `bins-*` for the bins, as the signed offline files name them. Signatures
        are not checked here.

        Raises:
            Untrusted: they are no such files (`metadata-form`).
        """
        try:
            rings = {name: cls._of(role) for name, role in orjson.loads(root)["signed"]["roles"].items()}
            for role in orjson.loads(targets)["signed"]["delegations"]["roles"]:
                rings[str(role["name"])] = cls._of(role)
            rings[f"{BINS}-*"] = cls._of(orjson.loads(bins)["signed"]["delegations"]["succinct_roles"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise Untrusted(
                f"expected root, targets and bins, got something else: {error}", code="metadata-form"
            ) from error
        return rings


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is known beyond the state; None and empty: it was not looked at, or there is nothing."""

    signed_at: datetime | None = None  # when the timestamp in force was signed
    log_fault: str = ""  # what is wrong with the signing log
    key_fault: str = ""  # why this machine cannot sign
    waiting_ceremony: str = ""  # fingerprint of a finished ceremony that no publisher has applied
    open_ceremony: str = ""  # what the ceremony that is open waits for
    offline_faults: tuple[str, ...] = ()  # signed offline files that the store has not, or not as they should be
    offline_folder: str = ""  # where the quick start's offline key still lies
    root_ring: Keyring | None = None


def advise(state: RepositoryState, observed: Observed, *, now: datetime, policy: ExpiryPolicy) -> list[Advice]:
    """Everything that somebody should do, the most urgent first."""
    found = [*_expiries(state, now=now, policy=policy), *_signing(state, observed, now=now, policy=policy)]
    return sorted(found, key=lambda one: one.urgency)


def _expiries(state: RepositoryState, *, now: datetime, policy: ExpiryPolicy) -> Iterator[Advice]:
    online = {SNAPSHOT: state.snapshot.expires_at, TIMESTAMP: state.timestamp.expires_at}
    online["the first of the bins"] = min(state.bin_expires_at)
    if gone := [name for name, expires in online.items() if expires <= now]:
        yield Advice(
            "expired-online",
            Urgency.NOW,
            f"{_listed(gone)} expired, and clients refuse this index; the publisher signs again by itself when it runs",
            "wheelmark serve",
        )
    left = {role: state.offline[role].expires_at - now for role in OFFLINE if role in state.offline}
    if gone := [role for role in left if left[role] <= timedelta()]:
        yield Advice("expired-offline", Urgency.NOW, f"{_listed(gone)} expired, and clients refuse this index", RENEW)
    if soon := [role for role in left if timedelta() < left[role] <= policy.ceremony_notice]:
        yield Advice(
            "expires-soon",
            Urgency.SOON,
            f"{_listed(soon)} will expire, the first in {min(left[role] for role in soon).days:,} days; only the "
            "holders of their keys can sign them again",
            RENEW,
        )


def _signing(state: RepositoryState, observed: Observed, *, now: datetime, policy: ExpiryPolicy) -> Iterator[Advice]:
    if observed.offline_faults:
        yield Advice(
            "offline-missing",
            Urgency.NOW,
            f"{'; '.join(observed.offline_faults)}: clients refuse this index, or new ones do; put it back from a "
            "backup, a mirror or a client",
            "wheelmark trust audit",
        )
    if observed.key_fault:
        yield Advice("cannot-sign", Urgency.NOW, f"this machine cannot sign ({observed.key_fault})")
    if observed.log_fault:
        yield Advice("signing-log", Urgency.NOW, observed.log_fault, "wheelmark trust log")
    late = policy.timestamp_every * LATE
    if observed.signed_at is not None and now - observed.signed_at > late and state.timestamp.expires_at > now:
        yield Advice(
            "timestamp-old",
            Urgency.SOON,
            f"the timestamp is {(now - observed.signed_at) / timedelta(hours=1):.0f} hours old and should be signed "
            f"again every {policy.timestamp_every / timedelta(hours=1):g}: is a publisher running?",
            "wheelmark serve",
        )
    if observed.waiting_ceremony:
        yield Advice(
            "ceremony-waiting",
            Urgency.SOON,
            f"the finished ceremony {observed.waiting_ceremony[:8]} waits for a publisher",
            "wheelmark serve",
        )
    if observed.open_ceremony:
        yield Advice("ceremony-open", Urgency.SOON, observed.open_ceremony, "wheelmark trust ceremony status")
    if due_for_resigning(state, now, policy).clock_behind:
        yield Advice(
            "clock-behind",
            Urgency.SOON,
            "something expires later than this machine's clock could have signed it: look at the clock",
        )
    ring = observed.root_ring
    if ring is not None and ring.threshold == 1:
        yield Advice(
            "root-alone",
            Urgency.NOTE,
            f"one key alone can replace all others (1 of {len(ring.keyids)}); "
            "an index that others rely on wants 2 of 3",
        )
    if observed.offline_folder:
        yield Advice(
            "offline-key-here",
            Urgency.NOTE,
            f"the offline key that the first start made lies in {observed.offline_folder}, and whoever takes this "
            "machine has it: move that folder to a medium that you keep offline, or destroy it if root names that key "
            "no more",
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names)
