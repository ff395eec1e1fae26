"""Keys on a PKCS#11 token (a hardware security module, a smart card, SoftHSM), used through one session kept open.

    pkcs11:token=index;id=%02?module-path=/usr/lib/softhsm/libsofthsm2.so

The URI is a part of RFC 7512. Path attributes: `token` (its label) or `serial`, `id` or `object` (the key's label).
Query attributes: `module-path` (always), `pin-source` (a source of `passphrases`, percent-encoded; without it the PIN
is the passphrase of the other keys). `pin-value` is refused: a URI stands in settings and in the list of processes.

Opening a session and logging in takes a hundred times longer than a signature, so it is done once and again only when
the token was pulled or the session died. A PIN that was wrong once is not tried again: tokens lock after a few.

Source: RFC 7512; PKCS#11 v2.40 (sessions and logins belong to the whole process and are shared here).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from wheelmark.errors import Fault, Refused, Unavailable
from wheelmark.trust.keys import PublicKey
from wheelmark.trust.passphrases import Passphrase, passphrase_from

if TYPE_CHECKING:
    from wheelmark.trust.signers import OnlineSigner

_PATH_ATTRIBUTES: Final = frozenset({"token", "serial", "id", "object", "type"})
_QUERY_ATTRIBUTES: Final = frozenset({"module-path", "pin-source"})
_ED25519_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """Which key on which token; empty: not named."""

    module: str
    token: str
    serial: bytes
    key_id: bytes
    label: str
    pin_source: str

    @classmethod
    def parse(cls, rest: str) -> TokenKey:
        """The part of the URI behind `pkcs11:`.

        Raises:
            Refused: it names no key, or something that is not known here; every fault is said.
        """
        path, _, query = rest.partition("?")
        faults: list[Fault] = []
        named = _attributes(path, ";", _PATH_ATTRIBUTES, faults)
        named |= _attributes(query, "&", _QUERY_ATTRIBUTES, faults)
        for needed in (("module-path",), ("token", "serial"), ("id", "object")):
            if not any(named.get(name) for name in needed):
                faults.append(Fault("signer-uri", "uri", f"expected {' or '.join(needed)} in pkcs11:…, got none"))
        if named.get("type", "private") != "private":
            faults.append(Fault("signer-uri", "uri", f"expected type=private, got {named['type']!r}"))
        if faults:
            raise Refused(faults)
        return cls(
            module=unquote(named["module-path"]),
            token=unquote(named.get("token", "")),
            serial=unquote_to_bytes(named.get("serial", "")),
            key_id=unquote_to_bytes(named.get("id", "")),
            label=unquote(named.get("object", "")),
            pin_source=unquote(named.get("pin-source", "")),
        )


def _attributes(text: str, separator: str, known: frozenset[str], faults: list[Fault]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name not in known or not equals or name in found:
            # The value is not shown: somebody may have tried `pin-value`.
            message = f"expected each of {', '.join(sorted(known))} once at most, got {name!r}"
            faults.append(Fault("signer-uri", "uri", message))
        found[name] = value
    return found


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """A signer whose key never leaves its token."""

    uri: str
    public: PublicKey
    _key: TokenKey = field(repr=False)
    _pin: Passphrase = field(repr=False, compare=False)

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, signed: bytes) -> dict[str, str]:
        """Ed25519, or ECDSA over SHA-256 in DER. The first signature of each session is verified before it is given.

        Raises:
            Unavailable: the token is not there, or does not let us in.
            Untrusted: it signs with another key than it showed us (`signer-signature`).
        """
        module = _module(self._key.module)
        if self.public.keytype == "ed25519":
            raw = module.sign(self._key, self._pin, signed, mechanism="EDDSA")
        else:
            raw = module.sign(self._key, self._pin, hashlib.sha256(signed).digest(), mechanism="ECDSA")
            middle = len(raw) // 2
            raw = encode_dss_signature(int.from_bytes(raw[:middle], "big"), int.from_bytes(raw[middle:], "big"))
        module.prove(self._key, self.public, raw.hex(), signed)
        return {"keyid": self.public.keyid, "sig": raw.hex()}


def open_token_signer(rest: str, passphrase: Passphrase) -> OnlineSigner:
    """The signer that `pkcs11:<rest>` names; the token is there, open, and has the key.

    Raises:
        Refused: the URI names no key, or a key that TUF cannot use.
        Unavailable: the token or the key is not there, or the PIN is wrong.
    """
    key = TokenKey.parse(rest)
    pin = passphrase_from(key.pin_source, what="PIN") if key.pin_source else passphrase
    return TokenSigner(f"pkcs11:{rest}", _module(key.module).public(key, pin), key, pin)


class _Module:
    """One PKCS#11 library, loaded once for the process, with the sessions that we keep open.

    One thread at a time: the library was not asked to be safe for several.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._sessions: dict[tuple[str, bytes], Any] = {}
        self._private_keys: dict[TokenKey, Any] = {}
        self._proven: set[str] = set()
        self._salt = secrets.token_bytes(16)
        self._wrong_pins: set[bytes] = set()

    def public(self, key: TokenKey, pin: Passphrase) -> PublicKey:
        """The public half of a key, as it lies beside it on the token."""
        with self._lock, self._answering(key):
            found: PublicKey = self._twice(lambda: _public_key(self._object(key, pin, "PUBLIC_KEY")))
            return found

    def sign(self, key: TokenKey, pin: Passphrase, payload: bytes, *, mechanism: str) -> bytes:
        """The token's own form of a signature: for ECDSA the two numbers, one after the other."""
        pkcs11 = _library()

        def sign() -> bytes:
            if key not in self._private_keys:
                self._private_keys[key] = self._object(key, pin, "PRIVATE_KEY")
            return bytes(self._private_keys[key].sign(payload, mechanism=pkcs11.Mechanism[mechanism]))

        with self._lock, self._answering(key):
            signature: bytes = self._twice(sign)
            return signature

    def prove(self, key: TokenKey, public: PublicKey, signature: str, signed: bytes) -> None:
        """Verify the first signature of a key after each opening: two objects of one id need not be one pair."""
        if public.keyid not in self._proven:
            public.verify(signature, signed, where=f"token {key.token or key.serial!r}")
            self._proven.add(public.keyid)

    def _twice(self, use: Any) -> Any:
        """Use the token; when it was pulled or has forgotten us, open it anew and try once more."""
        pkcs11 = _library()
        if self._process != os.getpid():
            self._forget()  # a fork: sessions stay with the parent
        try:
            return use()
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked):
            raise
        except pkcs11.PKCS11Error:
            self._forget()
            return use()

    def _forget(self) -> None:
        """Drop every session and start the library again: many see a token that came back only then."""
        pkcs11 = _library()
        self._sessions.clear()
        self._private_keys.clear()
        self._proven.clear()
        self._process = os.getpid()
        with contextlib.suppress(pkcs11.PKCS11Error):
            pkcs11.lib(self.path).finalize()

    def _session(self, key: TokenKey, pin: Passphrase) -> Any:
        pkcs11 = _library()
        name = (key.token, key.serial)
        if name not in self._sessions:
            token = pkcs11.lib(self.path).get_token(token_label=key.token or None, token_serial=key.serial or None)
            value = pin()
            mark = hashlib.sha256(self._salt + repr(name).encode() + value).digest()
            if mark in self._wrong_pins:
                raise pkcs11.PinIncorrect
            try:
                self._sessions[name] = token.open(user_pin=value.decode("utf-8", "surrogateescape"))
            except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
                self._wrong_pins.add(mark)
                raise
        return self._sessions[name]

    def _object(self, key: TokenKey, pin: Passphrase, kind: str) -> Any:
        pkcs11 = _library()
        session = self._session(key, pin)
        return session.get_key(
            pkcs11.ObjectClass[kind], **({"id": key.key_id} if key.key_id else {}), label=key.label or None
        )

    @contextlib.contextmanager
    def _answering(self, key: TokenKey) -> Iterator[None]:
        """Turn what the library says into an error that says what to do."""
        pkcs11 = _library()
        token = repr(key.token or key.serial)
        try:
            yield
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
            message = f"the token {token} refused the PIN; the same one is not tried again by this process"
            raise Unavailable(message, code="key-passphrase") from error
        except pkcs11.PinLocked as error:
            raise Unavailable(
                f"the token {token} is locked: unlock it with its SO PIN", code="key-passphrase"
            ) from error
        except (pkcs11.NoSuchToken, pkcs11.TokenNotPresent, pkcs11.NoSuchKey) as error:
            what = "such key (or no public key beside it)" if isinstance(error, pkcs11.NoSuchKey) else "such token"
            message = f"expected key {key.key_id.hex() or repr(key.label)} on token {token}, got no {what}"
            raise Unavailable(message, code="key-missing") from error
        except (pkcs11.MultipleTokensReturned, pkcs11.MultipleObjectsReturned) as error:
            message = f"expected one key on one token {token}, got several: name serial and id"
            raise Refused.because("signer-uri", "uri", message) from error
        except pkcs11.PKCS11Error as error:
            said = str(error) or type(error).__name__
            raise Unavailable(f"the token {token} ({self.path}) failed: {said}", code="key-away") from error


