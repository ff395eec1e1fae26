"""What a project page must fulfil, once for both sides: nothing is rendered for signing that a verifier would refuse.

The signature covers the page, and the page covers the files. That chain holds only under these rules: every file
has its sha256 and size, every file name belongs to the project, every address is the one that its hash gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from packaging.version import InvalidVersion, Version

from wheelmark.dist import is_normalized, parse_filename
from wheelmark.errors import Fault, Refused
from wheelmark.simple.model import ProjectPage, SimpleFile, Status, file_url

MAX_PAGE_BYTES = 32 * 1024 * 1024  # the largest pages of the public index stay below half of this
MAX_FILES = 50_000
MAX_VERSIONS = 50_000
MAX_FILE_BYTES = 1 << 40
MAX_SERIAL = (1 << 63) - 1
MAX_FILENAME_CHARS = 255
MAX_VERSION_CHARS = 128
MAX_SPECIFIER_CHARS = 1024
MAX_REASON_CHARS = 4096
MAX_URL_CHARS = 2048

_SHOWN_CHARS = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
# No control characters, no surrogates (they cannot be written as UTF-8). A reason is prose, and may have lines.
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_PROSE = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]*")
_WEB_ADDRESS = re.compile(r"https?://[!-~]+")


def page_faults(page: ProjectPage) -> list[Fault]:
    """Every rule that the page breaks; empty when it may be signed and trusted."""
    faults = list(_heading_faults(page))
    if max(len(page.files), len(page.versions)) > min(MAX_FILES, MAX_VERSIONS):
        return faults  # refused already; the rest would only cost time
    versions = {parsed for text in page.versions if (parsed := _version(text)) is not None}
    if len(versions) != len(page.versions):
        faults.append(Fault("page-version", "versions", "expected different and well-formed versions"))
    if len({file.filename for file in page.files}) != len(page.files):
        faults.append(Fault("page-duplicate", "filename", "expected each file name once"))
    for file in page.files:
        faults += _filename_faults(file, page.name, versions)
        faults += _file_faults(file)
    return faults


def _heading_faults(page: ProjectPage) -> Iterator[Fault]:
    if not is_normalized(page.name):
        yield Fault("page-name", "name", f"expected a normalized project name, got {page.name[:_SHOWN_CHARS]!r}")
    if not 0 <= page.serial <= MAX_SERIAL:
        yield Fault("page-serial", "_last-serial", f"expected 0 to {MAX_SERIAL}, got {page.serial}")
    if page.status_reason is not None and not _is_text(_PROSE, page.status_reason, MAX_REASON_CHARS):
        yield Fault("page-text", "project-status", f"expected at most {MAX_REASON_CHARS} printable characters")
    if page.status is Status.QUARANTINED and page.files:
        # Installers take files from a quarantined page that still lists them, without a word of warning.
        yield Fault("page-quarantined", "files", f"expected no files while quarantined, got {len(page.files)}")
    if len(page.files) > MAX_FILES:
        yield Fault("page-size", "files", f"expected at most {MAX_FILES} files, got {len(page.files)}")
    if len(page.versions) > MAX_VERSIONS:
        yield Fault("page-size", "versions", f"expected at most {MAX_VERSIONS} versions, got {len(page.versions)}")


def _filename_faults(file: SimpleFile, name: str, versions: set[Version]) -> Iterator[Fault]:
    shown = file.filename[:MAX_FILENAME_CHARS]
    if not _is_text(_LINE, file.filename, MAX_FILENAME_CHARS):
        yield Fault("page-filename", "filename", f"expected at most {MAX_FILENAME_CHARS} characters, got {shown!r}")
        return
    try:
        parsed = parse_filename(file.filename, strict=False)
    except Refused as refused:
        yield Fault("page-filename", "filename", f"expected a wheel or sdist name, got {shown!r}: {refused}")
        return
    if parsed.name != name:
        yield Fault("page-foreign-file", "filename", f"expected files of {name}, got {shown!r} of {parsed.name}")
    if parsed.version not in versions:
        yield Fault("page-version", "versions", f"expected the version of {shown!r} among the versions (PEP 700)")


def _file_faults(file: SimpleFile) -> Iterator[Fault]:
    for field, digest in (
        ("hashes.sha256", file.sha256),
        ("core-metadata.sha256", file.core_metadata_sha256),
        ("_provenance-sha256", file.provenance_sha256),
    ):
        if digest is not None and not _SHA256.fullmatch(digest):
            yield Fault("page-hash", field, f"expected 64 lower-case hex characters, got {digest[:_SHOWN_CHARS]!r}")
    if not 0 <= file.size <= MAX_FILE_BYTES:
        yield Fault("page-file-size", "size", f"expected 0 to {MAX_FILE_BYTES} bytes, got {file.size}")
    if file.url != file_url(file.sha256, file.filename):
        yield Fault(
            "page-url", "url", f"expected {file_url(file.sha256, file.filename)}, got {file.url[:_SHOWN_CHARS]!r}"
        )
    if file.upload_time.utcoffset() != timedelta(0):
        yield Fault("page-time", "upload-time", f"expected a time in UTC, got {file.upload_time}")
    if file.requires_python is not None and not _is_text(_LINE, file.requires_python, MAX_SPECIFIER_CHARS):
        yield Fault("page-text", "requires-python", f"expected at most {MAX_SPECIFIER_CHARS} printable characters")
    if isinstance(file.yanked, str) and not (file.yanked and _is_text(_PROSE, file.yanked, MAX_REASON_CHARS)):
        # To pip an empty string in the JSON means "not yanked" (PEP 691 allows both readings): say True instead.
        yield Fault("page-yanked", "yanked", f"expected true or 1 to {MAX_REASON_CHARS} printable characters")
    if file.provenance_url is not None:
        if len(file.provenance_url) > MAX_URL_CHARS or not _WEB_ADDRESS.fullmatch(file.provenance_url):
            shown = file.provenance_url[:_SHOWN_CHARS]
            yield Fault("page-url", "provenance", f"expected a full http(s) address (PEP 740), got {shown!r}")
        if file.provenance_sha256 is None:
            yield Fault("page-hash", "_provenance-sha256", "expected a hash beside the provenance address, got none")


def _is_text(pattern: re.Pattern[str], value: str, max_chars: int) -> bool:
    return len(value) <= max_chars and pattern.fullmatch(value) is not None


def _version(text: str) -> Version | None:
    try:
        return Version(text) if len(text) <= MAX_VERSION_CHARS else None
    except InvalidVersion:
        return None
