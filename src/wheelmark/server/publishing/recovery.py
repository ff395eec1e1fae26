"""`wheelmark trust recover`: bring an index back after a restored database, a lost object, or a theft of keys.

It does what can be done without offline keys, and names the rest. Every step may be repeated. Nobody may publish
meanwhile: the caller holds the publisher's lock.

1. Offline roles that the store has in newer versions than the database are taken over, if the offline keys signed them.
2. Versions of which store or log know more than the database are burned (`Attempt`), and their roles signed again.
3. What the newest snapshot that clients may have seen does not list any more is not listed again: a file that was
   withdrawn after the backup is held, a quarantine and a yank are put back. What it lists and the rows do not know is
   named: the files are lost until somebody uploads them again.
4. Pages and bins that the store has lost are rendered and signed again; so are pages that are not what the rows of
   projects, releases and files give. A distribution that it has lost is named.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import Max

from wheelmark.errors import Fault, Refused, Untrusted
from wheelmark.server.projects.journal import INDEX, record
from wheelmark.server.projects.models import JournalEntry
from wheelmark.server.publishing.audit import (
    Log,
    Progress,
    check_stored_metadata,
    no_progress,
)
from wheelmark.server.publishing.audit_targets import pages_unlike_rows
from wheelmark.server.publishing.commit import begin, burned_versions
from wheelmark.server.publishing.files import missing_files
from wheelmark.server.publishing.keys import page_key, role_file_key
from wheelmark.server.publishing.later_versions import (
    key_of,
    later_offline_roles,
    listed_versions,
    read_role,
    stored_names,
)
from wheelmark.server.publishing.models import PublishedPage, Repository, RoleVersion
from wheelmark.server.publishing.offline import settle, waiting_completed
from wheelmark.server.publishing.pages import KnownPage, render_pages
from wheelmark.server.publishing.publisher import Publisher
from wheelmark.server.publishing.state import in_force
from wheelmark.server.publishing.withdrawn import Withdrawn, put_back
from wheelmark.simple import MAX_PAGE_BYTES
from wheelmark.store import Missing, Store
from wheelmark.trust import BINS, ROOT, SNAPSHOT, Layout, LogEntry, OnlineKeys, PublicKey
from wheelmark.trust.audit import lost_roots, parse_role_file, read_versions
from wheelmark.trust.recovery import (
    MAX_LEAP,
    FoundVersion,
    VersionPlan,
    bit_length_of,
    plan_versions,
    signed_by,
    version_and_expiry,
)
from wheelmark.trust.terms import OFFLINE_ROLES

RECOVERED = "index-recovered"
"""The journal's action for a recovery; its row belongs to no project."""

ROUNDS = 3
"""A snapshot that was lost hides the bins that were: each round of publishing shows what is behind."""

MAX_PUBLICATIONS = 10_000
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was done, and what somebody has to do now."""

    adopted: Mapping[str, int]  # offline roles, taken over from the store: role -> version
    burned: Mapping[str, int]
    ignored: tuple[FoundVersion, ...]
    pages_restored: tuple[str, ...]
    withdrawn: Withdrawn
    snapshot: int  # version now in force
    remaining: tuple[Fault, ...]  # what no command can mend


def adopt_offline_roles(store: Store, *, now: datetime) -> dict[str, int]:
    """Take over root, targets and bins of which the store has newer versions that the offline keys signed.

    Called before the online keys are opened: the newer root says which those are. If they are those of a ceremony that
    was cut short, it has been applied by this; what it had not written yet, the publisher does.

    Raises:
        Refused: the number of bins was changed meanwhile (`layout-changed`).
    """
    rows = dict(RoleVersion.objects.filter(role__in=OFFLINE_ROLES).values_list("role", "version"))
    found = later_offline_roles(store, listed_versions(stored_names(store)))
    if _comes_with_waiting_ceremony(*found[BINS]):
        del found[BINS]
    else:
        _check_layout(found[BINS][1])
    adopted = {role: version for role, (version, content) in found.items() if content and version > rows[role]}
    with transaction.atomic():
        for role in adopted:
            version, expires = version_and_expiry(found[role][1] or b"")
            RoleVersion.objects.filter(role=role).update(version=version, expires_at=expires)
        settle(store, now=now)
    return adopted


def _comes_with_waiting_ceremony(version: int, bins: bytes | None) -> bool:
    """Whether this file of bins is that of a ceremony which waits and changes their number: all that follows from it
    (pages move, every bin is signed) is the publisher's to do, in one publication."""
    waiting = waiting_completed()
    return (
        waiting is not None
        and (f"{version}.{BINS}.json", bins) in waiting.objects
        and waiting.layout.bit_length != Repository.objects.get().bit_length
    )


def _check_layout(bins: bytes | None) -> None:
    """A database from before a change of the number of bins does not know where its pages belong."""
    repository = Repository.objects.get()
    bits = bit_length_of(bins) if bins else repository.bit_length
    if bits != repository.bit_length:
        raise Refused.because(
            "layout-changed",
            "database",
            f"expected a database of the {2**bits:,} bins that the offline keys delegate to, "
            f"got one of {2**repository.bit_length:,}: restore a backup from after that ceremony",
        )


