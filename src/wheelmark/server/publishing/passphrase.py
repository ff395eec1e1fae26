"""The passphrase (or PIN) of the online keys, from the place that the settings name."""

from __future__ import annotations

from wheelmark.errors import Refused, Unavailable
from wheelmark.server.config import Config
from wheelmark.trust import Passphrase, passphrase_from

_UNATTENDED = ("file:", "credential:", "command:")


def online_passphrase(config: Config) -> Passphrase:
    """What reads the passphrase of the online keys: `key_passphrase`, or else the file of `key_passphrase_file`.

    Raises:
        Refused: both settings are there, or the source needs a person: a server starts without one (and its processes
            one after the other, so that a file descriptor would be empty for all but the first).
    """
    if not config.key_passphrase:
        return lambda: _from_file(config)
    if config.key_passphrase_file:
        raise Refused.because("config-value", "key_passphrase", "expected this or key_passphrase_file, got both")
    if not config.key_passphrase.startswith(_UNATTENDED):
        message = f"expected a source that begins with {', '.join(_UNATTENDED)} got another (not shown here)"
        raise Refused.because("passphrase-source", "key_passphrase", message)
    return passphrase_from(config.key_passphrase, what="passphrase of the online keys")


def _from_file(config: Config) -> bytes:
    try:
        return config.passphrase_file.read_bytes().strip()
    except OSError as error:
        raise Unavailable(
            f"the passphrase of the online keys cannot be read from {config.passphrase_file}: {error.strerror}",
            code="key-passphrase",
        ) from error
