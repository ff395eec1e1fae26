"""No view is without a gate: each asks `require`, or shows a user their own, or stands here with its reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest
from django.contrib.auth import decorators
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from support.accounts import PASSWORD, a_person, with_totp
from wheelmark.server.accounts import permissions
from wheelmark.server.accounts.models import ApiToken

OURS = "wheelmark.server."

PUBLIC = {
    "wheelmark.server.web.views.home": "what the index is: for everybody",
    "wheelmark.server.web.views.search": "finds what the last snapshot lists",
    "wheelmark.server.web.views.appearance": "sets a cookie about light and dark",
    "wheelmark.server.web.views.trust": "the state of the signed metadata: for everybody",
    "wheelmark.server.web.views.journal": "shows what the last snapshot has made public",
}

OWN = {
    "wheelmark.server.web.manage.overview": ("/manage/", "lists the projects that one works on oneself"),
}
"""Views that show somebody their own things, and refuse a stranger by other means than `login_required`."""


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from patterns(entry, prefix + str(entry.pattern))
        else:
            yield prefix + str(entry.pattern), entry


ALL = list(patterns(get_resolver()))


def wrappers(view: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The view and all that it wraps, outermost first."""
    yield view
    while (inner := getattr(view, "__wrapped__", None)) is not None:
        view = inner
        yield view


def names_in(code: CodeType) -> set[str]:
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*(names_in(const) for const in inner))


def reaches_gate(function: Callable[..., Any], seen: set[Callable[..., Any]] | None = None) -> bool:
    """Whether a function calls `require`, itself or through other functions of the server."""
    seen = set() if seen is None else seen
    function = inspect.unwrap(function)
    if function in seen or not isinstance(function, FunctionType):
        return False
    seen.add(function)
    for name in names_in(function.__code__):
        target: object = function.__globals__.get(name)
        if target is permissions.require:
            return True
        if isinstance(target, FunctionType) and target.__module__.startswith(OURS) and reaches_gate(target, seen):
            return True
    return False


def is_for_users_only(view: Callable[..., Any]) -> bool:
    """Whether one of the wrappers is Django's `login_required`."""
    return any(
        step.__code__.co_filename == decorators.__file__ for step in wrappers(view) if isinstance(step, FunctionType)
    )


def own_views() -> list[tuple[str, Callable[..., Any]]]:
    found = {}
    for address, pattern in ALL:
        module = inspect.unwrap(pattern.callback).__module__
        if module.startswith(OURS):
            found[f"{module}.{pattern.callback.__name__}"] = (address, pattern.callback)
    return [(name, view) for name, (_, view) in sorted(found.items())]


@pytest.mark.parametrize(("name", "view"), own_views(), ids=[name for name, _ in own_views()])
def test_view_has_a_gate(name: str, view: Callable[..., Any]) -> None:
    excused = name in PUBLIC or name in OWN
    gated = is_for_users_only(view) or reaches_gate(view)
    assert excused or gated, f"{name} asks nobody: call require, or say why here"


def test_exceptions_are_still_there() -> None:
    assert set(PUBLIC) | set(OWN) <= {name for name, _ in own_views()}


@pytest.mark.django_db
@pytest.mark.parametrize("address", [address for address, _ in OWN.values()])
def test_page_of_ones_own_things_sends_a_stranger_to_the_log_in(client: Client, address: str) -> None:
    assert client.get(address)["Location"].startswith("/account/login/")


def test_gate_finder_finds_a_missing_gate() -> None:
    def open_door(request: HttpRequest) -> HttpResponse:
        return HttpResponse(ApiToken.objects.all())

    assert not reaches_gate(open_door)
    assert not is_for_users_only(open_door)
    assert is_for_users_only(decorators.login_required(open_door))


STRANGERS = {
    "account/login/",
    "account/logout/",
    "account/inactive/",
    "account/signup/",
    "account/reauthenticate/",
    "account/confirm-email/",
    "account/password/reset/",
    "account/password/reset/done/",
    "account/password/reset/key/done/",
    "account/2fa/webauthn/login/",
}
"""Pages about an account that somebody who is not logged in needs. `reauthenticate/` sends them to the log-in."""

ACCOUNT_PAGES = sorted(
    address for address, _ in ALL if address.startswith("account/") and "<" not in address and "^" not in address
)


@pytest.mark.django_db
@pytest.mark.parametrize("address", [address for address in ACCOUNT_PAGES if address not in STRANGERS])
@pytest.mark.parametrize("method", ["get", "post"])
def test_stranger_is_sent_to_the_log_in(client: Client, address: str, method: str) -> None:
    response = getattr(client, method)(f"/{address}")
    wrong_method = response.status_code == 405
    assert wrong_method or (response.status_code == 302 and response["Location"].startswith("/account/login/"))


@pytest.mark.django_db
def test_half_a_log_in_opens_nothing(client: Client) -> None:
    """The password alone, of a user with a second factor."""
    with_totp(a_person("ada"))
    client.post("/account/login/", {"login": "ada", "password": PASSWORD})
    for address in ACCOUNT_PAGES:
        if address in STRANGERS or address == "account/2fa/authenticate/":
            continue
        assert client.get(f"/{address}").status_code in {302, 405}, address
