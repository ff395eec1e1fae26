"""What every page says to the browser about itself, and when a session was last seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from wheelmark.errors import Unavailable
from wheelmark.server.accounts.events import client_address

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # data: for the drawing of a second factor's secret, which must not have an address of its own.
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ]
)
"""Nothing inline, nothing from elsewhere: what an uploader writes into a description can start nothing."""

PERMISSIONS_POLICY = ", ".join(
    [
        "camera=()",
        "geolocation=()",
        "microphone=()",
        "payment=()",
        "usb=()",
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
    ]
)

SEEN_EVERY = timedelta(minutes=1)


class PageHeaders:
    """Adds the policies, and keeps pages that were made for somebody out of caches."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with headers that a view may have set otherwise already."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A page for what is away at the moment: allauth's views do not know our errors."""
        if isinstance(error, Unavailable):
            return render(request, "web/unavailable.html", {"error": error}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        return None


class SessionActivity:
    """Notes when a session was last seen, to the minute.

    Allauth's own middleware writes at every request; a page view should not have to wait for the database's one
    writer just to say that somebody is still there.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, after noting a session that was not seen for a minute, or not from this address."""
        if request.user.is_authenticated and request.session.session_key:
            recent = UserSession.objects.filter(
                session_key=request.session.session_key,
                ip=client_address(request),
                last_seen_at__gt=timezone.now() - SEEN_EVERY,
            )
            if not recent.exists():
                UserSession.objects.create_from_request(request)
        return self.get_response(request)
