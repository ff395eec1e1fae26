"""Made-up secrets for one look: files that are worth stealing, and an environment with tokens.

Each value is made from the distribution's digest: the same look has the same ones, and no two files share them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from wheelmark.scan.dynamic.places import HOME

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BROWSER = ".config/google-chrome/Default"


@dataclass(frozen=True, slots=True)
class Decoys:
    """What lies around in the sandbox. `canaries` are the made-up values by the name of what holds them."""

    files: Mapping[str, bytes]  # by absolute path
    environment: Mapping[str, str]
    canaries: Mapping[str, str]

    def forms(self) -> dict[bytes, str]:
        """The bytes by which a canary is known again, plain or in a common encoding, and whose it is."""
        found: dict[bytes, str] = {}
        for name, value in self.canaries.items():
            raw = value.encode()
            found[raw] = name
            found[raw.hex().encode()] = name
            # What stands before it shifts base64 by 0 to 2 bytes; the first and last characters depend on neighbours.
            for shift in range(3):
                encoded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
                found[encoded[4 if shift else 0 : -4]] = name
        return found


def make_decoys(sha256: str) -> Decoys:
    """The decoys of the distribution with this digest."""
    canaries = {
        name: _value(sha256, name, length)
        for name, length in {
            "SSH key": 64,
            "AWS secret": 40,
            "netrc password": 24,
            "PyPI token": 48,
            "GitHub token": 36,
            "npm token": 36,
            "browser logins": 32,
            "wallet": 64,
        }.items()
    }
    key_id = "AKIA" + _value(sha256, "AWS key id", 16).upper()
    files = {
        ".ssh/id_ed25519": "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        f"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB\n{canaries['SSH key']}\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        ".aws/credentials": f"[default]\naws_access_key_id = {key_id}\n"
        f"aws_secret_access_key = {canaries['AWS secret']}\n",
        ".netrc": f"machine git.example.com login dev password {canaries['netrc password']}\n",
        ".pypirc": f"[pypi]\nusername = __token__\npassword = pypi-{canaries['PyPI token']}\n",
        ".git-credentials": f"https://dev:ghp_{canaries['GitHub token']}@github.com\n",
        ".npmrc": f"//registry.npmjs.org/:_authToken=npm_{canaries['npm token']}\n",
        f"{_BROWSER}/Login Data": f"SQLite format 3\0{canaries['browser logins']}",
        f"{_BROWSER}/Cookies": f"SQLite format 3\0{canaries['browser logins']}",
        ".electrum/wallets/default_wallet": f'{{"keystore": {{"seed": "{canaries["wallet"]}"}}}}',
    }
    return Decoys(
        files={f"{HOME}/{path}": text.encode() for path, text in files.items()},
        environment={
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": canaries["AWS secret"],
            "GITHUB_TOKEN": f"ghp_{canaries['GitHub token']}",
            "NPM_TOKEN": f"npm_{canaries['npm token']}",
            "PYPI_TOKEN": f"pypi-{canaries['PyPI token']}",
            "TWINE_PASSWORD": f"pypi-{canaries['PyPI token']}",
        },
        canaries=canaries,
    )


def _value(sha256: str, name: str, length: int) -> str:
    """Letters and digits that look random."""
    digest = hashlib.shake_256(f"decoy\n{name}\n{sha256}".encode()).digest(length)
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)
