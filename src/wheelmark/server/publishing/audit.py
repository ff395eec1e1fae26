"""The audit: what is signed, compared with the rows, the store, the journal, the signing log and an earlier snapshot.

It reads, and changes nothing; the index may be running meanwhile. What was published while it looked is no fault: each
bin is compared with the rows of its own version, and what runs ahead of the database is looked at a second time.

Memory: one bin and its pages, the names of the metadata files that the store keeps, and one digest for each of them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wheelmark.errors import Fault, Refused, Untrusted
from wheelmark.server.publishing.audit_targets import TargetAudit
from wheelmark.server.publishing.commit import burned_versions
from wheelmark.server.publishing.earlier import Earlier
from wheelmark.server.publishing.files import missing_files
from wheelmark.server.publishing.keys import role_file_key, role_key
from wheelmark.server.publishing.later_versions import (
    MAX_ROLE_BYTES,
    Reach,
    later_offline_roles,
    listed_versions,
)
from wheelmark.server.publishing.models import RoleVersion
from wheelmark.server.publishing.state import InForce, in_force
from wheelmark.store import Missing, Store
from wheelmark.trust import (
    ROOT,
    TIMESTAMP,
    ExpiryPolicy,
    LogEntry,
    MetadataReport,
    check_metadata_set,
)
from wheelmark.trust.audit import Faults, compare_versions, lost_roots, parse_role_file, versions_ahead

MAX_ROOTS_AHEAD = 256
"""A client follows at most so many roots at a time; what a thief calls root 2**53 leaves no roots missing before it."""

LOOK_AGAIN_SECONDS = 2.0
"""A publication that is under way is in the log a moment before it is in the database."""

Progress = Callable[[str, int, int], None]  # what, how many are done, how many there are (0: unknown)
Log = Iterable[LogEntry]


def no_progress(what: str, done: int, total: int) -> None:
    """For whoever does not look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What was compared, and everything that does not agree (the first `MAX_FAULTS`; `fault_count` counts all)."""

    root: int  # version
    snapshot: int  # version
    since: int | None  # version of the earlier snapshot
    role_files: int  # metadata files in the store
    log_entries: int
    targets: int
    pages: int
    files: int  # distributions whose bytes were read, or looked for
    faults: tuple[Fault, ...]
    fault_count: int


def audit(
    store: Store,
    logs: Sequence[Log],
    *,
    now: datetime,
    policy: ExpiryPolicy | None = None,
    root: bytes | None = None,
    since: str | None = None,
    read_files: bool = False,
    progress: Progress = no_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> AuditReport:
    """Compare everything with everything; see the module's text.

    `logs` are the signing logs of all machines that sign; `root` is a trusted root (without it: the store's own first);
    `since` names an earlier snapshot by version or time; `read_files` reads every distribution and its core metadata.

    Raises:
        Refused: there is no such earlier snapshot, or the store has it no longer.
        Unavailable: database or store is away.
    """
    earlier = Earlier.named(store, since) if since else None
    run = _Audit(store, now, policy or ExpiryPolicy(), progress)
    committed, metadata = run.metadata(root)
    entries = run.role_files(logs, committed, sleep)
    targets = TargetAudit(store, committed.state.layout, run.faults, earlier)
    targets.run(progress)
    files = 0
    for fault, seen in missing_files(store, read=read_files, progress=progress):
        files += seen
        if fault is not None:
            run.faults.add(fault)
    return AuditReport(
        root=committed.state.offline[ROOT].version,
        snapshot=committed.state.snapshot.version,
        since=earlier.version if earlier else None,
        role_files=run.file_count,
        log_entries=entries,
        targets=metadata.target_count,
        pages=targets.pages,
        files=files,
        faults=run.faults.kept,
        fault_count=run.faults.count,
    )


@dataclass(slots=True)
class _Audit:
    store: Store
    now: datetime
    policy: ExpiryPolicy
    progress: Progress
    faults: Faults = field(default_factory=Faults)
    file_count: int = 0

    def metadata(self, root: bytes | None) -> tuple[InForce, MetadataReport]:
        """The signed metadata as a client would read it, and its versions against the rows."""
        committed = in_force()
        report = check_stored_metadata(
            self.store, committed, root=root, now=self.now, policy=self.policy, progress=self.progress
        )
        self.faults.add(*report.faults)
        rows = {name: role.version for name, role in committed.state.offline.items()}
        rows |= dict(zip(committed.state.layout.bin_names, committed.state.bin_versions, strict=True))
        self.faults.add(
            *compare_versions(
                committed.state.snapshot.version,
                {index: role.version for index, role in report.bins.items()},
                {name: role.version for name, role in report.roles.items()},
                rows,
                committed.state.layout,
            )
        )
        return committed, report

    def role_files(self, logs: Sequence[Log], committed: InForce, sleep: Callable[[float], None]) -> int:
        """Every metadata file of the store is in the log with just these bytes, and none is ahead of the database."""
        reach = Reach.now(self.store)
        names, in_store = self._stored(reach)
        timestamp = f"{committed.state.timestamp.version}.{TIMESTAMP}.json"
        logged, in_log, entries = self._logged(logs, {*names, timestamp}, reach)
        self._check_logged(names, logged, committed, entries)
        newest_root = max(in_store.get(ROOT, 0), committed.state.offline[ROOT].version)
        roots = (parse_role_file(name) or (0, "") for name in names)
        listed = (version for version, role in roots if role == ROOT and version <= newest_root + MAX_ROOTS_AHEAD)
        self.faults.add(*lost_roots(max(newest_root, *listed), set(names).__contains__))
        for where, found in (("the store", in_store), ("the signing log", in_log)):
            ahead = list(versions_ahead(found, _committed_versions(), burned_versions(), where=where))
            if ahead:
                sleep(LOOK_AGAIN_SECONDS)
                ahead = list(versions_ahead(found, _committed_versions(), burned_versions(), where=where))
            self.faults.add(*ahead)
        return entries

    def _stored(self, reach: Reach) -> tuple[list[str], dict[str, int]]:
        """The names of all metadata files in the store, and the highest version of each role that counts."""
        names, highest = [], dict[str, int]()
        for stored in self.store.list("tuf/"):
            name = stored.key.removeprefix("tuf/")
            parsed = parse_role_file(name)
            if parsed is None:
                self.faults.add(Fault("store-unknown", name, "expected VERSION.ROLE.json below tuf/, got another name"))
                continue
            names.append(name)
            version, role = parsed
            if version > highest.get(role, 0) and reach.counts(self.store, role, version):
                highest[role] = version
            self.progress("listing metadata", len(names), 0)
        later = later_offline_roles(self.store, listed_versions(names))
        return names, highest | {role: version for role, (version, _) in later.items()}

    def _logged(
        self, logs: Sequence[Log], wanted: set[str], reach: Reach
    ) -> tuple[dict[str, list[bytes]], dict[str, int], int]:
        """The digests that the logs have for the wanted names, the highest version of each role that counts, and all
        entries."""
        digests: dict[str, list[bytes]] = {}
        highest: dict[str, int] = {}
        entries = 0
        for log in logs:
            try:
                for entry in log:
                    entries += 1
                    if reach.counts_by(entry.role, entry.version, entry.keyid):
                        highest[entry.role] = max(entry.version, highest.get(entry.role, 0))
                    name = f"{entry.version}.{entry.role}.json"
                    if name in wanted:
                        digests.setdefault(name, []).append(bytes.fromhex(entry.sha256))
                    self.progress("reading the signing log", entries, 0)
            except Untrusted as error:
                self.faults.add(Fault(error.code, "signing log", str(error)))
        return digests, highest, entries

    def _check_logged(
        self, names: Sequence[str], logged: Mapping[str, list[bytes]], committed: InForce, entries: int
    ) -> None:
        if not entries:
            self.faults.add(Fault("signing-log-missing", "signing log", "expected a line for each signing, got none"))
        timestamp = f"{committed.state.timestamp.version}.{TIMESTAMP}.json"
        for number, name in enumerate([timestamp, *names]):
            self.progress("hashing metadata", number, len(names))
            try:
                digest = hashlib.sha256(
                    committed.timestamp
                    if name == timestamp
                    else self.store.read_all(role_file_key(name), max_bytes=MAX_ROLE_BYTES)
                ).digest()
            except Missing:
                continue  # garbage collection took it meanwhile
            except Refused as error:
                self.faults.add(Fault(error.code, name, str(error)))
                continue
            self.file_count += name != timestamp
            if entries and digest not in logged.get(name, ()):
                known = "another sha256" if name in logged else "no line"
                self.faults.add(
                    Fault("unlogged", name, f"expected a line with sha256 {digest.hex()} in the log, got {known}")
                )


def check_stored_metadata(
    store: Store,
    committed: InForce,
    *,
    root: bytes | None = None,
    now: datetime,
    policy: ExpiryPolicy | None,
    progress: Progress = no_progress,
) -> MetadataReport:
    """What a client would find, from the store and the timestamp in force; without `root` from the store's first."""
    total = committed.state.layout.bin_count + len(committed.state.offline) + 3
    seen = 0

    def fetch(name: str) -> bytes | None:
        nonlocal seen
        seen += 1
        progress("verifying signatures", min(seen, total), total)
        if name == "timestamp.json":
            return committed.timestamp
        try:
            return store.read_all(role_file_key(name), max_bytes=MAX_ROLE_BYTES)
        except (Missing, Refused):
            return None

    first = root
    if first is None:
        try:
            first = store.read_all(role_key(1, ROOT), max_bytes=MAX_ROLE_BYTES)
        except Missing:
            fault = Fault("missing", f"1.{ROOT}.json", "expected the first root in the store, got none")
            return MetadataReport((fault,), {}, {}, 0)
    return check_metadata_set(fetch, first, now, policy=policy)


def _committed_versions() -> dict[str, int]:
    return dict(RoleVersion.objects.values_list("role", "version"))


def faults_by_code(faults: Iterable[Fault]) -> Iterator[tuple[str, int]]:
    """How many faults of each kind, the most frequent first."""
    counts: dict[str, int] = {}
    for fault in faults:
        counts[fault.code] = counts.get(fault.code, 0) + 1
    yield from sorted(counts.items(), key=lambda item: (-item[1], item[0]))
