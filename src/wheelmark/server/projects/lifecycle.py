"""The only functions that change the state of a file, a release or a project; each writes the journal.

All of them want to run inside the caller's transaction, and take row locks where the database has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from wheelmark.server.projects.journal import Change, record, record_all
from wheelmark.server.projects.models import File, Project, ProjectStatus, Release
from wheelmark.server.projects.rules import FileState, check_transition

BATCH = 500
"""Rows in one statement: SQLite takes a limited number of parameters."""


def transition(file_id: int, target: FileState, *, actor: str, now: datetime, reason: str = "", **detail: Any) -> File:
    """Move one file to another state, and say so in the journal.

    Raises:
        Refused: the transition is not in `rules.FOLLOWS`.
    """
    [file] = transition_all([file_id], target, actor=actor, now=now, reason=reason, **detail)
    return file


def transition_all(
    file_ids: Iterable[int], target: FileState, *, actor: str, now: datetime, reason: str = "", **detail: Any
) -> list[File]:
    """Move files to another state together, and say so in the journal, a row for each: all of them or none.

    Raises:
        Refused: a transition is not in `rules.FOLLOWS`.
        File.DoesNotExist: there is no file of such an id.
    """
    # In the order in which everyone locks files, or two who want the same ones could wait for each other.
    ids = sorted({*file_ids})
    batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    with transaction.atomic():
        files = [file for batch in batches for file in _locked(batch)]
        if len(files) != len(ids):
            raise File.DoesNotExist(f"expected {len(ids)} files, got {len(files)}")
        befores = [file.state for file in files]
        for file in files:
            check_transition(FileState(file.state), target)
            file.state, file.state_reason, file.state_changed_at = target.value, reason[:500], now
            file.scan_lease_until = None
        for batch in batches:
            File.objects.filter(pk__in=batch).update(
                state=target.value, state_reason=reason[:500], state_changed_at=now, scan_lease_until=None
            )
        record_all(
            Change(
                action=f"file-{target}",
                actor=actor,
                project=file.release.project.normalized_name,
                version=file.release.version,
                filename=file.filename,
                detail={"before": before, "sha256": file.sha256, "reason": reason, **detail},
            )
            for file, before in zip(files, befores, strict=True)
        )
    return files


def _locked(ids: list[int]) -> QuerySet[File]:
    rows = File.objects.select_for_update(of=("self",)).select_related("release__project")
    # A description can have a megabyte, and nobody asks for it here.
    return rows.defer("release__description", "release__metadata").filter(pk__in=ids).order_by("pk")


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
