"""Upload tokens: macaroons (version 2) that their holder can narrow further, and that one row can end.

A token reads `wheelmark-<macaroon>`. The prefix is ours and not PyPI's: secret scanners know PyPI's tokens by
`pypi-` *and* the host name that follows in them, so the prefix alone would gain nothing, and a leaked token that
says where it belongs is ended sooner.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from packaging.utils import InvalidName, canonicalize_name
from pymacaroons import MACAROON_V2, Macaroon, Verifier
from pymacaroons.exceptions import MacaroonInvalidSignatureException

from wheelmark.errors import Fault, Refused
from wheelmark.server.accounts import caveats
from wheelmark.server.accounts.events import record_event
from wheelmark.server.accounts.keys import token_key
from wheelmark.server.accounts.models import ApiToken, EventKind, User
from wheelmark.server.projects.models import Project

PREFIX = "wheelmark-"
USER_NAME = "__token__"
"""What the user name of HTTP Basic must be, as on PyPI; the password is the token."""

MAX_HEADER_CHARS = 12_000
MAX_TOKEN_CHARS = 8_192
MAX_DESCRIPTION_CHARS = 100
MAX_LIVE_TOKENS = 200
"""Tokens that a user may have at once."""

LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token speaks for, and for which projects."""

    user: User
    token_id: str
    projects: frozenset[str] | None
    """Normalized names that it is good for; `None`: all that its user may upload to."""

    @property
    def label(self) -> str:
        """What `File.uploaded_with` says."""
        return f"token:{self.token_id}"


def mint(
    user: User,
    *,
    description: str,
    project: str | None = None,
    expires_at: datetime | None = None,
    now: datetime,
    address: str = "",
) -> tuple[ApiToken, str]:
    """Create a token; the second value is the token itself, which is nowhere stored.

    `project` is a project's name; it need not exist yet, and such a token may create it, and no other. That the user
    is one of its collaborators is not checked here: it is checked whenever the token is used.

    Raises:
        Refused: the description, the name or the expiry is no good, or the user has too many tokens; all faults.
    """
    description = description.strip()
    scope, faults = _scope_faults(project)
    if not 0 < len(description) <= MAX_DESCRIPTION_CHARS or not description.isprintable():
        expected = f"1 to {MAX_DESCRIPTION_CHARS} printable characters"
        faults.append(Fault("token-description", "description", f"expected {expected}, got {description[:100]!a}"))
    if expires_at is not None and expires_at <= now:
        faults.append(Fault("token-expiry", "expires_at", f"expected a time to come, got {expires_at.isoformat()}"))
    with transaction.atomic():
        live = user.api_tokens.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None).count()
        if live >= MAX_LIVE_TOKENS:
            faults.append(
                Fault(
                    "token-count",
                    "description",
                    f"expected fewer than {MAX_LIVE_TOKENS} live tokens, got {live}: revoke some",
                )
            )
        if faults:
            raise Refused(faults)
        row = ApiToken.objects.create(
            user=user, description=description, project=scope, created_at=now, expires_at=expires_at
        )
        record_event(
            user,
            EventKind.TOKEN_CREATED,
            address=address,
            token=str(row.pk),
            description=description,
            project=scope,
        )
    return row, _serialize(row)


def authenticate(authorization: str | None, *, now: datetime, address: str = "") -> Identity:
    """Say who sends this `Authorization` header (Basic with user name `__token__`, or Bearer).

    That the user may do what they ask for is not checked here: see `permissions.require`.

    Raises:
        Refused: no token, or not one that is good now. All codes begin with `token-`.
    """
    raw = _token_of_header(authorization)
    macaroon, token_id = _deserialize(raw)
    row = ApiToken.objects.select_related("user").filter(pk=token_id).first()
    predicates = _verified_caveats(macaroon, row) if row is not None else None
    if row is None or predicates is None:
        raise Refused.because("token-unknown", "token", f"expected a token of this index, got {_whose(macaroon)}")
    if row.revoked_at is not None:
        raise Refused.because(
            "token-revoked", "token", "expected a live token, got one that was revoked: create a new one"
        )
    if not row.is_live(now):
        raise Refused.because(
            "token-expired", "token", "expected a live token, got one that has expired: create a new one"
        )
    if not row.user.is_active:
        raise Refused.because(
            "token-user-inactive", "token", "expected a token of an active user, got one of a disabled user"
        )
    scope = caveats.weigh(predicates, user_id=caveats.caveat_id(row.user.pk), now=now)
    _note_use(row, now=now, address=address)
    return Identity(user=row.user, token_id=str(row.pk), projects=_projects(row, scope))


def revoke(token: ApiToken, *, now: datetime, address: str = "", by: str = "") -> bool:
    """End a token at once; say whether it was still to be ended. `by` names who did, if not its owner."""
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            return False
        record_event(
            token.user,
            EventKind.TOKEN_REVOKED,
            address=address,
            token=str(token.pk),
            description=token.description,
            by=by,
        )
    token.revoked_at = now
    return True


def _scope_faults(project: str | None) -> tuple[str, list[Fault]]:
    if project is None:
        return "", []
    try:
        return canonicalize_name(project, validate=True), []
    except InvalidName:
        return "", [Fault("token-project", "project", f"expected a project's name, got {project!r}")]


