"""Pages for those who work on a project: releases, collaborators, status. Each change is a page that says what follows.

Whatever cannot be undone, or hands power to somebody, asks for the password again if it was given long ago.
"""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from wheelmark.errors import Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.accounts.permissions import may, require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.projects import collaborators, lifecycle
from wheelmark.server.projects.models import Collaborator, File, Project, ProjectStatus, Release, Role
from wheelmark.server.projects.rules import FileState
from wheelmark.server.web import queries
from wheelmark.server.web.addresses import addresses
from wheelmark.server.web.gate import asks_again, says_why

GOES_LIVE = "It goes live with the next snapshot, within about a second."
MAX_REASON_CHARS = 500
_OWNERS_STATUS = {
    ProjectStatus.ACTIVE: "new releases are welcome",
    ProjectStatus.ARCHIVED: "no new releases: uploads are refused, everything stays installable",
    ProjectStatus.DEPRECATED: "people should move on to something else; uploads still work",
}


@require_safe
@says_why
def overview(request: HttpRequest) -> HttpResponse:
    """The projects that the user works on."""
    user = _user(request)
    page = Paginator(
        Collaborator.objects.filter(user=user).select_related("project").order_by("project__normalized_name"),
        queries.RELEASES_A_PAGE,
    ).get_page(request.GET.get("page", "1"))
    return render(request, "manage/overview.html", {"now": timezone.now(), "page": page, **addresses()})


