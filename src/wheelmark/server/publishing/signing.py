"""The online keys of this index, opened by the URIs that the settings name."""

from __future__ import annotations

from functools import cache

from wheelmark.errors import Unavailable
from wheelmark.server.config import Config
from wheelmark.trust import OnlineSigners, open_signer


def online_signers(config: Config) -> OnlineSigners:
    """Both online signers. Only the publisher calls this: no other process ever holds key bytes.

    Raises:
        Unavailable: a key or its passphrase is not there, or does not fit.
        Refused: a URI has an unknown scheme.
    """

    @cache
    def passphrase() -> bytes:
        try:
            return config.passphrase_file.read_bytes().strip()
        except OSError as error:
            raise Unavailable(
                f"the passphrase of the online keys cannot be read from {config.passphrase_file}: {error.strerror}",
                code="key-passphrase",
            ) from error

    return OnlineSigners(
        bins=open_signer(config.bins_key_uri, passphrase=passphrase),
        publish=open_signer(config.timestamp_key_uri, passphrase=passphrase),
    )
