"""Applies a completed ceremony: new root, targets or bins, and everything online that follows, in one publication.

The row waits until a publisher with the right keys comes by. Before the commit clients see the old root and the old
snapshot; after it the new root and a snapshot that fits it; there is no time between (see `commit.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from django.db import IntegrityError, transaction

from wheelmark.errors import Refused, Unavailable, WheelmarkError
from wheelmark.server.publishing.commit import BATCH, NewSnapshot, begin, burned_versions, commit
from wheelmark.server.publishing.contents import BinContents, Change
from wheelmark.server.publishing.keys import role_file_key
from wheelmark.server.publishing.models import FileTarget, OfflineChange, PublishedPage, Repository, RoleVersion
from wheelmark.server.publishing.rows import OFFLINE, role_rows
from wheelmark.server.publishing.signing import named_keys
from wheelmark.server.publishing.signing_log import SigningRecord
from wheelmark.store import Store
from wheelmark.trust import (
    ChangedBin,
    ExpiryPolicy,
    Layout,
    OnlineKeys,
    OnlineSigners,
    Publication,
    RepositoryState,
    TargetRow,
    entries_of,
    page_target_path,
    sign_publication,
)
from wheelmark.trust.audit import parse_role_file

if TYPE_CHECKING:
    from wheelmark.trust.ceremony import Completed

OpenSigners = Callable[[OnlineKeys], OnlineSigners]
"""The online signers that hold these keys."""

log = structlog.get_logger(__name__)


@dataclass
class OfflineChanges:
    """Looks for a completed ceremony, and applies it. Part of the publisher, and only called under its lock."""

    store: Store
    signing_log: SigningRecord
    open_signers: OpenSigners
    policy: ExpiryPolicy
    _said: str = ""

    def check(self, signers: OnlineSigners) -> None:
        """Make sure that these are the keys that the index names, in case another publisher has just applied a change.

        Raises:
            Unavailable: they are others (`keys-changed`): open them anew.
        """
        if named_keys(self.store) != OnlineKeys.of(signers):
            raise Unavailable("the online keys were replaced by a ceremony; opening the new ones", code="keys-changed")

    def signers_or_waiting(self, named: OnlineKeys) -> OnlineSigners:
        """The signers of the keys that the index names; if they are lost, of those that the waiting ceremony names.

        Raises:
            Unavailable, Untrusted: there are neither.
        """
        try:
            return self.open_signers(named)
        except WheelmarkError:
            row = OfflineChange.objects.filter(waiting=True).first()
            if row is None:
                raise
            from wheelmark.trust.ceremony import complete
            from wheelmark.trust.ceremony_file import read_ceremony

            return self.open_signers(complete(read_ceremony(bytes(row.ceremony)), now=row.finished_at).online)

    def apply(
        self, state: RepositoryState, serial: int, signers: OnlineSigners, *, now: datetime
    ) -> tuple[RepositoryState, OnlineSigners] | None:
        """The state and the signers after the ceremony that waits; None if none waits, or if it cannot be applied.

        A ceremony that cannot be applied (this machine lacks its key, it fits no more) is said in the log, and is in
        nobody's way: what the old keys can publish, they publish.

        Raises:
            Unavailable: store or database is away, or the lock was lost. Nothing was published.
        """
        row = OfflineChange.objects.filter(waiting=True).first()
        if row is None:
            return None
        # Late: python-tuf takes as long to import as all the rest of a start, and ceremonies are rare.
        from wheelmark.trust.ceremony import complete
        from wheelmark.trust.ceremony_file import read_ceremony
        from wheelmark.trust.transition import apply_ceremony

        try:
            if settle(self.store, now=now):
                log.info("a ceremony was in force already: a recovery had taken it over", ceremony=row.fingerprint)
                return None
            # One that has begun is ended, though its roles have expired since: only on top of it another can be held.
            completed = complete(read_ceremony(bytes(row.ceremony)), now=row.finished_at if row.begun_at else now)
            # Not those that we hold: the old ones may be lost.
            old = named_keys(self.store)
            following = apply_ceremony(
                state,
                completed,
                same_bins_key=completed.online.bins == old.bins,
                last_versions=_last_versions(),
                passed=_passed_roles(self.store, completed),
            )
            held = completed.online == OnlineKeys.of(signers)
            fitting = signers if held else self.open_signers(completed.online)
        except WheelmarkError as error:
            if str(error) != self._said:
                self._said = str(error)
                log.error("a finished ceremony cannot be applied here", ceremony=row.fingerprint, error=self._said)
            return None
        moved = following.state.layout != state.layout
        contents = (
            _contents(following.state.layout)
            if moved
            else BinContents(state.layout).after({index: Change() for index in following.bins})
        )
        publication = sign_publication(
            following.state,
            contents,
            burned=burned_versions(),
            now=now,
            signers=fitting,
            policy=self.policy,
            renew_snapshot=True,
        )
        # Root first: whatever is written later is trusted by what is written before it.
        publication = replace(publication, objects=(*completed.objects, *publication.objects))
        self._publish(row, state, publication, fitting, serial, now=now)
        log.info(
            "a ceremony was applied",
            ceremony=row.fingerprint,
            roles=[name for name, _ in completed.objects],
            snapshot=publication.state.snapshot.version,
            bins=len(publication.signed_bins),
        )
        return publication.state, fitting

    def _publish(
        self,
        row: OfflineChange,
        before: RepositoryState,
        publication: Publication,
        signers: OnlineSigners,
        serial: int,
        *,
        now: datetime,
    ) -> None:
        after = publication.state
        self.signing_log.append(entries_of(publication, signers, at=now, serial_from=serial, serial_to=serial))
        changed = role_rows(before, after)
        attempt = begin({name: role.version for name, role in changed.items()}, now=now)
        # From here on the ceremony cannot be taken back: a root has one content, and this one may be written.
        if not OfflineChange.objects.filter(pk=row.pk, waiting=True).update(begun_at=now):
            raise Unavailable("the ceremony was taken back before it was applied", code="snapshot-stale")
        self.store.put_many([(role_file_key(name), body) for name, body in publication.objects], immutable=True)
        with transaction.atomic():
            commit(
                NewSnapshot(
                    version=after.snapshot.version,
                    timestamp_version=after.timestamp.version,
                    timestamp=publication.timestamp,
                    length=after.snapshot.length,
                    sha256=after.snapshot.sha256,
                    serial=serial,
                    roles={name: (role.version, role.expires_at) for name, role in changed.items()},
                    pages=(),
                    bins={},
                ),
                attempt,
                now=now,
            )
            if after.layout != before.layout:
                Repository.objects.update(bit_length=after.layout.bit_length)
                _move_targets(after.layout)
            waited = OfflineChange.objects.filter(pk=row.pk, waiting=True)
            if not waited.update(waiting=False, applied_at=now, snapshot=after.snapshot.version):
                raise Unavailable("the ceremony was taken back while it was applied", code="snapshot-stale")


def hand_over(completed: Completed, content: bytes, *, now: datetime) -> OfflineChange:
    """Give a completed ceremony to the publisher. Doing it again changes nothing.

    Raises:
        Refused: another one waits (`ceremony-waiting`).
    """
    # Told apart by what is signed, not by who signed: a second try may have gathered more signatures.
    if known := OfflineChange.objects.filter(fingerprint=completed.fingerprint).first():
        return known
    try:
        with transaction.atomic():
            return OfflineChange.objects.create(
                fingerprint=completed.fingerprint, ceremony=content, finished_at=now, waiting=True
            )
    except IntegrityError as error:
        raise Refused.because(
            "ceremony-waiting", "ceremony", "expected no other finished ceremony that waits, got one"
        ) from error


def waiting_completed() -> Completed | None:
    """What the finished ceremony that waits brings, whether it has expired meanwhile or not."""
    row = OfflineChange.objects.filter(waiting=True).first()
    if row is None:
        return None
    from wheelmark.trust.ceremony import complete
    from wheelmark.trust.ceremony_file import read_ceremony

    return complete(read_ceremony(bytes(row.ceremony)), now=row.finished_at)


def step_over_stored(store: Store, *, now: datetime) -> None:
    """Use none of the versions of online roles that lie in the store above those of the rows. What a thief left under
    the next version of a bin is in a ceremony's way, and it is the ceremony that ends the thief's power.

    `trust recover` does this and much more; but it wants the keys of the ceremony first.
    """
    from wheelmark.trust.recovery import MAX_LEAP

    rows, completed = _last_versions(), waiting_completed()
    online = {role for role in rows if role not in OFFLINE} | set(completed.layout.bin_names if completed else ())
    found = burned_versions()
    for stored in store.list("tuf/"):
        version, role = parse_role_file(stored.key.removeprefix("tuf/")) or (0, "")
        # What is out of reach is in nobody's way, and versions must not go on from there.
        if role in online and rows.get(role, 0) < version <= rows.get(role, 0) + MAX_LEAP:
            found[role] = max(version, found.get(role, 0))
    begin(found, now=now)


def settle(store: Store, *, now: datetime) -> bool:
    """If all files of the ceremony that waits are in force, say so in its row: it was cut short, and a recovery took
    over from the store what it had written. Nobody could apply it any more, and no other could begin."""
    completed = waiting_completed()
    if completed is None or len(_passed_roles(store, completed)) < len(completed.objects):
        return False
    waited = OfflineChange.objects.filter(fingerprint=completed.fingerprint, waiting=True)
    return bool(waited.update(waiting=False, applied_at=now))


def _passed_roles(store: Store, completed: Completed) -> frozenset[str]:
    """The roles of which the ceremony's very file is in force, or was until a later one came."""
    from wheelmark.server.publishing.later_versions import read_role

    versions, brought = _last_versions(), dict(completed.objects)
    passed = set()
    for role in _brought(completed):
        version = completed.roles[role].version
        if version <= versions.get(role, 0) and read_role(store, version, role) == brought[f"{version}.{role}.json"]:
            passed.add(role)
    return frozenset(passed)


