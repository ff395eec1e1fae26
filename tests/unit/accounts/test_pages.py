"""The account pages: tokens, second factors, sessions, e-mail, password, and what every page says to the browser."""

from __future__ import annotations

import base64
import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core import mail
from django.test import Client
from django.utils import timezone

from support.accounts import PASSWORD, a_person, basic, logged_in, totp_code, with_totp
from wheelmark.errors import Refused
from wheelmark.server.accounts.models import ApiToken, EventKind, SecurityEvent, User
from wheelmark.server.accounts.tokens import authenticate, mint
from wheelmark.server.accounts.users import set_active

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_counters")]

NEW_TOKEN = {"description": "laptop", "project": "", "expires": "365"}


@pytest.fixture
def ada() -> User:
    return a_person("ada")


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """Ada's browser, logged in a moment ago."""
    return logged_in(client, ada)


def text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, (path, response.status_code)
    return html.unescape(response.content.decode())


def events(user: User, kind: EventKind) -> list[dict[str, object]]:
    return list(SecurityEvent.objects.filter(user=user, kind=kind).values_list("detail", flat=True))


def grow_old(client: Client, age: timedelta = timedelta(minutes=31)) -> None:
    """Let the last proof of identity in this session be older than half an hour."""
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= age.total_seconds()
    session.save()


# --- Tokens -----------------------------------------------------------------------------------------------------------


def token_in(page_text: str) -> str:
    found = re.search(r"wheelmark-[\w-]{80,}", page_text)
    assert found is not None, page_text
    return found.group()


def test_token_is_shown_once_with_the_lines_to_use_it_and_works(page: Client, ada: User) -> None:
    response = page.post("/account/tokens/new/", NEW_TOKEN)
    content = html.unescape(response.content.decode())
    token = token_in(content)
    assert authenticate(basic(token), now=timezone.now()).user == ada
    assert f"export UV_PUBLISH_URL=http://127.0.0.1:8000/legacy/ UV_PUBLISH_TOKEN={token}" in content
    assert f"TWINE_USERNAME=__token__ TWINE_PASSWORD={token}" in content
    pypirc = [
        "[wheelmark]",
        "repository = http://127.0.0.1:8000/legacy/",
        "username = __token__",
        f"password = {token}",
    ]
    assert "\n".join(pypirc) in content
    assert "no-store" in response["Cache-Control"]
    for path in ("/account/tokens/", "/account/", "/account/events/"):
        assert token not in text(page, path)
    assert "laptop" in text(page, "/account/tokens/")


def test_token_expires_after_a_year_unless_asked_otherwise(page: Client) -> None:
    assert '<option value="365" selected>' in page.get("/account/tokens/new/").content.decode()
    page.post("/account/tokens/new/", NEW_TOKEN)
    page.post("/account/tokens/new/", {**NEW_TOKEN, "description": "for ever", "expires": ""})
    for_ever, for_a_year = ApiToken.objects.order_by("description")
    assert for_ever.expires_at is None
    assert for_a_year.expires_at == for_a_year.created_at + timedelta(days=365)


def test_token_for_one_project(page: Client) -> None:
    content = page.post("/account/tokens/new/", {**NEW_TOKEN, "project": "My.Project"}).content.decode()
    assert authenticate(basic(token_in(content)), now=timezone.now()).projects == frozenset({"my-project"})
    assert "<code>my-project</code> only" in content


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"description": " "}, "This field is required"),
        ({"project": "-"}, "expected a project's name, got '-'"),
        ({"expires": "7"}, "not one of the available choices"),
    ],
)
def test_token_with_a_fault_is_not_created_and_the_form_says_why(
    page: Client, change: dict[str, str], expected: str
) -> None:
    response = page.post("/account/tokens/new/", {**NEW_TOKEN, **change})
    assert response.status_code == 400
    assert expected in html.unescape(response.content.decode())
    assert not ApiToken.objects.exists()


