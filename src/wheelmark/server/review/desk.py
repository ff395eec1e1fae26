"""What a moderator does with a file: the decision and the change of state, in one transaction.

Each is reversible: what was released can be held, what was rejected can be put back to held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from wheelmark.errors import Fault, Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.accounts.permissions import require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.projects.lifecycle import set_status, transition
from wheelmark.server.projects.models import File, JournalEntry, Project, ProjectStatus
from wheelmark.server.projects.rules import FileState
from wheelmark.server.review.models import Decision, Scan
from wheelmark.server.review.tasks import enqueue_scan

MAX_REASON_CHARS = 500


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a moderator can do: the right to it, where the file goes, whether a reason is needed."""

    action: Action
    target: FileState
    needs_reason: bool = True


STEPS: Mapping[str, Step] = {
    "release": Step(Action.RELEASE_FILE, FileState.SCANNED),
    "reject": Step(Action.REJECT_FILE, FileState.REJECTED),
    "hold": Step(Action.HOLD_FILE, FileState.HELD),
    "rescan": Step(Action.RESCAN_FILE, FileState.VALIDATED, needs_reason=False),
}


class DecidedMeanwhile(Refused):
    """Somebody else was faster, or a new scan came: look again before deciding."""


def decide(file_id: int, step_name: str, *, moderator: User, reason: str, seen: str, now: datetime) -> Decision:
    """Do one of `STEPS`; `seen` is `queries.seen_token` of the page on which the moderator decided.

    Raises:
        Refused: no such step (`desk-step`), a reason is missing (`reason-missing`), or the moderator may not, in the
            state in which the file is now.
        DecidedMeanwhile: see there; nothing was changed.
    """
    step = STEPS.get(step_name)
    if step is None:
        raise Refused.because("desk-step", "action", f"expected one of {', '.join(STEPS)}, got {step_name[:40]!r}")
    if step.needs_reason and not reason:
        raise Refused.because("reason-missing", "reason", "expected a reason, in a few words, got none")
    with transaction.atomic():
        file = File.objects.select_for_update(of=("self",)).select_related("release__project").get(pk=file_id)
        _look_again(file, seen)
        require(moderator, step.action, file=file)
        decision = Decision.objects.create(
            file=file, at=now, moderator=moderator, action=step_name, reason=reason[:MAX_REASON_CHARS]
        )
        transition(
            file.pk, step.target, actor=moderator.username, now=now, reason=reason, decision=decision.pk, by="moderator"
        )
        if step.target is FileState.VALIDATED:
            enqueue_scan(file.pk)
    return decision


def _look_again(file: File, seen: str) -> None:
    last = Decision.objects.filter(file=file).select_related("moderator").first()
    scan = Scan.objects.filter(file=file).first()
    if seen == f"{last.pk if last else 0}.{scan.pk if scan else 0}":
        return
    seen_decision, _, _ = seen.partition(".")
    if last is not None and seen_decision != str(last.pk):
        got = f"{last.moderator.username} chose {last.action} meanwhile: {last.reason or 'no reason given'}"
    else:
        got = "a new scan ended meanwhile"
    raise DecidedMeanwhile([Fault("decided-meanwhile", "file", f"expected what you saw, got a change: {got}")])


def quarantine(project: Project, *, moderator: User, reason: str) -> None:
    """Take every file of a project off the next snapshot, until it is lifted.

    Raises:
        Refused: a reason is missing, or the moderator may not.
    """
    if not reason:
        raise Refused.because("reason-missing", "reason", "expected a reason, in a few words, got none")
    with transaction.atomic():
        locked = Project.objects.select_for_update().get(pk=project.pk)
        require(moderator, Action.QUARANTINE_PROJECT, locked)
        set_status(locked, ProjectStatus.QUARANTINED, actor=moderator.username, reason=reason)


def lift_quarantine(project: Project, *, moderator: User) -> ProjectStatus:
    """Give a project the status back that it had before.

    Raises:
        Refused: the moderator may not, or it is not quarantined.
    """
    with transaction.atomic():
        locked = Project.objects.select_for_update().get(pk=project.pk)
        require(moderator, Action.LIFT_QUARANTINE, locked)
        entries = JournalEntry.objects.filter(project=locked.normalized_name, action="project-quarantined")
        entry = entries.order_by("-serial").first()
        before = str(entry.detail.get("before", "")) if entry else ""
        status = ProjectStatus(before) if before in ProjectStatus.values else ProjectStatus.ACTIVE
        if status is ProjectStatus.QUARANTINED:
            status = ProjectStatus.ACTIVE
        set_status(locked, status, actor=moderator.username)
    return status