def _is_past(store: Store, completed: Completed) -> bool:
    """Whether something else took the place of what the ceremony brings: it can never be applied."""
    versions, passed = _last_versions(), _passed_roles(store, completed)
    return any(
        completed.roles[role].version <= versions.get(role, 0) and role not in passed for role in _brought(completed)
    )


def _brought(completed: Completed) -> list[str]:
    """The roles of which the ceremony brings a file."""
    return [name.split(".")[1] for name, _ in completed.objects]


def take_back(store: Store) -> bool:
    """Drop the finished ceremony that waits, if nothing of it was written, or if another took its place; say whether
    there was one.

    Raises:
        Refused: a publisher has begun to write it (`ceremony-begun`): it must be applied.
    """
    with transaction.atomic():
        row = OfflineChange.objects.select_for_update().filter(waiting=True).first()
        if row is None:
            return False
        completed = waiting_completed() if row.begun_at is not None else None
        if completed is not None and not _is_past(store, completed):
            raise Refused.because(
                "ceremony-begun",
                "ceremony",
                "expected a ceremony of which nothing is written, got one that has begun: "
                "`wheelmark trust ceremony finish` ends it, or `wheelmark serve` does; then hold another",
            )
        row.delete()
    return True


def _last_versions() -> dict[str, int]:
    return dict(RoleVersion.objects.values_list("role", "version"))


