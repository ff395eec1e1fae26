"""Takes one inspected upload into the index: bytes to the store, then rows, journal and scan job in one transaction.

The order matters. The bytes are durable before any row speaks of them; when the transaction commits, the upload can
no longer be lost, and only then is it answered. A crash in between leaves bytes that nothing names.

Locks on PostgreSQL, in this order: whoever finds no project takes the lock for new names; then the project's row;
then the journal's lock, with the first row in it. Everybody else who holds a project's row takes it before the
journal's lock too, so no two can wait for one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import connection, transaction
from packaging.utils import canonicalize_version

from wheelmark.dist import Inspection, ultra_normalize
from wheelmark.errors import Fault, Refused
from wheelmark.server.accounts.tokens import Identity
from wheelmark.server.config import Config
from wheelmark.server.intake.admission import (
    Candidate,
    admission_faults,
    check_same_bytes,
    find_namesake,
    find_project,
    find_release,
)
from wheelmark.server.intake.rules import column_faults
from wheelmark.server.projects.journal import record
from wheelmark.server.projects.lifecycle import transition
from wheelmark.server.projects.models import Collaborator, File, Project, Release, Role
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key, metadata_key
from wheelmark.server.review.tasks import enqueue_scan
from wheelmark.store import Store

# Any constant that nobody else in the database uses as an advisory lock.
_NEW_NAMES_LOCK = 0x574D4E


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload whose file has been inspected."""

    path: Path  # where it was received; consumed
    inspection: Inspection
    identity: Identity
    user_agent: str

    @property
    def candidate(self) -> Candidate:
        """What the rules about rows look at."""
        inspection = self.inspection
        return Candidate(
            filename=inspection.filename,
            name=inspection.metadata.name,
            size=inspection.size,
            sha256=inspection.sha256,
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of it. `is_new` is false for the same bytes again."""

    file: File
    is_new: bool


def accept(upload: Upload, *, config: Config, store: Store, now: datetime) -> Accepted:
    """Take the upload in.

    Raises:
        Refused: the user may not, or a limit or a rule about the project or release is broken; all faults at once.
        AlreadyExists: see there.
        Unavailable: the store is away; nothing was taken in.
        django.db.Error: the database is away; nothing was taken in, or all of it was and the same upload again says so.
    """
    inspection, candidate = upload.inspection, upload.candidate
    store.put_many([(metadata_key(inspection.metadata_sha256), inspection.metadata_bytes)], immutable=True)
    store.put_file(file_key(inspection.sha256), upload.path, immutable=True)
    with transaction.atomic():
        project = find_project(candidate, lock=True)
        if project is None:
            _wait_for_other_new_names()
            project = find_project(candidate, lock=True)
        namesake = find_namesake(candidate, upload.identity)
        if namesake is not None:
            check_same_bytes(namesake, candidate)
            return Accepted(namesake, is_new=False)
        faults = admission_faults(candidate, project, upload.identity, config=config, now=now)
        if faults:
            raise Refused(faults)
        project = project or _create_project(upload, now=now)
        release = find_release(project, candidate) or _create_release(project, upload, now=now)
        file = _create_file(release, upload, now=now)
        enqueue_scan(file.pk)
    return Accepted(file, is_new=True)


def _wait_for_other_new_names() -> None:
    """There is no row yet to lock: two that want one name, or names that look alike, must come one after the other.

    SQLite has one writer anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_NEW_NAMES_LOCK])


def kept_faults(inspection: Inspection) -> list[Fault]:
    """What of the metadata the rows could not hold."""
    metadata, filename = inspection.metadata, inspection.filename
    lengths = {
        "name": metadata.name,
        "version": str(filename.version),
        "pyversion": filename.python_tag,
        "requires_python": str(metadata.requires_python or ""),
        "description_content_type": metadata.description_content_type or "",
    }
    texts = {
        "summary": metadata.summary or "",
        "description": metadata.description or "",
        **{field: _joined(value) for field, value in _other_metadata(inspection).items()},
    }
    return column_faults(lengths, texts)


def _joined(value: str | list[str] | dict[str, str]) -> str:
    if isinstance(value, dict):
        return "".join([*value, *value.values()])
    return "".join(value)


def _create_project(upload: Upload, *, now: datetime) -> Project:
    name, user = upload.inspection.metadata.name, upload.identity.user
    project = Project.objects.create(
        name=name,
        normalized_name=upload.inspection.filename.name,
        lookalike_name=ultra_normalize(name),
        created_at=now,
    )
    Collaborator.objects.create(project=project, user=user, role=Role.OWNER, created_at=now)
    record("project-created", actor=user.username, project=project.normalized_name, name=name)
    return project


def _create_release(project: Project, upload: Upload, *, now: datetime) -> Release:
    metadata, version = upload.inspection.metadata, upload.inspection.filename.version
    release = Release.objects.create(
        project=project,
        version=str(version),
        version_key=canonicalize_version(version),
        created_at=now,
        summary=metadata.summary or "",
        description=metadata.description or "",
        description_content_type=metadata.description_content_type or "",
        requires_python=str(metadata.requires_python or ""),
        metadata=_other_metadata(upload.inspection),
    )
    record(
        "release-created",
        actor=upload.identity.user.username,
        project=project.normalized_name,
        version=release.version,
    )
    return release


def _other_metadata(inspection: Inspection) -> Mapping[str, str | list[str] | dict[str, str]]:
    """The fields without a column of their own, by their JSON names (PEP 566)."""
    metadata = inspection.metadata
    return {
        "author": metadata.author or "",
        "author_email": metadata.author_email or "",
        "maintainer": metadata.maintainer or "",
        "maintainer_email": metadata.maintainer_email or "",
        "license": metadata.license or "",
        "license_expression": metadata.license_expression or "",
        "keywords": list(metadata.keywords),
        "classifiers": list(metadata.classifiers),
        "requires_dist": [str(requirement) for requirement in metadata.requires_dist],
        "provides_extra": [str(extra) for extra in metadata.provides_extra],
        "project_urls": dict(metadata.project_urls),
        "home_page": metadata.home_page or "",
    }


def _create_file(release: Release, upload: Upload, *, now: datetime) -> File:
    inspection, user = upload.inspection, upload.identity.user
    file = File.objects.create(
        release=release,
        filename=inspection.filename.text,
        kind=inspection.filename.kind,
        python_tag=inspection.filename.python_tag,
        size=inspection.size,
        sha256=inspection.sha256,
        blake2b_256=inspection.blake2b_256,
        metadata_sha256=inspection.metadata_sha256,
        metadata_size=len(inspection.metadata_bytes),
        requires_python=str(inspection.metadata.requires_python or ""),
        state=FileState.UPLOADED,
        state_changed_at=now,
        uploaded_at=now,
        uploaded_by=user,
        uploaded_with=upload.identity.label[:100],
        user_agent=upload.user_agent[:300],
    )
    record(
        "file-uploaded",
        actor=user.username,
        project=release.project.normalized_name,
        version=release.version,
        filename=file.filename,
        sha256=file.sha256,
        size=file.size,
        uploaded_with=file.uploaded_with,
    )
    return transition(file.pk, FileState.VALIDATED, actor=user.username, now=now)
