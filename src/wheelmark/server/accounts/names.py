"""Which names a user may have."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, RegexValidator

MAX_USER_NAME_CHARS = 50

RESERVED_USER_NAMES = frozenset(
    {
        "__token__",
        "admin",
        "administrator",
        "anonymous",
        "index",
        "moderator",
        "none",
        "null",
        "root",
        "security",
        "support",
        "system",
        "wheelmark",
    }
)
"""Names that would speak for the index: `index` is the actor of what the index does by itself."""


def refuse_reserved(name: str) -> None:
    """A validator for names that strangers choose; the command line may give them (the first admin is `admin`).

    Raises:
        ValidationError: the name is reserved.
    """
    if name.casefold() in RESERVED_USER_NAMES:
        raise ValidationError("expected another name: this one is kept for the index itself", code="reserved")


user_name_form = RegexValidator(
    r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z",
    "expected letters, digits, `.`, `_` and `-`, a letter or digit first and last",
)

USER_NAME_VALIDATORS: list[Callable[[str], None]] = [
    MaxLengthValidator(MAX_USER_NAME_CHARS),
    user_name_form,
    refuse_reserved,
]
