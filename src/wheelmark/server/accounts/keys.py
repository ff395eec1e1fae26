"""Keys that accounts need, each derived from the index's secret key for one purpose.

Whoever steals the database alone, or the secret key alone, can neither forge a token nor read a second factor.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


def derive_key(secret_key: str, purpose: str) -> bytes:
    """32 bytes for one purpose; keys for different purposes tell nothing about one another."""
    hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"wheelmark {purpose}".encode())
    return hkdf.derive(secret_key.encode())


def token_key(secret_key: str, row_key: bytes) -> bytes:
    """The key of one token's macaroon: half from the index's secret key, half from the token's row."""
    return hmac.new(derive_key(secret_key, "api tokens"), row_key, hashlib.sha256).digest()
