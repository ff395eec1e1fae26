"""Where allauth asks us: who may sign up, which addresses go into mails, how secrets are kept."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urljoin, urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from wheelmark.errors import Unavailable
from wheelmark.server.accounts.events import client_address, record_event
from wheelmark.server.accounts.keys import derive_key
from wheelmark.server.accounts.models import EventKind, User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether strangers may create accounts here."""
        return bool(settings.CONFIG.sign_up)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that rate limits count by, and that sessions show."""
        return client_address(request) or "0.0.0.0"  # noqa: S104  (not bound to: "unknown", in a column of addresses)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """The address in the mail.

        It is made from the index's own address and never from the request's `Host`, or anybody could have our mail
        lead its reader elsewhere with the secret in hand.
        """
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return _absolute(path.replace("UID-KEY", key))

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        """The address in the mail, made in the same way."""
        return _absolute(reverse("account_confirm_email", args=[emailconfirmation.key]))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one mail; it names the index by its own address."""
        own = {"index_url": settings.CONFIG.base_url, "index_name": urlsplit(settings.CONFIG.base_url).netloc}
        super().send_mail(template_prefix, email, {**context, **own})

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Note a wrong password in the journal of the account that it was tried on."""
        name = credentials.get("username") or credentials.get("email") or ""
        field = "email__iexact" if "@" in name else "username__iexact"
        for user in User.objects.filter(**{field: name})[:1]:
            record_event(user, EventKind.LOGIN_FAILED, request=request, method="password")


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Second factors."""

    def encrypt(self, text: str) -> str:
        """The form in which a secret lies in the database."""
        return _second_factor_cipher().encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """Take a secret back out.

        Raises:
            Unavailable: it was encrypted under another secret key, so the data folder's secrets are not the right ones.
        """
        try:
            return _second_factor_cipher().decrypt(encrypted_text.encode("ascii")).decode()
        except InvalidToken as error:
            raise Unavailable(
                "expected a second factor under this index's secret key, got another: restore the `secrets` folder",
                code="second-factor-key",
            ) from error

    def get_totp_issuer(self) -> str:
        """The name of the index in an authenticator app."""
        return urlsplit(settings.CONFIG.base_url).netloc

    def get_totp_label(self, user: User) -> str:
        """The name of the account in an authenticator app."""
        return user.username

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """To which host name a security key is bound: the public one, where there is one."""
        if settings.CONFIG.public_url:
            host = urlsplit(settings.CONFIG.public_url).hostname or ""
        else:
            host = context.request.get_host().partition(":")[0]
        return {"id": host, "name": urlsplit(settings.CONFIG.base_url).netloc}


def _absolute(path: str) -> str:
    return urljoin(settings.CONFIG.base_url + "/", path.lstrip("/"))


def _second_factor_cipher() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive_key(settings.SECRET_KEY, "second factors")))
