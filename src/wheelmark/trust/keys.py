"""Public keys as TUF writes them, and which of them speak for a role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from wheelmark.errors import Refused, Untrusted

MAX_KEYS_PER_ROLE = 32
"""Holders of one role; a ceremony with more people than this does not happen."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One public key of the repository.

    Source: TUF spec § 4.2 (KEY), securesystemslib's schemes.
    """

    keyid: str
    keytype: str
    scheme: str
    public: str  # Ed25519: 64 hex characters; all others: PEM

    @classmethod
    def of(cls, key: PublicKeyTypes) -> Self:
        """The TUF form of a `cryptography` public key; its keyid is the SHA-256 of that form.

        Raises:
            Refused: TUF has no scheme for this type of key.
        """
        # Late: this import brings along the clients of every key service that is installed.
        from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # re-exported without saying so

        try:
            found = SSlibKey.from_crypto(key)
        except ValueError as error:
            raise Refused.because("key-algorithm", "key", f"expected a key that TUF can use, got {error}") from error
        return cls(keyid=found.keyid, keytype=found.keytype, scheme=found.scheme, public=found.keyval["public"])

    @classmethod
    def from_tuf(cls, keyid: str, key: Mapping[str, Any]) -> Self:
        """The key under `keyid` in root or in a delegation.

        Raises:
            KeyError, TypeError: it is no key.
        """
        return cls(keyid=keyid, keytype=key["keytype"], scheme=key["scheme"], public=key["keyval"]["public"])

    def as_tuf(self) -> dict[str, object]:
        """The key as it stands in root and in delegations (the keyid is the name it stands under)."""
        return {"keytype": self.keytype, "keyval": {"public": self.public}, "scheme": self.scheme}

    def verify(self, signature: str, signed: bytes, *, where: str) -> None:
        """Check that a signature (hex) is this key's over `signed`; `where` names the signer in the error.

        Raises:
            Untrusted: it is not (`signer-signature`).
        """
        from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
        from securesystemslib.signer import Key, Signature  # type: ignore[attr-defined]  # re-exported, see above

        key = Key.from_dict(self.keyid, self.as_tuf())
        try:
            key.verify_signature(Signature(self.keyid, signature), signed)
        except (UnverifiedSignatureError, VerificationError) as error:
            message = f"expected a signature by key {self.keyid} from {where}, got one that does not verify"
            raise Untrusted(message, code="signer-signature") from error


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Who signs for a role: any `threshold` of `keys`.

    Raises:
        Refused: no key, a key named twice, or a threshold that these keys can never reach.
    """

    keys: tuple[PublicKey, ...]
    threshold: int = 1

    def __post_init__(self) -> None:
        distinct = {key.keyid for key in self.keys}
        if not 1 <= len(self.keys) <= MAX_KEYS_PER_ROLE or len(distinct) != len(self.keys):
            raise Refused.because(
                "role-keys", "keys", f"expected 1 to {MAX_KEYS_PER_ROLE} different keys, got {len(self.keys)}"
            )
        if type(self.threshold) is not int or not 1 <= self.threshold <= len(self.keys):
            raise Refused.because(
                "role-threshold", "threshold", f"expected 1 to {len(self.keys)}, got {self.threshold!r}"
            )

    @property
    def keyids(self) -> list[str]:
        return [key.keyid for key in self.keys]


def key_table(roles: Iterable[RoleKeys]) -> Mapping[str, dict[str, object]]:
    """All keys of some roles by keyid, as root and delegations list them."""
    return {key.keyid: key.as_tuf() for role in roles for key in role.keys}
