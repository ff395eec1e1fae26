"""Reads a project page that a repository signed, and refuses everything that would break the chain to the files.

A signature says who wrote the page, not that it is right: a publisher with a fault, or a thief of one online key,
must not be able to name a file without its hash, or a file of another project.
"""

from __future__ import annotations

import re
from datetime import datetime

import orjson

from wheelmark.dist import NormalizedName
from wheelmark.errors import Untrusted
from wheelmark.simple.model import ProjectPage, SimpleFile, Status
from wheelmark.simple.rules import MAX_PAGE_BYTES, page_faults

# PEP 629: another minor version may add keys, which we pass over; another major version means something else.
_API_VERSION = re.compile(r"1\.[0-9]{1,4}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_SHOWN_CHARS = 80


def parse_page_json(raw: bytes, *, expected_name: str) -> ProjectPage:
    """The page as a value. Unknown keys are passed over (PEP 629), and so never reach an installer.

    Not checked: who signed `raw`. That is the caller's part, and comes first.

    Raises:
        Untrusted: not JSON, another project's page, or a rule of `page_faults` is broken.
    """
    if len(raw) > MAX_PAGE_BYTES:
        raise Untrusted(f"page: expected at most {MAX_PAGE_BYTES} bytes, got {len(raw)}", code="page-size")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Untrusted(f"page: expected JSON, got {error}", code="page-json") from error
    page = _page(_Reader(document, "page"))
    if page.name != expected_name:
        raise Untrusted(f"name: expected {expected_name!r}, got {page.name[:256]!r}", code="page-foreign")
    for fault in page_faults(page):
        raise Untrusted(f"page of {expected_name}: {fault.field}: {fault.message}", code=fault.code)
    return page


class _Reader:
    """One JSON object, read key by key with the type each must have."""

    __slots__ = ("_object", "_where")

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise _unexpected(where, "an object", value)
        self._object: dict[str, object] = value
        self._where = where

    def text(self, key: str) -> str:
        value = self._object.get(key)
        if not isinstance(value, str):
            raise _unexpected(f"{self._where}.{key}", "a string", value)
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self._object.get(key) is None else self.text(key)

    def integer(self, key: str) -> int:
        value = self._object.get(key)
        if type(value) is not int:  # a bool is an int to Python, and not to us
            raise _unexpected(f"{self._where}.{key}", "an integer", value)
        return value

    def array(self, key: str) -> list[object]:
        value = self._object.get(key)
        if not isinstance(value, list):
            raise _unexpected(f"{self._where}.{key}", "an array", value)
        return value

    def bool_or_text(self, key: str) -> bool | str:
        value = self._object.get(key, False)
        if not isinstance(value, bool | str):
            raise _unexpected(f"{self._where}.{key}", "a boolean or a string", value)
        return value

    def object(self, key: str) -> _Reader:
        return _Reader(self._object.get(key), f"{self._where}.{key}")

    def object_or_none(self, key: str) -> _Reader | None:
        return None if self._object.get(key) is None else self.object(key)


def _page(page: _Reader) -> ProjectPage:
    meta = page.object("meta")
    api_version = meta.text("api-version")
    if not _API_VERSION.fullmatch(api_version):
        raise _unexpected("meta.api-version", "1.x", api_version)
    status = page.object_or_none("project-status")  # PEP 792: without one the project is active
    return ProjectPage(
        name=NormalizedName(page.text("name")),
        files=tuple(_file(_Reader(entry, f"files[{number}]")) for number, entry in enumerate(page.array("files"))),
        versions=tuple(_version(entry) for entry in page.array("versions")),
        status=Status.ACTIVE if status is None else _status(status.text("status")),
        status_reason=None if status is None else status.text_or_none("reason"),
        serial=meta.integer("_last-serial"),
    )


def _file(file: _Reader) -> SimpleFile:
    metadata = file.object_or_none("core-metadata")
    return SimpleFile(
        filename=file.text("filename"),
        sha256=file.object("hashes").text("sha256"),
        size=file.integer("size"),
        upload_time=_time(file.text("upload-time")),
        url=file.text("url"),
        requires_python=file.text_or_none("requires-python"),
        yanked=file.bool_or_text("yanked"),
        core_metadata_sha256=None if metadata is None else metadata.text("sha256"),
        provenance_sha256=file.text_or_none("_provenance-sha256"),
        provenance_url=file.text_or_none("provenance"),
    )


def _version(value: object) -> str:
    if not isinstance(value, str):
        raise _unexpected("versions", "strings", value)
    return value


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        # A status that we do not know may mean "do not install": better to stop than to guess.
        raise _unexpected("project-status.status", "a status of PEP 792", text) from None


def _time(text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise _unexpected("upload-time", "yyyy-mm-ddThh:mm:ss.ffffffZ", text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _unexpected("upload-time", "a time that exists", text) from None


def _unexpected(where: str, expected: str, got: object) -> Untrusted:
    return Untrusted(f"{where}: expected {expected}, got {repr(got)[:_SHOWN_CHARS]}", code="page-form")
