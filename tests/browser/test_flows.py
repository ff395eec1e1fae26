"""What people do, from end to end, in a real browser: with a passkey, with a telephone, without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from support.accounts import PASSWORD, a_person
from support.browser import watched_page
from support.browser_index import Populated
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState

pytestmark = [pytest.mark.services, pytest.mark.slow]


def log_in(page: Page, name: str) -> None:
    page.goto("/account/login/")
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def plug_in_a_key(page: Page) -> None:
    """An authenticator that lives in the browser and whose owner always agrees."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def test_passkey_is_registered_and_then_opens_the_account_alone(
    browser: Browser, live_server: LiveServer, populated: Populated
) -> None:
    a_person("grace")
    with watched_page(browser, live_server.url) as watched:
        page = watched.page
        plug_in_a_key(page)
        log_in(page, "grace")
        page.goto("/account/2fa/webauthn/add/")
        page.get_by_label("Passwordless").check()
        page.get_by_role("button", name="Add it").click()
        page.wait_for_url(lambda url: "/webauthn/add/" not in url)
        page.goto("/account/2fa/webauthn/")
        expect(page.locator("main table")).to_contain_text("passkey")
        page.context.clear_cookies()
        page.goto("/account/login/")
        page.get_by_role("button", name="Log in with a passkey").click()
        page.wait_for_url("**/account/")
        expect(page.locator("header")).to_contain_text("Account")
        assert not watched.faults


def test_moderator_decides_on_a_telephone_and_takes_it_back(
    browser: Browser, live_server: LiveServer, populated: Populated
) -> None:
    cookies = populated.session_of(populated.moderator)
    with watched_page(browser, live_server.url, width=360, cookies=cookies) as watched:
        page = watched.page
        page.goto("/review/")
        page.get_by_role("link", name=populated.held.filename).click()
        page.get_by_label("Reason").fill("steals tokens")
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("status")).to_contain_text("Rejected")
        assert File.objects.get(pk=populated.held.pk).state == FileState.REJECTED
        page.get_by_label("Reason").fill("too hasty")
        page.get_by_role("button", name="Put back to held").click()
        expect(page.get_by_role("status")).to_contain_text("Held")
        assert File.objects.get(pk=populated.held.pk).state == FileState.HELD
        assert not watched.overflow()
        assert not watched.faults


def test_everything_works_without_javascript(browser: Browser, live_server: LiveServer, populated: Populated) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    context.add_cookies(
        [{"name": n, "value": v, "url": live_server.url} for n, v in populated.session_of(populated.owner).items()]
    )
    page = context.new_page()
    page.goto("/project/demo/0.9/")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("button", name="dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page).to_have_url(f"{live_server.url}/project/demo/0.9/")
    page.get_by_label("Search projects").fill("demo")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="demo", exact=True).click()
    page.get_by_role("link", name="Manage this project").click()
    page.get_by_role("link", name="take yank back").click()
    page.get_by_role("button", name="Take the yank back").click()
    expect(page.get_by_role("status")).to_contain_text("is taken back")
    context.close()


def test_copy_button_copies_the_command(browser: Browser, live_server: LiveServer, populated: Populated) -> None:
    with watched_page(browser, live_server.url) as watched:
        page = watched.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto("/project/demo/")
        page.locator("#install + .command button").click()
        expect(page.locator("#install + .command button")).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == "wheelmark pip --index http://127.0.0.1:8000/simple/ install demo"
        assert not watched.faults


def test_chosen_colours_win_over_those_of_the_system(
    browser: Browser, live_server: LiveServer, populated: Populated
) -> None:
    def paper(scheme: str, cookie: str | None) -> str:
        cookies = {"wheelmark_theme": cookie} if cookie else {}
        with watched_page(browser, live_server.url, scheme=scheme, cookies=cookies) as watched:
            watched.page.goto("/")
            return str(watched.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    light, dark = paper("light", None), paper("dark", None)
    assert light != dark
    assert paper("dark", "light") == light
    assert paper("light", "dark") == dark


def test_printed_page_is_without_controls(browser: Browser, live_server: LiveServer, populated: Populated) -> None:
    with watched_page(browser, live_server.url, scheme="dark") as watched:
        watched.page.goto("/project/demo/0.9/")
        watched.page.emulate_media(media="print")
        for selector in ("header form", "header nav", "footer", "button"):
            assert watched.page.locator(selector).first.is_hidden()
        assert watched.page.locator("h1").is_visible()
        assert watched.page.evaluate("getComputedStyle(document.body).colorScheme") == "light"
