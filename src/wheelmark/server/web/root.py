"""The root of trust as pages show it: fingerprints, keys and thresholds, read from the store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from wheelmark.errors import Untrusted
from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.models import RoleVersion
from wheelmark.store import Missing, Store
from wheelmark.trust import BINS, ROOT, TARGETS
from wheelmark.trust.outlook import OFFLINE, Keyring

MAX_ROOT_BYTES = 512_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeys:
    """What the current root, targets and bins say, and the fingerprint of the first root, which clients begin with."""

    fingerprint: str  # sha256 of 1.root.json
    version: int
    current_fingerprint: str  # sha256 of <version>.root.json
    roles: Mapping[str, Keyring]  # `bins-*` for the bins


def read_root(store: Store) -> RootKeys | None:
    """Read the first and the current root, targets and bins; None before the index is founded.

    Raises:
        Unavailable: the store is away.
    """
    versions = dict(RoleVersion.objects.filter(role__in=OFFLINE).values_list("role", "version"))
    if not versions.keys() >= {*OFFLINE}:
        return None
    try:
        first = store.read_all(role_key(1, ROOT), max_bytes=MAX_ROOT_BYTES)
        current, targets, bins = (
            first
            if (role, versions[role]) == (ROOT, 1)
            else store.read_all(role_key(versions[role], role), max_bytes=MAX_ROOT_BYTES)
            for role in (ROOT, TARGETS, BINS)
        )
        rings = Keyring.named_in(current, targets, bins)
    except (Missing, Untrusted):
        return None
    return RootKeys(
        fingerprint=hashlib.sha256(first).hexdigest(),
        version=versions[ROOT],
        current_fingerprint=hashlib.sha256(current).hexdigest(),
        roles=rings,
    )
