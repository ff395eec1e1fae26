"""Allauth's signals, written down as security events; and a mail when somebody logs in from a new address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account import signals as account
from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from wheelmark.server.accounts.events import client_address, record_event
from wheelmark.server.accounts.models import EventKind, SecurityEvent, User
from wheelmark.server.accounts.queries import factor_name

ADDRESS_REMEMBERED = timedelta(days=90)


@receiver(account.user_signed_up)
def on_signed_up(request: HttpRequest, user: User, **_: Any) -> None:
    """A stranger made an account."""
    record_event(user, EventKind.SIGNED_UP, request=request)


@receiver(account.user_logged_in)
def on_logged_in(request: HttpRequest, user: User, **_: Any) -> None:
    """All factors were right."""
    logins = SecurityEvent.objects.filter(
        user=user, kind=EventKind.LOGGED_IN, at__gt=timezone.now() - ADDRESS_REMEMBERED
    )
    is_new_address = logins.exists() and not logins.filter(address=client_address(request)).exists()
    methods = ", ".join(
        str(record.get("type", record["method"])) for record in get_authentication_records(request, user)
    )
    record_event(user, EventKind.LOGGED_IN, request=request, method=methods)
    if is_new_address:
        get_adapter(request).send_notification_mail("account/email/new_address", user)


@receiver(user_logged_out)
def on_logged_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    """The user ended this session themselves."""
    if user is not None:
        record_event(user, EventKind.SESSION_ENDED, request=request)


@receiver(account.password_changed)
@receiver(account.password_set)
def on_password_changed(request: HttpRequest, user: User, **_: Any) -> None:
    """The user set another password while logged in."""
    record_event(user, EventKind.PASSWORD_CHANGED, request=request)


@receiver(account.password_reset)
def on_password_reset(request: HttpRequest, user: User, **_: Any) -> None:
    """The link in the mail was used."""
    record_event(user, EventKind.PASSWORD_RESET, request=request)


@receiver(account.email_added)
def on_email_added(request: HttpRequest, user: User, email_address: Any, **_: Any) -> None:
    """Another address, not confirmed yet."""
    record_event(user, EventKind.EMAIL_ADDED, request=request, email=email_address.email)


@receiver(account.email_removed)
def on_email_removed(request: HttpRequest, user: User, email_address: Any, **_: Any) -> None:
    """One address fewer."""
    record_event(user, EventKind.EMAIL_REMOVED, request=request, email=email_address.email)


@receiver(account.email_changed)
def on_email_changed(request: HttpRequest, user: User, to_email_address: Any, **_: Any) -> None:
    """Another address is the primary one."""
    record_event(user, EventKind.EMAIL_CHANGED, request=request, email=to_email_address.email)


@receiver(account.email_confirmed)
def on_email_confirmed(request: HttpRequest, email_address: Any, **_: Any) -> None:
    """The link in the mail was used."""
    record_event(email_address.user, EventKind.EMAIL_CONFIRMED, request=request, email=email_address.email)


@receiver(mfa.authenticator_added)
def on_factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """An app, a key, or the first recovery codes."""
    made_codes = authenticator.type == Authenticator.Type.RECOVERY_CODES
    kind = EventKind.RECOVERY_CODES_MADE if made_codes else EventKind.FACTOR_ADDED
    record_event(user, kind, request=request, type=factor_name(authenticator))


@receiver(mfa.authenticator_removed)
def on_factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """An app or a key; the recovery codes go with the last of them, which is no news of its own."""
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        record_event(user, EventKind.FACTOR_REMOVED, request=request, type=factor_name(authenticator))


@receiver(mfa.authenticator_reset)
def on_codes_replaced(request: HttpRequest, user: User, **_: Any) -> None:
    """New recovery codes for old."""
    record_event(user, EventKind.RECOVERY_CODES_MADE, request=request)


@receiver(mfa.authenticator_used)
def on_factor_used(
    request: HttpRequest, user: User, authenticator: Authenticator, reauthenticated: bool, **_: Any
) -> None:
    """A log-in says so itself; worth a row are a recovery code, which is gone now, and a confirmation."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        record_event(user, EventKind.RECOVERY_CODE_USED, request=request)
    elif reauthenticated:
        record_event(user, EventKind.REAUTHENTICATED, request=request, method=str(authenticator.type))


@receiver(mfa.authentication_failed)
def on_factor_failed(request: HttpRequest, user: User, **_: Any) -> None:
    """The password was right and the second factor wrong: somebody may know the password."""
    record_event(user, EventKind.LOGIN_FAILED, request=request, method="second factor")
