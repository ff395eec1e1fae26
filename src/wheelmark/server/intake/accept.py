"""Takes one inspected upload into the index: bytes to the store, then rows, journal and scan job in one transaction.

The order matters. The bytes are durable before any row speaks of them; when the transaction commits, the upload can
no longer be lost, and only then is it answered. A crash in between leaves bytes that nothing names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet, Sum
from packaging.utils import canonicalize_version

from wheelmark.dist import Inspection, name_faults, ultra_normalize
from wheelmark.errors import Fault, Refused
from wheelmark.server.accounts.permissions import require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.accounts.tokens import Identity
from wheelmark.server.config import Config
from wheelmark.server.intake.rules import (
    NEW_PROJECTS_AN_HOUR,
    Limits,
    ReleaseState,
    release_faults,
    size_faults,
)
from wheelmark.server.projects.journal import record
from wheelmark.server.projects.lifecycle import transition
from wheelmark.server.projects.models import Collaborator, File, JournalEntry, Project, Release, Role
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key, metadata_key
from wheelmark.server.review.tasks import enqueue_scan
from wheelmark.store import Store

GONE = (FileState.REJECTED, FileState.REMOVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload whose file has been inspected."""

    path: Path  # where it was received; consumed
    inspection: Inspection
    identity: Identity
    user_agent: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of it. `is_new` is false for the same bytes again."""

    file: File
    is_new: bool


class AlreadyExists(Refused):
    """The file name is taken by other bytes, or by a file that was taken away: it stays so for ever."""


def accept(upload: Upload, *, config: Config, store: Store, now: datetime) -> Accepted:
    """Take the upload in.

    Raises:
        Refused: the user may not, or a limit or a rule about the project or release is broken; all faults at once.
        AlreadyExists: see there.
        Unavailable: store or database is away; nothing was taken in.
    """
    existing = _same_file_again(upload)
    if existing is not None:
        return Accepted(existing, is_new=False)
    _check(upload, Project.objects.all(), config=config, now=now)
    inspection = upload.inspection
    store.put_many([(metadata_key(inspection.metadata_sha256), inspection.metadata_bytes)], immutable=True)
    store.put_file(file_key(inspection.sha256), upload.path, immutable=True)
    with transaction.atomic():
        # Once more, now that the project's row is locked: two uploads of one name may have come at the same time.
        existing = _same_file_again(upload)
        if existing is not None:
            return Accepted(existing, is_new=False)
        project = _check(upload, Project.objects.select_for_update(), config=config, now=now)
        project = project or _create_project(upload, now=now)
        release = _find_release(project, upload) or _create_release(project, upload, now=now)
        file = _create_file(release, upload, now=now)
        enqueue_scan(file.pk)
    return Accepted(file, is_new=True)


def _same_file_again(upload: Upload) -> File | None:
    """The row of the same bytes under the same name, for a user who may upload to that project."""
    file = File.objects.select_related("release__project").filter(filename=upload.inspection.filename.text).first()
    if file is None:
        return None
    require(upload.identity, Action.UPLOAD, file.release.project)
    if file.sha256 == upload.inspection.sha256 and file.state not in GONE:
        return file
    if file.state in GONE:
        message = f"expected a name that was never used, got that of a file which was {file.state}; make a new version"
    else:
        message = f"expected the bytes that already exist under this name (sha256 {file.sha256}), got others"
    raise AlreadyExists([Fault("file-already-exists", "content", message)])


def _check(upload: Upload, projects: QuerySet[Project], *, config: Config, now: datetime) -> Project | None:
    """Apply every rule that needs rows; return the project, or nothing if the upload would create it."""
    name = upload.inspection.filename.name
    project = projects.filter(normalized_name=name).first()
    if project is None:
        require(upload.identity, Action.CREATE_PROJECT, name)
        faults = _new_project_faults(upload, config=config, now=now)
    else:
        require(upload.identity, Action.UPLOAD, project)
        faults = []
    limits = _limits(project, config)
    state = _release_state(project, upload)
    faults += size_faults(upload.inspection.size, state, limits)
    faults += release_faults(upload.inspection.filename.kind, state, limits, now=now)
    if faults:
        raise Refused(faults)
    return project


def _new_project_faults(upload: Upload, *, config: Config, now: datetime) -> list[Fault]:
    name = upload.inspection.metadata.name
    faults = list(name_faults(name))
    if not config.new_projects:
        faults.append(Fault("new-projects-disabled", "name", "expected an existing project: new ones are switched off"))
    alike = Project.objects.filter(lookalike_name=ultra_normalize(name)).values_list("name", flat=True).first()
    if alike is not None:
        faults.append(
            Fault(
                "name-lookalike", "name", f"expected a name unlike all others, got {name!r}, which reads like {alike!r}"
            )
        )
    recent = JournalEntry.objects.filter(
        action="project-created", actor=upload.identity.user.username, at__gt=now - timedelta(hours=1)
    ).count()
    if recent >= NEW_PROJECTS_AN_HOUR and not upload.identity.user.is_administrator:
        faults.append(
            Fault(
                "too-many-projects", "name", f"expected at most {NEW_PROJECTS_AN_HOUR} new projects an hour, got more"
            )
        )
    return faults


def _limits(project: Project | None, config: Config) -> Limits:
    return Limits(
        max_file=(project and project.max_file) or config.max_file,
        max_project=(project and project.max_total) or config.max_project,
        release_days=config.release_days,
    )


def _release_state(project: Project | None, upload: Upload) -> ReleaseState:
    if project is None:
        return ReleaseState(opened_at=None, has_sdist=False, project_bytes=0)
    kept = File.objects.filter(release__project=project).exclude(state__in=[state.value for state in GONE])
    release = _find_release(project, upload)
    return ReleaseState(
        opened_at=release.created_at if release else None,
        has_sdist=release is not None and kept.filter(release=release, kind="sdist").exists(),
        project_bytes=kept.aggregate(total=Sum("size"))["total"] or 0,
    )


def _find_release(project: Project, upload: Upload) -> Release | None:
    key = canonicalize_version(upload.inspection.filename.version)
    return Release.objects.filter(project=project, version_key=key).first()


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
        metadata=_other_metadata(upload),
    )
    record(
        "release-created",
        actor=upload.identity.user.username,
        project=project.normalized_name,
        version=release.version,
    )
    return release


def _other_metadata(upload: Upload) -> Mapping[str, object]:
    metadata = upload.inspection.metadata
    return {
        "author": metadata.author or "",
        "author_email": metadata.author_email or "",
        "maintainer": metadata.maintainer or "",
        "maintainer_email": metadata.maintainer_email or "",
        "license": metadata.license or "",
        "license_expression": str(metadata.license_expression or ""),
        "keywords": list(metadata.keywords or ()),
        "classifiers": list(metadata.classifiers or ()),
        "requires_dist": [str(requirement) for requirement in metadata.requires_dist or ()],
        "provides_extra": [str(extra) for extra in metadata.provides_extra or ()],
        "project_urls": dict(metadata.project_urls or {}),
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
