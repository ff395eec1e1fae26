"""A ceremony: which new versions of root, targets and bins are to be signed, by whom, and who has signed. Pure values.

    propose ─► the file goes to each holder ─► sign ─► merge what comes back ─► complete ─► write

Whoever opens a ceremony verifies all of it again (`open_ceremony`), so none of the steps trusts the one before, and a
copy that went through the hands of others is as good as one that did not.

Source: TUF spec § 5.3.4 (root N+1 is signed by a threshold of N and of N+1), § 6.1 (key management and migration).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import orjson

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust.expiry import ExpiryPolicy, expires_at
from wheelmark.trust.founding import OnlineKeys
from wheelmark.trust.keys import PublicKey, RoleKeys
from wheelmark.trust.layout import BINS, ROOT, TARGETS, Layout
from wheelmark.trust.metadata import envelope, utc_seconds
from wheelmark.trust.signers import OnlineSigner
from wheelmark.trust.state import RoleState
from wheelmark.trust.succession import check_keys, check_step, deciders, together, verified_terms, verify_files
from wheelmark.trust.terms import OFFLINE_ROLES, BinsTerms, OfflineTerms, RootTerms, TargetsTerms, read_terms

MAX_SIGNATURE_CHARACTERS: Final = 4096
"""Hex characters of one signature; RSA of 16,384 bits has 4,096."""

Signatures = Mapping[str, Mapping[str, str]]
"""By role, then keyid: the signature in hex."""

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What should hold afterwards. What is not said stays as it is."""

    holders: Mapping[str, RoleKeys] = field(default_factory=dict)  # of root, targets, bins
    bins_key: PublicKey | None = None
    publish_key: PublicKey | None = None
    layout: Layout | None = None
    renew: frozenset[str] = frozenset()  # offline roles that get a new version for its expiry's sake


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A threshold that must be met: so many of these keys sign this role."""

    role: str
    because: str  # whose rule it is: "root 1", "root 2", …
    keys: RoleKeys
    signed: tuple[str, ...]  # keyids, in the order of the keys

    @property
    def missing(self) -> int:
        """How many signatures are missing."""
        return max(0, self.keys.threshold - len(self.signed))

    @property
    def absent(self) -> tuple[PublicKey, ...]:
        """Whose signature would help."""
        return tuple(key for key in self.keys.keys if key.keyid not in self.signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """What is to be signed, and what was signed so far. Made by `propose` and `open_ceremony` only: all is verified."""

    current: Mapping[str, bytes]  # role -> its file now; empty: the index is founded by this ceremony
    new: Mapping[str, bytes]  # role -> signed bytes, for the roles that get a new version
    signatures: Signatures
    before: OfflineTerms | None
    after: OfflineTerms

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything but the signatures: the same for all copies of one ceremony, and for no other."""
        return fingerprint_of(self.current, self.new)

    @property
    def demands(self) -> tuple[Demand, ...]:
        """Every threshold of this ceremony, in the order of the roles."""
        demands = []
        for role in self.new:
            signed = self.signatures.get(role, {})
            for because, keys in deciders(role, self.before, self.after):
                found = tuple(key.keyid for key in keys.keys if key.keyid in signed)
                demands.append(Demand(role=role, because=because, keys=keys, signed=found))
        return tuple(demands)

    @property
    def ready(self) -> bool:
        """Whether every threshold is met."""
        return all(demand.missing == 0 for demand in self.demands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What comes out of a ceremony. Write `objects` in order; nothing of it is current before a timestamp follows."""

    fingerprint: str
    objects: tuple[tuple[str, bytes], ...]  # ("2.root.json", bytes), …: only the new ones
    roles: Mapping[str, RoleState]  # all three
    online: OnlineKeys
    layout: Layout
    before: OfflineTerms | None
    after: OfflineTerms


def fingerprint_of(current: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    """The fingerprint of what is to be signed, on top of what."""
    parts = [[role, hashlib.sha256(files[role]).hexdigest()] for files in (current, new) for role in files]
    return hashlib.sha256(orjson.dumps({"current": len(current), "parts": parts})).hexdigest()


def propose(current: Mapping[str, bytes], wish: Wish, *, now: datetime, policy: ExpiryPolicy) -> Ceremony:
    """A ceremony that makes `wish` true. `current` is empty for a new index: then the wish says everything.

    A role gets a new version if it says something new, if other people decide on it from now on, or if it is to be
    renewed. No signature is made here.

    Raises:
        Refused: nothing would change (`ceremony-empty`), or the wish cannot be met (see `open_ceremony`).
        Untrusted: what is current does not verify.
    """
    before = verified_terms(current)
    after = _terms_after(before, wish, now=utc_seconds(now), policy=policy)
    new = {
        role: after.of(role).signed_bytes()
        for role in OFFLINE_ROLES
        if before is None or after.of(role).version != before.of(role).version
    }
    if not new:
        raise Refused.because(
            "ceremony-empty", "change", "expected something that changes, or roles to renew, got neither"
        )
    return open_ceremony(current, new, {})


def open_ceremony(current: Mapping[str, bytes], new: Mapping[str, bytes], signatures: Signatures) -> Ceremony:
    """The ceremony in these bytes, all of it verified: what it builds on, what it says, and each signature so far.

    Raises:
        Refused: what it says must not be: a key of both kinds (`key-shared`), fewer or more bins without new keys for
            snapshot and timestamp (`rebin-keys`), an algorithm that is not offered (`key-algorithm`).
        Untrusted: anything that does not verify; the message says what.
    """
    before = verified_terms(current)
    if not new or list(new) != [role for role in OFFLINE_ROLES if role in new]:
        raise Untrusted(f"expected new versions of offline roles, got {', '.join(new) or 'none'}", code="ceremony-form")
    read = {role: read_terms(role, signed) for role, signed in new.items()}
    after = together(before, read)
    for role, terms in read.items():
        expected = before.of(role).version + 1 if before else 1
        if terms.version != expected:
            raise Untrusted(f"expected version {expected} of {role}, got {terms.version}", code="ceremony-version")
    check_keys(after)
    if before is not None:
        check_step(before, after, new)
    opened = Ceremony(current=dict(current), new=dict(new), signatures={}, before=before, after=after)
    for role, found in signatures.items():
        for keyid, signature in found.items():
            _check_signature(opened, role, keyid, signature)
    kept = {role: dict(sorted(signatures[role].items())) for role in new if signatures.get(role)}
    return Ceremony(current=opened.current, new=opened.new, signatures=kept, before=before, after=after)


def sign(ceremony: Ceremony, signer: OnlineSigner) -> Ceremony:
    """The ceremony with one holder's signatures on every role that this key decides on.

    Raises:
        Refused: the key decides on nothing here (`not-a-holder`).
        Unavailable: the key's keeper does not answer.
    """
    mine = [role for role in ceremony.new if signer.keyid in _may_sign(ceremony, role)]
    if not mine:
        raise Refused.because(
            "not-a-holder",
            "key",
            f"expected a key that this ceremony asks for, got {signer.keyid}: look at its summary",
        )
    added = {role: {signer.keyid: signer.sign(ceremony.new[role])["sig"]} for role in mine}
    return merge([ceremony, open_ceremony(ceremony.current, ceremony.new, added)])


def merge(copies: Sequence[Ceremony]) -> Ceremony:
    """One ceremony with the signatures of all copies. Neither order nor repetition matters.

    Raises:
        Untrusted: a copy is of another ceremony (`ceremony-other`).
    """
    first = copies[0]
    gathered: dict[str, dict[str, str]] = {}
    for copy in copies:
        if copy.fingerprint != first.fingerprint:
            raise Untrusted(
                f"expected a copy of the ceremony {first.fingerprint}, got one of {copy.fingerprint}",
                code="ceremony-other",
            )
        for role, found in copy.signatures.items():
            known = gathered.setdefault(role, {})
            for keyid, signature in found.items():
                # Some algorithms sign differently each time: any choice does that does not depend on the order.
                known[keyid] = min(signature, known.get(keyid, signature))
    return open_ceremony(first.current, first.new, gathered)


def complete(ceremony: Ceremony, *, now: datetime) -> Completed:
    """What to write, once every threshold is met. python-tuf has the last word.

    Raises:
        Refused: signatures are missing (`ceremony-unsigned`); the message says whose.
        Untrusted: python-tuf refuses it, or it has expired meanwhile (`ceremony-expired`).
    """
    missing = [demand for demand in ceremony.demands if demand.missing]
    if missing:
        raise Refused.because(
            "ceremony-unsigned",
            "signatures",
            "; ".join(
                f"{demand.role}: expected {demand.keys.threshold} of the keys of {demand.because}, got "
                f"{len(demand.signed)}; any {demand.missing} of {', '.join(key.keyid[:8] for key in demand.absent)}"
                for demand in missing
            ),
        )
    after = ceremony.after
    for role in OFFLINE_ROLES:
        if after.of(role).expires_at <= now:
            raise Untrusted(
                f"expected {role} to expire after {utc_seconds(now)}, got {after.of(role).expires_at}: begin again",
                code="ceremony-expired",
            )
    files = {role: _sealed(ceremony, role) for role in ceremony.new}
    verify_files({**ceremony.current, **files}, ceremony.current.get(ROOT))
    return Completed(
        fingerprint=ceremony.fingerprint,
        objects=tuple((f"{after.of(role).version}.{role}.json", file) for role, file in files.items()),
        roles={role: RoleState(after.of(role).version, after.of(role).expires_at) for role in OFFLINE_ROLES},
        online=OnlineKeys(bins=after.bins.online, publish=after.root.publish),
        layout=after.bins.layout,
        before=ceremony.before,
        after=after,
    )


def _sealed(ceremony: Ceremony, role: str) -> bytes:
    found = ceremony.signatures[role]
    return envelope(ceremony.new[role], [{"keyid": keyid, "sig": signature} for keyid, signature in found.items()])


def _terms_after(before: OfflineTerms | None, wish: Wish, *, now: datetime, policy: ExpiryPolicy) -> OfflineTerms:
    """What the three roles shall say: versions rise by one where something is new."""
    if before is None:
        if set(wish.holders) != set(OFFLINE_ROLES) or not (wish.bins_key and wish.publish_key and wish.layout):
            raise Refused.because(
                "ceremony-founding", "change", "expected holders, online keys and bins of a new index"
            )
        holders, bins_key, publish_key, layout = wish.holders, wish.bins_key, wish.publish_key, wish.layout
    else:
        holders = {role: wish.holders.get(role) or before.holders(role) for role in OFFLINE_ROLES}
        bins_key, publish_key = wish.bins_key or before.bins.online, wish.publish_key or before.root.publish
        layout = wish.layout or before.bins.layout
    changed = {
        ROOT: before is None
        or (before.root.root, before.root.targets, before.root.publish)
        != (holders[ROOT], holders[TARGETS], publish_key),
        TARGETS: before is None or (before.root.targets, before.targets.bins) != (holders[TARGETS], holders[BINS]),
        BINS: before is None
        or (before.targets.bins, before.bins.online, before.bins.layout) != (holders[BINS], bins_key, layout),
    }

    def head(role: str) -> dict[str, Any]:
        old = before.of(role) if before else None
        if old and not changed[role] and role not in wish.renew:
            return {"version": old.version, "expires_at": old.expires_at}
        return {"version": old.version + 1 if old else 1, "expires_at": expires_at(now, policy.life_of(role))}

    return OfflineTerms(
        root=RootTerms(**head(ROOT), root=holders[ROOT], targets=holders[TARGETS], publish=publish_key),
        targets=TargetsTerms(**head(TARGETS), bins=holders[BINS]),
        bins=BinsTerms(**head(BINS), online=bins_key, layout=layout),
    )


def _may_sign(ceremony: Ceremony, role: str) -> dict[str, PublicKey]:
    found = deciders(role, ceremony.before, ceremony.after)
    return {key.keyid: key for _, keys in found for key in keys.keys}


def _check_signature(ceremony: Ceremony, role: str, keyid: str, signature: str) -> None:
    if role not in ceremony.new:
        raise Untrusted(
            f"expected signatures on {', '.join(ceremony.new)}, got one on {role}", code="ceremony-signature"
        )
    key = _may_sign(ceremony, role).get(keyid)
    if key is None:
        raise Untrusted(f"expected signatures of holders on {role}, got one by {keyid}", code="ceremony-signature")
    try:
        if len(signature) > MAX_SIGNATURE_CHARACTERS or signature != bytes.fromhex(signature).hex():
            raise ValueError("not lower-case hex")
        key.verify(signature, ceremony.new[role], where=f"the ceremony, on {role}")
    except (Untrusted, ValueError) as error:
        raise Untrusted(
            f"expected the signature of {keyid} on {role} to verify, got: {error}", code="ceremony-signature"
        ) from error