@require_safe
@says_why
def project(request: HttpRequest, name: str) -> HttpResponse:
    """Who may do what, and what is where?"""
    found = _project(request, name, Action.MANAGE_PROJECT)
    view = queries.project_view(found, request.user)
    if view is None:
        raise Http404("no such project")
    page = Paginator(view.releases, queries.FILES_A_PAGE).get_page(request.GET.get("page", "1"))
    files = queries.with_listing(
        File.objects.filter(release__in=[row.release.pk for row in page.object_list])
        .exclude(state__in=[FileState.PUBLISHED, FileState.REMOVED])
        .select_related("release", "uploaded_by")
        .order_by("-uploaded_at")
    )
    context = {
        "now": timezone.now(),
        "project": found,
        "page": page,
        "unlisted": queries.file_rows(list(files[: queries.FILES_A_PAGE]), insider=True),
        "collaborators": found.collaborators.select_related("user").order_by("role", "user__username"),
        "entries": queries.project_journal(found, lines=20),
        "may_yank": may(request.user, Action.YANK, found),
        "may_remove": may(request.user, Action.REMOVE_RELEASE, found),
        "may_edit_collaborators": may(request.user, Action.EDIT_COLLABORATORS, found),
        "may_change_status": may(request.user, Action.CHANGE_STATUS, found),
    }
    return render(request, "manage/project.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@says_why
def yank(request: HttpRequest, name: str, version: str) -> HttpResponse:
    """Yank a release, or take the yank back."""
    found = _project(request, name, Action.YANK)
    release = get_object_or_404(Release, project=found, version=version)
    if request.method == "POST":
        yanked = request.POST.get("yanked") == "1"
        lifecycle.yank(release, yanked=yanked, reason=_reason(request), actor=_user(request).username)
        words = f"{release} is yanked." if yanked else f"The yank of {release} is taken back."
        return _done(request, found, f"{words} {GOES_LIVE}")
    if release.is_yanked:
        title = f"Take back the yank of {release}?"
        consequences = ["Installers choose it again when its version fits best."]
    else:
        title = f"Yank {release}?"
        consequences = [
            "Installers pass it over, unless exactly this version is asked for: locked installs go on working.",
            "Everybody sees the reason, on this page and in the installer's warning.",
        ]
    return _confirm(
        request,
        found,
        title=title,
        consequences=consequences,
        undo="You can take this back at any time.",
        button="Take the yank back" if release.is_yanked else "Yank",
        kind="primary",
        fields={"yanked": "0" if release.is_yanked else "1"},
        reason_label="" if release.is_yanked else "Why? (everybody reads it)",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@says_why
def remove_release(request: HttpRequest, name: str, version: str) -> HttpResponse:
    """Remove all files of a release for good."""
    found = _project(request, name, Action.REMOVE_RELEASE)
    release = get_object_or_404(Release, project=found, version=version)
    return _remove_release(request, found, release)


@asks_again
def _remove_release(request: HttpRequest, found: Project, release: Release) -> HttpResponse:
    if request.method == "POST":
        count = lifecycle.remove_release(
            release, actor=_user(request).username, reason=_reason(request), now=timezone.now()
        )
        return _done(request, found, f"{_files(count)} of {release} removed. {GOES_LIVE}")
    files = queries.with_listing(release.files.exclude(state__in=[FileState.REMOVED, FileState.REJECTED]))
    states = [queries.listed_in(file) is not None for file in files]
    return _confirm(
        request,
        found,
        title=f"Remove {release}?",
        consequences=_removal_consequences(len(states), sum(states), locked_to=release.version),
        undo="This cannot be undone. Yanking keeps locked installs working and can be taken back.",
        alternative=("Yank it instead", reverse("web:manage-yank", args=[found.normalized_name, release.version])),
        button=f"Remove {_files(len(states))}",
        reason_label="Why? (for the journal)",
        empty="" if states else "This release has no files that could be removed.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@says_why
def remove_file(request: HttpRequest, name: str, filename: str) -> HttpResponse:
    """Remove one file for good."""
    found = _project(request, name, Action.MANAGE_PROJECT)
    files = queries.with_listing(File.objects.select_related("release__project"))
    file = get_object_or_404(files, release__project=found, filename=filename)
    require(request.user, Action.REMOVE_FILE, found, file)
    return _remove_file(request, found, file)


@asks_again
def _remove_file(request: HttpRequest, found: Project, file: File) -> HttpResponse:
    if request.method == "POST":
        lifecycle.transition(
            file.pk,
            FileState.REMOVED,
            actor=_user(request).username,
            now=timezone.now(),
            reason=_reason(request),
        )
        return _done(request, found, f"{file.filename} is removed. {GOES_LIVE}")
    return _confirm(
        request,
        found,
        title=f"Remove {file.filename}?",
        consequences=_removal_consequences(1, int(queries.listed_in(file) is not None), locked_to=file.release.version),
        undo="This cannot be undone.",
        button="Remove this file",
        reason_label="Why? (for the journal)",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@says_why
def status(request: HttpRequest, name: str) -> HttpResponse:
    """Say what installers should expect of the project (PEP 792)."""
    found = _project(request, name, Action.CHANGE_STATUS)
    if request.method == "POST":
        wanted = request.POST.get("status", "")
        if wanted not in _OWNERS_STATUS:
            expected = ", ".join(_OWNERS_STATUS)
            raise Refused.because("project-status", "status", f"expected one of {expected}, got {wanted[:40]!r}")
        lifecycle.set_status(found, ProjectStatus(wanted), actor=_user(request).username, reason=_reason(request))
        return _done(request, found, f"{found.name} is {wanted} now. {GOES_LIVE}")
    return render(request, "manage/status.html", {"project": found, "choices": _OWNERS_STATUS.items()})


@require_http_methods(["GET", "HEAD", "POST"])
@says_why
def add_collaborator(request: HttpRequest, name: str) -> HttpResponse:
    """Let somebody else work on the project."""
    return _add_collaborator(request, _project(request, name, Action.EDIT_COLLABORATORS))


@asks_again
def _add_collaborator(request: HttpRequest, found: Project) -> HttpResponse:
    context = {"project": found, "roles": Role.choices, "given": request.POST.get("user", "")[:60]}
    if request.method != "POST":
        return render(request, "manage/collaborator.html", context)
    try:
        made = collaborators.set_collaborator(
            found,
            request.POST.get("user", ""),
            request.POST.get("role", ""),
            actor=_user(request).username,
            now=timezone.now(),
        )
    except Refused as error:
        return render(request, "manage/collaborator.html", {**context, "error": error}, status=400)
    return _done(request, found, f"{made.user.username} is {made.role} of {found.name} now.")


@require_http_methods(["GET", "HEAD", "POST"])
@says_why
def remove_collaborator(request: HttpRequest, name: str, user: str) -> HttpResponse:
    """Take somebody off the project, or leave it."""
    found = _project(request, name, Action.MANAGE_PROJECT)
    leaving = user == _user(request).username
    require(request.user, Action.LEAVE_PROJECT if leaving else Action.EDIT_COLLABORATORS, found)
    collaborator = get_object_or_404(found.collaborators.select_related("user", "project"), user__username=user)
    return _remove_collaborator(request, found, collaborator)


@asks_again
def _remove_collaborator(request: HttpRequest, found: Project, collaborator: Collaborator) -> HttpResponse:
    actor = _user(request).username
    name = collaborator.user.username
    if request.method == "POST":
        collaborators.remove_collaborator(collaborator, actor=actor)
        if name == actor:
            messages.success(request, f"You have left {found.name}.")
            return redirect("web:manage")
        return _done(request, found, f"{name} does not work on {found.name} any more.")
    return _confirm(
        request,
        found,
        title=f"Leave {found.name}?" if name == actor else f"Take {name} off {found.name}?",
        consequences=[
            "Uploads with tokens of this user to this project are refused at once.",
            "What was uploaded stays.",
        ],
        undo="An owner can add the user again.",
        button="Leave" if name == actor else f"Remove {name}",
    )


def _user(request: HttpRequest) -> User:
    """The user who is logged in.

    Raises:
        Refused: nobody is.
    """
    if not isinstance(request.user, User):
        raise Refused.because("not-allowed", "user", "expected somebody who is logged in, got nobody")
    return request.user


def _project(request: HttpRequest, name: str, action: Action) -> Project:
    """The project, once the gate has let this user do this with it.

    Raises:
        Http404: there is none that this user may know of.
        Refused: the user may not.
    """
    found = queries.find_project(name, request.user)
    if found is None:
        raise Http404("no such project")
    require(request.user, action, found)
    return found


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[:MAX_REASON_CHARS]


def _done(request: HttpRequest, found: Project, message: str) -> HttpResponse:
    messages.success(request, message)
    return redirect("web:manage-project", name=found.normalized_name)


def _confirm(request: HttpRequest, found: Project, **context: object) -> HttpResponse:
    back = reverse("web:manage-project", args=[found.normalized_name])
    return render(request, "manage/confirm.html", {"project": found, "back": back, **context})


def _removal_consequences(count: int, listed: int, *, locked_to: str) -> list[str]:
    consequences = []
    if listed:
        verb = "leaves" if listed == 1 else "leave"
        consequences.append(f"{_files(listed)} {verb} the index with the next snapshot, within about a second.")
        consequences.append(f"Installs that are locked to {locked_to} will fail.")
    if count > listed:
        consequences.append(f"{_files(count - listed)} that no snapshot lists will never be published.")
    consequences.append("The file names can never be used again, not even for the same bytes.")
    return consequences


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"