def test_creating_a_token_is_told_by_mail_and_in_the_events_without_the_token(page: Client, ada: User) -> None:
    token = token_in(page.post("/account/tokens/new/", NEW_TOKEN).content.decode())
    assert [message.subject for message in mail.outbox] == ["An upload token was created at 127.0.0.1:8000"]
    assert "laptop" in str(mail.outbox[0].body)
    assert token not in str(mail.outbox[0].body)
    assert events(ada, EventKind.TOKEN_CREATED)[0]["description"] == "laptop"


def test_token_needs_a_proof_of_identity_that_is_not_older_than_half_an_hour(page: Client) -> None:
    grow_old(page)
    assert page.post("/account/tokens/new/", NEW_TOKEN)["Location"].startswith("/account/reauthenticate/")
    assert not ApiToken.objects.exists()
    assert "Is it you?" in text(page, "/account/reauthenticate/")
    page.post("/account/reauthenticate/", {"password": PASSWORD})
    assert page.post("/account/tokens/new/", NEW_TOKEN).status_code == 200
    assert ApiToken.objects.count() == 1


def test_wrong_password_confirms_nothing(page: Client) -> None:
    grow_old(page)
    page.post("/account/tokens/new/", NEW_TOKEN)
    page.post("/account/reauthenticate/", {"password": "wrong"})
    assert page.post("/account/tokens/new/", NEW_TOKEN).status_code == 302
    assert not ApiToken.objects.exists()


def test_creating_tokens_has_its_rate(page: Client) -> None:
    answers = [page.post("/account/tokens/new/", NEW_TOKEN).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]


def test_revoking_has_a_page_that_says_what_it_means_and_ends_the_token(page: Client, ada: User) -> None:
    row, token = mint(ada, description="laptop", now=timezone.now())
    path = f"/account/tokens/{row.pk}/revoke/"
    assert "refused at once" in text(page, path)
    assert authenticate(basic(token), now=timezone.now()).user == ada, "looking at the page revokes nothing"
    assert page.post(path)["Location"] == "/account/tokens/"
    with pytest.raises(Refused, match="revoked"):
        authenticate(basic(token), now=timezone.now())
    assert "revoked" in text(page, "/account/tokens/")
    assert events(ada, EventKind.TOKEN_REVOKED)[0]["description"] == "laptop"


def test_nobody_revokes_or_sees_a_token_of_another(page: Client) -> None:
    row, _ = mint(a_person("ben"), description="bens secret place", now=timezone.now())
    path = f"/account/tokens/{row.pk}/revoke/"
    assert page.get(path).status_code == 404
    assert page.post(path).status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None
    assert "bens secret place" not in text(page, "/account/tokens/")


def test_description_of_a_token_is_text_and_never_markup(page: Client) -> None:
    page.post("/account/tokens/new/", {**NEW_TOKEN, "description": "<b>x</b>"})
    assert "<b>x</b>" not in page.get("/account/tokens/").content.decode()
    assert page.post("/account/tokens/new/", {**NEW_TOKEN, "description": "abc\u202egpj"}).status_code == 400


def test_last_use_is_shown(page: Client, ada: User) -> None:
    _, token = mint(ada, description="laptop", now=timezone.now())
    assert "never" in text(page, "/account/tokens/")
    authenticate(basic(token), now=timezone.now(), address="192.0.2.7")
    assert "192.0.2.7" in text(page, "/account/tokens/")


# --- Second factors ---------------------------------------------------------------------------------------------------


def activate_totp(client: Client) -> str:
    content = text(client, "/account/2fa/totp/activate/")
    secret = re.search(r"<dt>Secret</dt><dd><code>([A-Z2-7]+)</code>", content)
    assert secret is not None
    response = client.post("/account/2fa/totp/activate/", {"code": totp_code(secret.group(1))})
    assert response["Location"] == "/account/2fa/recovery-codes/"
    return secret.group(1)


@pytest.mark.django_db(transaction=True)  # allauth tells of it once it is committed
def test_authenticator_app_is_added_with_a_picture_that_needs_no_script(page: Client, ada: User) -> None:
    content = text(page, "/account/2fa/totp/activate/")
    picture = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', content)
    assert picture is not None
    drawing = base64.b64decode(picture.group(1)).decode()
    assert 'fill="white"' in drawing
    activate_totp(page)
    assert Authenticator.objects.filter(user=ada, type=Authenticator.Type.TOTP).exists()
    assert {"type": "authenticator app"} in events(ada, EventKind.FACTOR_ADDED)
    assert len(events(ada, EventKind.RECOVERY_CODES_MADE)) == 1
    assert "Authenticator App Activated" in [message.subject for message in mail.outbox]
    assert "does not open this account" in text(page, "/account/2fa/")


