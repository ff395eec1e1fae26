"""How one state of the three offline roles follows another: who decides on it, and what it must not do. Pure.

Source: TUF spec § 5.3.4 (root N+1 is signed by a threshold of N and of N+1), § 6.1 (key management and migration).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets  # type: ignore[attr-defined]  # re-exported without saying so

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust.holders import HOLDER_SCHEMES, ONLINE_SCHEMES, check_key
from wheelmark.trust.keys import RoleKeys
from wheelmark.trust.layout import BINS, ROOT, TARGETS
from wheelmark.trust.terms import OFFLINE_ROLES, OfflineTerms, read_terms, signed_part


def terms_of(current: Mapping[str, bytes]) -> OfflineTerms:
    """What root, targets and bins say now, by their files.

    Raises:
        Untrusted: they do not verify.
    """
    terms = verified_terms(current)
    if terms is None:
        raise RuntimeError("expected three files, got none: a new index has no terms yet")
    return terms


def verified_terms(current: Mapping[str, bytes]) -> OfflineTerms | None:
    """What the current files say, if their signatures hold; None for a new index.

    Raises:
        Untrusted: they are not the three, or do not verify.
    """
    if not current:
        return None
    if list(current) != list(OFFLINE_ROLES):
        raise Untrusted(
            f"expected {', '.join(OFFLINE_ROLES)} as they are, got {', '.join(current)}", code="ceremony-form"
        )
    verify_files(current, None)
    return together(None, {role: read_terms(role, signed_part(role, current[role])[0]) for role in OFFLINE_ROLES})


def verify_files(files: Mapping[str, bytes], predecessor: bytes | None) -> None:
    """Let python-tuf check root (by its predecessor and itself), targets (by root) and bins (by targets).

    Raises:
        Untrusted: it refuses one.
    """
    try:
        root = Metadata[Root].from_bytes(files[ROOT])
        if predecessor is not None and predecessor != files[ROOT]:
            Metadata[Root].from_bytes(predecessor).signed.verify_delegate(ROOT, root.signed_bytes, root.signatures)
        root.signed.verify_delegate(ROOT, root.signed_bytes, root.signatures)
        targets = Metadata[Targets].from_bytes(files[TARGETS])
        root.signed.verify_delegate(TARGETS, targets.signed_bytes, targets.signatures)
        bins = Metadata[Targets].from_bytes(files[BINS])
        targets.signed.verify_delegate(BINS, bins.signed_bytes, bins.signatures)
    except (RepositoryError, ValueError, AttributeError) as error:
        raise Untrusted(f"expected root, targets and bins that verify, got: {error}", code="ceremony-verify") from error


def together(before: OfflineTerms | None, read: Mapping[str, Any]) -> OfflineTerms:
    """The new terms, and those from before for the roles that get no new version.

    Raises:
        Untrusted: a role of a new index has none.
    """

    def pick(role: str) -> Any:
        if role in read:
            return read[role]
        if before is None:
            raise Untrusted(f"expected a first {role} in the founding of an index, got none", code="ceremony-form")
        return before.of(role)

    return OfflineTerms(root=pick(ROOT), targets=pick(TARGETS), bins=pick(BINS))


def check_keys(after: OfflineTerms) -> None:
    """Who takes the server must not hold a key that survives the server; and each key stands under its own name.

    Raises:
        Refused: a key of both kinds, or an algorithm that is not offered.
        Untrusted: a key under another's name.
    """
    for key in after.offline_keys:
        check_key(key, schemes=HOLDER_SCHEMES)
    for key in after.online_keys:
        check_key(key, schemes=ONLINE_SCHEMES)
    first, second = after.online_keys
    shared = {key.public for key in after.offline_keys} & {first.public, second.public}
    if shared or first.public == second.public:
        got = "one of the holders' keys" if shared else "one for both"
        raise Refused.because("key-shared", "online", f"expected online keys of their own, got {got}")


def check_step(before: OfflineTerms, after: OfflineTerms, new: Mapping[str, bytes]) -> None:
    """What a step from one state to the next must not do.

    Raises:
        Refused: another number of bins without a new key for snapshot and timestamp.
        Untrusted: holders change, and the role in which they stand has no new version.
    """
    stale = [role for role in OFFLINE_ROLES if role not in new and after.holders(role) != before.holders(role)]
    if stale:
        raise Untrusted(
            f"expected new versions of {', '.join(stale)}, whose holders change, got none", code="ceremony-form"
        )
    if after.bins.layout != before.bins.layout and after.root.publish == before.root.publish:
        raise Refused.because(
            "rebin-keys",
            "bit_length",
            "expected a new key for snapshot and timestamp together with another number of bins, got the old one: "
            "clients that know the old bins would refuse the index (add --timestamp-key new)",
        )


def deciders(role: str, before: OfflineTerms | None, after: OfflineTerms) -> list[tuple[str, RoleKeys]]:
    """Whose thresholds a new version of a role must meet, each with the document that says so."""
    if role == ROOT:
        old = [(f"root {before.root.version}", before.root.root)] if before else []
        return [*old, (f"root {after.root.version}", after.root.root)]
    if role == TARGETS:
        return [(f"root {after.root.version}", after.root.targets)]
    return [(f"targets {after.targets.version}", after.targets.bins)]
