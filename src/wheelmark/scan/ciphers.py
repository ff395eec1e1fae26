"""Deciphers text whose key stands beside it: that is no secret but a wrapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wheelmark.scan.decoding import Budget, to_bytes
from wheelmark.scan.values import Value

MAX_CIPHERTEXT = 8 * 1024 * 1024
FERNET_NAMES = ("cryptography.fernet.Fernet", "fernet.Fernet")
AES_NAMES = ("Crypto.Cipher.AES.new", "Cryptodome.Cipher.AES.new")
# What makes a cipher: its result keeps the arguments, so that `decrypt` finds the key.
CIPHER_MAKERS = frozenset({*FERNET_NAMES, *AES_NAMES})
_MODES = {1: "ECB", 2: "CBC", 3: "CFB", 11: "GCM"}


def fernet_decrypted(key: object, token: object, budget: Budget) -> bytes | None:
    """What a Fernet token says; None when the key is not the one it was made with. Its age does not matter."""
    from cryptography.fernet import Fernet, InvalidToken

    raw_key, raw_token = to_bytes(key), to_bytes(token)
    if raw_key is None or raw_token is None or len(raw_token) > MAX_CIPHERTEXT:
        return None
    try:
        found = Fernet(raw_key).decrypt(raw_token)
    except (InvalidToken, ValueError):
        return None
    return found if budget.take(len(found)) else None


def aes_decrypted(made_with: Sequence[Value], data: object, budget: Budget) -> bytes | None:
    """What AES gives under a known key, mode and initial vector, without the padding; None for anything else."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    raw = data if isinstance(data, bytes) else None
    key = made_with[0].constant if made_with else None
    if not isinstance(key, bytes) or raw is None or len(raw) > MAX_CIPHERTEXT or len(made_with) < 2:
        return None
    vector = made_with[2].constant if len(made_with) > 2 else None
    kind = _mode_of(made_with[1])
    try:
        if kind == "ECB":
            mode: Any = modes.ECB()  # noqa: S305 - nothing is protected here
        elif kind == "CBC" and isinstance(vector, bytes):
            mode = modes.CBC(vector)
        elif kind == "CFB" and isinstance(vector, bytes):
            mode = modes.CFB8(vector)
        elif kind == "GCM" and isinstance(vector, bytes):
            mode = modes.GCM(vector)
        else:
            return None
        found: bytes = Cipher(algorithms.AES(key), mode).decryptor().update(raw)
    except ValueError:
        return None
    return found if budget.take(len(found)) else None


def _mode_of(mode: Value) -> str:
    if isinstance(mode.constant, int):
        return _MODES.get(mode.constant, "")
    return mode.name.rpartition("MODE_")[2]
