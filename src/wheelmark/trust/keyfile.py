"""Private keys in files: PKCS#8, encrypted under a passphrase that scrypt makes expensive to guess.

`cryptography` reads this form but writes only PBKDF2 with few rounds, so the writing is done here: five nested DER
sequences around AES-256-CBC. Who takes such a file needs the passphrase, or years.

Source: RFC 5958 (EncryptedPrivateKeyInfo), RFC 8018 § 6.2 and appendix A.4 (PBES2), RFC 7914 § 7 (scrypt).
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from wheelmark.errors import Refused, Unavailable
from wheelmark.trust.keys import PublicKey

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
Algorithm = Literal["ed25519", "ecdsa-p256"]

SCRYPT_COST: Final = 2**17
"""One guess takes 128 MiB and about a third of a second (OWASP's advice for scrypt)."""

MAX_KEY_FILE_BYTES: Final = 64 * 1024
"""An encrypted Ed25519 key has 300 bytes, an RSA key of 16,384 bits 13 KB."""

_SCRYPT_BLOCK_SIZE, _SCRYPT_PARALLELISM = 8, 1
_SALT_BYTES = 16
_AES_KEY_BYTES, _AES_BLOCK_BYTES = 32, 16
_PEM_LABEL = "ENCRYPTED PRIVATE KEY"
_PEM_LINE = 64

_DER_INTEGER, _DER_OCTETS, _DER_OID, _DER_SEQUENCE = 0x02, 0x04, 0x06, 0x30
_OID_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_OID_SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_OID_AES256_CBC = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42


def new_private_key(algorithm: Algorithm) -> PrivateKey:
    """A fresh private key.

    Raises:
        Refused: an algorithm that is not offered.
    """
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ecdsa-p256":
        return ec.generate_private_key(ec.SECP256R1())
    raise Refused.because("key-algorithm", "algorithm", f"expected ed25519 or ecdsa-p256, got {algorithm!r}")


def generate_key(
    path: Path | Callable[[PublicKey], Path],
    *,
    passphrase: Callable[[], bytes],
    algorithm: Algorithm = "ed25519",
    scrypt_cost: int = SCRYPT_COST,
) -> PublicKey:
    """Make a key pair, keep the private key in a new file (mode 0600, durable), and give the public key.

    `path` may be a function of the public key, for files that are named by it. The file appears whole or not at all,
    and never takes the place of another. `scrypt_cost` is lowered by tests only.

    Raises:
        Refused: the file exists (`key-exists`), or the passphrase is empty (`key-passphrase`).
        Unavailable: the file cannot be written (`key-unwritable`).
    """
    key = new_private_key(algorithm)
    public = PublicKey.of(key.public_key())
    path = path(public) if callable(path) else path
    pem = encrypt_private_key(key, passphrase(), scrypt_cost=scrypt_cost)
    try:
        _create_durably(path, pem)
    except FileExistsError as error:
        raise Refused.because("key-exists", "path", f"expected no file yet, got one at {path}") from error
    except OSError as error:
        raise Unavailable(f"the key file {path} cannot be written: {error.strerror}", code="key-unwritable") from error
    return public


def load_private_key(path: Path, *, passphrase: Callable[[], bytes]) -> PrivateKey:
    """The private key in an encrypted PKCS#8 file.

    Raises:
        Unavailable: no such file (`key-missing`), it cannot be read (`key-unreadable`), or the passphrase does not open
            it (`key-passphrase`): once the operator has mended that, the same call succeeds.
        Refused: the file is no encrypted PKCS#8 key of an algorithm we sign with (`key-format`).
    """
    try:
        with path.open("rb") as file:
            pem = file.read(MAX_KEY_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise Unavailable(f"expected a key file at {path}, got none", code="key-missing") from error
    except OSError as error:
        raise Unavailable(f"the key file {path} cannot be read: {error.strerror}", code="key-unreadable") from error
    if len(pem) > MAX_KEY_FILE_BYTES or not _is_encrypted_pkcs8(pem):
        raise Refused.because("key-format", "path", f"expected an encrypted PKCS#8 key in PEM form, got {path}")
    try:
        key = serialization.load_pem_private_key(pem, passphrase())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # One wrong passphrase in 256 decrypts to sound padding and fails later, as nonsense inside: the same fault.
        message = f"expected the passphrase of {path}, got one that does not open it: {error}"
        raise Unavailable(message, code="key-passphrase") from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise Refused.because("key-algorithm", "path", f"expected an Ed25519 or ECDSA P-256 key, got another in {path}")


def encrypt_private_key(key: PrivateKey, passphrase: bytes, *, scrypt_cost: int = SCRYPT_COST) -> bytes:
    """The key as encrypted PKCS#8 in PEM form. `scrypt_cost` is a power of two.

    Raises:
        Refused: the passphrase is empty.
    """
    if not passphrase:
        raise Refused.because("key-passphrase", "passphrase", "expected at least one byte, got none")
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, start = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_AES_BLOCK_BYTES)
    stretched = Scrypt(
        salt=salt, length=_AES_KEY_BYTES, n=scrypt_cost, r=_SCRYPT_BLOCK_SIZE, p=_SCRYPT_PARALLELISM
    ).derive(passphrase)
    padder = padding.PKCS7(_AES_BLOCK_BYTES * 8).padder()
    encryptor = Cipher(algorithms.AES(stretched), modes.CBC(start)).encryptor()
    encrypted = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()

    work = [_der_integer(number) for number in (scrypt_cost, _SCRYPT_BLOCK_SIZE, _SCRYPT_PARALLELISM)]
    derivation = _sequence(_der(_DER_OID, _OID_SCRYPT), _sequence(_der(_DER_OCTETS, salt), *work))
    encryption = _sequence(_der(_DER_OID, _OID_AES256_CBC), _der(_DER_OCTETS, start))
    scheme = _sequence(_der(_DER_OID, _OID_PBES2), _sequence(derivation, encryption))
    text = base64.b64encode(_sequence(scheme, _der(_DER_OCTETS, encrypted))).decode()
    lines = [text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE)]
    return "\n".join([f"-----BEGIN {_PEM_LABEL}-----", *lines, f"-----END {_PEM_LABEL}-----", ""]).encode()


def _is_encrypted_pkcs8(pem: bytes) -> bool:
    """Whether the outer form is sound and encrypted, so that a failure behind it can only be the passphrase's."""
    if f"-----BEGIN {_PEM_LABEL}-----".encode() not in pem:
        return False
    try:
        serialization.load_pem_private_key(pem, None)
    except TypeError:  # the library's way to say that a passphrase is needed
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return False


def _sequence(*parts: bytes) -> bytes:
    return _der(_DER_SEQUENCE, b"".join(parts))


def _der_integer(number: int) -> bytes:
    return _der(_DER_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _der(tag: int, content: bytes) -> bytes:
    """Tag, length, content. Source: X.690 § 8.1.3, definite form."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _create_durably(path: Path, content: bytes) -> None:
    """Write a new file so that a power cut leaves it whole or absent.

    `link` and not `rename`: it fails where a file of that name exists, and a key must never be overwritten.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # whatever the umask took away or the directory's ACL gave
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
