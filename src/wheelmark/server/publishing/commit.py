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
from wheelmark.server.projects.lifecycle import transition_all
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import (
    Attempt,
    FileTarget,
    PublishedFile,
    PublishedPage,
    Repository,
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
    file_targets: Sequence[FileTarget] = ()  # of files that are listed anew (`sign_files`)
    signs_files: bool | None = None  # None: as before; else this snapshot switches it


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
        _mark_published(snapshot, now=now)
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
        _write_files(snapshot, now=now)


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
    before = [
        old
        for names in _batches(changed)
        for old in PublishedPage.objects.filter(name__in=names).values_list("name", "sha256", "size")
    ]
    SupersededPage.objects.bulk_create(
        [
            SupersededPage(name=name, sha256=sha256, size=size, at=now)
            for name, sha256, size in before
            if sha256 != changed[name].sha256
        ],
        batch_size=BATCH,
        update_conflicts=True,
        update_fields=["at"],
        unique_fields=["name", "sha256"],
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
    # Counting hundreds of thousands of rows would cost more than all the rest; a page, once there, stays.
    last = Snapshot.objects.order_by("-timestamp_version").values_list("projects", flat=True).first() or 0
    return last + len(changed) - len(before)


def _write_files(snapshot: NewSnapshot, *, now: datetime) -> None:
    """Make the served files of the new pages those that they list."""
    listed = {file.filename: (page, file) for page in snapshot.pages for file in page.files}
    served = {
        filename
        for names in _batches(page.name for page in snapshot.pages)
        for filename in PublishedFile.objects.filter(page_id__in=names).values_list("filename", flat=True)
    }
    for filenames in _batches(served - listed.keys()):
        PublishedFile.objects.filter(filename__in=filenames).delete()
    PublishedFile.objects.bulk_create(
        [
            PublishedFile(
                filename=filename,
                sha256=file.sha256,
                size=file.size,
                metadata_sha256=served_metadata_sha256(file),
                metadata_size=file.metadata_size if served_metadata_sha256(file) else 0,
                page_id=page.name,
                snapshot=snapshot.version,
                at=now,
            )
            for filename, (page, file) in listed.items()
            if filename not in served
        ],
        batch_size=BATCH,
    )
    if snapshot.signs_files is not None:
        Repository.objects.update(signs_files=snapshot.signs_files)
        FileTarget.objects.all().delete()
    FileTarget.objects.bulk_create(snapshot.file_targets, batch_size=BATCH)


def _mark_published(snapshot: NewSnapshot, *, now: datetime) -> None:
    """Say of each new file that it is published; if one was held or removed since its page was rendered, the whole
    commit is off."""
    ids = [file.pk for page in snapshot.pages for file in page.files if file.state == FileState.SCANNED]
    if not ids:
        return
    try:
        transition_all(ids, FileState.PUBLISHED, actor=INDEX, now=now, snapshot=snapshot.version)
    except Refused as error:
        raise Unavailable(f"a file changed while its page was signed: {error}", code="snapshot-stale") from error


def _batches(names: Iterable[str]) -> Iterable[list[str]]:
    ordered = sorted(names)
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
