"""Where trust begins: the root metadata that this machine takes for the index's own.

Given by hand (a file, or the sha256 of version 1), or remembered from the first contact. A first contact without
either is a decision, and a person makes it: on a terminal by comparing the fingerprint, elsewhere by a switch.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from wheelmark.client.address import IndexAddress
from wheelmark.client.fetching import Fetcher, download
from wheelmark.errors import Refused, Unavailable, Untrusted

MAX_ROOT_BYTES = 512_000  # python-tuf's own bound
FIRST_ROOT = "1.root.json"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChoice:
    """What the user said about the root; with nothing said, the remembered one counts, or else the first contact."""

    file: Path | None = None
    fingerprint: str | None = None  # sha256 of `1.root.json`, hex; colons, spaces and case do not matter
    trust_on_first_use: bool = False


Ask = Callable[[str, str], bool]  # index address, fingerprint → the person says yes


def trusted_root(
    choice: RootChoice, address: IndexAddress, directory: Path, *, fetcher: Fetcher, ask: Ask | None
) -> bytes:
    """The root metadata to begin with; python-tuf walks from it to the newest version.

    `ask` is None when there is nobody to ask.

    Raises:
        Refused: nothing was said, nothing is remembered, and nobody can be asked or the answer was no.
        Untrusted: the index's root is not the one of the fingerprint.
        Unavailable: the root cannot be read or fetched.
    """
    if choice.file is not None:
        return _read(choice.file)
    remembered = directory / "trusted.root.json"
    if choice.fingerprint is not None:
        return _root_of(_fingerprint(choice.fingerprint), address, remembered, fetcher)
    if remembered.exists():
        return _read(remembered)
    root = _fetched(address, fetcher)
    shown = hashlib.sha256(root).hexdigest()
    if not choice.trust_on_first_use and (ask is None or not ask(address.simple_url, shown)):
        raise Refused.because(
            "root-unknown",
            "root",
            f"expected a root to trust for {address.simple_url}, got none. Ask the index's operator for the root file "
            f"or its fingerprint and pass --root FILE or --root-fingerprint HEX; the index itself offers {shown}, "
            "which --trust-on-first-use accepts unseen",
        )
    _remember(remembered, root)
    return root


def _root_of(expected: str, address: IndexAddress, remembered: Path, fetcher: Fetcher) -> bytes:
    if remembered.exists():
        root = _read(remembered)
        if hashlib.sha256(root).hexdigest() == expected:
            return root
    root = _fetched(address, fetcher)
    came = hashlib.sha256(root).hexdigest()
    if came != expected:
        raise Untrusted(
            f"{address.metadata_url}{FIRST_ROOT}: expected the root with sha256 {expected}, got {came}",
            code="root-fingerprint",
        )
    _remember(remembered, root)
    return root


def _fingerprint(text: str) -> str:
    plain = re.sub(r"[\s:]", "", text).lower()
    if not _FINGERPRINT.fullmatch(plain):
        raise Refused.because("root-fingerprint", "root-fingerprint", f"expected 64 hex digits, got {text[:100]!r}")
    return plain


def _fetched(address: IndexAddress, fetcher: Fetcher) -> bytes:
    return download(fetcher, urljoin(address.metadata_url, FIRST_ROOT), MAX_ROOT_BYTES)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_ROOT_BYTES)
    except OSError as error:
        raise Unavailable(f"cannot read the trusted root: {error}", code="root-file") from error


def _remember(path: Path, root: bytes) -> None:
    """Whole or not at all: half a root would lock the user out."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(root)
        try:
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Unavailable(f"cannot remember the trusted root: {error}", code="cache") from error
