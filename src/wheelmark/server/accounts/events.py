"""Writing down what happened to an account."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from wheelmark.server.accounts.models import EventKind, SecurityEvent, User

MAX_ADDRESS_CHARS = 45
MAX_USER_AGENT_CHARS = 300


def record_event(
    user: User, kind: EventKind, *, request: HttpRequest | None = None, address: str = "", **detail: Any
) -> SecurityEvent:
    """Write one row; `detail` says what it concerned (empty values are left out) and must not hold a secret."""
    user_agent = ""
    if request is not None:
        address = address or client_address(request)
        user_agent = request.headers.get("User-Agent", "")
    return SecurityEvent.objects.create(
        user=user,
        kind=kind,
        address=address[:MAX_ADDRESS_CHARS],
        user_agent=user_agent[:MAX_USER_AGENT_CHARS],
        detail={name: value for name, value in detail.items() if value is not None and value != ""},
    )


def client_address(request: HttpRequest) -> str:
    """The IP address that the connection came from.

    Headers such as X-Forwarded-For are not read: any client can write them. A proxy in front hands the address over
    by its own means.
    """
    return str(request.META.get("REMOTE_ADDR", ""))