def test_wrong_code_adds_no_app(page: Client) -> None:
    text(page, "/account/2fa/totp/activate/")
    page.post("/account/2fa/totp/activate/", {"code": "000000"})
    assert not Authenticator.objects.exists()


def codes_on(page_text: str) -> list[str]:
    return re.findall(r"<li><code>(\d{12})</code></li>", page_text)


def test_recovery_codes_are_shown_once_and_each_opens_once(page: Client) -> None:
    activate_totp(page)
    codes = codes_on(text(page, "/account/2fa/recovery-codes/"))
    assert len(set(codes)) == 8
    assert codes_on(text(page, "/account/2fa/recovery-codes/")) == []
    assert page.get("/account/2fa/recovery-codes/download/").status_code == 403
    for code, works in ((codes[0], True), (codes[0], False), (codes[1], True)):
        page.post("/account/logout/")
        page.post("/account/login/", {"login": "ada", "password": PASSWORD})
        page.post("/account/2fa/authenticate/", {"code": code})
        assert (page.get("/account/").status_code == 200) is works
    assert "6 of your recovery codes are left" in text(page, "/account/2fa/")


def test_used_recovery_code_is_an_event(page: Client, ada: User) -> None:
    activate_totp(page)
    code = codes_on(text(page, "/account/2fa/recovery-codes/"))[0]
    page.post("/account/logout/")
    page.post("/account/login/", {"login": "ada", "password": PASSWORD})
    page.post("/account/2fa/authenticate/", {"code": code})
    assert len(events(ada, EventKind.RECOVERY_CODE_USED)) == 1


def test_new_recovery_codes_end_the_old_ones(page: Client) -> None:
    activate_totp(page)
    old = codes_on(text(page, "/account/2fa/recovery-codes/"))[0]
    assert "stop working" in text(page, "/account/2fa/recovery-codes/generate/")
    page.post("/account/2fa/recovery-codes/generate/")
    assert old not in codes_on(text(page, "/account/2fa/recovery-codes/"))
    page.post("/account/logout/")
    page.post("/account/login/", {"login": "ada", "password": PASSWORD})
    page.post("/account/2fa/authenticate/", {"code": old})
    assert page.get("/account/").status_code == 302


