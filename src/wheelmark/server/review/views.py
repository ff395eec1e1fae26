"""The review desk: what waits, one case with its evidence, and what a moderator does about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from wheelmark.errors import Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.accounts.permissions import may, require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.projects.models import Project, ProjectStatus
from wheelmark.server.projects.rules import FileState
from wheelmark.server.review import desk, queries
from wheelmark.server.review.evidence import query_of_line
from wheelmark.server.review.excerpts import Excerpt, Excerpts, read_excerpts
from wheelmark.server.stores import current_store
from wheelmark.server.web import wording
from wheelmark.server.web.gate import says_why

_DONE = {
    "release": "Released: the next snapshot lists it, within about a second.",
    "reject": "Rejected: it will not be published. You can put it back to held.",
    "hold": "Held: the next snapshot does not list it any more, within about a second.",
    "rescan": "A new scan is under way; the file waits for it.",
}


@require_safe
@says_why
def queue(request: HttpRequest) -> HttpResponse:
    """What needs me now?"""
    _moderator(request)
    now = timezone.now()
    number = request.GET.get("page", "1")
    asked = request.GET.get("show", "")
    show = queries.Queue(asked) if asked in set(queries.Queue) else queries.Queue.HELD
    context: dict[str, object] = {
        "now": now,
        "figures": queries.figures(now=now),
        "show": show.value,
        "queues": [queue.value for queue in queries.Queue],
        "page_query": f"show={show.value}&",
    }
    if show is queries.Queue.HELD:
        context["page"], context["rows"] = queries.held(number=number)
    elif show is queries.Queue.NOTICED:
        context["page"], context["rows"] = queries.noticed(now=now, number=number)
    elif show is queries.Queue.DECIDED:
        context["page"], context["rows"] = queries.decided(number=number)
    else:
        context["page"] = queries.quarantined(number=number)
    return render(request, "review/queue.html", context)


@require_safe
@says_why
def case(request: HttpRequest, file_id: int) -> HttpResponse:
    """One file: what was found, in which lines, and what is known about who made it."""
    return _case_page(request, file_id, _moderator(request))


@require_POST
@says_why
def decide(request: HttpRequest, file_id: int) -> HttpResponse:
    """Release, reject, hold, or scan again."""
    moderator = _moderator(request)
    if not queries.file_exists(file_id):
        raise Http404("no such file")
    step, reason = request.POST.get("action", ""), _reason(request)
    try:
        decision = desk.decide(
            file_id, step, moderator=moderator, reason=reason, seen=request.POST.get("seen", ""), now=timezone.now()
        )
    except Refused as error:
        status = 409 if isinstance(error, desk.DecidedMeanwhile) else 400
        return _case_page(request, file_id, moderator, error=error, reason=reason, status=status)
    messages.success(request, f"{decision.file.filename}: {_DONE[step]}")
    return redirect("review:case", file_id=file_id)


@require_http_methods(["GET", "HEAD", "POST"])
@says_why
def quarantine(request: HttpRequest, name: str) -> HttpResponse:
    """Take a whole project off the index for a while, or give it back."""
    moderator = _moderator(request)
    project = get_object_or_404(Project, normalized_name=name)
    lifting = project.status == ProjectStatus.QUARANTINED
    if request.method == "POST":
        # The form says what its reader meant: two moderators who press at once must not undo one another.
        if request.POST.get("lift") == "1":
            status = desk.lift_quarantine(project, moderator=moderator)
            messages.success(request, f"The quarantine of {project.name} is lifted; it is {status} again.")
        else:
            desk.quarantine(project, moderator=moderator, reason=_reason(request))
            messages.success(request, f"{project.name} is quarantined: the next snapshot lists no file of it.")
        return redirect("web:manage-project", name=project.normalized_name)
    require(moderator, Action.LIFT_QUARANTINE if lifting else Action.QUARANTINE_PROJECT, project)
    listed = queries.listed_files(project)
    context: dict[str, object] = {
        "title": f"Lift the quarantine of {project.name}?" if lifting else f"Quarantine {project.name}?",
        "consequences": ["Its files are listed again by the next snapshot, and uploads are taken again."]
        if lifting
        else [
            f"Off the index with the next snapshot, in about a second: {listed:,} file{'' if listed == 1 else 's'}.",
            "Every install of it fails, locked ones too, and its page warns.",
            "Uploads and changes by its owners are refused until the quarantine is lifted.",
        ],
        "undo": "" if lifting else "You can lift it at any time; everything comes back as it was.",
        "button": "Lift the quarantine" if lifting else "Quarantine",
        "kind": "primary" if lifting else "stop",
        "fields": {"lift": "1" if lifting else "0"},
        "reason_label": "" if lifting else "Why? (everybody reads it)",
        "reason_required": True,
        "back": reverse("review:queue"),
    }
    return render(request, "manage/confirm.html", context)


def _case_page(
    request: HttpRequest,
    file_id: int,
    moderator: User,
    *,
    error: Refused | None = None,
    reason: str = "",
    status: int = 200,
) -> HttpResponse:
    view = queries.case_view(file_id)
    if view is None:
        raise Http404("no such file")
    excerpts = read_excerpts(current_store(), view.file, view.findings)
    steps = [name for name, step in desk.STEPS.items() if may(moderator, step.action, file=view.file)]
    context = {
        "now": timezone.now(),
        "view": view,
        "file": view.file,
        "project": view.file.release.project,
        "words": wording.file_state_words(FileState(view.file.state), snapshot=view.listed_in),
        "uploaded_with": wording.uploaded_with_words(view.file.uploaded_with),
        "findings": [_with_excerpt(finding, excerpts) for finding in view.findings],
        "reasons": [_leading(reason) for reason in view.scan.reasons] if view.scan else [],
        "layers": [_leading(layer) for layer in view.scan.layers] if view.scan else [],
        "any_needed": view.scan is not None and any(reason.get("needed") for reason in view.scan.reasons),
        "steps": steps,
        "seen": queries.seen_token(view),
        "error": error,
        "reason": reason,
        "may_quarantine": may(moderator, Action.QUARANTINE_PROJECT, view.file.release.project),
    }
    return render(request, "review/case.html", context, status=status)


def _with_excerpt(
    finding: Mapping[str, Any], excerpts: Excerpts
) -> tuple[Mapping[str, Any], Excerpt | None, bool, str, str]:
    """A finding, its lines, whether the lines already show the evidence (decoded text stands in no line), the query of
    the page where they stand in all the code ("" where they do not), and why there are none."""
    member, line = str(finding.get("member", "")), int(finding.get("line") or 0)
    excerpt = excerpts.by_place.get((member, line))
    shown = excerpt is not None and excerpt.shows(str(finding.get("evidence", "")))
    none = excerpts.why_none.get((member, line))
    leads = excerpt is not None or (none is not None and none.in_code)
    return finding, excerpt, shown, query_of_line(member, line) if leads else "", none.reason if none else ""


def _leading(place: Mapping[str, Any]) -> dict[str, Any]:
    """A reason or a layer with the query of the page where its line stands in all the code; "" where it has none."""
    member, line = str(place.get("member", "")), int(place.get("line") or 0)
    return {**place, "in_code": query_of_line(member, line) if member and line else ""}


def _moderator(request: HttpRequest) -> User:
    """The moderator (or administrator) who is logged in.

    Raises:
        Refused: the user is none, or lacks the second factor that this index demands.
    """
    require(request.user, Action.SEE_REVIEW_DESK)
    if not isinstance(request.user, User):
        raise RuntimeError("the gate let a stranger to the review desk")
    return request.user


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[: desk.MAX_REASON_CHARS]
