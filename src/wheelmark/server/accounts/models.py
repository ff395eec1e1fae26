"""Users, their tokens, and what happened to their accounts.

E-mail addresses, second factors and sessions are rows of django-allauth.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils import timezone

TOKEN_KEY_BYTES = 32


def new_token_key() -> bytes:
    """The secret half of a token's key that lies in the database; see `keys.token_key` for the other half."""
    return secrets.token_bytes(TOKEN_KEY_BYTES)


class User(AbstractUser):
    """A person (or a robot account) with a name; what they may do is `permissions.py`'s table."""

    is_moderator = models.BooleanField(default=False, help_text="may see and decide held files")
    is_administrator = models.BooleanField(default=False, help_text="may do all that a moderator may, and change roles")


class ApiToken(models.Model):
    """An upload token. The token itself is shown once and never stored; this row can check it and end it.

    Written by `tokens.py` only. A thief of this table alone can forge nothing: a token's key needs the index's
    secret key as well (`keys.token_key`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens")
    description = models.CharField(max_length=100, help_text="the owner's word for where it is kept")
    key = models.BinaryField(max_length=TOKEN_KEY_BYTES, default=new_token_key, editable=False)
    project = models.CharField(
        max_length=100, blank=True, help_text="normalized name that it is good for; empty: all of its user's"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="to the minute")
    last_used_from = models.CharField(max_length=45, blank=True, help_text="IP address")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first; a scope is a normalized name or nothing."""

        ordering: ClassVar = ["-created_at", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="token_project_normalized",
                condition=Q(project="") | Q(project__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.description} ({self.id})"

    def is_live(self, now: datetime) -> bool:
        """Whether it would be accepted now, its user's standing left aside."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class EventKind(models.TextChoices):
    """What can happen to an account, in the words its owner reads."""

    SIGNED_UP = "signed-up", "account created"
    LOGGED_IN = "logged-in", "logged in"
    LOGIN_FAILED = "login-failed", "log-in failed"
    SESSION_ENDED = "session-ended", "session ended"
    REAUTHENTICATED = "reauthenticated", "identity confirmed again"
    PASSWORD_CHANGED = "password-changed", "password changed"
    PASSWORD_RESET_ASKED = "password-reset-asked", "password reset asked for"
    PASSWORD_RESET = "password-reset", "password reset"
    EMAIL_ADDED = "email-added", "e-mail address added"
    EMAIL_REMOVED = "email-removed", "e-mail address removed"
    EMAIL_CHANGED = "email-changed", "primary e-mail address changed"
    EMAIL_CONFIRMED = "email-confirmed", "e-mail address confirmed"
    FACTOR_ADDED = "factor-added", "second factor added"
    FACTOR_REMOVED = "factor-removed", "second factor removed"
    RECOVERY_CODES_MADE = "recovery-codes-made", "recovery codes replaced"
    RECOVERY_CODE_USED = "recovery-code-used", "recovery code used"
    TOKEN_CREATED = "token-created", "token created"
    TOKEN_FIRST_USED = "token-first-used", "token used for the first time"
    TOKEN_REVOKED = "token-revoked", "token revoked"
    ROLE_CHANGED = "role-changed", "role on this index changed"
    DISABLED = "disabled", "account disabled"
    ENABLED = "enabled", "account enabled"


class SecurityEvent(models.Model):
    """One thing that happened to an account. Never changed; shown to its owner, newest first."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="security_events")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=32, choices=EventKind.choices)
    address = models.CharField(max_length=45, blank=True, help_text="IP address; empty: from the command line")
    user_agent = models.CharField(max_length=300, blank=True)
    detail = models.JSONField(default=dict, help_text="what it concerned: never a secret")

    class Meta:
        """Newest first, found by user."""

        ordering: ClassVar = ["-at", "-pk"]
        indexes: ClassVar = [models.Index(name="event_by_user", fields=["user", "-at"])]
        constraints: ClassVar = [
            models.CheckConstraint(name="event_kind_known", condition=Q(kind__in=EventKind.values)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"
