"""Users of the index. E-mail addresses, second factors and sessions are rows of django-allauth."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person (or a robot account) with a name; what they may do is `permissions.py`'s table."""

    is_moderator = models.BooleanField(default=False, help_text="may see and decide held files")
    is_administrator = models.BooleanField(default=False, help_text="may do all that a moderator may, and change roles")
