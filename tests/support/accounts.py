"""Builders for accounts: tokens, `Authorization` headers, second factors, users in every role."""

from __future__ import annotations

import base64
import time
from functools import cache
from smtplib import SMTPServerDisconnected

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client
from pymacaroons import Macaroon

from support.rows import a_project, a_user
from wheelmark.server.accounts.models import User
from wheelmark.server.accounts.rules import Role
from wheelmark.server.accounts.tokens import PREFIX
from wheelmark.server.projects.models import Collaborator
from wheelmark.server.projects.models import Role as ProjectRole

PASSWORD = "nine-grey-herons-wade"


class QuickArgon2(Argon2PasswordHasher):
    """Argon2 with next to no work, for tests."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1


class NoMailServer(BaseEmailBackend):
    """A mail server that went away."""

    def send_messages(self, email_messages: object) -> int:
        """Raises: SMTPServerDisconnected: always."""
        raise SMTPServerDisconnected("gone")


def basic(token: str, user_name: str = "__token__") -> str:
    """The header with which twine and uv send a token."""
    return "Basic " + base64.b64encode(f"{user_name}:{token}".encode()).decode()


def narrowed(token: str, *caveats: str) -> str:
    """The token as a holder would narrow it: caveats added, whatever they say."""
    macaroon = Macaroon.deserialize(token.removeprefix(PREFIX))
    for caveat in caveats:
        macaroon.add_first_party_caveat(caveat)
    return PREFIX + str(macaroon.serialize())


@cache
def _hashed_password() -> str:
    """Hashed once for a whole run: argon2 is slow on purpose."""
    return make_password(PASSWORD, hasher=QuickArgon2())


def a_person(name: str = "ada", *, role: Role = Role.USER, project: str = "demo") -> User:
    """A user with a password and a confirmed address, in a role on the index or on a project."""
    user = a_user(name)
    user.password = _hashed_password()
    user.is_moderator = role is Role.MODERATOR
    user.is_administrator = role is Role.ADMINISTRATOR
    user.save()
    EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True, "verified": True})
    if role in {Role.OWNER, Role.MAINTAINER}:
        Collaborator.objects.update_or_create(
            project=a_project(project, owner="somebody"), user=user, defaults={"role": ProjectRole(role.value)}
        )
    return user


def with_totp(user: User) -> str:
    """Give a user an authenticator app; returns its secret."""
    secret = str(generate_totp_secret())
    TOTP.activate(user, secret)
    return secret


def totp_code(secret: str, *, steps: int = 0) -> str:
    """The code that an authenticator app would show now, or some steps of 30 s later."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // settings_period() + steps)))


def settings_period() -> int:
    """Seconds that a code is good for."""
    return int(getattr(settings, "MFA_TOTP_PERIOD", 30))


def logged_in(client: Client, user: User, *, secret: str | None = None) -> Client:
    """The client after a log-in through the pages: password, and the second factor if a secret is given."""
    response = client.post("/account/login/", {"login": user.username, "password": PASSWORD})
    if secret is not None:
        assert response["Location"] == "/account/2fa/authenticate/", response.content
        response = client.post("/account/2fa/authenticate/", {"code": totp_code(secret)})
    assert response.status_code == 302, response.content.decode()
    assert client.session.get("_auth_user_id") == str(user.pk)
    return client
