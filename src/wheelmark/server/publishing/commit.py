"""The commit point: one transaction in which the rows that delivery reads go from one snapshot to the next.

By then every object of the new snapshot lies in the store. `timestamp.json` lies nowhere but in these rows, so it is
written last by construction: before the commit the previous snapshot is whole, after it the new one is, and there is
no time between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from wheelmark.errors import Refused, Unavailable
from wheelmark.server.projects.journal import INDEX
from wheelmark.server.projects.lifecycle import transition
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import (
    Attempt,
    PublishedFile,
    PublishedPage,
    RoleVersion,
    Snapshot,
    SupersededPage,
)
from wheelmark.server.publishing.pages import RenderedPage, served_metadata_sha256

BATCH = 500
"""Rows in one statement: SQLite takes a limited number of parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSnapshot:
    """What a commit makes true."""

    version: int
    timestamp_version: int
    timestamp: bytes
    length: int  # bytes of the file of the snapshot
    sha256: str  # of that file
    serial: int
    roles: Mapping[str, tuple[int, datetime]]  # role -> version and expiry, for the roles that changed
    pages: Sequence[RenderedPage]
    bins: Mapping[str, int]  # page name -> its bin


def begin(versions: Mapping[str, int], *, now: datetime) -> Attempt:
    """Write down which versions are about to be used, before anything is written under them."""
    return Attempt.objects.create(started_at=now, versions=dict(versions))


def burned_versions() -> dict[str, int]:
    """The versions that attempts which died may have written, by role: none of them is ever used again."""
    burned: dict[str, int] = {}
    for versions in Attempt.objects.values_list("versions", flat=True):
        for role, version in versions.items():
            burned[role] = max(version, burned.get(role, 0))
    return burned


def _still_burned(snapshot: NewSnapshot) -> dict[str, int]:
    """The burned versions of roles that this snapshot does not sign: a later one must not use them either."""
    signed = {role: version for role, (version, _) in snapshot.roles.items()}
    return {role: version for role, version in burned_versions().items() if version > signed.get(role, 0)}


def commit(snapshot: NewSnapshot, attempt: Attempt, *, now: datetime) -> None:
    """Make a snapshot the current one.

    Raises:
        Unavailable: nothing was committed, and the next attempt will do better: another publisher began after us
            (`publisher-superseded`: we had lost the lock), or a file changed meanwhile (`snapshot-stale`).
    """
    with transaction.atomic():
        # Deleting our own row and everything older is the fence: whoever took over has a newer row, and for whoever
        # was taken over there is no row left.
        newest = Attempt.objects.select_for_update().order_by("-pk").first()
        if newest is None or newest.pk != attempt.pk:
            raise Unavailable("another publisher has taken over; nothing was published", code="publisher-superseded")
        still_burned = _still_burned(snapshot)
        Attempt.objects.filter(pk__lte=attempt.pk).delete()
        if still_burned:
            Attempt.objects.create(started_at=now, versions=still_burned)
        _lock_new_files(snapshot.pages)
        Snapshot.objects.create(
            version=snapshot.version,
            timestamp_version=snapshot.timestamp_version,
            timestamp=snapshot.timestamp,
            length=snapshot.length,
            sha256=snapshot.sha256,
            serial=snapshot.serial,
            at=now,
            projects=_write_pages(snapshot, now=now),
        )
        _write_roles(snapshot.roles)
        for page in snapshot.pages:
            _write_files(page, snapshot.version, now=now)


def _lock_new_files(pages: Iterable[RenderedPage]) -> None:
    """Lock the files that are about to be published, in the order in which everyone locks files."""
    ids = sorted(file.pk for page in pages for file in page.files if file.state == FileState.SCANNED)
    for start in range(0, len(ids), BATCH):
        list(
            File.objects.select_for_update().filter(pk__in=ids[start : start + BATCH]).order_by("pk").values_list("pk")
        )


def _write_roles(roles: Mapping[str, tuple[int, datetime]]) -> None:
    RoleVersion.objects.bulk_create(
        [RoleVersion(role=role, version=version, expires_at=expires) for role, (version, expires) in roles.items()],
        batch_size=BATCH,
        update_conflicts=True,
        update_fields=["version", "expires_at"],
        unique_fields=["role"],
    )


def _write_pages(snapshot: NewSnapshot, *, now: datetime) -> int:
    """Put the new pages in place of the old ones; return how many pages there are now."""
    changed = {page.name: page for page in snapshot.pages}
    superseded = [
        SupersededPage(name=old.name, sha256=old.sha256, size=old.size, at=now)
        for names in _batches(changed)
        for old in PublishedPage.objects.filter(name__in=names)
        if old.sha256 != changed[old.name].sha256
    ]
    SupersededPage.objects.bulk_create(
        superseded, batch_size=BATCH, update_conflicts=True, update_fields=["at"], unique_fields=["name", "sha256"]
    )
    PublishedPage.objects.bulk_create(
        [
            PublishedPage(
                name=page.name,
                bin=snapshot.bins[page.name],
                sha256=page.sha256,
                size=len(page.body),
                serial=page.serial,
                snapshot=snapshot.version,
            )
            for page in snapshot.pages
        ],
        batch_size=BATCH,
        update_conflicts=True,
        update_fields=["sha256", "size", "serial", "snapshot"],
        unique_fields=["name"],
    )
    return PublishedPage.objects.count()


def _write_files(page: RenderedPage, version: int, *, now: datetime) -> None:
    """Make the served files of one page those that it lists, and say of each new one that it is published."""
    listed = {file.filename for file in page.files}
    served = set(PublishedFile.objects.filter(page_id=page.name).values_list("filename", flat=True))
    for filenames in _batches(served - listed):
        PublishedFile.objects.filter(filename__in=filenames).delete()
    PublishedFile.objects.bulk_create(
        [
            PublishedFile(
                filename=file.filename,
                sha256=file.sha256,
                size=file.size,
                metadata_sha256=served_metadata_sha256(file),
                metadata_size=file.metadata_size if served_metadata_sha256(file) else 0,
                page_id=page.name,
                snapshot=version,
                at=now,
            )
            for file in page.files
            if file.filename not in served
        ],
        batch_size=BATCH,
    )
    for file in page.files:
        if file.state == FileState.SCANNED:
            _mark_published(file, version, now=now)


def _mark_published(file: File, version: int, *, now: datetime) -> None:
    """Move a file to `published`; if it was held or removed since the page was rendered, the whole commit is off."""
    try:
        transition(file.pk, FileState.PUBLISHED, actor=INDEX, now=now, snapshot=version)
    except Refused as error:
        raise Unavailable(
            f"{file.filename} changed while its page was signed: {error}", code="snapshot-stale"
        ) from error


def _batches(names: Iterable[str]) -> Iterable[list[str]]:
    ordered = sorted(names)
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
