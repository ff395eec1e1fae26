"""Changes to users that an operator or an administrator makes, each with its security event."""

from __future__ import annotations

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from wheelmark.errors import Fault, Refused
from wheelmark.server.accounts.events import record_event
from wheelmark.server.accounts.models import EventKind, User
from wheelmark.server.accounts.names import MAX_USER_NAME_CHARS, user_name_form
from wheelmark.server.accounts.rules import Role


def create_user(name: str, *, email: str, password: str, role: Role = Role.USER, now: datetime) -> User:
    """Create a user whose e-mail address counts as confirmed: whoever creates it vouches for it.

    Raises:
        Refused: the name, the address or the password is no good, or taken; all faults.
    """
    name = name.lower()
    user = User(username=name, email=email, date_joined=now, **_flags(role))
    faults = [*_name_faults(name), *_email_faults(email)]
    try:
        validate_password(password, user)
    except ValidationError as error:
        faults += [Fault("user-password", "password", message) for message in error.messages]
    if faults:
        raise Refused(faults)
    user.set_password(password)
    with transaction.atomic():
        user.save()
        EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
        record_event(user, EventKind.SIGNED_UP, by="operator", role=role)
    return user


def set_role(user: User, role: Role, *, by: str) -> None:
    """Give a role on the index, or take it away (`Role.USER`)."""
    for field, value in _flags(role).items():
        setattr(user, field, value)
    with transaction.atomic():
        user.save(update_fields=["is_moderator", "is_administrator"])
        record_event(user, EventKind.ROLE_CHANGED, by=by, role=role)


def set_active(user: User, *, active: bool, by: str) -> None:
    """Disable a user, sessions and tokens with them, or enable them again: tokens come back, sessions do not."""
    with transaction.atomic():
        user.is_active = active
        user.save(update_fields=["is_active"])
        if not active:
            end_sessions(user)
        record_event(user, EventKind.ENABLED if active else EventKind.DISABLED, by=by)


def set_password(user: User, password: str, *, by: str) -> None:
    """Set a new password, and end all sessions.

    Raises:
        Refused: the password is no good; all faults.
    """
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refused(Fault("user-password", "password", message) for message in error.messages) from error
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        end_sessions(user)
        record_event(user, EventKind.PASSWORD_CHANGED, by=by)


def end_sessions(user: User, *, except_key: str | None = None) -> int:
    """End all sessions of a user, save one; return how many."""
    sessions = [session for session in UserSession.objects.filter(user=user) if session.session_key != except_key]
    for session in sessions:
        SessionStore().delete(session.session_key)
        session.delete()
    return len(sessions)


def remove_second_factors(user: User, *, by: str) -> int:
    """Take all second factors away, for somebody who lost theirs and was recognised by other means."""
    with transaction.atomic():
        count: int = Authenticator.objects.filter(user=user).delete()[0]
        if count:
            record_event(user, EventKind.FACTOR_REMOVED, by=by, type="all")
    return count


def role_of(user: User) -> Role:
    """The highest role on the index that was given to a user."""
    if user.is_administrator:
        return Role.ADMINISTRATOR
    return Role.MODERATOR if user.is_moderator else Role.USER


def _flags(role: Role) -> dict[str, bool]:
    if role not in {Role.USER, Role.MODERATOR, Role.ADMINISTRATOR}:
        raise RuntimeError(f"expected a role on the index, got {role}")
    return {"is_moderator": role is Role.MODERATOR, "is_administrator": role is Role.ADMINISTRATOR}


def _name_faults(name: str) -> list[Fault]:
    faults = []
    try:
        user_name_form(name)
    except ValidationError as error:
        faults += [Fault("user-name", "name", message) for message in error.messages]
    if len(name) > MAX_USER_NAME_CHARS:
        faults.append(Fault("user-name", "name", f"expected at most {MAX_USER_NAME_CHARS} characters, got {len(name)}"))
    if User.objects.filter(username__iexact=name).exists():
        faults.append(Fault("user-name-taken", "name", f"expected a new name, got {name!r}, which is taken"))
    return faults


def _email_faults(email: str) -> list[Fault]:
    try:
        validate_email(email)
    except ValidationError:
        return [Fault("user-email", "email", f"expected an e-mail address, got {email!r}")]
    if EmailAddress.objects.filter(email__iexact=email).exists():
        return [Fault("user-email-taken", "email", f"expected a new address, got {email!r}, which is taken")]
    return []
