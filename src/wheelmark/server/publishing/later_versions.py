"""Which versions in the store and the signing log, above those of the database, count: recovery and audit must agree.

A thief may have left any version under any name. What no key in force stands behind is a name in the store and nothing
else: no client follows it, and no version goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wheelmark.errors import Refused, WheelmarkError
from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.models import RoleVersion
from wheelmark.server.publishing.signing import named_keys
from wheelmark.store import Missing, Store
from wheelmark.trust import BINS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, OnlineKeys, PublicKey
from wheelmark.trust.audit import parse_role_file
from wheelmark.trust.recovery import MAX_LEAP, delegated, follows_root, signed_by
from wheelmark.trust.terms import OFFLINE_ROLES

MAX_ROLE_BYTES = 64 * 1024 * 1024
"""The snapshot of an index with 65,536 bins has 2 MB; this is far from any real one."""


def later_offline_roles(store: Store, listed: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, bytes | None]]:
    """Version and bytes of the newest root, targets and bins that the offline keys signed, from those in force on.

    `listed` are the versions in the store by role.
    """
    rows = dict(RoleVersion.objects.filter(role__in=OFFLINE_ROLES).values_list("role", "version"))
    root, root_version = read_role(store, rows[ROOT], ROOT), rows[ROOT]
    while (following := read_role(store, root_version + 1, ROOT)) and root and follows_root(root, following):
        root, root_version = following, root_version + 1
    found = {ROOT: (root_version, root)}
    for role, delegator in ((TARGETS, ROOT), (BINS, TARGETS)):
        parent = found[delegator][1]
        found[role] = rows[role], read_role(store, rows[role], role)
        for version in sorted((one for one in listed.get(role, ()) if one > rows[role]), reverse=True):
            content = read_role(store, version, role)
            if parent and content and delegated(parent, role, content):
                found[role] = version, content
                break
    return found


def listed_versions(names: Iterable[str]) -> dict[str, list[int]]:
    """The versions of the offline roles among file names."""
    listed: dict[str, list[int]] = {}
    for name in names:
        version, role = parse_role_file(name) or (0, "")
        if role in OFFLINE_ROLES:
            listed.setdefault(role, []).append(version)
    return listed


def stored_names(store: Store) -> Iterable[str]:
    """The file names of all signed metadata."""
    return (stored.key.removeprefix("tuf/") for stored in store.list("tuf/"))


@dataclass(frozen=True, slots=True)
class Reach:
    """What the database has committed, and how far above it a version may be before a key has to speak for it."""

    rows: Mapping[str, int]
    keys: OnlineKeys | None  # None: the store has lost the files that name them, and every version counts

    @classmethod
    def now(cls, store: Store) -> Reach:
        try:
            keys = named_keys(store)
        except WheelmarkError:
            keys = None
        return cls(dict(RoleVersion.objects.values_list("role", "version")), keys)

    def counts(self, store: Store, role: str, version: int) -> bool:
        """Whether a version in the store is to be reckoned with: it is within reach, where it is at least a taken name,
        or the key in force signed it."""
        if self._is_near(role, version):
            return True
        content = read_role(store, version, role)
        return self.keys is None or (content is not None and signed_by(content, key_of(role, self.keys)))

    def counts_by(self, role: str, version: int, keyid: str) -> bool:
        """The same of a version in the signing log."""
        return self._is_near(role, version) or self.keys is None or key_of(role, self.keys).keyid == keyid

    def _is_near(self, role: str, version: int) -> bool:
        return version <= self.rows.get(role, 0) + MAX_LEAP


def key_of(role: str, keys: OnlineKeys) -> PublicKey:
    """The online key that signs a role."""
    return keys.publish if role in {SNAPSHOT, TIMESTAMP} else keys.bins


def read_role(store: Store, version: int, role: str) -> bytes | None:
    """A signed file; None where the store has none, or something far too large."""
    try:
        return store.read_all(role_key(version, role), max_bytes=MAX_ROLE_BYTES)
    except (Missing, Refused):
        return None
