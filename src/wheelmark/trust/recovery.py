"""After a theft or a restored backup: which versions must never be used again, and which of those that lie in the
store clients may have trusted. Pure.

Versions only rise for a client, as long as the keys stay the same. An index whose database was restored from a backup
has forgotten some that clients have seen: they are burned (see `publication`), and what has a burned version is signed
again above it.

A thief may have signed version 2**53 - 1 to lock the index out (fast-forward). Against that TUF has one means: new keys
for snapshot and timestamp. A client that learns of them forgets the old versions (TUF spec § 5.3.11). So what keys
signed that root does not name any more counts no longer, except as names in the store that must not get a second
content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports its payloads without saying so
    Key,
    Metadata,
    Root,
    Targets,
)

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust.keys import PublicKey
from wheelmark.trust.layout import BINS, ROOT, TARGETS

MAX_LEAP: Final = 2**32
"""No honest index gets so far ahead of its backup: with 50 publications a second it takes 2.7 years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVersion:
    """A version of an online role that store or log know, and the database does not."""

    role: str
    version: int
    current_key: bool  # signed by the key that root (or bins) names now


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPlan:
    """What a recovery does about versions."""

    burned: Mapping[str, int]  # role -> the highest version that is never used again
    ignored: tuple[FoundVersion, ...]  # of former keys, and far out of reach: no client of the current root trusts them


def plan_versions(found: Iterable[FoundVersion], committed: Mapping[str, int]) -> VersionPlan:
    """Which of the versions that were found are burned.

    Raises:
        Refused: the current keys signed a version so high that no honest index reached it (`fast-forward`): they were
            stolen, and only new ones help.
    """
    burned: dict[str, int] = {}
    ignored = []
    for one in found:
        known = committed.get(one.role, 0)
        if one.version <= known:
            continue
        if one.version <= known + MAX_LEAP:
            burned[one.role] = max(one.version, burned.get(one.role, 0))
        elif one.current_key:
            raise Refused.because(
                "fast-forward",
                one.role,
                f"expected a version near {known}, got {one.version}, signed by the current key: it was stolen; "
                "hold a ceremony that names a new key for snapshot and timestamp, then recover again",
            )
        else:
            ignored.append(one)
    return VersionPlan(burned=burned, ignored=tuple(ignored))


def signed_by(content: bytes, key: PublicKey) -> bool:
    """Whether this key signed a metadata file, whatever it says."""
    try:
        metadata = Metadata.from_bytes(content)
        signature = metadata.signatures.get(key.keyid)
        if signature is None:
            return False
        Key.from_dict(key.keyid, dict(key.as_tuf())).verify_signature(signature, metadata.signed_bytes)
    except (RepositoryError, UnverifiedSignatureError, ValueError, KeyError, TypeError):
        return False
    return True


def follows_root(trusted: bytes, new: bytes) -> bool:
    """Whether `new` is the root after `trusted`: its version is the next, and the keys of both signed it.

    Source: TUF spec § 5.3.
    """
    try:
        before, after = Metadata[Any].from_bytes(trusted).signed, Metadata[Any].from_bytes(new)
        if not isinstance(before, Root) or not isinstance(after.signed, Root):
            return False
        before.verify_delegate(ROOT, after.signed_bytes, after.signatures)
        after.signed.verify_delegate(ROOT, after.signed_bytes, after.signatures)
    except (RepositoryError, ValueError, KeyError, TypeError):
        return False
    return after.signed.version == before.version + 1


def delegated(delegator: bytes, role: str, content: bytes) -> bool:
    """Whether enough of the keys signed that `delegator` (root for `targets`, targets for `bins`) names for a role."""
    try:
        parent, metadata = Metadata[Any].from_bytes(delegator).signed, Metadata[Any].from_bytes(content)
        names_role = (role == TARGETS and isinstance(parent, Root)) or (role == BINS and isinstance(parent, Targets))
        if not names_role or not isinstance(metadata.signed, Targets):
            return False
        parent.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError, KeyError, TypeError):
        return False
    return True


def version_and_expiry(content: bytes) -> tuple[int, datetime]:
    """Version and expiry of a metadata file.

    Raises:
        Untrusted: it is none (`metadata-form`).
    """
    try:
        signed = Metadata.from_bytes(content).signed
    except (RepositoryError, ValueError) as error:
        raise Untrusted(f"expected TUF metadata, got none: {error}", code="metadata-form") from error
    return signed.version, signed.expires


def bit_length_of(bins: bytes) -> int:
    """The number of bins, as a power of two, that a `bins` file delegates to.

    Raises:
        Untrusted: it is no such file (`metadata-form`).
    """
    try:
        delegations = Metadata[Targets].from_bytes(bins).signed.delegations
        if delegations is None or delegations.succinct_roles is None:
            raise ValueError("no succinct roles")
        return delegations.succinct_roles.bit_length
    except (RepositoryError, ValueError, AttributeError) as error:
        raise Untrusted(f"expected the file of bins, got none: {error}", code="metadata-form") from error
