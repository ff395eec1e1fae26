"""Names of projects and digests of files: parsed once at the edge, then carried as types."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from typing import NewType

from packaging.utils import InvalidName, NormalizedName, canonicalize_name, is_normalized_name

from wheelmark.dist.faults import FaultLog, fault, quoted
from wheelmark.errors import Fault, Refused

__all__ = [
    "NormalizedName",
    "Sha256",
    "is_normalized",
    "name_faults",
    "normalize",
    "parse_sha256",
    "ultra_normalize",
]

Sha256 = NewType("Sha256", str)
"""A SHA-256 digest as 64 lower-case hexadecimal characters."""

MAX_NAME_CHARS = 128

# Modules that an older Python had: their names are still typed into `pip install` by people who miss them.
_FORMER_MODULES = frozenset(
    """
    aifc asynchat asyncore audioop binhex cgi cgitb chunk commands cookielib copy_reg cpickle crypt
    cstringio distutils dummy_thread dummy_threading formatter htmlparser httplib imghdr imp lib2to3 macpath
    mailcap md5 msilib nis nntplib ossaudiodev parser pipes popen2 queue sets sha smtpd sndhdr spwd sre stringio
    sunau symbol telnetlib thread tkinter urllib2 urlparse userdict userlist userstring uu xdrlib xmlrpclib
    """.split()  # noqa: SIM905  # a list of fifty literals says no more
)
STANDARD_MODULES: frozenset[str] = frozenset(
    canonicalize_name(module.strip("_")) for module in sys.stdlib_module_names | _FORMER_MODULES
)
"""Normalized names of the modules of the standard library, of this Python and of earlier ones."""

PROHIBITED_NAMES: frozenset[str] = frozenset({"requirements-txt", "rrequirements-txt", "requirements", "setup-py"})
"""Names that appear when a command line is mistyped (`pip install requirements.txt`). An index adds its own."""

_SEPARATORS = re.compile(r"[-_.]+")
_CONFUSABLE = str.maketrans({"l": "1", "i": "1", "o": "0"})
_SHA256 = re.compile(r"[0-9a-f]{64}")


def normalize(name: str) -> NormalizedName:
    """The one spelling under which a project is known.

    Raises:
        Refused: it is not a name that a project may have.
    Source: PEP 503 § Normalized Names; PEP 508 § Names.
    """
    if len(name) > MAX_NAME_CHARS:
        raise Refused([_too_long(name)])
    try:
        return canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise Refused([_malformed(name)]) from error


def is_normalized(name: str) -> bool:
    """Whether a name is already spelled the normalized way (and is not too long)."""
    return len(name) <= MAX_NAME_CHARS and is_normalized_name(name)


def ultra_normalize(name: str) -> str:
    """What is left of a name when look-alikes are taken for the same: two projects must not share it.

    Letters `l` and `i` count as `1`, `o` as `0`, and separators as nothing.
    """
    return _SEPARATORS.sub("", name.lower()).translate(_CONFUSABLE)


def name_faults(name: str, *, prohibited: Collection[str] = PROHIBITED_NAMES) -> list[Fault]:
    """Every fault of a name that a new project wants. Whether it resembles an existing one is not looked at.

    Source: PEP 508 § Names; PEP 503.
    """
    log = FaultLog()
    if len(name) > MAX_NAME_CHARS:
        log.extend([_too_long(name)])
    try:
        normalized = canonicalize_name(name, validate=True)
    except InvalidName:
        log.extend([_malformed(name)])
        return log.found()
    if normalized in STANDARD_MODULES:
        log.add("name-standard-library", f"expected a name of no standard library module, got {quoted(name)}")
    if normalized in prohibited:
        log.add("name-prohibited", f"expected a name that is not prohibited, got {quoted(name)}")
    return log.found()


def parse_sha256(text: str) -> Sha256:
    """A digest as the index writes it.

    Raises:
        Refused: it is not 64 lower-case hexadecimal characters.
    """
    if not _SHA256.fullmatch(text):
        raise Refused([fault("digest-form", f"expected 64 lower-case hexadecimal characters, got {quoted(text)}")])
    return Sha256(text)


def _malformed(name: str) -> Fault:
    return fault(
        "name-form", f"expected ASCII letters, digits, `.`, `-`, `_`, a letter or digit at each end, got {quoted(name)}"
    )


def _too_long(name: str) -> Fault:
    return fault("name-length", f"expected at most {MAX_NAME_CHARS} characters, got {len(name)}")
