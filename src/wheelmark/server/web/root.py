"""The root of trust as pages show it: fingerprints, keys and thresholds, read from the store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.models import RoleVersion
from wheelmark.store import Missing, Store

MAX_ROOT_BYTES = 512_000


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """How many of which keys sign for a role."""

    threshold: int
    keyids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeys:
    """What the current root says, and the fingerprint of the first, which clients begin with."""

    fingerprint: str  # sha256 of 1.root.json
    version: int
    current_fingerprint: str  # sha256 of <version>.root.json
    roles: Mapping[str, RoleKeys]


def read_root(store: Store) -> RootKeys | None:
    """Read the first and the current root; None before the index is founded.

    Raises:
        Unavailable: the store is away.
    """
    version = RoleVersion.objects.filter(role="root").values_list("version", flat=True).first()
    if version is None:
        return None
    try:
        first = store.read_all(role_key(1, "root"), max_bytes=MAX_ROOT_BYTES)
        current = first if version == 1 else store.read_all(role_key(version, "root"), max_bytes=MAX_ROOT_BYTES)
    except Missing:
        return None
    signed = orjson.loads(current)["signed"]
    return RootKeys(
        fingerprint=hashlib.sha256(first).hexdigest(),
        version=version,
        current_fingerprint=hashlib.sha256(current).hexdigest(),
        roles={
            name: RoleKeys(threshold=role["threshold"], keyids=tuple(role["keyids"]))
            for name, role in signed["roles"].items()
        },
    )
