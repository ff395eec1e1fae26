"""PKCS#11 tokens: one in memory for every lane, and real ones of SoftHSM2 for the lane of services.

The double answers as `python-pkcs11` does, with its own exceptions, and counts logins: a real token locks after a few
wrong ones. `tests/contract/test_signers.py` runs the same suite over both.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pkcs11
from asn1crypto.core import OctetString  # type: ignore[import-untyped]  # it has none
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from wheelmark.trust.keyfile import Algorithm, PrivateKey, new_private_key

PIN = "1234"
KEY_IDS: dict[Algorithm, bytes] = {"ecdsa-p256": b"\x02", "ed25519": b"\x03"}
P256_BYTES = 32

_numbers = itertools.count(1)


@dataclass
class FakeToken:
    """A token in memory. `present` is whether it is plugged in; a session does not outlive a pull."""

    label: str = "index"
    pin: str = PIN
    present: bool = True
    private_keys: dict[bytes, PrivateKey] = field(default_factory=dict)
    public_keys: dict[bytes, PrivateKey] = field(default_factory=dict)
    logins: int = 0
    logged_in: bool = False
    _plugged: int = 0

    def generate(self, algorithm: Algorithm) -> None:
        key = new_private_key(algorithm)
        self.private_keys[KEY_IDS[algorithm]] = self.public_keys[KEY_IDS[algorithm]] = key

    def pull(self) -> None:
        self.present, self.logged_in, self._plugged = False, False, self._plugged + 1

    def plug_in(self) -> None:
        self.present = True

    def open(self, user_pin: str | None = None) -> _Session:
        if not self.present:
            raise pkcs11.TokenNotPresent
        if user_pin is not None:
            self.logins += 1
            if self.logged_in:
                raise pkcs11.UserAlreadyLoggedIn
            if user_pin != self.pin:
                raise pkcs11.PinIncorrect
            self.logged_in = True
        return _Session(self, self._plugged)


@dataclass
class _Session:
    token: FakeToken
    plugged: int

    def check(self) -> None:
        if not self.token.present:
            raise pkcs11.DeviceRemoved
        if self.plugged != self.token._plugged:
            raise pkcs11.SessionHandleInvalid

    def get_key(self, kind: ObjectClass, *, id: bytes | None = None, label: str | None = None) -> _Key:  # noqa: A002
        self.check()
        keys = self.token.private_keys if kind == ObjectClass.PRIVATE_KEY else self.token.public_keys
        if id not in keys or label not in {None, "online"}:
            raise pkcs11.NoSuchKey
        if kind == ObjectClass.PRIVATE_KEY and not self.token.logged_in:
            raise pkcs11.NoSuchKey
        return _Key(self, keys[id])


@dataclass
class _Key:
    session: _Session
    key: PrivateKey

    def __getitem__(self, attribute: Attribute) -> Any:
        public = self.key.public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return {
                Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
                Attribute.EC_POINT: OctetString(raw).dump(),
            }[attribute]
        raw = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        return {
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters(
                "secp256r1" if isinstance(public.curve, ec.SECP256R1) else "secp384r1"
            ),
            Attribute.EC_POINT: OctetString(raw).dump(),
        }[attribute]

    def sign(self, payload: bytes, *, mechanism: Mechanism) -> bytes:
        self.session.check()
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            assert mechanism == Mechanism.EDDSA
            return self.key.sign(payload)
        assert mechanism == Mechanism.ECDSA
        numbers = decode_dss_signature(self.key.sign(payload, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return b"".join(number.to_bytes(P256_BYTES, "big") for number in numbers)


@dataclass
class FakeLibrary:
    """A PKCS#11 library with these tokens. Its path is its own, as each library is kept once in a process."""

    tokens: list[FakeToken]
    path: str = field(default_factory=lambda: f"/fake/library-{next(_numbers)}.so")

    def get_token(self, *, token_label: str | None, token_serial: bytes | None) -> FakeToken:
        assert token_serial is None
        found = [token for token in self.tokens if token.present and token.label == token_label]
        if not found:
            raise pkcs11.NoSuchToken
        if len(found) > 1:
            raise pkcs11.MultipleTokensReturned
        return found[0]

    def finalize(self) -> None:
        for token in self.tokens:
            token.logged_in = False
            token._plugged += 1

    def uri(self, key_id: bytes, *, more: str = "") -> str:
        return f"pkcs11:token=index;id=%{key_id.hex()}?module-path={self.path}{more}"


def softhsm_module() -> str:
    """Where SoftHSM2's library lies on this machine."""
    folders = (Path("/usr"), Path("/usr/local"), Path("/opt/homebrew"))
    for folder in folders:
        for pattern in ("lib*/softhsm/libsofthsm2.so", "lib/*/softhsm/libsofthsm2.so", "lib*/pkcs11/libsofthsm2.so"):
            for found in sorted(folder.glob(pattern)):
                return str(found)
    raise AssertionError("expected SoftHSM2's libsofthsm2.so, found none: install softhsm2 (tools/services.py does)")


@dataclass(frozen=True)
class SoftToken:
    """A token of SoftHSM2, label `index`, with a key of each algorithm that it offers."""

    folder: Path
    module: str

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def uri(self, algorithm: Algorithm, *, more: str = "") -> str:
        return f"pkcs11:token=index;id=%{KEY_IDS[algorithm].hex()}?module-path={self.module}{more}"

    def generate(self, algorithm: Algorithm) -> None:
        curve = {"ecdsa-p256": "EC:prime256v1", "ed25519": "EC:edwards25519"}[algorithm]
        words = f"--module {self.module} --token-label index --login --pin {PIN} --keypairgen --label online"
        self._run("pkcs11-tool", *words.split(), "--key-type", curve, "--id", KEY_IDS[algorithm].hex())

    def _run(self, tool: str, *arguments: str) -> None:
        if shutil.which(tool) is None:
            raise AssertionError(f"expected {tool}, found none: install softhsm2 and opensc (tools/services.py does)")
        subprocess.run([tool, *arguments], env=os.environ | self.environment, check=True, capture_output=True)

    @classmethod
    def made_in(cls, folder: Path) -> SoftToken:
        (folder / "tokens").mkdir(parents=True)
        (folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        token = cls(folder, softhsm_module())
        token._run("softhsm2-util", "--init-token", "--free", "--label", "index", "--pin", PIN, "--so-pin", "5678")
        for algorithm in KEY_IDS:
            token.generate(algorithm)
        return token


@cache
def soft_token() -> SoftToken:
    """The token of this test process: the library reads where tokens lie once, when it is loaded."""
    token = SoftToken.made_in(Path(tempfile.mkdtemp(prefix="wheelmark-softhsm-")))
    os.environ.update(token.environment)
    return token
