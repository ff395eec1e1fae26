"""What a token is good for: PyPI's tagged-array caveats, read and weighed. Pure.

A macaroon's holder may add caveats but never take one away, and each caveat can only narrow. So what we do not
understand fails, and several caveats of a kind mean their intersection.

Source: the caveat tags of PyPI's own tokens (0 expiration, 1 project names, 2 project ids, 3 user), which `pypitoken`
and other tools write when they narrow a token.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from wheelmark.errors import Refused

MAX_CAVEATS = 32
MAX_CAVEAT_CHARS = 4_096

_ROW_ID = re.compile(r"00000000-0000-0000-[0-7][0-9a-f]{3}-[0-9a-f]{12}")  # what fits in a 63-bit row number


class Tag(IntEnum):
    """The first member of a caveat's array."""

    EXPIRATION = 0
    PROJECT_NAMES = 1
    PROJECT_IDS = 2
    USER = 3


@dataclass(frozen=True, slots=True)
class Scope:
    """What is left after all caveats were weighed; `None` means that no caveat speaks of it."""

    project_names: frozenset[str] | None = None
    project_ids: frozenset[str] | None = None


def caveat_id(row_id: int) -> str:
    """A row's number in the form that caveats have: PyPI's ids are UUIDs, and tools that read tokens insist on it."""
    return str(uuid.UUID(int=row_id))


def row_ids(ids: Iterable[str]) -> frozenset[int]:
    """The rows' numbers of such ids; what cannot be one stands for no row."""
    return frozenset(int(text.replace("-", ""), 16) for text in ids if _ROW_ID.fullmatch(text))


def expiration(expires_at: datetime, not_before: datetime) -> str:
    """A caveat that holds from `not_before` until just before `expires_at` (whole seconds)."""
    return json.dumps([Tag.EXPIRATION, int(expires_at.timestamp()), int(not_before.timestamp())])


def project_names(names: Iterable[str]) -> str:
    """A caveat that holds for these normalized names only."""
    return json.dumps([Tag.PROJECT_NAMES, sorted(names)])


def for_user(user_id: str) -> str:
    """A caveat that holds for this user only."""
    return json.dumps([Tag.USER, user_id])


def weigh(caveats: Iterable[str], *, user_id: str, now: datetime) -> Scope:
    """Say what a token with these caveats is good for, in the hands of this user, now.

    Raises:
        Refused: a caveat does not hold (`token-expired`, `token-not-yet`, `token-user`) or is not understood
            (`token-caveat`).
    """
    names: frozenset[str] | None = None
    ids: frozenset[str] | None = None
    for count, text in enumerate(caveats, start=1):
        if count > MAX_CAVEATS:
            raise _not_understood(f"at most {MAX_CAVEATS} caveats", "more")
        match _parse(text):
            case [Tag.EXPIRATION, int(expires_at), int(not_before)]:
                _check_time(expires_at, not_before, int(now.timestamp()))
            case [Tag.PROJECT_NAMES, list(members)] if _all_text(members):
                names = _narrow(names, members)
            case [Tag.PROJECT_IDS, list(members)] if _all_text(members):
                ids = _narrow(ids, members)
            case [Tag.USER, str(user)]:
                if user != user_id:
                    raise Refused.because("token-user", "token", "expected a token of this user, got another's")
            case _:
                raise _not_understood("a caveat of kind 0 to 3", text[:100])
    return Scope(project_names=names, project_ids=ids)


def _parse(text: str) -> list[object]:
    if len(text) > MAX_CAVEAT_CHARS:
        raise _not_understood(f"a caveat of at most {MAX_CAVEAT_CHARS} characters", str(len(text)))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_understood("a caveat in JSON", text[:100]) from error
    # To Python, True is 1 and 1.0 is 1 too; a caveat that says `[true, …]` is not one that we know.
    if not isinstance(value, list) or any(isinstance(member, bool | float) for member in value):
        raise _not_understood("a caveat that is a tagged array", text[:100])
    return value


def _check_time(expires_at: int, not_before: int, now: int) -> None:
    if now >= expires_at:
        raise Refused.because(
            "token-expired", "token", "expected a live token, got one that has expired: create a new one"
        )
    if now < not_before:
        raise Refused.because("token-not-yet", "token", "expected a live token, got one whose time has not come")


def _all_text(members: list[object]) -> bool:
    return all(isinstance(member, str) for member in members)


def _narrow(before: frozenset[str] | None, members: list[str]) -> frozenset[str]:
    return frozenset(members) if before is None else before & frozenset(members)


def _not_understood(expected: str, got: str) -> Refused:
    return Refused.because("token-caveat", "token", f"expected {expected}, got {got!r}")
