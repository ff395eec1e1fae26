"""Builders and Hypothesis strategies for project pages."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from wheelmark.dist import NormalizedName
from wheelmark.simple import ProjectPage, SimpleFile, Status, file_url

UPLOADED_AT = datetime(2026, 3, 1, 12, 30, 45, 123456, tzinfo=UTC)
_MAX_CHARS = 40


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def a_file(filename: str = "demo-1.0-py3-none-any.whl", **changes: Any) -> SimpleFile:
    """A file whose hash is made from its name, with the address that belongs to both unless told otherwise."""
    sha256 = changes.pop("sha256", sha256_of(filename))
    fields: dict[str, Any] = {
        "filename": filename,
        "sha256": sha256,
        "size": 1234,
        "upload_time": UPLOADED_AT,
        "url": file_url(sha256, filename),
    }
    return SimpleFile(**(fields | changes))


def a_page(*files: SimpleFile, **changes: Any) -> ProjectPage:
    """The page of `demo` with one version, `1.0`."""
    fields: dict[str, Any] = {
        "name": NormalizedName("demo"),
        "files": files,
        "versions": ("1.0",),
        "serial": 7,
    }
    return ProjectPage(**(fields | changes))


_names = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True).map(NormalizedName)
_prose = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.just("\n"), max_size=_MAX_CHARS)
_lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=_MAX_CHARS)
_digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
_times = st.datetimes(timezones=st.just(UTC))


@st.composite
def _files(draw: st.DrawFn, name: str, versions: list[str]) -> SimpleFile:
    version = draw(st.sampled_from(versions))
    stem = f"{name.replace('-', '_')}-{version}"
    filename = draw(st.sampled_from([f"{stem}.tar.gz", f"{stem}-py3-none-any.whl", f"{stem}-1-cp311-abi3-any.whl"]))
    provenance_sha256 = draw(st.none() | _digests)
    return a_file(
        filename,
        sha256=draw(_digests),
        size=draw(st.integers(0, 1 << 40)),
        upload_time=draw(_times),
        requires_python=draw(st.none() | _lines),
        yanked=draw(st.booleans() | _prose.filter(bool)),
        core_metadata_sha256=draw(st.none() | _digests),
        provenance_sha256=provenance_sha256,
        provenance_url=None
        if provenance_sha256 is None
        else draw(st.sampled_from([None, "https://example.org/p?a&b"])),
    )


@st.composite
def pages(draw: st.DrawFn) -> ProjectPage:
    """Project pages of all kinds that fulfil the rules."""
    name = draw(_names)
    versions = draw(st.lists(st.sampled_from(["1.0", "2.0a1", "3!1.0+local.1", "4.post2"]), min_size=1, unique=True))
    status = draw(st.sampled_from(Status))
    files = st.lists(_files(name, versions), max_size=4, unique_by=lambda file: file.filename)
    return ProjectPage(
        name=name,
        files=() if status is Status.QUARANTINED else tuple(draw(files)),
        versions=tuple(versions),
        status=status,
        status_reason=draw(st.none() | _prose),
        serial=draw(st.integers(0, (1 << 63) - 1)),
    )