def recover(
    publisher: Publisher,
    logs: Sequence[Log],
    *,
    adopted: Mapping[str, int] | None = None,
    progress: Progress = no_progress,
) -> Recovery:
    """See the module's text. `adopted` is what `adopt_offline_roles` gave.

    Raises:
        Refused: the current keys signed what no honest index signs (`fast-forward`): rotate them first.
        Untrusted: the signing log is broken.
        Unavailable: store, database or signer is away; what was done stays, call again.
    """
    run = _Recovery(publisher, dict(adopted or {}), progress)
    plan = run.burn(logs)
    withdrawn = run.compare_with_seen()
    pages = run.restore_pages()
    run.publish(plan)
    remaining = run.mend()
    return Recovery(
        adopted=run.adopted,
        burned=plan.burned,
        ignored=plan.ignored,
        pages_restored=pages,
        withdrawn=withdrawn,
        snapshot=in_force().state.snapshot.version,
        remaining=remaining,
    )


@dataclass(slots=True)
class _Recovery:
    publisher: Publisher
    adopted: dict[str, int]
    progress: Progress
    _seen: tuple[int, bytes] | None = field(default=None)  # the newest snapshot that clients may trust

    @property
    def store(self) -> Store:
        return self.publisher.store

    def burn(self, logs: Sequence[Log]) -> VersionPlan:
        """Write down every version that must not be used again, and let serials go on above those that were given."""
        rows = _online_rows()
        plan = plan_versions(itertools.chain(self._in_store(rows), self._in_logs(logs, rows)), rows)
        if plan.burned:
            with transaction.atomic():
                begin({**burned_versions(), **_higher(plan.burned, burned_versions())}, now=self.publisher.clock())
        return plan

    def _in_store(self, rows: Mapping[str, int]) -> Iterator[FoundVersion]:
        """The versions above those of the rows. Only those out of reach are read, to see whether they count."""
        snapshots = []
        for number, stored in enumerate(self.store.list("tuf/")):
            self.progress("listing metadata", number, 0)
            parsed = parse_role_file(stored.key.removeprefix("tuf/"))
            if parsed is None or parsed[0] <= rows.get(parsed[1], parsed[0]):
                continue
            version, role = parsed
            if role == SNAPSHOT:
                snapshots.append(version)
            content = read_role(self.store, version, role) if version > rows[role] + MAX_LEAP else None
            yield FoundVersion(
                role=role,
                version=version,
                current_key=content is not None and signed_by(content, self._key_of(role)),
            )
        self._seen = self._newest_trusted(snapshots)

    def _newest_trusted(self, versions: Iterable[int]) -> tuple[int, bytes] | None:
        for version in sorted(versions, reverse=True):
            content = read_role(self.store, version, SNAPSHOT)
            if content is not None and signed_by(content, self._key_of(SNAPSHOT)):
                return version, content
        return None

    def _in_logs(self, logs: Sequence[Log], rows: Mapping[str, int]) -> Iterator[FoundVersion]:
        highest: dict[tuple[str, bool], int] = {}
        newest_serial = 0
        for number, entry in enumerate(_entries(logs)):
            self.progress("reading the signing log", number, 0)
            newest_serial = max(newest_serial, entry.serial_to)
            if entry.role in rows:
                key = entry.role, entry.keyid == self._key_of(entry.role).keyid
                highest[key] = max(entry.version, highest.get(key, 0))
        _raise_serials(newest_serial)
        for (role, current), version in highest.items():
            yield FoundVersion(role=role, version=version, current_key=current)

    def _key_of(self, role: str) -> PublicKey:
        return key_of(role, OnlineKeys.of(self.publisher.signers))

    def compare_with_seen(self) -> Withdrawn:
        """Put back what was withdrawn after the backup, as the newest snapshot that clients may have seen shows it."""
        if self._seen is None:
            return Withdrawn()
        version, content = self._seen
        listed = read_versions(content, f"{version}.{SNAPSHOT}.json")
        rows = _online_rows()
        ahead = [role for role in sorted(listed.keys() & rows.keys()) if listed[role] > rows[role]]
        bins = self._trusted_bins({role: listed[role] for role in ahead})
        return put_back(self.store, version, bins, now=self.publisher.clock())

    def _trusted_bins(self, versions: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
        """The files of these bins that the current key signed, one after the other."""
        for number, (role, version) in enumerate(versions.items()):
            self.progress("comparing with the newest snapshot", number, len(versions))
            body = read_role(self.store, version, role)
            if body is not None and signed_by(body, self._key_of(role)):
                yield role, body

    def restore_pages(self) -> tuple[str, ...]:
        """Render again what the store has lost of the pages, and what is not as the rows would render it."""
        restored: list[str] = []
        total, number = PublishedPage.objects.count(), 0
        for rows in _page_batches():
            lost = []
            for row in rows:
                number += 1
                self.progress("reading pages", number, total)
                if not _page_is_whole(self.store, row.name, row.sha256):
                    lost.append(row)
            self._render_again(lost)
            unlike = pages_unlike_rows({row.name: row for row in rows})
            for name in unlike:
                with transaction.atomic():
                    record("page-unlike-rows", actor=INDEX, project=name)
            restored += sorted({*unlike, *(row.name for row in lost)})
        return tuple(restored)

    def _render_again(self, lost: Iterable[PublishedPage]) -> None:
        """Put back the bytes of these pages, where the rows still give them; the others are published anew."""
        for row in lost:
            # As if nothing was known of it, and then as if its last file had gone: one of them is what it was.
            for known in ({}, {row.name: KnownPage("", row.serial)}):
                page = next(iter(render_pages([row.name], known, serial=row.serial)), None)
                if page is not None and page.sha256 == row.sha256:
                    self.store.put_many([(page_key(row.name, page.sha256), page.body)], immutable=False)
                    break

    def publish(self, plan: VersionPlan) -> None:
        """Sign whatever clients may know in a higher version, and everything that changed."""
        layout = in_force().state.layout
        names = {name: index for index, name in enumerate(layout.bin_names)}
        ahead = {names[role] for role in plan.burned if role in names}
        if (self.adopted or plan.burned) and not ahead:
            ahead = {0}  # only a bin makes a new snapshot
        if "bins" in self.adopted or self._online_key_changed(layout):
            ahead = set(range(layout.bin_count))
        if plan.burned or self.adopted:
            with transaction.atomic():
                record(RECOVERED, actor=INDEX, project="", burned=len(plan.burned), adopted=self.adopted)
        self._publish(ahead)

    def _online_key_changed(self, layout: Layout) -> bool:
        """Whether the first bin is signed by another key than the one that counts now."""
        version = RoleVersion.objects.get(role=layout.bin_names[0]).version
        content = read_role(self.store, version, layout.bin_names[0])
        return content is not None and not signed_by(content, self._key_of(layout.bin_names[0]))

    def _publish(self, bins: Iterable[int]) -> None:
        self.publisher.resign = frozenset(bins)
        for number in range(MAX_PUBLICATIONS):
            self.progress("publishing", number, 0)
            if not self.publisher.publish_due():
                return

    def mend(self) -> tuple[Fault, ...]:
        """Sign again what the store has lost or changed of bins and snapshot; what remains is for people."""
        for number in range(ROUNDS):
            committed = in_force()
            report = check_stored_metadata(
                self.store, committed, now=self.publisher.clock(), policy=None, progress=self.progress
            )
            damaged = _damaged(report.faults, committed.state.layout)
            if not damaged or number == ROUNDS - 1:
                break
            self._publish(damaged)
        lost = [fault for fault, _ in missing_files(self.store, read=False, progress=self.progress) if fault]
        root = committed.state.offline[ROOT].version
        roots = lost_roots(root, lambda name: self.store.head(role_file_key(name)) is not None)
        return (*roots, *report.faults, *lost)


def _damaged(faults: Iterable[Fault], layout: Layout) -> set[int]:
    """The bins that have to be signed again: those that are named by a fault, and the first for a snapshot."""
    indexes = {name: index for index, name in enumerate(layout.bin_names)}
    found = set()
    for fault in faults:
        parsed = parse_role_file(fault.field)
        role = parsed[1] if parsed else fault.field
        if role in indexes:
            found.add(indexes[role])
        elif role == SNAPSHOT:
            found.add(0)
    return found


def _entries(logs: Sequence[Log]) -> Iterator[LogEntry]:
    try:
        for log in logs:
            yield from log
    except Untrusted as error:
        raise Untrusted(
            f"{error}; keep the file as evidence under another name, then recover again without it", code=error.code
        ) from error


def _online_rows() -> dict[str, int]:
    rows = RoleVersion.objects.exclude(role__in=OFFLINE_ROLES).values_list("role", "version")
    return dict(rows)


def _higher(ours: Mapping[str, int], theirs: Mapping[str, int]) -> dict[str, int]:
    return {role: max(version, theirs.get(role, 0)) for role, version in ours.items()}


def _page_batches() -> Iterator[list[PublishedPage]]:
    """All pages by name, some hundreds at a time."""
    last = ""
    while rows := list(PublishedPage.objects.filter(name__gt=last).order_by("name")[:_BATCH]):
        yield rows
        last = rows[-1].name


def _page_is_whole(store: Store, name: str, sha256: str) -> bool:
    try:
        return hashlib.sha256(store.read_all(page_key(name, sha256), max_bytes=MAX_PAGE_BYTES)).hexdigest() == sha256
    except (Missing, Refused):
        return False


def _raise_serials(published: int) -> None:
    """Let the journal go on above every serial that pages and logs have shown. A mirror that has seen serial 900 would
    pass over a change with serial 600."""
    newest = JournalEntry.objects.aggregate(newest=Max("serial"))["newest"] or 0
    if published <= newest:
        return
    with transaction.atomic():
        JournalEntry.objects.create(serial=published + 1, actor=INDEX, action=RECOVERED, project="")
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), [JournalEntry]):
                cursor.execute(statement)