def test_app_is_removed_on_a_page_that_says_what_follows(page: Client, ada: User) -> None:
    activate_totp(page)
    assert "the password alone opens the account" in text(page, "/account/2fa/totp/deactivate/")
    page.post("/account/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=ada).exists()
    assert len(events(ada, EventKind.FACTOR_REMOVED)) == 1


@pytest.mark.parametrize(
    "path",
    ["/account/2fa/totp/activate/", "/account/2fa/webauthn/add/", "/account/tokens/new/"],
)
def test_changing_what_opens_the_account_needs_a_fresh_proof(page: Client, path: str) -> None:
    grow_old(page)
    assert page.get(path)["Location"].startswith("/account/reauthenticate/")


def test_second_factor_is_not_removed_without_a_fresh_proof(page: Client, ada: User) -> None:
    with_totp(ada)
    grow_old(page)
    response = page.post("/account/2fa/totp/deactivate/")
    assert "reauthenticate" in response["Location"]
    assert Authenticator.objects.filter(user=ada).exists()


def test_security_key_page_loads_its_scripts_from_files(page: Client) -> None:
    content = text(page, "/account/2fa/webauthn/add/")
    assert "mfa/js/webauthn.js" in content
    assert "need JavaScript" in content
    assert '"rp": {"name": "127.0.0.1:8000", "id": "testserver"}' in content


# --- Sessions ---------------------------------------------------------------------------------------------------------


def another_browser(user: User, address: str = "192.0.2.5") -> Client:
    return logged_in(Client(REMOTE_ADDR=address, headers={"user-agent": "Another/1.0"}), user)


def test_session_ended_elsewhere_stops_at_once(page: Client, ada: User) -> None:
    other = another_browser(ada)
    assert "logged in at 2 places" in text(page, "/account/sessions/")
    assert "Another/1.0" in text(page, "/account/sessions/")
    session = UserSession.objects.get(ip="192.0.2.5")
    page.post(f"/account/sessions/{session.pk}/end/")
    assert other.get("/account/").status_code == 302
    assert page.get("/account/").status_code == 200
    assert {"ip": "192.0.2.5"} in events(ada, EventKind.SESSION_ENDED)


def test_all_other_sessions_end_together(page: Client, ada: User) -> None:
    others = [another_browser(ada, f"192.0.2.{number}") for number in (5, 6)]
    page.post("/account/sessions/")
    assert [other.get("/account/").status_code for other in others] == [302, 302]
    assert page.get("/account/").status_code == 200


def test_nobody_ends_a_session_of_another(page: Client) -> None:
    ben = a_person("ben")
    other = another_browser(ben)
    session = UserSession.objects.get(user=ben)
    assert page.post(f"/account/sessions/{session.pk}/end/").status_code == 404
    assert other.get("/account/").status_code == 200


def test_last_sight_of_a_session_is_noted_to_the_minute_and_at_once_from_a_new_address(page: Client) -> None:
    def seen() -> tuple[datetime, str]:
        row = UserSession.objects.get()
        return row.last_seen_at, row.ip

    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(seconds=50))
    first = seen()
    page.get("/account/")
    assert seen() == first
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(seconds=61))
    page.get("/account/")
    second = seen()
    assert second[0] > first[0]
    page.get("/account/", REMOTE_ADDR="192.0.2.9")
    assert seen()[1] == "192.0.2.9"


def test_ending_a_session_needs_a_post(page: Client, ada: User) -> None:
    another_browser(ada)
    session = UserSession.objects.get(ip="192.0.2.5")
    assert page.get(f"/account/sessions/{session.pk}/end/").status_code == 405
    assert UserSession.objects.filter(pk=session.pk).exists()


def test_password_change_ends_the_other_sessions_and_keeps_this_one_and_the_tokens(page: Client, ada: User) -> None:
    other = another_browser(ada)
    _, token = mint(ada, description="ci", now=timezone.now())
    new = {"oldpassword": PASSWORD, "password1": "eleven-quiet-otters", "password2": "eleven-quiet-otters"}
    page.post("/account/password/change/", new)
    assert other.get("/account/").status_code == 302
    assert page.get("/account/").status_code == 200
    assert authenticate(basic(token), now=timezone.now()).user == ada
    assert len(events(ada, EventKind.PASSWORD_CHANGED)) == 1
    assert any("password" in message.subject.lower() for message in mail.outbox)


def test_disabling_a_user_ends_sessions_and_tokens_at_once(page: Client, ada: User) -> None:
    _, token = mint(ada, description="ci", now=timezone.now())
    set_active(ada, active=False, by="operator")
    assert page.get("/account/").status_code == 302
    with pytest.raises(Refused, match="disabled user"):
        authenticate(basic(token), now=timezone.now())
    set_active(ada, active=True, by="operator")
    assert page.get("/account/").status_code == 302, "sessions do not come back"


# --- E-mail addresses -------------------------------------------------------------------------------------------------


def test_address_is_added_confirmed_and_made_primary(page: Client, ada: User) -> None:
    page.post("/account/email/", {"action_add": "", "email": "new@example.org"})
    page.post("/account/email/", {"action_primary": "", "email": "new@example.org"})
    assert EmailAddress.objects.get_primary_email(ada) == "ada@example.org", "an unconfirmed one is never primary"
    confirmation = next(message for message in mail.outbox if "Confirm" in message.subject)
    link = re.search(r"http://127\.0\.0\.1:8000(/account/confirm-email/\S+)", str(confirmation.body))
    assert link is not None
    page.post(link.group(1))
    page.post("/account/email/", {"action_primary": "", "email": "new@example.org"})
    assert EmailAddress.objects.get_primary_email(ada) == "new@example.org"
    kinds = set(SecurityEvent.objects.filter(user=ada).values_list("kind", flat=True))
    assert {EventKind.EMAIL_ADDED, EventKind.EMAIL_CONFIRMED, EventKind.EMAIL_CHANGED} <= kinds


