"""The account pages that allauth does not have: overview, tokens, events, ending one session."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import cast

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.core.internal import ratelimit
from allauth.core.ratelimit import respond_429
from allauth.usersessions.adapter import get_adapter as get_sessions_adapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from wheelmark.errors import Refused
from wheelmark.server.accounts import queries
from wheelmark.server.accounts.events import client_address
from wheelmark.server.accounts.forms import TokenForm
from wheelmark.server.accounts.models import ApiToken, SecurityEvent, User
from wheelmark.server.accounts.permissions import require
from wheelmark.server.accounts.rules import Action
from wheelmark.server.accounts.safety import standing
from wheelmark.server.accounts.tokens import USER_NAME, mint, revoke
from wheelmark.server.accounts.users import role_of
from wheelmark.server.web.gate import says_why

EVENTS_ON_OVERVIEW = 8
EVENTS_ON_PAGE = 50
ENDED_TOKENS_SHOWN = 20
TOKEN_RATE = {"create_token": "20/h/user"}


@require_GET
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Am I safe?"""
    user, now = _user(request), timezone.now()
    context = {
        "standing": standing(queries.account_facts(user, now=now)),
        "second_factors": queries.second_factor_names(user),
        "recovery_codes_left": queries.recovery_codes_left(user),
        "live_tokens": queries.live_tokens(user, now=now).count(),
        "sessions": queries.open_sessions(user),
        "role": role_of(user),
        "events": SecurityEvent.objects.filter(user=user)[:EVENTS_ON_OVERVIEW],
        "now": now,
    }
    return render(request, "accounts/overview.html", context)


@require_GET
@login_required
def events(request: HttpRequest) -> HttpResponse:
    """What happened to my account?"""
    rows = SecurityEvent.objects.filter(user=_user(request))
    page = Paginator(rows, EVENTS_ON_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/events.html", {"page": page})


@require_GET
@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    """What can upload in my name?"""
    user, now = _user(request), timezone.now()
    context = {
        "live": queries.live_tokens(user, now=now),
        "ended": queries.ended_tokens(user, now=now)[:ENDED_TOKENS_SHOWN],
        "now": now,
    }
    return render(request, "accounts/tokens.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
@says_why
@never_cache
@sensitive_variables("token")
def token_new(request: HttpRequest) -> HttpResponse:
    """Create a token, and show it, once."""
    user, now = _user(request), timezone.now()
    require(user, Action.CREATE_TOKEN)
    form = TokenForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if not ratelimit.consume(request, app="accounts", action="create_token", config=TOKEN_RATE, user=user):
            return cast(HttpResponse, respond_429(request))
        try:
            row, token = mint(
                user,
                description=form.cleaned_data["description"],
                project=form.cleaned_data["project"] or None,
                expires_at=form.expires_at(now),
                now=now,
                address=client_address(request),
            )
        except Refused as error:
            for fault in error.faults:
                form.add_error(fault.field if fault.field in form.fields else None, fault.message)
        else:
            facts = {"description": row.description, "project": row.project}
            get_adapter(request).send_notification_mail("account/email/token_created", user, facts)
            return render(request, "accounts/token_created.html", _created_context(row, token))
    context = {"form": form, "projects": queries.uploadable_projects(user)}
    status = HTTPStatus.BAD_REQUEST if form.errors else HTTPStatus.OK
    return render(request, "accounts/token_new.html", context, status=status)


@require_http_methods(["GET", "POST"])
@login_required
def token_revoke(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """End a token, after saying what that means. Nobody is kept from it by another check: revoking is urgent."""
    token = get_object_or_404(ApiToken.objects.select_related("user"), pk=pk, user=_user(request))
    if request.method == "POST":
        revoke(token, now=timezone.now(), address=client_address(request))
        messages.success(request, f"“{token.description}” is revoked: it uploads nothing any more.")
        return redirect("account_tokens")
    consequences = [
        "Uploads with it are refused at once, here and wherever it was copied to.",
        "What was uploaded with it stays.",
        "It cannot be taken back; create another token instead.",
    ]
    context = {"token": token, "consequences": consequences, "back": reverse("account_tokens")}
    return render(request, "accounts/token_revoke.html", context)


@require_POST
@login_required
def session_end(request: HttpRequest, pk: int) -> HttpResponse:
    """End one session of one's own."""
    session = get_object_or_404(UserSession, pk=pk, user=_user(request))
    get_sessions_adapter().end_sessions([session])
    messages.success(request, "The session is ended.")
    return redirect("usersessions_list")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # behind login_required, so never anonymous


def _created_context(row: ApiToken, token: str) -> dict[str, object]:
    upload_url = f"{settings.CONFIG.base_url}/legacy/"
    twine = {"TWINE_REPOSITORY_URL": upload_url, "TWINE_USERNAME": USER_NAME, "TWINE_PASSWORD": token}
    uv = {"UV_PUBLISH_URL": upload_url, "UV_PUBLISH_TOKEN": token}
    return {
        "row": row,
        "token": token,
        "twine_environment": _exports(twine),
        "uv_environment": _exports(uv),
        "pypirc": f"[wheelmark]\nrepository = {upload_url}\nusername = {USER_NAME}\npassword = {token}",
    }


def _exports(variables: dict[str, str]) -> str:
    return "export " + " ".join(f"{name}={value}" for name, value in variables.items())
