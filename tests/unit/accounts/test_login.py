"""Signing up, logging in and out, with passwords and second factors, as a browser without JavaScript does it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from support.accounts import PASSWORD, a_person, logged_in, totp_code, with_totp
from wheelmark.server.accounts.models import EventKind, SecurityEvent, User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_counters")]


@pytest.fixture
def mail_is_sent(settings: Settings) -> None:
    """An index with a mail server, as `accounts.settings` sets one up."""
    settings.CONFIG = replace(django_settings.CONFIG, email="smtp://mail.example")
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.MFA_ALLOW_UNVERIFIED_EMAIL = False


def kinds(user: User) -> list[str]:
    return list(SecurityEvent.objects.filter(user=user).values_list("kind", flat=True))


def links_in_mail() -> list[str]:
    return [link for message in mail.outbox for link in re.findall(r"http\S+", str(message.body))]


SIGN_UP = {"username": "Ada", "email": "ada@example.org", "password1": PASSWORD, "password2": PASSWORD}


def test_sign_up_makes_a_user_with_a_lower_case_name_who_is_logged_in(client: Client) -> None:
    response = client.post("/account/signup/", SIGN_UP)
    assert response.status_code == 302
    user = User.objects.get(username="ada")
    assert client.get("/account/").status_code == 200
    assert not (user.is_moderator or user.is_administrator or user.is_superuser)
    assert user.password.startswith("argon2")
    assert {EventKind.SIGNED_UP, EventKind.LOGGED_IN} <= set(kinds(user))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"username": "index"}, "kept for the index itself"),
        ({"username": "__token__"}, "expected letters, digits"),
        ({"username": "-x"}, "expected letters, digits"),
        ({"username": "a b"}, "expected letters, digits"),
        ({"username": "аda"}, "expected letters, digits"),  # a Cyrillic letter that looks like an a
        ({"email": "nowhere"}, "valid email address"),
        ({"password1": "short", "password2": "short"}, "at least 12 characters"),
        ({"password1": "Password123456!", "password2": "Password123456!"}, "common password made longer"),
        ({"password1": "ada@example.org", "password2": "ada@example.org"}, "too similar"),
        ({"password1": "x" * 300, "password2": "x" * 300}, "at most 256 characters"),
    ],
)
def test_sign_up_with_a_fault_says_which_and_makes_nobody(client: Client, change: dict[str, str], text: str) -> None:
    response = client.post("/account/signup/", {**SIGN_UP, **change})
    assert response.status_code == 200
    assert text in response.content.decode()
    assert not User.objects.exists()


def test_sign_up_can_be_closed(client: Client, settings: Settings) -> None:
    settings.CONFIG = replace(django_settings.CONFIG, sign_up=False)
    assert "Ask its operator" in client.get("/account/signup/").content.decode()
    client.post("/account/signup/", SIGN_UP)
    assert not User.objects.exists()


def test_sign_up_with_a_taken_address_tells_its_owner_and_not_the_stranger(client: Client, mail_is_sent: None) -> None:
    a_person("ada")
    response = client.post("/account/signup/", {**SIGN_UP, "username": "eve"})
    assert response["Location"] == "/account/confirm-email/"
    assert not User.objects.filter(username="eve").exists()
    assert "already" in mail.outbox[0].subject
    assert links_in_mail()[0].startswith("http://127.0.0.1:8000/account/password/reset/")


def test_address_is_confirmed_before_the_first_log_in_where_mail_is_sent(client: Client, mail_is_sent: None) -> None:
    response = client.post("/account/signup/", SIGN_UP)
    assert response["Location"] == "/account/confirm-email/"
    assert client.get("/account/").status_code == 302
    assert (
        client.post("/account/login/", {"login": "ada", "password": PASSWORD})["Location"] == "/account/confirm-email/"
    )
    link = next(link for link in links_in_mail() if "confirm-email" in link)
    assert link.startswith("http://127.0.0.1:8000/account/confirm-email/")
    path = link.removeprefix("http://127.0.0.1:8000")
    assert "Is this address yours?" in client.get(path).content.decode()
    assert not EmailAddress.objects.get().verified, "looking at the page confirms nothing: mail scanners look too"
    client.post(path)
    assert EmailAddress.objects.get().verified
    logged_in(client, User.objects.get())


def test_link_in_a_mail_never_leads_where_the_host_header_says(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    a_person("ada")
    client.post("/account/password/reset/", {"email": "ada@example.org"}, headers={"host": "evil.example"})
    assert "evil.example" not in str(mail.outbox[0].body)
    assert links_in_mail()[0].startswith("http://127.0.0.1:8000/account/password/reset/key/")


def test_account_that_never_had_an_address_can_log_in_where_mail_is_sent(client: Client, mail_is_sent: None) -> None:
    user = a_person("admin")
    EmailAddress.objects.all().delete()
    User.objects.update(email="")
    logged_in(client, user)


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org"])
def test_log_in_by_name_or_address(client: Client, name: str) -> None:
    user = a_person("ada")
    assert client.post("/account/login/", {"login": name, "password": PASSWORD})["Location"] == "/account/"
    assert kinds(user) == [EventKind.LOGGED_IN]


def test_wrong_password_is_noted_and_tells_nothing_about_who_exists(client: Client) -> None:
    user = a_person("ada")
    answers = []
    for name in ("ada", "nobody"):
        content = client.post("/account/login/", {"login": name, "password": "wrong"}).content.decode()
        answers.append(re.sub(r'value="[^"]*"', "", content))
    assert answers[0] == answers[1]
    event = SecurityEvent.objects.get(user=user)
    assert (event.kind, event.address, event.detail) == (EventKind.LOGIN_FAILED, "127.0.0.1", {"method": "password"})


def test_guessing_is_stopped_even_for_the_right_password_and_from_other_addresses(client: Client) -> None:
    a_person("ada")
    for number in range(10):
        client.post("/account/login/", {"login": "ada", "password": "wrong"}, REMOTE_ADDR=f"192.0.2.{number}")
    response = client.post("/account/login/", {"login": "ada", "password": PASSWORD}, REMOTE_ADDR="192.0.2.99")
    assert response.status_code == 200
    assert "Too many failed login attempts" in response.content.decode()
    assert client.get("/account/").status_code == 302


def test_address_of_the_client_is_not_what_it_says_in_a_header(client: Client) -> None:
    user = a_person("ada")
    client.post("/account/login/", {"login": "ada", "password": "wrong"}, headers={"x-forwarded-for": "203.0.113.9"})
    assert SecurityEvent.objects.get(user=user).address == "127.0.0.1"


def test_disabled_user_cannot_log_in(client: Client) -> None:
    user = a_person("ada")
    user.is_active = False
    user.save()
    client.post("/account/login/", {"login": "ada", "password": PASSWORD})
    assert client.get("/account/").status_code == 302


def test_log_out_needs_a_post_and_ends_the_session(client: Client) -> None:
    user = a_person("ada")
    logged_in(client, user)
    assert client.get("/account/logout/").status_code == 200
    assert client.get("/account/").status_code == 200
    client.post("/account/logout/")
    assert client.get("/account/").status_code == 302
    assert not Session.objects.exists()
    assert EventKind.SESSION_ENDED in kinds(user)


def test_page_to_return_to_after_the_log_in_is_never_elsewhere(client: Client) -> None:
    a_person("ada")
    form = {"login": "ada", "password": PASSWORD}
    assert client.post("/account/login/", {**form, "next": "/account/tokens/"})["Location"] == "/account/tokens/"
    client.post("/account/logout/")
    assert client.post("/account/login/", {**form, "next": "https://evil.example/"})["Location"] == "/account/"


# --- Second factor ----------------------------------------------------------------------------------------------------


def test_second_factor_is_asked_for_after_the_password_and_before_anything_else(client: Client) -> None:
    user = a_person("ada")
    secret = with_totp(user)
    client.post("/account/login/", {"login": "ada", "password": PASSWORD})
    assert client.get("/account/").status_code == 302
    client.post("/account/2fa/authenticate/", {"code": "000000"})
    assert client.get("/account/").status_code == 302
    assert client.post("/account/2fa/authenticate/", {"code": totp_code(secret)})["Location"] == "/account/"
    assert client.get("/account/").status_code == 200
    assert kinds(user) == [EventKind.LOGGED_IN, EventKind.LOGIN_FAILED]
    assert SecurityEvent.objects.get(user=user, kind=EventKind.LOGGED_IN).detail == {"method": "password, totp"}


def test_code_is_good_once(client: Client) -> None:
    user = a_person("ada")
    secret = with_totp(user)
    code = totp_code(secret)
    for works in (True, False):
        client.post("/account/login/", {"login": "ada", "password": PASSWORD})
        client.post("/account/2fa/authenticate/", {"code": code})
        assert (client.get("/account/").status_code == 200) is works
        client.post("/account/logout/")


def test_code_of_the_step_before_is_accepted_and_older_ones_are_not(client: Client) -> None:
    for steps, works in ((-1, True), (-3, False)):
        user = a_person(f"user{-steps}")
        secret = with_totp(user)
        client.post("/account/login/", {"login": user.username, "password": PASSWORD})
        client.post("/account/2fa/authenticate/", {"code": totp_code(secret, steps=steps)})
        assert (client.get("/account/").status_code == 200) is works
        client.post("/account/logout/")


def test_guessing_codes_is_stopped(client: Client) -> None:
    user = a_person("ada")
    secret = with_totp(user)
    client.post("/account/login/", {"login": "ada", "password": PASSWORD})
    for _ in range(10):
        client.post("/account/2fa/authenticate/", {"code": "000000"})
    client.post("/account/2fa/authenticate/", {"code": totp_code(secret)})
    assert client.get("/account/").status_code == 302


def test_password_reset_does_not_lead_around_the_second_factor(client: Client) -> None:
    user = a_person("ada")
    with_totp(user)
    client.post("/account/password/reset/", {"email": "ada@example.org"})
    path = links_in_mail()[0].removeprefix("http://127.0.0.1:8000")
    form_path = client.get(path)["Location"]
    new = {"password1": "eleven-quiet-otters", "password2": "eleven-quiet-otters"}
    assert client.post(form_path, new).status_code == 302
    assert client.get("/account/").status_code == 302
    response = client.post("/account/login/", {"login": "ada", "password": "eleven-quiet-otters"})
    assert response["Location"] == "/account/2fa/authenticate/"
    assert {EventKind.PASSWORD_RESET, EventKind.PASSWORD_RESET_ASKED} <= set(kinds(user))


def test_reset_link_is_good_once(client: Client) -> None:
    a_person("ada")
    client.post("/account/password/reset/", {"email": "ada@example.org"})
    path = links_in_mail()[0].removeprefix("http://127.0.0.1:8000")
    new = {"password1": "eleven-quiet-otters", "password2": "eleven-quiet-otters"}
    client.post(client.get(path)["Location"], new)
    assert "no longer good" in Client().get(path, follow=True).content.decode()


def test_reset_for_an_unknown_address_says_the_same_and_sends_nothing(client: Client) -> None:
    a_person("ada")
    pages = [
        client.post("/account/password/reset/", {"email": email}, follow=True).content.decode()
        for email in ("ada@example.org", "nobody@example.org")
    ]
    assert pages[0] == pages[1]
    assert len(mail.outbox) == 1


def test_log_in_from_a_new_address_is_told_by_mail(client: Client) -> None:
    user = a_person("ada")
    logged_in(client, user)
    assert mail.outbox == []
    Client(REMOTE_ADDR="203.0.113.9").post("/account/login/", {"login": "ada", "password": PASSWORD})
    assert [message.subject for message in mail.outbox] == ["A log-in from a new address at 127.0.0.1:8000"]
    assert "203.0.113.9" in str(mail.outbox[0].body)


def test_session_ends_after_half_a_day(client: Client) -> None:
    logged_in(client, a_person("ada"))
    left = Session.objects.get().expire_date - timezone.now()
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert client.get("/account/").status_code == 302


def test_passkey_log_in_offers_a_challenge_and_refuses_what_is_none(client: Client) -> None:
    page = client.get("/account/login/").content.decode()
    assert "Log in with a passkey" in page
    assert "mfa/js/webauthn.js" in page
    options = client.get("/account/2fa/webauthn/login/", headers={"accept": "application/json"}).json()
    assert options["request_options"]["publicKey"]["userVerification"] == "required"
    assert client.post("/account/2fa/webauthn/login/", {"credential": "{}"}).status_code == 302
    assert client.get("/account/").status_code == 302


def test_secret_of_the_app_is_encrypted_at_rest() -> None:
    secret = with_totp(a_person("ada"))
    stored = Authenticator.objects.get(type=Authenticator.Type.TOTP).data["secret"]
    assert secret not in stored
    assert stored.startswith("gAAAA")  # Fernet


def test_second_factor_under_another_secret_key_is_unavailable_and_not_skipped(
    client: Client, settings: Settings
) -> None:
    secret = with_totp(a_person("ada"))
    settings.SECRET_KEY = "another secret key, of a data folder that was restored without its secrets"
    client.post("/account/login/", {"login": "ada", "password": PASSWORD})
    client.raise_request_exception = False
    response = client.post("/account/2fa/authenticate/", {"code": totp_code(secret)})
    assert response.status_code == 503
    assert "restore the `secrets` folder" in response.content.decode()
    assert client.get("/account/").status_code == 302


def test_mail_server_that_is_away_is_said_and_nothing_is_promised(client: Client, settings: Settings) -> None:
    a_person("ada")
    settings.EMAIL_BACKEND = "support.accounts.NoMailServer"
    client.raise_request_exception = False
    response = client.post("/account/password/reset/", {"email": "ada@example.org"})
    assert response.status_code == 503
    assert "takes no mail at the moment" in response.content.decode()


def test_mail_server_that_is_away_does_not_undo_what_was_done(client: Client, settings: Settings) -> None:
    user = a_person("ada")
    logged_in(client, user)
    settings.EMAIL_BACKEND = "support.accounts.NoMailServer"
    new = {"oldpassword": PASSWORD, "password1": "eleven-quiet-otters", "password2": "eleven-quiet-otters"}
    assert client.post("/account/password/change/", new).status_code == 302
    user.refresh_from_db()
    assert user.check_password("eleven-quiet-otters")


def test_counters_are_shared_by_all_processes() -> None:
    backend = django_settings.CACHES["default"]["BACKEND"]
    assert backend == "django.core.cache.backends.db.DatabaseCache"