_modules: dict[str, _Module] = {}
_modules_lock = threading.Lock()


def _module(path: str) -> _Module:
    with _modules_lock:
        return _modules.setdefault(path, _Module(path))


def _library() -> Any:
    try:
        import pkcs11
    except ImportError as error:
        message = "keys on a PKCS#11 token need python-pkcs11: install wheelmark[hsm]"
        raise Unavailable(message, code="signer-extra") from error
    return pkcs11


def _public_key(found: Any) -> PublicKey:
    pkcs11 = _library()
    kind = found[pkcs11.Attribute.KEY_TYPE]
    if kind == pkcs11.KeyType.EC:
        key = load_der_public_key(pkcs11.util.ec.encode_ec_public_key(found))
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            return PublicKey.of(key)
    if kind == pkcs11.KeyType.EC_EDWARDS:
        # A DER OCTET STRING, a BIT STRING or nothing around the 32 bytes: libraries differ.
        point = bytes(found[pkcs11.Attribute.EC_POINT])
        if len(point) - _ED25519_BYTES in {0, 2, 3}:
            return PublicKey.of(ed25519.Ed25519PublicKey.from_public_bytes(point[-_ED25519_BYTES:]))
    message = "expected an Ed25519 or ECDSA P-256 key, got another on the token"
    raise Refused.because("key-algorithm", "uri", message)