def _contents(layout: Layout) -> list[ChangedBin]:
    """All targets, in the bins of a layout that the rows do not have yet."""
    rows: list[list[TargetRow]] = [[] for _ in range(layout.bin_count)]
    for name, size, sha256 in PublishedPage.objects.values_list("name", "size", "sha256").iterator():
        path = page_target_path(name)
        rows[layout.bin_of(path)].append(TargetRow(path, size, sha256))
    for path, size, sha256 in FileTarget.objects.values_list("path", "size", "sha256").iterator():
        rows[layout.bin_of(path)].append(TargetRow(path, size, sha256))
    return [ChangedBin(index, sorted(held, key=lambda row: row.path)) for index, held in enumerate(rows)]


def _move_targets(layout: Layout) -> None:
    """Say of each page, and of each file that is a target, in which bin it is from now on."""
    names = list(PublishedPage.objects.order_by("name").values_list("name", flat=True))
    for start in range(0, len(names), BATCH):
        some = list(PublishedPage.objects.filter(name__in=names[start : start + BATCH]).only("name", "bin"))
        for page in some:
            page.bin = layout.bin_of(page_target_path(page.name))
        PublishedPage.objects.bulk_update(some, ["bin"])
    paths = list(FileTarget.objects.order_by("path").values_list("path", flat=True))
    for start in range(0, len(paths), BATCH):
        targets = list(FileTarget.objects.filter(path__in=paths[start : start + BATCH]).only("path", "bin"))
        for target in targets:
            target.bin = layout.bin_of(target.path)
        FileTarget.objects.bulk_update(targets, ["bin"])
