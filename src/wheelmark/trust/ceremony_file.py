"""The one file in which a ceremony travels: from whoever begins it to each holder, and back.

There is one way to write it. Whatever is not written that way is refused, so a copy that was damaged or touched on its
way is found before anybody looks at what it says.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from wheelmark.errors import Untrusted
from wheelmark.trust.ceremony import Ceremony, open_ceremony

CEREMONY_FORMAT: Final = "wheelmark-ceremony-1"
MAX_CEREMONY_BYTES: Final = 2_000_000
"""Three current files and three new ones with 32 holders have about 200 KB."""

_LISTED: Final = ("format", "fingerprint", "current", "new", "signatures", "sha256")


def format_ceremony(ceremony: Ceremony) -> bytes:
    """The file."""
    body: dict[str, Any] = {
        "format": CEREMONY_FORMAT,
        "fingerprint": ceremony.fingerprint,
        "current": {role: file.decode() for role, file in ceremony.current.items()},
        "new": {role: signed.decode() for role, signed in ceremony.new.items()},
        "signatures": ceremony.signatures,
    }
    return _dump({**body, "sha256": hashlib.sha256(_dump(body)).hexdigest()})


def read_ceremony(content: bytes) -> Ceremony:
    """The ceremony in a file, all of it verified.

    Raises:
        Untrusted: not such a file, a byte was changed, or something in it does not verify.
        Refused: it says what must not be (see `open_ceremony`).
    """
    if len(content) > MAX_CEREMONY_BYTES:
        raise Untrusted(
            f"expected a ceremony file of at most {MAX_CEREMONY_BYTES} bytes, got {len(content)}", code="ceremony-form"
        )
    try:
        body = orjson.loads(content)
        if tuple(body) != _LISTED or body["format"] != CEREMONY_FORMAT:
            raise ValueError("something else")
        rest = {name: body[name] for name in _LISTED[:-1]}
        if _dump(body) != content or hashlib.sha256(_dump(rest)).hexdigest() != body["sha256"]:
            raise ValueError("bytes that were changed on the way; ask for the file again")
        current = {role: file.encode() for role, file in body["current"].items()}
        new = {role: signed.encode() for role, signed in body["new"].items()}
        signatures = {role: {k: _text(sig) for k, sig in found.items()} for role, found in body["signatures"].items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Untrusted(f"expected a ceremony file, got {error}", code="ceremony-form") from error
    ceremony = open_ceremony(current, new, signatures)
    if ceremony.fingerprint != body["fingerprint"] or ceremony.signatures != signatures:
        raise Untrusted("expected a ceremony file that agrees with itself, got another", code="ceremony-form")
    return ceremony


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _dump(body: dict[str, Any]) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
