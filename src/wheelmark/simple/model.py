"""What the Simple API says of a project, as values: one frozen dataclass for each JSON object.

Source: Simple repository API (PEP 503, 592, 629, 658/714, 691, 700, 740, 792). HTML is frozen at version 1.4
(PEP 833), and so is what we say in JSON, but for two private keys (PEP 700: a leading underscore is private).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from wheelmark.dist import NormalizedName

API_VERSION = "1.4"


class Status(StrEnum):
    """The one status of a project. Source: PEP 792."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleFile:
    """One file of a project page. `sha256` and `size` are what binds the bytes to the signature of the page."""

    filename: str
    sha256: str  # 64 lower-case hex characters
    size: int  # bytes (PEP 700)
    upload_time: datetime  # timezone-aware, UTC (PEP 700)
    url: str  # relative to the page: `file_url(sha256, filename)`
    requires_python: str | None = None  # a version specifier (PEP 503)
    yanked: bool | str = False  # True, or the reason; never the empty string (PEP 592)
    core_metadata_sha256: str | None = None  # of `<url>.metadata` (PEP 658, 714)
    provenance_sha256: str | None = None  # private key `_provenance-sha256`: PEP 740 gives an address without a hash
    provenance_url: str | None = None  # PEP 740; only together with the hash


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """A project detail page. The order of `files` and `versions` is the caller's, and is kept."""

    name: NormalizedName
    files: tuple[SimpleFile, ...] = ()
    versions: tuple[str, ...] = ()  # PEP 700: every version that has a file, and perhaps others
    status: Status = Status.ACTIVE
    status_reason: str | None = None
    serial: int  # of the last journal row that changed the page: `meta._last-serial`


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectList:
    """The list of all projects, in the caller's order."""

    names: tuple[NormalizedName, ...]
    serial: int


def file_url(sha256: str, filename: str) -> str:
    """The address of a file as it stands in the page: relative, so that any mirror serves the same signed bytes."""
    return f"../../files/{sha256}/{quote(filename, safe='')}"
