"""Writing down what happened to an account."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from wheelmark.server.accounts.models import EventKind, SecurityEvent, User

MAX_ADDRESS_CHARS = 45
MAX_USER_AGENT_CHARS = 300
MAX_FORWARDED_CHARS = 1_000


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
    """The IP address that a request came from."""
    return address_behind(
        str(request.META.get("REMOTE_ADDR", "")),
        str(request.META.get("HTTP_X_FORWARDED_FOR", "")),
        trusted_proxies=settings.TRUSTED_PROXIES,
    )


def address_behind(peer: str, forwarded_for: str, *, trusted_proxies: int) -> str:
    """The address that the outermost of our own proxies was asked from.

    Any client can write an X-Forwarded-For header; each proxy only appends to it. So as many entries as there are
    proxies of ours are believed, counted from the end, and no more; what is no address is not believed at all.
    """
    seen = [part.strip() for part in forwarded_for[-MAX_FORWARDED_CHARS:].split(",") if part.strip()]
    if trusted_proxies < 1 or len(seen) < trusted_proxies:
        return peer
    try:
        return str(ipaddress.ip_address(seen[-trusted_proxies]))
    except ValueError:
        return peer
