"""The first version of everything: the offline roles, every empty bin, and the first snapshot and timestamp.

Two steps, so that a ceremony on a machine without network can do the first with the public halves of the online keys:
`sign_offline_roles` needs the offline keys only, `found_repository` does both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust.expiry import ExpiryPolicy, bin_expires_at, expires_at
from wheelmark.trust.keys import PublicKey, RoleKeys
from wheelmark.trust.layout import BINS, ROOT, TARGETS, TIMESTAMP, Layout
from wheelmark.trust.metadata import (
    bin_bytes,
    bins_bytes,
    bins_delegation,
    envelope,
    root_bytes,
    targets_bytes,
    utc_seconds,
)
from wheelmark.trust.publication import OnlineSigners, sign_snapshot, sign_timestamp
from wheelmark.trust.signers import OnlineSigner
from wheelmark.trust.state import RepositoryState, RoleState, SnapshotState

FIRST = 1


@dataclass(frozen=True, slots=True)
class OfflineRole:
    """The holders of one offline role: those who sign now, and the public keys of those who are absent.

    Raises:
        Refused: fewer signers than the threshold asks for, or keys that make no role.
    """

    signers: tuple[OnlineSigner, ...]
    threshold: int = 1
    absent: tuple[PublicKey, ...] = ()

    def __post_init__(self) -> None:
        if len(self.signers) < self.keys.threshold:
            raise Refused.because(
                "role-signers", "signers", f"expected {self.threshold} or more signers, got {len(self.signers)}"
            )

    @property
    def keys(self) -> RoleKeys:
        return RoleKeys((*(signer.public for signer in self.signers), *self.absent), self.threshold)

    def seal(self, signed: bytes) -> bytes:
        """The file, signed by everyone present."""
        return envelope(signed, [signer.sign(signed) for signer in self.signers])


@dataclass(frozen=True, slots=True)
class OfflineRoles:
    """Who holds the three offline roles. A key may serve several of them (the quick start has one for all)."""

    root: OfflineRole
    targets: OfflineRole
    bins: OfflineRole

    @classmethod
    def all_by(cls, role: OfflineRole) -> OfflineRoles:
        """The same holders and threshold for all three."""
        return cls(role, role, role)


@dataclass(frozen=True, slots=True)
class OnlineKeys:
    """The public halves of the online keys, which the offline roles name."""

    bins: PublicKey
    publish: PublicKey

    @classmethod
    def of(cls, signers: OnlineSigners) -> OnlineKeys:
        return cls(signers.bins.public, signers.publish.public)

    @classmethod
    def named_in(cls, root: bytes, bins: bytes) -> OnlineKeys:
        """The online keys that a repository's root and `bins` files name: what `open_signer` should expect (`public`),
        so that a wrong key is found before it signs what no client accepts. Signatures are not checked here.

        Raises:
            Untrusted: the files are not those of a repository founded here.
        """
        try:
            top, delegations = orjson.loads(root)["signed"], orjson.loads(bins)["signed"]["delegations"]
            publish, online = top["roles"][TIMESTAMP]["keyids"][0], delegations["succinct_roles"]["keyids"][0]
            return cls(
                bins=PublicKey.from_tuf(online, delegations["keys"][online]),
                publish=PublicKey.from_tuf(publish, top["keys"][publish]),
            )
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as error:
            raise Untrusted(
                f"expected root and bins that name online keys, got none: {error}", code="online-keys"
            ) from error


@dataclass(frozen=True, slots=True)
class Foundation:
    """A whole new repository. Write `objects` in order, then `timestamp`; clients are given `root`."""

    root: bytes  # the first of `objects`
    objects: tuple[tuple[str, bytes], ...]
    timestamp: bytes
    state: RepositoryState


@dataclass(frozen=True, slots=True)
class OfflineMetadata:
    """Root, targets and bins, signed: what comes out of a ceremony."""

    objects: tuple[tuple[str, bytes], ...]
    roles: Mapping[str, RoleState]


def sign_offline_roles(
    *, layout: Layout, now: datetime, offline: OfflineRoles, online: OnlineKeys, policy: ExpiryPolicy
) -> OfflineMetadata:
    """Version 1 of root, targets and bins.

    Raises:
        Refused: an online key is an offline key, too (`key-shared`).
        Unavailable: a signer does not answer.
    """
    _check_separation(offline, online)
    publish = RoleKeys((online.publish,))
    roles = {
        ROOT: RoleState(FIRST, expires_at(now, policy.root)),
        TARGETS: RoleState(FIRST, expires_at(now, policy.targets)),
        BINS: RoleState(FIRST, expires_at(now, policy.bins)),
    }
    root = root_bytes(
        version=FIRST,
        expires=roles[ROOT].expires_at,
        root=offline.root.keys,
        targets=offline.targets.keys,
        snapshot=publish,
        timestamp=publish,
    )
    # Claims would stand before bins here: see `layout.DELEGATION_ORDER`.
    targets = targets_bytes(
        version=FIRST, expires=roles[TARGETS].expires_at, delegations=[bins_delegation(offline.bins.keys)]
    )
    bins = bins_bytes(version=FIRST, expires=roles[BINS].expires_at, layout=layout, keys=RoleKeys((online.bins,)))
    return OfflineMetadata(
        (
            (f"{FIRST}.{ROOT}.json", offline.root.seal(root)),
            (f"{FIRST}.{TARGETS}.json", offline.targets.seal(targets)),
            (f"{FIRST}.{BINS}.json", offline.bins.seal(bins)),
        ),
        roles,
    )


def found_repository(
    *, layout: Layout, now: datetime, offline: OfflineRoles, online: OnlineSigners, policy: ExpiryPolicy
) -> Foundation:
    """A whole repository without any project: each name is already proven absent.

    Raises:
        Refused: an online key is an offline key, too (`key-shared`).
        Unavailable: a signer does not answer.
    """
    signed = sign_offline_roles(layout=layout, now=now, offline=offline, online=OnlineKeys.of(online), policy=policy)
    return found_on(signed, layout=layout, now=now, online=online, policy=policy)


def found_on(
    ceremony: OfflineMetadata, *, layout: Layout, now: datetime, online: OnlineSigners, policy: ExpiryPolicy
) -> Foundation:
    """The same on top of offline roles that were signed before, by a ceremony: they name these online keys and bins.

    Raises:
        Unavailable: a signer does not answer.
    """
    now = utc_seconds(now)
    expiries = tuple(bin_expires_at(now, index, layout=layout, policy=policy) for index in range(layout.bin_count))
    # Version 0 stands for "never signed": what comes out of the signing below is version 1.
    state = RepositoryState(
        layout=layout,
        offline=ceremony.roles,
        bin_versions=(FIRST,) * layout.bin_count,
        bin_expires_at=expiries,
        snapshot=SnapshotState(0, now, 0, ""),
        timestamp=RoleState(0, now),
    )
    objects = [*ceremony.objects, *_empty_bins(layout, expiries, online.bins)]
    name, content, snapshot = sign_snapshot(state, burned={}, now=now, signer=online.publish, policy=policy)
    objects.append((name, content))
    state = replace(state, snapshot=snapshot)
    timestamp, timestamp_state = sign_timestamp(state, burned={}, now=now, signer=online.publish, policy=policy)
    return Foundation(ceremony.objects[0][1], tuple(objects), timestamp, replace(state, timestamp=timestamp_state))


def _empty_bins(layout: Layout, expiries: Sequence[datetime], signer: OnlineSigner) -> list[tuple[str, bytes]]:
    files = []
    for name, expires in zip(layout.bin_names, expiries, strict=True):
        signed = bin_bytes(name, version=FIRST, expires=expires, rows=())
        files.append((f"{FIRST}.{name}.json", envelope(signed, [signer.sign(signed)])))
    return files


def _check_separation(offline: OfflineRoles, online: OnlineKeys) -> None:
    """Who takes the server must not hold a key that survives the server."""
    held = {key.keyid for role in (offline.root, offline.targets, offline.bins) for key in role.keys.keys}
    shared = held & {online.bins.keyid, online.publish.keyid}
    if shared or online.bins.keyid == online.publish.keyid:
        raise Refused.because(
            "key-shared",
            "online",
            f"expected online keys of their own, got {', '.join(sorted(shared)) or 'one for both'}",
        )
