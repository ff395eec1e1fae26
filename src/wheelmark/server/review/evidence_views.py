"""Two pages beside a case: all its code with the findings marked, and what is new since another file."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from wheelmark.server.accounts.permissions import require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.projects.models import File
from wheelmark.server.review import evidence
from wheelmark.server.review.archives import read_member, read_members
from wheelmark.server.review.difference import LineKind, difference
from wheelmark.server.stores import current_store
from wheelmark.server.web.gate import says_why
from wheelmark.server.web.wording import code_line

MEMBERS_A_PAGE = 200
MAX_UNREAD = 20
"""Members with findings that were not read, and are named."""


@require_safe
@says_why
def code(request: HttpRequest, file_id: int) -> HttpResponse:
    """The members of a file; with `?member=` one of them, its findings beside the lines."""
    require(request.user, Action.SEE_REVIEW_DESK)
    file = _file(file_id)
    scan = evidence.newest_scan(file)
    findings = scan.findings if scan else []
    path = request.GET.get("member", "")
    store = current_store()
    members = read_member(store, file, path) if path else read_members(store, file, inside=True)
    context: dict[str, object] = {"now": timezone.now(), "file": file, "scan": scan, "gaps": members.gaps, "path": path}
    if path:
        member = members.by_place.get(path)
        if member is None and not members.gaps:
            raise Http404("no such member")
        context["member"] = member
        if member is not None:
            context["without_line"] = evidence.without_line(member, findings)
            context["page"] = evidence.code_page(member, findings, first=_number(request.GET.get("from", "1")))
        context["page_query"] = urlencode({"member": path})
    else:
        unread = evidence.unread_places(members, findings)
        context["unread"], context["more_unread"] = unread[:MAX_UNREAD], len(unread[MAX_UNREAD:])
        rows = evidence.member_rows(members, findings)
        context["page"] = Paginator(rows, MEMBERS_A_PAGE).get_page(request.GET.get("page", "1"))
    return render(request, "review/code.html", context)


@require_safe
@says_why
def compare(request: HttpRequest, file_id: int) -> HttpResponse:
    """What differs from the file before it, or from the one that `?with=` names."""
    require(request.user, Action.SEE_REVIEW_DESK)
    file = _file(file_id)
    others = list(evidence.to_compare_with(file))
    asked = request.GET.get("with", "")
    if asked:
        other = next((each for each in others if str(each.pk) == asked), None)
        if other is None:
            raise Http404("no such file of this project")
    else:
        other = evidence.previous_file(file, others)
    context: dict[str, object] = {"now": timezone.now(), "file": file, "other": other, "others": others}
    if other is not None:
        store = current_store()
        found = difference(read_members(store, other), read_members(store, file))
        context |= {
            "found": found,
            "counts": sorted(Counter(change.kind.value for change in found.changes).items()),
            "changes": [
                (change, [_drawn(line.kind, line.number, line.text) for line in change.lines])
                for change in found.changes
            ],
        }
    return render(request, "review/compare.html", context)


def _drawn(kind: LineKind, number: int, text: str) -> dict[str, object]:
    return {
        "kind": kind.value,
        "number": number,
        "runs": code_line(text, evidence="", max_chars=evidence.MAX_LINE_CHARS),
        "sign": {LineKind.ADDED: "+", LineKind.REMOVED: "−"}.get(kind, ""),
    }


def _file(file_id: int) -> File:
    return get_object_or_404(File.objects.select_related("release__project"), pk=file_id)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
