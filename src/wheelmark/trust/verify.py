"""Read a whole published repository as a distrustful client would, and say everything that is wrong with it.

python-tuf does the checking: our own writer gets no chance to agree with its own mistakes. Unlike a client this does
not stop at the first fault, and it reads every bin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports its payloads without saying so
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)

from wheelmark.errors import Fault
from wheelmark.trust.expiry import ExpiryPolicy
from wheelmark.trust.layout import (
    BINS,
    CLAIMS,
    DELEGATION_ORDER,
    MAX_BIT_LENGTH,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    Layout,
)
from wheelmark.trust.metadata import BIN_NAME_FIELD, utc_seconds
from wheelmark.trust.state import RoleState

MAX_ROOT_ROTATIONS: Final = 1024
"""Roots followed from the trusted one, as in python-tuf's client times four."""

Fetch = Callable[[str], bytes | None]
"""The bytes of a metadata file by name (`timestamp.json`, `7.snapshot.json`), or None if there is no such file."""

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class MetadataReport:
    """What a repository turned out to be. `faults` is empty if a client trusts all of it."""

    faults: tuple[Fault, ...]
    roles: dict[str, RoleState]  # every trusted role but the bins
    bins: dict[int, RoleState]  # every trusted bin
    target_count: int  # in trusted bins

    @property
    def trusted(self) -> bool:
        return not self.faults


def check_metadata_set(
    fetch: Fetch, root: bytes, now: datetime, *, policy: ExpiryPolicy | None = None
) -> MetadataReport:
    """Walk from a trusted root through everything that the timestamp commits to, and report all faults.

    Checked: signatures and thresholds, versions, expiries, lengths and hashes where given, that every bin is listed and
    holds only targets of its own. With `policy`, also that nothing lives longer than it says (a clock that was ahead).
    Not checked: the target files.

    Source: TUF spec § 5.3 to 5.6.
    """
    walk = _Walk(fetch, utc_seconds(now), policy)
    walk.run(root)
    return MetadataReport(tuple(walk.faults), walk.roles, walk.bins, walk.target_count)


