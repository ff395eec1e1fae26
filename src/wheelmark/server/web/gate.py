"""Turns what a view raises into a page: who may not, is told why; who is nobody yet, may log in first."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from allauth.account.decorators import reauthentication_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from wheelmark.errors import Refused, Unavailable

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

_FORBIDDEN = frozenset({"not-allowed", "second-factor-needed", "email-unverified"})


def says_why(view: View[P]) -> View[P]:
    """Wrap a view: `Refused` becomes a page (403 or 400) or the way to the log-in, `Unavailable` a 503."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as error:
            return refusal(request, error)
        except Unavailable as error:
            return render(request, "web/unavailable.html", {"error": error}, status=503)

    return wrapped


def asks_again(view: View[P]) -> View[P]:
    """Wrap a view that cannot be undone or hands power to somebody: a log-in of long ago is not enough for it."""
    return cast("View[P]", reauthentication_required(view))


def refusal(request: HttpRequest, error: Refused) -> HttpResponse:
    """The page of a refusal; for a stranger who lacks a role, the log-in."""
    forbidden = error.code in _FORBIDDEN
    if forbidden and not request.user.is_authenticated and request.method in {"GET", "HEAD"}:
        return redirect_to_login(request.get_full_path())
    return render(
        request, "web/refused.html", {"error": error, "forbidden": forbidden}, status=403 if forbidden else 400
    )
