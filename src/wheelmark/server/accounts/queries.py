"""What the account pages read."""

from __future__ import annotations

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db.models import Q, QuerySet

from wheelmark.server.accounts.models import ApiToken, EventKind, SecurityEvent, User
from wheelmark.server.accounts.permissions import is_second_factor_demanded, privileged_roles_of
from wheelmark.server.accounts.safety import STALE_AFTER, Facts
from wheelmark.server.projects.models import Project, ProjectStatus


def live_tokens(user: User, *, now: datetime) -> QuerySet[ApiToken]:
    """Tokens that would be accepted now."""
    return ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), user=user, revoked_at=None)


def ended_tokens(user: User, *, now: datetime) -> QuerySet[ApiToken]:
    """Tokens that were revoked or have expired, newest first."""
    return ApiToken.objects.filter(user=user).exclude(pk__in=live_tokens(user, now=now))


def account_facts(user: User, *, now: datetime) -> Facts:
    """What `safety.standing` judges by."""
    kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    has_second_factor = bool(kinds & {Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN})
    tokens = live_tokens(user, now=now)
    stale = Q(last_used_at__lt=now - STALE_AFTER) | Q(last_used_at=None, created_at__lt=now - STALE_AFTER)
    addresses = EmailAddress.objects.filter(user=user)
    return Facts(
        has_second_factor=has_second_factor,
        needs_second_factor=bool(privileged_roles_of(user)) and is_second_factor_demanded(),
        recovery_codes_left=recovery_codes_left(user),
        has_email=addresses.exists(),
        has_verified_email=addresses.filter(verified=True).exists(),
        failed_logins=_failed_logins(user),
        stale_tokens=tokens.filter(stale).count(),
        endless_tokens=tokens.filter(expires_at=None).count(),
    )


def recovery_codes_left(user: User) -> int:
    """How many recovery codes were not used yet."""
    codes = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    return len(codes.wrap().get_unused_codes()) if codes is not None else 0


def second_factor_names(user: User) -> str:
    """The user's second factors in words."""
    rows = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return ", ".join(factor_name(row) for row in rows)


def factor_name(authenticator: Authenticator) -> str:
    """What an app, a key or the recovery codes are called on our pages."""
    names = {Authenticator.Type.TOTP: "authenticator app", Authenticator.Type.RECOVERY_CODES: "recovery codes"}
    return names.get(authenticator.type) or f"key “{authenticator}”"


def open_sessions(user: User) -> int:
    """How many sessions would still be accepted."""
    return len(UserSession.objects.purge_and_list(user))


def uploadable_projects(user: User) -> list[str]:
    """Names of the projects that the user may upload to, for choosing a token's scope."""
    projects = Project.objects.filter(collaborators__user=user).exclude(status=ProjectStatus.QUARANTINED)
    return list(projects.order_by("normalized_name").values_list("normalized_name", flat=True))


def _failed_logins(user: User) -> int:
    """Failures since the log-in before this one: what happened while the user was away."""
    logins = SecurityEvent.objects.filter(user=user, kind=EventKind.LOGGED_IN).values_list("at", flat=True)[:2]
    failures = SecurityEvent.objects.filter(user=user, kind=EventKind.LOGIN_FAILED)
    return failures.filter(at__gt=logins[1]).count() if len(logins) == 2 else failures.count()
