"""Every page in a real browser: three widths, light and dark, axe, the keyboard, and no noise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from support.browser import SCHEMES, WIDTHS, watched_page
from support.browser_index import INNER, LONG_NAME, Populated

pytestmark = [pytest.mark.services, pytest.mark.slow]

WHEEL = "demo-1.0-py3-none-any.whl"
PUBLIC = (
    "/",
    "/search",
    "/search?q=demo",
    "/search?q=dem0",
    "/search?q=zzz",
    "/project/demo/",
    "/project/demo/?page=2",
    "/project/demo/0.9/",
    "/project/demo/releases/",
    f"/project/{LONG_NAME}/",
    "/project/arrested/",
    "/project/past-glory/",
    "/trust/",
    "/journal/",
    "/no/such/page",
)
ACCOUNT_STRANGER = ("/account/login/", "/account/signup/", "/account/password/reset/")
OWNER = (
    "/manage/",
    "/manage/demo/",
    "/manage/demo/status",
    "/manage/demo/collaborators",
    "/manage/demo/collaborators/mary",
    "/manage/demo/releases/1.0/yank",
    "/manage/demo/releases/1.0/remove",
    f"/manage/demo/files/{WHEEL}/remove",
    "/manage/arrested/status",
    "/project/demo/6.6.6/",
    "/account/",
    "/account/events/",
    "/account/tokens/",
    "/account/tokens/new/",
    "/account/email/",
    "/account/sessions/",
    "/account/2fa/",
    "/account/2fa/totp/activate/",
    "/account/2fa/webauthn/",
)
MODERATOR = (
    "/review/",
    "/review/?show=noticed",
    "/review/?show=quarantined",
    "/review/?show=decided",
    "/review/files/HELD/",
    "/review/files/HELD/code/",
    "/review/files/HELD/code/?member=demo/__init__.py",
    f"/review/files/HELD/code/?member=demo/lib.zip!/{INNER}",
    "/review/files/HELD/code/?member=demo/lib.zip!/cut.zip!/a.py",
    "/review/files/HELD/new/",
    "/review/projects/demo/quarantine",
    "/review/projects/arrested/quarantine",
    "/journal/",
)
PAGES = [
    *((None, address) for address in (*PUBLIC, *ACCOUNT_STRANGER)),
    *(("owner", address) for address in OWNER),
    *(("moderator", address) for address in MODERATOR),
]
STATUSES = frozenset({403, 404})


def file_name(address: str, width: int, scheme: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", address.lower().replace(LONG_NAME, "long-name")).strip("-") or "home"
    return f"{words[:80]}-{width}-{scheme}.png"


@pytest.mark.parametrize(("who", "address"), PAGES, ids=[f"{who or 'stranger'} {address}" for who, address in PAGES])
def test_page_is_sound_at_every_width_and_in_both_colours(  # noqa: PLR0917  # fixtures are passed by name
    who: str | None,
    address: str,
    browser: Browser,
    live_server: LiveServer,
    populated: Populated,
    screenshots: Path,
) -> None:
    user = None if who is None else getattr(populated, who)
    target = address.replace("HELD", str(populated.held.pk))
    cookies = populated.session_of(user)
    faults: list[str] = []
    for scheme in SCHEMES:
        with watched_page(browser, live_server.url, scheme=scheme, cookies=cookies) as watched:
            watched.expected_statuses = STATUSES
            for width in WIDTHS:
                where = f"{width} {scheme}"
                watched.page.set_viewport_size({"width": width, "height": 900})
                response = watched.page.goto(target)
                assert response is not None
                assert response.status < 500
                assert re.sub(r"^https?://[^/]+", "", watched.page.url) == target
                path = screenshots / file_name(f"{who or ''} {address}", width, scheme)
                watched.page.screenshot(path=path, full_page=True)
                faults += [f"{where} sideways: {fault}" for fault in watched.overflow()]
                if width != 768:
                    faults += [f"{where} axe {fault}" for fault in watched.axe()]
                if width == 360:
                    faults += [f"{where} target: {fault}" for fault in watched.small_targets()]
                if (width, scheme) == (1280, "light"):
                    faults += [f"{where} {fault}" for fault in watched.unreached()]
            faults += watched.faults
    assert not faults, "\n".join(dict.fromkeys(faults))