def test_address_is_not_added_without_a_fresh_proof(page: Client) -> None:
    grow_old(page)
    page.post("/account/email/", {"action_add": "", "email": "new@example.org"})
    assert not EmailAddress.objects.filter(email="new@example.org").exists()


# --- Every page -------------------------------------------------------------------------------------------------------

PAGES = [
    "/account/",
    "/account/events/",
    "/account/tokens/",
    "/account/tokens/new/",
    "/account/2fa/",
    "/account/2fa/totp/activate/",
    "/account/2fa/webauthn/",
    "/account/2fa/webauthn/add/",
    "/account/sessions/",
    "/account/email/",
    "/account/password/change/",
    "/account/logout/",
    "/account/reauthenticate/",
    "/account/confirm-email/",
    "/account/inactive/",
]
STRANGERS_PAGES = ["/account/login/", "/account/signup/", "/account/password/reset/", "/account/password/reset/done/"]


def assert_in_our_form(content: str) -> None:
    """One main heading, our own template, nothing inline: the strict content policy would stop it."""
    assert content.count("<h1") == 1
    assert '<main id="content"' in content
    assert "<style" not in content
    assert " style=" not in content
    assert not re.search(r"\son\w+=", content)
    for script in re.findall(r"<script[^>]*>", content):
        assert "src=" in script or 'type="application/json"' in script, script
    assert len(content) < 100_000


@pytest.mark.parametrize("path", PAGES)
def test_page_of_a_user(page: Client, path: str) -> None:
    content = page.get(path).content.decode()
    assert_in_our_form(content)


@pytest.mark.parametrize("path", STRANGERS_PAGES)
def test_page_of_a_stranger(client: Client, path: str) -> None:
    assert_in_our_form(client.get(path).content.decode())


@pytest.mark.parametrize("path", ["/account/login/", "/account/"])
def test_headers_forbid_what_pages_do_not_need(page: Client, path: str) -> None:
    for response in (page.get(path), Client().get("/account/login/")):
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "same-origin"
        assert "camera=()" in response["Permissions-Policy"]
    assert "no-store" in page.get("/account/")["Cache-Control"]


def test_cookies_are_kept_from_scripts_and_other_sites(client: Client, ada: User) -> None:
    client.get("/account/login/")
    logged_in(client, ada)
    for name in ("sessionid", "csrftoken"):
        cookie = client.cookies[name]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


def test_form_from_another_site_changes_nothing(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    row, _ = mint(ada, description="laptop", now=timezone.now())
    assert strict.post(f"/account/tokens/{row.pk}/revoke/").status_code == 403
    assert strict.post("/account/logout/").status_code == 403
    row.refresh_from_db()
    assert row.revoked_at is None


def test_overview_says_what_is_true_and_then_what_to_do(page: Client, ada: User) -> None:
    assert "Only a password protects this account" in text(page, "/account/")
    old = datetime(2025, 1, 1, tzinfo=UTC)
    mint(ada, description="forgotten", now=old)
    content = text(page, "/account/")
    assert "1 token unused for half a year could still upload" in content
    activate_totp(page)
    assert "A second factor protects this account" in text(page, "/account/")


def test_events_are_paginated_and_ones_own(page: Client, ada: User) -> None:
    ben = a_person("ben")
    SecurityEvent.objects.create(user=ben, kind=EventKind.TOKEN_CREATED, detail={"description": "bens"})
    SecurityEvent.objects.bulk_create(
        [SecurityEvent(user=ada, kind=EventKind.LOGIN_FAILED, address="192.0.2.1") for _ in range(120)]
    )
    assert "Page 1 of 3" in text(page, "/account/events/")
    assert "bens" not in text(page, "/account/events/")
    assert "Page 3 of 3" in text(page, "/account/events/?page=99")