def _serialize(row: ApiToken) -> str:
    macaroon = Macaroon(
        location=urlsplit(settings.CONFIG.base_url).netloc,
        identifier=str(row.pk),
        key=token_key(settings.SECRET_KEY, bytes(row.key)),
        version=MACAROON_V2,
    )
    macaroon.add_first_party_caveat(caveats.for_user(caveats.caveat_id(row.user.pk)))
    if row.project:
        macaroon.add_first_party_caveat(caveats.project_names([row.project]))
    if row.expires_at is not None:
        macaroon.add_first_party_caveat(caveats.expiration(row.expires_at, row.created_at))
    return f"{PREFIX}{macaroon.serialize()}"


def _token_of_header(authorization: str | None) -> str:
    if not authorization or not authorization.strip():
        raise Refused.because(
            "token-missing", "Authorization", f"expected user name {USER_NAME} and a token as password, got nothing"
        )
    if len(authorization) > MAX_HEADER_CHARS:
        raise _malformed(f"at most {MAX_HEADER_CHARS} characters", str(len(authorization)))
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        raise _malformed("Basic or Bearer", repr(scheme[:20]))
    try:
        user_name, colon, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError) as error:
        raise _malformed("base64 of `user:password`", "something else") from error
    if not colon:
        raise _malformed("base64 of `user:password`", "no colon")
    if user_name != USER_NAME:
        raise Refused.because(
            "token-user-name",
            "Authorization",
            f"expected user name {USER_NAME} and a token as password, got user name {user_name[:50]!r}:"
            " passwords are not accepted for uploads",
        )
    return password.strip()


def _deserialize(raw: str) -> tuple[Any, uuid.UUID]:
    if not raw.startswith(PREFIX):
        got = "a token of PyPI" if raw.startswith("pypi-") else "something else"
        raise _malformed(f"a token that begins with {PREFIX}", got)
    if len(raw) > MAX_TOKEN_CHARS:
        raise _malformed(f"at most {MAX_TOKEN_CHARS} characters", str(len(raw)))
    try:
        encoded = raw.removeprefix(PREFIX)
        if not _is_canonical_base64(encoded):
            raise ValueError("another spelling of a token")
        macaroon = Macaroon.deserialize(encoded)
        if macaroon.version != MACAROON_V2 or macaroon.third_party_caveats():
            raise ValueError("not a macaroon that we mint")
        return macaroon, uuid.UUID(macaroon.identifier_bytes.decode("ascii"))
    except Exception as error:  # pymacaroons lets any exception out on hostile bytes
        raise _malformed("a whole token", "one that cannot be read: was it cut when it was copied?") from error


def _is_canonical_base64(text: str) -> bool:
    """Whether the text is the one way to write its bytes: decoders ignore the last character's spare bits, and one
    token should have one spelling."""
    body = text.rstrip("=")
    decoded = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return base64.urlsafe_b64encode(decoded).decode("ascii").rstrip("=") == body


def _verified_caveats(macaroon: Any, row: ApiToken) -> list[str] | None:
    """The caveats, if the signature holds for them; whether they are met is not looked at."""
    predicates: list[str] = []

    def note(predicate: str) -> bool:
        predicates.append(predicate)
        return True

    verifier = Verifier()
    verifier.satisfy_general(note)
    try:
        verifier.verify(macaroon, token_key(settings.SECRET_KEY, bytes(row.key)))
    except (MacaroonInvalidSignatureException, UnicodeDecodeError):
        return None
    return predicates


def _whose(macaroon: Any) -> str:
    """The location is not signed, so this is a hint for an honest sender and nothing more."""
    here = urlsplit(settings.CONFIG.base_url).netloc
    if macaroon.location and macaroon.location != here:
        return f"one that says {macaroon.location[:100]!r}: revoke it there, for it was sent here"
    return "one that this index does not know"


def _projects(row: ApiToken, scope: caveats.Scope) -> frozenset[str] | None:
    allowed = scope.project_names
    if scope.project_ids is not None:
        rows = Project.objects.filter(pk__in=caveats.row_ids(scope.project_ids))
        named = frozenset(rows.values_list("normalized_name", flat=True))
        allowed = named if allowed is None else allowed & named
    if row.project:
        # The caveat says the same; the row holds even if a caveat were ever forgotten when minting.
        allowed = frozenset({row.project}) if allowed is None else allowed & {row.project}
    return allowed


def _note_use(row: ApiToken, *, now: datetime, address: str) -> None:
    if row.last_used_at is not None and now - row.last_used_at < LAST_USED_EVERY:
        return
    unused = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_EVERY)
    noted = ApiToken.objects.filter(unused, pk=row.pk).update(last_used_at=now, last_used_from=address[:45])
    if noted and row.last_used_at is None:
        record_event(
            row.user, EventKind.TOKEN_FIRST_USED, address=address, token=str(row.pk), description=row.description
        )


def _malformed(expected: str, got: str) -> Refused:
    return Refused.because("token-malformed", "Authorization", f"expected {expected}, got {got}")
