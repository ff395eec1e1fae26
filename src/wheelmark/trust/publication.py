"""The daily work: sign changed bins, the snapshot that lists them, and the timestamp that commits the snapshot. Pure.

The caller writes `Publication.objects` in their order and `timestamp` last. A death in between leaves files that no
snapshot lists; their versions are handed in as `burned` next time and never used for another content. An attempt counts
as dead only if no client can have had its timestamp. Otherwise it is the state: a client that trusts the new version of
a bin refuses every snapshot with the old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wheelmark.errors import Refused
from wheelmark.trust.contents import BinContent
from wheelmark.trust.expiry import ExpiryPolicy, bin_expires_at, expires_at
from wheelmark.trust.layout import ROOT, SNAPSHOT, TIMESTAMP, Layout
from wheelmark.trust.metadata import (
    TargetRow,
    envelope,
    snapshot_bytes,
    timestamp_bytes,
    utc_seconds,
)
from wheelmark.trust.signers import OnlineSigner
from wheelmark.trust.state import RepositoryState, RoleState, SnapshotState


@dataclass(frozen=True, slots=True)
class OnlineSigners:
    """The two online keys. Nothing here can sign an offline role: there is no signer for one to be given.

    Raises:
        Refused: both are the same key, so that its thief could publish alone.
    """

    bins: OnlineSigner
    """Signs the bins. Its thief can write bins, which no snapshot lists."""
    publish: OnlineSigner
    """Signs snapshot and timestamp. Its thief can freeze clients, or show new clients old bins."""

    def __post_init__(self) -> None:
        if self.bins.keyid == self.publish.keyid:
            raise Refused.because("key-shared", "publish", f"expected two online keys, got {self.bins.keyid} for both")


@dataclass(frozen=True, slots=True)
class ChangedBin:
    """One bin to be signed, with all that it lists from now on: rows sorted by path, or what was made of them."""

    index: int
    rows: Sequence[TargetRow] | BinContent

    def content(self, layout: Layout) -> BinContent:
        """All that it lists, checked.

        Raises:
            Refused: a row that cannot be written or that belongs to another bin, rows unsorted or twice.
        """
        if isinstance(self.rows, BinContent):
            return self.rows
        return BinContent.of(layout, self.index, self.rows)


@dataclass(frozen=True, slots=True)
class Publication:
    """What to write: `objects` in order, then `timestamp` as `timestamp.json`; `state` holds once that is done."""

    objects: tuple[tuple[str, bytes], ...]  # ("7.bins-0a3.json", bytes), …; immutable names
    timestamp: bytes
    signed_bins: tuple[int, ...]  # indexes whose version and expiry in `state` are new
    state: RepositoryState


@dataclass(frozen=True, slots=True)
class Due:
    """What should be signed again now. Any of the first three asks for a publication, if need be without a change."""

    bins: tuple[int, ...]  # indexes, most urgent first
    snapshot: bool
    timestamp: bool
    ceremony: tuple[str, ...]  # offline roles that expire soon: nothing online can renew them
    clock_behind: bool
    """Something expires later than this clock could have signed: the clock was set back, or was once far ahead."""


def sign_publication(
    state: RepositoryState,
    changed: Iterable[ChangedBin],
    *,
    burned: Mapping[str, int],
    now: datetime,
    signers: OnlineSigners,
    policy: ExpiryPolicy,
    renew_snapshot: bool = False,
) -> Publication:
    """Sign what changed and what follows from it: without a change a new timestamp, and a new snapshot if it is due
    or asked for (`renew_snapshot`: an offline role changed).

    Versions only rise: each is one above the last and above the highest that a died attempt may have written (`burned`,
    by role name). Expiries follow `now` and never go back; a clock set back does not stop a publication.

    Raises:
        Refused: a bin twice or unknown, a row that belongs to another bin, or one that cannot be written.
        Unavailable: a signer does not answer. Nothing is lost: no version is used up before something is written.
    """
    now = utc_seconds(now)
    objects: list[tuple[str, bytes]] = []
    versions, expiries = list(state.bin_versions), list(state.bin_expires_at)
    signed_bins: list[int] = []
    for entry in sorted(changed, key=lambda entry: entry.index):
        name = state.layout.bin_name(entry.index)
        if signed_bins and signed_bins[-1] == entry.index:
            raise Refused.because("bin-twice", "changed", f"expected each bin once, got {name} again")
        listed = entry.content(state.layout)
        versions[entry.index] = _next_version(name, versions[entry.index], burned)
        expiries[entry.index] = bin_expires_at(
            now, entry.index, layout=state.layout, policy=policy, not_before=expiries[entry.index]
        )
        signed = listed.signed_part(name, version=versions[entry.index], expires=expiries[entry.index])
        objects.append((f"{versions[entry.index]}.{name}.json", envelope(signed, [signers.bins.sign(signed)])))
        signed_bins.append(entry.index)

    following = replace(state, bin_versions=tuple(versions), bin_expires_at=tuple(expiries))
    if signed_bins or renew_snapshot or _snapshot_due(state, now, policy):
        name, content, snapshot = sign_snapshot(
            following, burned=burned, now=now, signer=signers.publish, policy=policy
        )
        objects.append((name, content))
        following = replace(following, snapshot=snapshot)
    timestamp, timestamp_state = sign_timestamp(
        following, burned=burned, now=now, signer=signers.publish, policy=policy
    )
    return Publication(tuple(objects), timestamp, tuple(signed_bins), replace(following, timestamp=timestamp_state))


def due_for_resigning(state: RepositoryState, now: datetime, policy: ExpiryPolicy) -> Due:
    """What to sign again before it expires: bins when a third of their life is left, the snapshot at half of its, the
    timestamp an hour after it was signed (`policy.timestamp_every`)."""
    now = utc_seconds(now)
    bins = [index for index, expires in enumerate(state.bin_expires_at) if expires - now <= policy.bin_cycle]
    return Due(
        bins=tuple(sorted(bins, key=lambda index: state.bin_expires_at[index])),
        snapshot=_snapshot_due(state, now, policy),
        timestamp=now >= state.timestamp.expires_at - policy.timestamp + policy.timestamp_every,
        ceremony=tuple(
            sorted(name for name, role in state.offline.items() if role.expires_at - now <= policy.ceremony_notice)
        ),
        clock_behind=(
            max(state.bin_expires_at) > now + policy.bin
            or state.snapshot.expires_at > now + policy.snapshot
            or state.timestamp.expires_at > now + policy.timestamp
        ),
    )


def sign_snapshot(
    state: RepositoryState, *, burned: Mapping[str, int], now: datetime, signer: OnlineSigner, policy: ExpiryPolicy
) -> tuple[str, bytes, SnapshotState]:
    """The next snapshot: file name, bytes, and what the state says about it."""
    version = _next_version(SNAPSHOT, state.snapshot.version, burned)
    expires = expires_at(now, policy.snapshot, not_before=state.snapshot.expires_at)
    signed = snapshot_bytes(
        version=version,
        expires=expires,
        layout=state.layout,
        bin_versions=state.bin_versions,
        # Root is not listed: clients find a new root by themselves, one version after the other (TUF spec § 5.3).
        role_versions={name: role.version for name, role in state.offline.items() if name != ROOT},
    )
    content = envelope(signed, [signer.sign(signed)])
    digest = hashlib.sha256(content).hexdigest()
    return f"{version}.{SNAPSHOT}.json", content, SnapshotState(version, expires, len(content), digest)


def sign_timestamp(
    state: RepositoryState, *, burned: Mapping[str, int], now: datetime, signer: OnlineSigner, policy: ExpiryPolicy
) -> tuple[bytes, RoleState]:
    """The next timestamp, for the snapshot in `state`."""
    version = _next_version(TIMESTAMP, state.timestamp.version, burned)
    expires = expires_at(now, policy.timestamp, not_before=state.timestamp.expires_at)
    signed = timestamp_bytes(
        version=version,
        expires=expires,
        snapshot_version=state.snapshot.version,
        snapshot_length=state.snapshot.length,
        snapshot_sha256=state.snapshot.sha256,
    )
    return envelope(signed, [signer.sign(signed)]), RoleState(version, expires)


def _next_version(role: str, last: int, burned: Mapping[str, int]) -> int:
    return max(last, burned.get(role, 0)) + 1


def _snapshot_due(state: RepositoryState, now: datetime, policy: ExpiryPolicy) -> bool:
    return state.snapshot.expires_at - now <= policy.snapshot / 2
