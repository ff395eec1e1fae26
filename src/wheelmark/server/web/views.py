"""The public pages: home, search, project, releases, trust, journal, and the switch of colours."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelmark.errors import Unavailable, WheelmarkError
from wheelmark.server.accounts.permissions import may, require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.projects.models import Project
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.outlook import read_outlook
from wheelmark.server.stores import current_store
from wheelmark.server.web import queries, wording
from wheelmark.server.web.about import about
from wheelmark.server.web.addresses import addresses
from wheelmark.server.web.descriptions import rendered
from wheelmark.server.web.gate import says_why
from wheelmark.server.web.root import RootKeys, read_root
from wheelmark.trust.outlook import Advice

THEME_COOKIE = "wheelmark_theme"
THEME_SECONDS = 365 * 86_400
THEMES = ("light", "dark")
MAX_NAME_CHARS = 100
PUBLISHER_SILENT_SECONDS = 30.0
"""A publisher says every few seconds that it lives; after this it is taken for dead."""
RECENT = 8


@require_safe
@says_why
def home(request: HttpRequest) -> HttpResponse:
    """What is this, how do I use it, is it healthy?"""
    now = timezone.now()
    state = queries.index_state()
    seen = state.publisher_seen_at
    context = {
        "now": now,
        "state": state,
        "expired": state.timestamp_expires_at is not None and state.timestamp_expires_at <= now,
        "publisher_silent": seen is None or (now - seen).total_seconds() > PUBLISHER_SILENT_SECONDS,
        "recent": queries.journal(everything=False, lines=RECENT),
        "root": _root_or_none(),
        **addresses(),
    }
    return render(request, "web/home.html", context)


@require_safe
@says_why
def search(request: HttpRequest) -> HttpResponse:
    """Which project do I mean?"""
    query = request.GET.get("q", "").replace("\0", "").strip()[: queries.MAX_QUERY_CHARS]
    result = queries.search(query, number=request.GET.get("page", "1"))
    return render(request, "web/search.html", {"query": query, "result": result, "page_query": f"q={quote(query)}&"})


@require_safe
@says_why
def project(request: HttpRequest, name: str, version: str | None = None) -> HttpResponse:
    """Should I use it, how do I install it verified? With a version: what exactly is in that release, who made it?"""
    found = _find(request, name)
    if isinstance(found, HttpResponse):
        return found
    view = queries.project_view(found, request.user, version=version)
    if view is None:
        canonical = _canonical_version(version or "")
        if canonical == version or queries.project_view(found, request.user, version=canonical) is None:
            raise Http404("no such release")
        return redirect("web:release", name=found.normalized_name, version=canonical)
    files = queries.release_files(view, number=request.GET.get("page", "1"))
    release = view.shown.release if view.shown else None
    listing = queries.newest_listing(view)
    context = {
        "now": timezone.now(),
        "view": view,
        "project": found,
        "release": release,
        "is_latest": view.shown is view.latest,
        "listing": listing,
        "listing_words": wording.file_state_words(FileState.PUBLISHED, snapshot=listing.snapshot) if listing else None,
        "waiting": queries.waiting_counts(view),
        "files": files,
        "rows": queries.file_rows(files, insider=view.is_insider),
        "releases": view.releases[: queries.RESULTS_A_PAGE],
        "readme": rendered(release.description, release.description_content_type) if release else None,
        "about": about(release.metadata) if release else None,
        "requirement": f"{found.name}=={release.version}" if release and version else found.name,
        "may_quarantine": may(request.user, Action.QUARANTINE_PROJECT, found),
        **addresses(),
    }
    return render(request, "web/project.html", context)


@require_safe
@says_why
def releases(request: HttpRequest, name: str) -> HttpResponse:
    """All releases of a project."""
    found = _find(request, name)
    if isinstance(found, HttpResponse):
        return found
    view = queries.project_view(found, request.user)
    if view is None:
        raise Http404("no such project")
    page = Paginator(view.releases, queries.RELEASES_A_PAGE).get_page(request.GET.get("page", "1"))
    return render(request, "web/releases.html", {"now": timezone.now(), "project": found, "view": view, "page": page})


@require_safe
@says_why
def trust(request: HttpRequest) -> HttpResponse:
    """Which snapshot is current, which keys, until when, and how do I check it myself?"""
    roles, bins = queries.role_versions()
    keys = _root_or_none()
    now = timezone.now()
    lines = [
        {"name": name, "purpose": purpose, "row": roles.get(name), "keys": keys.roles.get(name) if keys else None}
        for name, purpose in _PURPOSES
    ]
    context = {
        "now": now,
        "state": queries.index_state(),
        "lines": lines,
        "bins": bins,
        "root": keys,
        "bin_keys": keys.roles.get("bins-*") if keys else None,
        "expired": [line["name"] for line in lines if (row := roles.get(str(line["name"]))) and row.expires_at <= now],
        "advice": _advice(now) if may(request.user, Action.MANAGE_USERS) else (),
        **addresses(),
    }
    return render(request, "web/trust.html", context)


def _advice(now: datetime) -> tuple[Advice, ...]:
    """What an administrator should do about signatures and keys; the page is whole without it."""
    try:
        return read_outlook(current_store(), settings.CONFIG, now=now).advice
    except Unavailable:
        return ()


_PURPOSES = (
    ("root", "says which keys count; offline"),
    ("targets", "delegates, and nothing else; offline"),
    ("bins", "hands the projects to the bins; offline"),
    ("snapshot", "lists the version of everything; online"),
    ("timestamp", "says which snapshot is current; online"),
)


@require_safe
@says_why
def journal(request: HttpRequest) -> HttpResponse:
    """What happened, newest first."""
    everything = may(request.user, Action.SEE_REVIEW_DESK)
    before = request.GET.get("before", "")
    # Nineteen digits and more do not fit into the serial's column.
    serial = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    entries = queries.journal(everything=everything, before=serial)
    context = {
        "now": timezone.now(),
        "entries": entries,
        "everything": everything,
        "shows_actor": everything,
        "older": entries[-1].serial if len(entries) == queries.JOURNAL_LINES else None,
        "is_newest": serial is None,
    }
    return render(request, "web/journal.html", context)


@csrf_exempt  # It changes nothing but how the pages look in this browser; a token would make every page a private one.
@require_POST
def appearance(request: HttpRequest) -> HttpResponse:
    """Choose light, dark, or what the system says."""
    theme = request.POST.get("theme", "")
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = "/"
    if theme not in (*THEMES, "system"):
        return HttpResponseBadRequest("theme: expected light, dark or system\n", content_type="text/plain")
    response = redirect(back)
    if theme == "system":
        response.delete_cookie(THEME_COOKIE)
    else:
        response.set_cookie(THEME_COOKIE, theme, max_age=THEME_SECONDS, httponly=True, samesite="Lax")
    return response


def _find(request: HttpRequest, name: str) -> Project | HttpResponse:
    """The project by that name, or the way to the address with its normalized name.

    Raises:
        Http404: there is none that this viewer may know of.
    """
    normalized = canonicalize_name(name[: MAX_NAME_CHARS + 1])
    found = queries.find_project(normalized, request.user) if len(name) <= MAX_NAME_CHARS else None
    if found is None:
        raise Http404("no such project")
    require(request.user, Action.VIEW_PROJECT, found)
    if normalized != name:
        match = request.resolver_match
        if match is None:
            raise RuntimeError("a view that was called by hand cannot say its own address")
        address: HttpResponse = redirect(match.view_name, permanent=True, **{**match.kwargs, "name": normalized})
        return address
    return found


def _canonical_version(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion:
        return version


def _root_or_none() -> RootKeys | None:
    """The first root and the current one; None when the index is not founded or its store cannot be read.

    The pages say that they could not read it. They are no reason to fail: what they show of it is for comparing.
    """
    try:
        return read_root(current_store())
    except WheelmarkError:
        return None
