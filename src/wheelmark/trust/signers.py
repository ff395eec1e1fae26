"""Signers: the only code that holds private keys. Everything else names one by its URI.

| scheme               | where the private key lies                            | thief of the place gains              |
|----------------------|-------------------------------------------------------|---------------------------------------|
| `pkcs8:<path>`       | a file, encrypted (see `keyfile`), opened into memory | nothing without the passphrase        |
| `pkcs11:…`           | a token (see `signers_pkcs11`)                        | nothing without the PIN               |
| `awskms:`, `gcpkms:` | a key service (see `signers_services`)                | nothing; its credentials: use of it   |
| `azurekms:`, `hv:`   | the same                                              | the same                              |
| `memory:<algorithm>` | nowhere: made when opened, gone with the process      | tests and trials only                 |

The modules behind a scheme, and the libraries that they need, are imported when a URI names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, get_args

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust.keyfile import Algorithm, PrivateKey, load_private_key, new_private_key
from wheelmark.trust.keys import PublicKey
from wheelmark.trust.passphrases import Passphrase


class OnlineSigner(Protocol):
    """Something that signs with one key. Offline keys are used through the same shape, in a ceremony only."""

    @property
    def uri(self) -> str:
        """Where the key is found again."""
        ...

    @property
    def public(self) -> PublicKey: ...

    @property
    def keyid(self) -> str: ...

    def sign(self, signed: bytes) -> dict[str, str]:
        """The signature over a signed part as metadata lists it: `keyid` and `sig` (hex).

        Raises:
            Unavailable: the key's keeper does not answer.
        """
        ...


Opener = Callable[[str, Passphrase], OnlineSigner]
"""What a scheme is: the part of the URI behind the colon and a passphrase in, a signer out."""


@dataclass(frozen=True, slots=True)
class KeySigner:
    """A signer whose private key is in this process's memory."""

    uri: str
    public: PublicKey
    _key: PrivateKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, uri: str, key: PrivateKey) -> KeySigner:
        return cls(uri, PublicKey.of(key.public_key()), key)

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, signed: bytes) -> dict[str, str]:
        """Ed25519, or ECDSA over SHA-256 with the signature in DER, as TUF's two schemes of these names ask for."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            signature = self._key.sign(signed)
        else:
            signature = self._key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return {"keyid": self.public.keyid, "sig": signature.hex()}


def _open_pkcs8(rest: str, passphrase: Passphrase) -> OnlineSigner:
    return KeySigner.of(f"pkcs8:{rest}", load_private_key(Path(rest), passphrase=passphrase))


def _open_memory(rest: str, _passphrase: Passphrase) -> OnlineSigner:
    algorithm = next((known for known in get_args(Algorithm) if known == (rest or "ed25519")), None)
    if algorithm is None:
        raise Refused.because("key-algorithm", "uri", f"expected memory:ed25519 or memory:ecdsa-p256, got {rest!r}")
    return KeySigner.of(f"memory:{algorithm}", new_private_key(algorithm))


def _open_pkcs11(rest: str, passphrase: Passphrase) -> OnlineSigner:
    from wheelmark.trust.signers_pkcs11 import open_token_signer

    return open_token_signer(rest, passphrase)


def _open_service(scheme: str) -> Opener:
    def open_key(rest: str, _passphrase: Passphrase) -> OnlineSigner:
        from wheelmark.trust.signers_services import open_service_signer

        return open_service_signer(scheme, rest)

    return open_key


SCHEMES: Final[Mapping[str, Opener]] = MappingProxyType(
    {
        "pkcs8": _open_pkcs8,
        "memory": _open_memory,
        "pkcs11": _open_pkcs11,
        **{scheme: _open_service(scheme) for scheme in ("awskms", "gcpkms", "azurekms", "hv")},
    }
)


def open_signer(
    uri: str, *, passphrase: Passphrase, public: PublicKey | None = None, schemes: Mapping[str, Opener] = SCHEMES
) -> OnlineSigner:
    """The signer a URI names, ready to sign. `passphrase` is asked only if the scheme needs one.

    With `public`, the signer must hold exactly this key: an index whose root names another would publish what no client
    accepts.

    Raises:
        Refused: an unknown scheme (`signer-scheme`), or not a usable key (`key-format`, `key-algorithm`).
        Unavailable: the key is not there (`key-missing`) or does not open (`key-passphrase`).
        Untrusted: it is another key than `public` (`key-mismatch`).
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in schemes:
        known = ", ".join(f"{name}:" for name in sorted(schemes))
        raise Refused.because("signer-scheme", "uri", f"expected one of {known}, got {uri!r}")
    signer = schemes[scheme](rest, passphrase)
    if public is not None and signer.public != public:
        raise Untrusted(f"expected key {public.keyid} at {uri}, got {signer.keyid}", code="key-mismatch")
    return signer
