"""What an address of the read path asks for. Pure: a path comes in, a value or None goes out.

A path is what WSGI calls PATH_INFO: percent-decoded, each character one byte. Whatever does not have exactly one of
these forms asks for nothing that exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PATH_CHARS = 1024
"""The longest address that we give out: a file name of 255 characters, a hash, and what stands around them."""


@dataclass(frozen=True, slots=True)
class ProjectListAddress:
    """`/simple/`"""

    canonical: bool = True  # else the slash at the end is missing


@dataclass(frozen=True, slots=True)
class PageAddress:
    """`/simple/<name>/`"""

    name: str  # normalized
    canonical: bool = True  # else the name was spelled in another way, or the slash at the end is missing


@dataclass(frozen=True, slots=True)
class TimestampAddress:
    """`/tuf/timestamp.json`"""


@dataclass(frozen=True, slots=True)
class RoleAddress:
    """`/tuf/<version>.<role>.json`"""

    role: str
    version: int


@dataclass(frozen=True, slots=True)
class DeltaAddress:
    """`/tuf/deltas/<version>.<role>.from-<base>.zst`: what a client that holds an older version lacks."""

    role: str
    version: int
    base: int  # the version that the client holds, an earlier one


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """`/tuf/targets/simple/<name>/<sha256>.index.json`: the name that consistent snapshots give a page."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FileAddress:
    """`/files/<sha256>/<file name>`, or the core metadata beside it (PEP 658).

    As a TUF target (`sign_files`) it is `/tuf/targets/files/<sha256>/<target's sha256>.<file name>`.
    """

    sha256: str  # of the distribution, also for its metadata
    filename: str
    metadata: bool = False
    target_sha256: str | None = None  # of what is asked for, when consistent snapshots name it


Address = ProjectListAddress | PageAddress | TimestampAddress | RoleAddress | DeltaAddress | TargetAddress | FileAddress

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_NORMALIZED = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_SEPARATORS = re.compile(r"[-_.]+")
_PAGE = re.compile(rf"/simple/({_NAME})(/?)", re.ASCII)
# Eighteen digits fit into every database's 64-bit integer; no role gets near that.
_ROLE = re.compile(r"/tuf/([1-9][0-9]{0,17})\.([a-z][a-z0-9-]{0,63})\.json", re.ASCII)
# Only roles that change often and little: the others are small, and fetched once a year.
_DELTA = re.compile(
    r"/tuf/deltas/([1-9][0-9]{0,17})\.(snapshot|bins-[0-9a-f]{1,8})\.from-([1-9][0-9]{0,17})\.zst", re.ASCII
)
_TARGET = re.compile(rf"/tuf/targets/simple/({_NORMALIZED})/([0-9a-f]{{64}})\.index\.json", re.ASCII)
_FILE = re.compile(r"/files/([0-9a-f]{64})/([A-Za-z0-9_][A-Za-z0-9._+!-]{0,254})", re.ASCII)
_FILE_TARGET = re.compile(
    r"/tuf/targets/files/([0-9a-f]{64})/([0-9a-f]{64})\.([A-Za-z0-9_][A-Za-z0-9._+!-]{0,254})", re.ASCII
)
_METADATA_SUFFIX = ".metadata"


def parse_address(path: str) -> Address | None:
    """What the path asks for, or None when nothing can lie there.

    Source: PEP 503 (normalized names, the slash at the end), TUF spec § 6 (consistent snapshots).
    """
    if len(path) > MAX_PATH_CHARS:
        return None
    if path in {"/simple/", "/simple"}:
        return ProjectListAddress(canonical=path.endswith("/"))
    if found := _PAGE.fullmatch(path):
        asked, slash = found.groups()
        name = _SEPARATORS.sub("-", asked).lower()
        return PageAddress(name, canonical=bool(slash) and name == asked)
    if path == "/tuf/timestamp.json":
        return TimestampAddress()
    if found := _ROLE.fullmatch(path):
        version, role = found.groups()
        # A timestamp has no version in its name; whatever asks for one would get an answer that nobody signed for.
        return None if role == "timestamp" else RoleAddress(role, int(version))
    if found := _DELTA.fullmatch(path):
        version, role, base = found.groups()
        return DeltaAddress(role, int(version), int(base)) if int(base) < int(version) else None
    if found := _TARGET.fullmatch(path):
        return TargetAddress(*found.groups())
    if found := _FILE.fullmatch(path):
        sha256, filename = found.groups()
        return _file(sha256, filename, None)
    if found := _FILE_TARGET.fullmatch(path):
        sha256, target_sha256, filename = found.groups()
        return _file(sha256, filename, target_sha256)
    return None


def _file(sha256: str, filename: str, target_sha256: str | None) -> FileAddress:
    metadata = filename.endswith(_METADATA_SUFFIX)
    return FileAddress(sha256, filename.removesuffix(_METADATA_SUFFIX), metadata=metadata, target_sha256=target_sha256)
