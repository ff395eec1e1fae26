"""Where allauth asks us: who may sign up, which addresses go into mails, how secrets are kept."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import qrcode  # type: ignore[import-untyped]  # comes with allauth's second factors; has no types
import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage
from allauth.core import context as core_context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from qrcode.image.svg import SvgPathFillImage  # type: ignore[import-untyped]  # the same

from wheelmark.errors import Unavailable
from wheelmark.server.accounts.events import client_address, record_event
from wheelmark.server.accounts.keys import derive_key
from wheelmark.server.accounts.models import EventKind, User

log = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether strangers may create accounts here."""
        return bool(settings.CONFIG.sign_up)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that rate limits count by, and that sessions show."""
        return client_address(request) or "0.0.0.0"  # noqa: S104  (not bound to: "unknown", in a column of addresses)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whether this session must prove again whose it is.

        Allauth counts confirmations only; a log-in of a moment ago proves as much, and asking twice in a row teaches
        people to type their password without looking.
        """
        request = core_context.request
        proofs = [float(record["at"]) for record in get_authentication_records(request, request.user)]
        if proofs and time.time() - max(proofs) < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
            return False
        return bool(super().is_reauthentication_required(app=app, **kwargs))

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

    def send_account_already_exists_mail(self, email: str) -> None:
        """Tell the owner of an account that somebody tried to sign up with their address."""
        address = _absolute(reverse("account_reset_password"))
        self.send_mail("account/email/account_already_exists", email, {"password_reset_url": address})

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Send the link with which a new password is set, and note that somebody asked for it."""
        record_event(user, EventKind.PASSWORD_RESET_ASKED, request=core_context.request, email=email)
        super().send_password_reset_mail(user, email, context)

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Tell an owner what happened. It has happened already, so a mail server that is away undoes nothing."""
        try:
            super().send_notification_mail(*args, **kwargs)
        except Unavailable as error:
            log.error("notification not sent", error=str(error))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one mail; it names the index by its own address.

        Raises:
            Unavailable: the mail server takes none (`mail`).
        """
        own = {"index_url": settings.CONFIG.base_url, "index_name": urlsplit(settings.CONFIG.base_url).netloc}
        try:
            super().send_mail(template_prefix, email, {**context, **own})
        except OSError as error:  # smtplib's errors are OSErrors too
            raise Unavailable(
                f"the mail server takes no mail at the moment ({type(error).__name__})", code="mail"
            ) from error

    def get_login_stages(self) -> list[str]:
        """The steps of a log-in after the first factor."""
        own = f"{ConfirmedAddress.__module__}.{ConfirmedAddress.__qualname__}"
        theirs = f"{EmailVerificationStage.__module__}.{EmailVerificationStage.__qualname__}"
        return [own if stage == theirs else stage for stage in super().get_login_stages()]

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Note a wrong password in the journal of the account that it was tried on."""
        name = credentials.get("username") or credentials.get("email") or ""
        field = "email__iexact" if "@" in name else "username__iexact"
        for user in User.objects.filter(**{field: name})[:1]:
            record_event(user, EventKind.LOGIN_FAILED, request=request, method="password")


class ConfirmedAddress(EmailVerificationStage):  # type: ignore[misc]  # allauth has no types
    """Asks for a confirmed e-mail address where mail is sent, but not of an account that has no address at all.

    Only the operator makes such accounts (the first administrator is one): they could never confirm anything, and
    what needs a confirmed address (`Action.CREATE_PROJECT`) asks for it again.
    """

    def handle(self) -> Any:
        """Gives: the answer that interrupts the log-in, if any, and whether it goes on."""
        user = self.login.user
        if user is not None and not user.email and not EmailAddress.objects.filter(user=user).exists():
            return None, True
        return super().handle()


class SessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]  # allauth has no types
    """Sessions."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """End sessions at once, and note it."""
        ended = list(sessions)
        super().end_sessions(ended)
        for session in ended:
            record_event(session.user, EventKind.SESSION_ENDED, request=core_context.request, ip=session.ip)


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

    def build_totp_svg(self, url: str) -> str:
        """The secret as a picture, with a ground of its own: on a dark page black on nothing could not be read."""
        picture = io.BytesIO()
        qrcode.make(url, image_factory=SvgPathFillImage).save(picture)
        return picture.getvalue().decode()

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
            host = core_context.request.get_host().partition(":")[0]
        return {"id": host, "name": urlsplit(settings.CONFIG.base_url).netloc}


def _absolute(path: str) -> str:
    return urljoin(settings.CONFIG.base_url + "/", path.lstrip("/"))


def _second_factor_cipher() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive_key(settings.SECRET_KEY, "second factors")))
