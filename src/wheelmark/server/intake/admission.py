"""Whether the index takes a file, as far as that depends on rows: whose project it is, what is there already, limits.

Asked twice: before the file is inspected, because most refusals need no look at it, and again in the transaction
that takes it in, because rows change meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Sum
from packaging.utils import canonicalize_version

from wheelmark.dist import Filename, name_faults, ultra_normalize
from wheelmark.errors import Fault, Refused
from wheelmark.server.accounts.permissions import require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.accounts.tokens import Identity
from wheelmark.server.config import Config
from wheelmark.server.intake.faults import fault
from wheelmark.server.intake.rules import (
    NEW_PROJECTS_AN_HOUR,
    NO_RELEASE,
    Limits,
    ReleaseState,
    release_faults,
    size_faults,
)
from wheelmark.server.projects.models import File, JournalEntry, Project, Release
from wheelmark.server.projects.rules import FileState

GONE = (FileState.REJECTED, FileState.REMOVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that wants to be taken in."""

    filename: Filename
    name: str  # the project's, as the sender spells it; normalized it is the file name's
    size: int  # bytes
    sha256: str


class AlreadyExists(Refused):
    """The file name is taken by other bytes, or by a file that was taken away: it stays so for ever."""


def find_namesake(candidate: Candidate, identity: Identity) -> File | None:
    """The file that has this name already, for a user who may upload to its project.

    Raises:
        Refused: the user may not.
    """
    file = File.objects.select_related("release__project").filter(filename=candidate.filename.text).first()
    if file is not None:
        require(identity, Action.UPLOAD, file.release.project)
    return file


def check_same_bytes(namesake: File, candidate: Candidate) -> None:
    """Return if it is the same file once more.

    Raises:
        AlreadyExists: see there.
    """
    if namesake.state in GONE:
        message = f"expected a new name, got one that already exists: its file was {namesake.state}; make a new version"
    elif namesake.sha256 != candidate.sha256:
        message = f"expected the bytes that already exist under this name (sha256 {namesake.sha256}), got others"
    else:
        return
    raise AlreadyExists([fault("file-already-exists", message)])


def find_project(candidate: Candidate, *, lock: bool = False) -> Project | None:
    """The project that the file belongs to, with its row locked if so wished."""
    projects = Project.objects.select_for_update() if lock else Project.objects.all()
    return projects.filter(normalized_name=candidate.filename.name).first()


def find_release(project: Project, candidate: Candidate) -> Release | None:
    """The release that the file belongs to."""
    return Release.objects.filter(project=project, version_key=canonicalize_version(candidate.filename.version)).first()


def admission_faults(
    candidate: Candidate, project: Project | None, identity: Identity, *, config: Config, now: datetime
) -> list[Fault]:
    """Every rule about the project and the release that the file breaks. `project`: None if it would be created.

    Raises:
        Refused: the user may not upload there. Nothing else is told then.
    """
    if project is None:
        require(identity, Action.CREATE_PROJECT, candidate.filename.name)
        faults = _new_project_faults(candidate.name, candidate.filename.name, identity, config=config, now=now)
    else:
        require(identity, Action.UPLOAD, project)
        faults = []
    limits = _limits(project, config)
    state = _release_state(project, candidate)
    faults += size_faults(candidate.size, state, limits)
    faults += release_faults(candidate.filename.kind, state, limits, now=now)
    return faults


def largest_file(identity: Identity, config: Config) -> int:
    """The largest file, in bytes, that this user may upload to any project: a project may have a limit of its own."""
    own = Project.objects.filter(collaborators__user=identity.user).aggregate(largest=Max("max_file"))["largest"]
    return max(config.max_file, own or 0)


def _new_project_faults(
    name: str, normalized: str, identity: Identity, *, config: Config, now: datetime
) -> list[Fault]:
    faults = list(name_faults(name))
    if not config.new_projects:
        faults.append(fault("new-projects-disabled", "expected an existing project: new ones are switched off"))
    # Not the very same name: another upload may have created the project since we looked, and is no look-alike.
    others = Project.objects.filter(lookalike_name=ultra_normalize(name)).exclude(normalized_name=normalized)
    alike = others.values_list("name", flat=True).first()
    if alike is not None:
        message = f"expected a name unlike all others, got {name!r}, which reads like {alike!r}"
        faults.append(fault("name-lookalike", message))
    hour_ago = now - timedelta(hours=1)
    created = JournalEntry.objects.filter(
        action="project-created", actor=identity.user.username, at__gt=hour_ago
    ).count()
    if created >= NEW_PROJECTS_AN_HOUR and not identity.user.is_administrator:
        message = f"expected at most {NEW_PROJECTS_AN_HOUR} new projects an hour, got more: wait, and try again"
        faults.append(fault("too-many-projects", message))
    return faults


def _limits(project: Project | None, config: Config) -> Limits:
    return Limits(
        max_file=(project and project.max_file) or config.max_file,
        max_project=(project and project.max_total) or config.max_project,
        release_days=config.release_days,
    )


def _release_state(project: Project | None, candidate: Candidate) -> ReleaseState:
    if project is None:
        return NO_RELEASE
    kept = File.objects.filter(release__project=project).exclude(state__in=[state.value for state in GONE])
    release = find_release(project, candidate)
    return ReleaseState(
        opened_at=release.created_at if release else None,
        has_sdist=release is not None and kept.filter(release=release, kind="sdist").exists(),
        is_yanked=release is not None and release.is_yanked,
        project_bytes=kept.aggregate(total=Sum("size"))["total"] or 0,
    )