@dataclass(slots=True)
class _Walk:
    fetch: Fetch
    now: datetime
    policy: ExpiryPolicy | None
    faults: list[Fault] = field(default_factory=list)
    roles: dict[str, RoleState] = field(default_factory=dict)
    bins: dict[int, RoleState] = field(default_factory=dict)
    target_count: int = 0

    def run(self, trusted_root: bytes) -> None:
        root = self._roots(trusted_root)
        if root is None:
            return
        snapshot = self._snapshot(root)
        if snapshot is None:
            return
        targets = self._listed(snapshot, TARGETS, root, Targets)
        if targets is None:
            return
        self._check_delegations(targets)
        bins = self._listed(snapshot, BINS, targets, Targets)
        if bins is not None:
            self._bins(snapshot, bins)

    def _roots(self, content: bytes) -> Root | None:
        """The last root of the chain. Each is signed by its predecessor and by itself (TUF spec § 5.3)."""
        root = self._parse(Root, ROOT, "root.json", content, None)
        for _ in range(MAX_ROOT_ROTATIONS):
            if root is None:
                return None
            name = f"{root.version + 1}.{ROOT}.json"
            following = self.fetch(name)
            if following is None:
                break
            new = self._parse(Root, ROOT, name, following, root)
            if new is not None and new.version != root.version + 1:
                self._fault("version", name, f"expected version {root.version + 1}, got {new.version}")
                return None
            root = new
        else:
            self._fault("root-rotations", ROOT, f"expected at most {MAX_ROOT_ROTATIONS} roots, got more")
            return None
        if not root.consistent_snapshot:
            self._fault("consistent-snapshot", ROOT, "expected consistent snapshots, got none")
        self._trust(ROOT, root)
        return root

    def _snapshot(self, root: Root) -> Snapshot | None:
        timestamp = self._read(Timestamp, TIMESTAMP, "timestamp.json", root)
        if timestamp is None:
            return None
        self._trust(TIMESTAMP, timestamp)
        listed = timestamp.snapshot_meta
        if listed.length is None or "sha256" not in (listed.hashes or {}):
            self._fault("snapshot-unbound", "timestamp.json", "expected length and sha256 of the snapshot, got less")
        snapshot = self._read(Snapshot, SNAPSHOT, f"{listed.version}.{SNAPSHOT}.json", root, listed)
        if snapshot is not None:
            self._trust(SNAPSHOT, snapshot)
        return snapshot

    def _check_delegations(self, targets: Targets) -> None:
        """Claims before bins: the order decides who is asked first, and nobody is asked after the bins."""
        roles = (targets.delegations.roles if targets.delegations else None) or {}
        expected = [name for name in DELEGATION_ORDER if name in roles]
        if list(roles) != expected or BINS not in roles:
            self._fault("delegations", TARGETS, f"expected {CLAIMS} (or none), then {BINS}, got {', '.join(roles)}")
        if targets.targets:
            self._fault("delegations", TARGETS, f"expected no targets of its own, got {len(targets.targets)}")

    def _bins(self, snapshot: Snapshot, bins: Targets) -> None:
        succinct = bins.delegations.succinct_roles if bins.delegations else None
        if succinct is None or succinct.name_prefix != BINS or not 1 <= succinct.bit_length <= MAX_BIT_LENGTH:
            self._fault("delegations", BINS, f"expected succinct roles {BINS}-…, got none that we read")
            return
        layout = Layout(succinct.bit_length)
        for index, name in enumerate(layout.bin_names):
            content = self._listed(snapshot, name, bins, Targets)
            if content is None:
                continue
            self.roles.pop(name)
            self.bins[index] = RoleState(content.version, content.expires)
            self.target_count += len(content.targets)
            if (said := content.unrecognized_fields.get(BIN_NAME_FIELD)) != name:
                self._fault("bin-name", name, f"expected a bin that says it is this one, got {said!r}")
            for path, target in content.targets.items():
                if layout.bin_of(path) != index:
                    self._fault("row-astray", name, f"expected targets of this bin, got {path}")
                if "sha256" not in target.hashes:
                    self._fault("sha256", name, f"expected a sha256 of {path}, got none")

    def _listed(self, snapshot: Snapshot, name: str, delegator: Root | Targets, kind: type[S]) -> S | None:
        """A role in the version that the snapshot lists."""
        listed = snapshot.meta.get(f"{name}.json")
        if listed is None:
            self._fault("not-listed", f"{snapshot.version}.snapshot.json", f"expected {name}.json in it, got none")
            return None
        found = self._read(kind, name, f"{listed.version}.{name}.json", delegator, listed)
        if found is not None:
            self._trust(name, found)
        return found

    def _read(
        self, kind: type[S], role: str, name: str, delegator: Root | Targets, listed: MetaFile | None = None
    ) -> S | None:
        content = self.fetch(name)
        if content is None:
            self._fault("missing", name, "expected the file, got none")
            return None
        if listed is not None:
            try:
                listed.verify_length_and_hashes(content)
            except LengthOrHashMismatchError as error:
                self._fault("length-or-hash", name, str(error))
                return None
        found = self._parse(kind, role, name, content, delegator)
        if found is not None and listed is not None and found.version != listed.version:
            self._fault("version", name, f"expected version {listed.version}, got {found.version}")
            return None
        return found

    def _parse(self, kind: type[S], role: str, name: str, content: bytes, delegator: Root | Targets | None) -> S | None:
        """The signed part, if enough of the right keys signed it. A root must be signed by itself, too."""
        try:
            metadata = Metadata[S].from_bytes(content)
            signed = metadata.signed
            if not isinstance(signed, kind):
                self._fault("unreadable", name, f"expected {kind.type} metadata, got {signed.type}")
                return None
            if delegator is not None:
                delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            if isinstance(signed, Root):
                signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except UnsignedMetadataError as error:
            self._fault("unsigned", name, str(error))
            return None
        except (RepositoryError, ValueError) as error:
            self._fault("unreadable", name, str(error))
            return None
        return signed

    def _trust(self, role: str, signed: Signed) -> None:
        """Keep a verified role for the report; expiry is a fault, but what it lists is still worth reading."""
        self.roles[role] = RoleState(signed.version, signed.expires)
        if signed.expires <= self.now:
            self._fault("expired", role, f"expected an expiry after {self.now}, got {signed.expires}")
        if self.policy is not None and signed.expires > self.now + self.policy.life_of(role):
            limit = self.now + self.policy.life_of(role)
            self._fault("expires-late", role, f"expected an expiry by {limit}, got {signed.expires}")

    def _fault(self, code: str, where: str, message: str) -> None:
        self.faults.append(Fault(code, where, message))
