"""The only functions that change the state of a file, a release or a project; each writes the journal.

All of them want to run inside the caller's transaction, and take row locks where the database has them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from wheelmark.server.projects.journal import record
from wheelmark.server.projects.models import File, Project, ProjectStatus, Release
from wheelmark.server.projects.rules import FileState, check_transition


def transition(file_id: int, target: FileState, *, actor: str, now: datetime, reason: str = "", **detail: Any) -> File:
    """Move one file to another state, and say so in the journal.

    Raises:
        Refused: the transition is not in `rules.FOLLOWS`.
    """
    with transaction.atomic():
        file = File.objects.select_for_update(of=("self",)).select_related("release__project").get(pk=file_id)
        check_transition(FileState(file.state), target)
        before, file.state = file.state, target.value
        file.state_reason, file.state_changed_at = reason[:500], now
        file.scan_lease_until = None
        file.save(update_fields=["state", "state_reason", "state_changed_at", "scan_lease_until"])
        record(
            f"file-{target}",
            actor=actor,
            project=file.release.project.normalized_name,
            version=file.release.version,
            filename=file.filename,
            before=before,
            sha256=file.sha256,
            reason=reason,
            **detail,
        )
    return file


def yank(release: Release, *, yanked: bool, reason: str, actor: str) -> None:
    """Yank a release or take the yank back (PEP 592); installers skip it unless it is asked for by version."""
    with transaction.atomic():
        release.is_yanked, release.yanked_reason = yanked, reason[:500] if yanked else ""
        release.save(update_fields=["is_yanked", "yanked_reason"])
        record(
            "release-yanked" if yanked else "release-unyanked",
            actor=actor,
            project=release.project.normalized_name,
            version=release.version,
            reason=reason,
        )


def remove_release(release: Release, *, actor: str, reason: str, now: datetime) -> int:
    """Remove every file of a release that is not yet final; return how many."""
    removable = (FileState.VALIDATED, FileState.SCANNED, FileState.HELD, FileState.PUBLISHED)
    with transaction.atomic():
        # In the order in which everyone locks files, or two who want the same ones could wait for each other.
        rows = release.files.select_for_update(of=("self",)).order_by("pk")
        files = list(rows.filter(state__in=[state.value for state in removable]))
        for file in files:
            transition(file.pk, FileState.REMOVED, actor=actor, now=now, reason=reason)
    return len(files)


def set_status(project: Project, status: ProjectStatus, *, actor: str, reason: str = "") -> None:
    """Set PEP 792's status. A quarantined project lists no files from the next snapshot on."""
    with transaction.atomic():
        before, project.status, project.status_reason = project.status, status, reason[:500]
        project.save(update_fields=["status", "status_reason"])
        record(f"project-{status}", actor=actor, project=project.normalized_name, before=before, reason=reason)
