"""Public keys as people hand them around: one small file a holder, and a fingerprint that can be read aloud.

Source: TUF spec § 4.2 (KEY, KEYID).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import orjson
from securesystemslib.formats import encode_canonical

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust.keys import PublicKey, RoleKeys
from wheelmark.trust.terms import OFFLINE_ROLES, OfflineTerms

PUBLIC_KEY_FORMAT: Final = "wheelmark-public-key"
MAX_PUBLIC_KEY_BYTES: Final = 16 * 1024
"""A public key file of an RSA key of 16,384 bits has 3 KB."""

HOLDER_SCHEMES: Final = frozenset({("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha2-nistp256")})
"""What people's keys may be: every TUF client verifies these two."""

ONLINE_SCHEMES: Final = HOLDER_SCHEMES | {("ecdsa", "ecdsa-sha2-nistp384"), ("rsa", "rsassa-pss-sha256")}
"""What online keys may be, too: key services offer no other."""

MIN_TYPED_DIGITS: Final = 16
"""What a person types of a fingerprint: whoever wants another text with the same digits tries 2**64 of them."""

_GROUP = 4
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def grouped(sha256: str) -> str:
    """A fingerprint as it is read aloud: groups of four."""
    return " ".join(sha256[at : at + _GROUP] for at in range(0, len(sha256), _GROUP))


def fingerprint_matches(typed: str, sha256: str) -> bool:
    """Whether a person typed the beginning of a fingerprint, at least `MIN_TYPED_DIGITS`, however it was grouped."""
    digits = re.sub(r"[\s:-]", "", typed).lower()
    return len(digits) >= MIN_TYPED_DIGITS and sha256.startswith(digits)


def check_key(key: PublicKey, *, schemes: frozenset[tuple[str, str]]) -> None:
    """Refuse a key that not every client can use, and one that stands under a name that is not its own.

    A key under two names would count twice towards a threshold.

    Raises:
        Untrusted: another keyid than the key has (`key-id`).
        Refused: an algorithm that is not offered (`key-algorithm`).
    """
    if (key.keytype, key.scheme) not in schemes:
        offered = ", ".join(sorted(scheme for _, scheme in schemes))
        raise Refused.because("key-algorithm", key.keyid[:8], f"expected one of {offered}, got {key.scheme}")
    form = encode_canonical({"keytype": key.keytype, "keyval": {"public": key.public}, "scheme": key.scheme}) or ""
    computed = hashlib.sha256(form.encode()).hexdigest()
    if computed != key.keyid:
        raise Untrusted(f"expected the keyid {computed} for this key, got {key.keyid}", code="key-id")


def format_public_key(key: PublicKey) -> bytes:
    """The file that a holder hands to whoever prepares the ceremony. There is nothing secret in it."""
    content = {"format": PUBLIC_KEY_FORMAT, "keyid": key.keyid, **key.as_tuf()}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_public_key(content: bytes) -> PublicKey:
    """The key in a holder's public file.

    Raises:
        Refused: it is no such file, or of an algorithm that is not offered.
        Untrusted: the keyid is another key's.
    """
    try:
        if len(content) > MAX_PUBLIC_KEY_BYTES:
            raise ValueError(f"{len(content)} bytes")
        body: Mapping[str, Any] = orjson.loads(content)
        if body["format"] != PUBLIC_KEY_FORMAT:
            raise ValueError(f"format {body['format']!r}")
        key = PublicKey.from_tuf(body["keyid"], body)
        if not all(isinstance(text, str) for text in (key.keyid, key.keytype, key.scheme, key.public)):
            raise TypeError("not text")
    except (ValueError, KeyError, TypeError) as error:
        raise Refused.because(
            "public-key-file",
            "public key",
            f"expected the public file that `wheelmark trust key new` made, got: {error}",
        ) from error
    check_key(key, schemes=HOLDER_SCHEMES)
    return key


def find_holder(typed: str, keys: Iterable[PublicKey]) -> PublicKey:
    """The one key that a keyid, or the beginning of one, names.

    Raises:
        Refused: none or several (`holder-unknown`).
    """
    digits = re.sub(r"[\s:-]", "", typed).lower()
    known = {key.keyid: key for key in keys}
    found = [keyid for keyid in known if digits and keyid.startswith(digits)]
    if len(found) != 1:
        raise Refused.because(
            "holder-unknown",
            "holder",
            f"expected the first digits of one of the keys {', '.join(keyid[:8] for keyid in known)}, got {typed!r}, "
            f"with which {'several begin' if found else 'none begins'}",
        )
    return known[found[0]]


def changed_holders(
    before: OfflineTerms,
    *,
    add: Iterable[PublicKey] = (),
    remove: Iterable[PublicKey] = (),
    threshold: int | None = None,
    roles: Iterable[str] | None = None,
) -> dict[str, RoleKeys]:
    """Who shall sign each of these roles from now on. Without `threshold` it stays: it never sinks by itself. Without
    `roles` somebody leaves every role that they hold, and whoever comes in their place comes there.

    Raises:
        Refused: somebody is added who is there, or removed who is not; or the threshold fits no such role.
    """
    added, removed = tuple(add), tuple(remove)
    holders = {}
    for role in roles if roles is not None else _roles_of(before, removed):
        now = before.holders(role)
        if doubled := [key.keyid[:8] for key in added if key in now.keys]:
            raise Refused.because(
                "holder-known", role, f"expected new keys, got {', '.join(doubled)}, who hold it already"
            )
        unknown = [key.keyid[:8] for key in removed if key not in now.keys]
        if unknown and roles is not None:
            raise Refused.because("holder-unknown", role, f"expected keys that hold it, got {', '.join(unknown)}")
        keys = (*(key for key in now.keys if key not in removed), *added)
        holders[role] = RoleKeys(keys, threshold or now.threshold)
    return holders


def _roles_of(before: OfflineTerms, removed: Collection[PublicKey]) -> tuple[str, ...]:
    """The roles of which somebody leaves; all of them if nobody does."""
    if unknown := [key.keyid[:8] for key in removed if key not in before.offline_keys]:
        raise Refused.because("holder-unknown", "holder", f"expected keys that hold a role, got {', '.join(unknown)}")
    held = (role for role in OFFLINE_ROLES if any(key in before.holders(role).keys for key in removed))
    return tuple(held) if removed else OFFLINE_ROLES
