"""What the three offline roles say, as values, and the bytes that say exactly that.

A ceremony shows people values and has them sign bytes. `read_*` and `signed_bytes` are each other's inverse, and what
is not written the way we write it is refused: no byte that is signed can mean something that is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical

from wheelmark.errors import Untrusted, WheelmarkError
from wheelmark.trust.keys import PublicKey, RoleKeys
from wheelmark.trust.layout import BINS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Layout
from wheelmark.trust.metadata import bins_bytes, bins_delegation, root_bytes, targets_bytes

OFFLINE_ROLES: Final = (ROOT, TARGETS, BINS)
"""In the order in which a client asks for them, and in which they are written."""

MAX_OFFLINE_ROLE_BYTES: Final = 512_000
"""Root, targets and bins are signed by hand in a ceremony: some keys, and nothing that grows with the index."""

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootTerms:
    """Who speaks for the top-level roles."""

    version: int
    expires_at: datetime  # UTC
    root: RoleKeys
    targets: RoleKeys
    publish: PublicKey
    """Online key 2: it signs snapshot and timestamp."""

    def signed_bytes(self) -> bytes:
        publish = RoleKeys((self.publish,))
        return root_bytes(
            version=self.version,
            expires=self.expires_at,
            root=self.root,
            targets=self.targets,
            snapshot=publish,
            timestamp=publish,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsTerms:
    """Who speaks for `bins`."""

    version: int
    expires_at: datetime  # UTC
    bins: RoleKeys

    def signed_bytes(self) -> bytes:
        return targets_bytes(version=self.version, expires=self.expires_at, delegations=[bins_delegation(self.bins)])


@dataclass(frozen=True, slots=True, kw_only=True)
class BinsTerms:
    """How many bins there are, and the online key that signs them."""

    version: int
    expires_at: datetime  # UTC
    online: PublicKey
    """Online key 1."""
    layout: Layout

    def signed_bytes(self) -> bytes:
        return bins_bytes(
            version=self.version, expires=self.expires_at, layout=self.layout, keys=RoleKeys((self.online,))
        )


Terms = RootTerms | TargetsTerms | BinsTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineTerms:
    """All three roles together."""

    root: RootTerms
    targets: TargetsTerms
    bins: BinsTerms

    def of(self, role: str) -> Terms:
        """The terms of one offline role, by its name."""
        by_role: dict[str, Terms] = {ROOT: self.root, TARGETS: self.targets, BINS: self.bins}
        return by_role[role]

    def holders(self, role: str) -> RoleKeys:
        """Who signs one offline role."""
        return {ROOT: self.root.root, TARGETS: self.root.targets, BINS: self.targets.bins}[role]

    @property
    def offline_keys(self) -> tuple[PublicKey, ...]:
        """Every offline key once."""
        return tuple({key.keyid: key for role in OFFLINE_ROLES for key in self.holders(role).keys}.values())

    @property
    def online_keys(self) -> tuple[PublicKey, PublicKey]:
        return self.bins.online, self.root.publish

    def all_keys(self) -> Iterator[PublicKey]:
        yield from self.offline_keys
        yield from self.online_keys


def read_terms(role: str, signed: bytes) -> Terms:
    """What the bytes to be signed for an offline role say.

    Raises:
        Untrusted: they say more, or say it otherwise, than we would write (`offline-form`).
    """
    try:
        # Line breaks inside keys are raw in canonical JSON: see `metadata.envelope`.
        body = orjson.loads(signed.replace(b"\n", rb"\n"))
        terms = _READERS[role](body)
        written = terms.signed_bytes()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, WheelmarkError) as error:
        raise Untrusted(
            f"expected {role} in the form that Wheelmark writes, got: {error}", code="offline-form"
        ) from error
    if written != signed:
        raise Untrusted(f"expected {role} and nothing beside it, got something more in its bytes", code="offline-form")
    return terms


def signed_part(role: str, file: bytes) -> tuple[bytes, list[dict[str, str]]]:
    """The signed bytes and the signatures of an offline role's file. Nothing is verified.

    Raises:
        Untrusted: it is no metadata file, or larger than any (`offline-form`).
    """
    try:
        if len(file) > MAX_OFFLINE_ROLE_BYTES:
            raise ValueError(f"{len(file)} bytes")
        content = orjson.loads(file)
        signed = (encode_canonical(content["signed"]) or "").encode()
        signatures = [{"keyid": str(one["keyid"]), "sig": str(one["sig"])} for one in content["signatures"]]
    except (ValueError, KeyError, TypeError, FormatError, RecursionError) as error:
        raise Untrusted(f"expected a signed {role} file, got something else: {error}", code="offline-form") from error
    return signed, signatures


def _read_root(body: Mapping[str, Any]) -> RootTerms:
    def keys_of(role: str) -> RoleKeys:
        return _role_keys(body["roles"][role], body["keys"])

    return RootTerms(
        **_common(body),
        root=keys_of(ROOT),
        targets=keys_of(TARGETS),
        publish=_one(keys_of(TIMESTAMP), keys_of(SNAPSHOT)),
    )


def _read_targets(body: Mapping[str, Any]) -> TargetsTerms:
    [delegation] = body["delegations"]["roles"]
    return TargetsTerms(**_common(body), bins=_role_keys(delegation, body["delegations"]["keys"]))


def _read_bins(body: Mapping[str, Any]) -> BinsTerms:
    succinct = body["delegations"]["succinct_roles"]
    return BinsTerms(
        **_common(body),
        online=_one(_role_keys(succinct, body["delegations"]["keys"])),
        layout=Layout(succinct["bit_length"]),
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Terms]]] = {
    ROOT: _read_root,
    TARGETS: _read_targets,
    BINS: _read_bins,
}


def _common(body: Mapping[str, Any]) -> dict[str, Any]:
    expires = datetime.strptime(body["expires"], _TIME_FORMAT).replace(tzinfo=UTC)
    return {"version": body["version"], "expires_at": expires}


def _role_keys(role: Mapping[str, Any], keys: Mapping[str, Any]) -> RoleKeys:
    found = tuple(PublicKey.from_tuf(keyid, keys[keyid]) for keyid in role["keyids"])
    return RoleKeys(found, role["threshold"])


def _one(*roles: RoleKeys) -> PublicKey:
    """The one key of a role, or of several: an online role has no other."""
    keys = {key for role in roles for key in role.keys}
    if len(keys) != 1:
        raise ValueError(f"expected one online key, got {len(keys)}")
    return keys.pop()
