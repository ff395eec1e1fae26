"""Pages and lists as bytes: JSON is the product (its exact bytes are what TUF signs), HTML a view of it.

The same page gives the same bytes, on any machine and in any version of Python.
"""

from __future__ import annotations

from datetime import UTC
from html import escape

import orjson

from wheelmark.errors import Refused
from wheelmark.simple.model import API_VERSION, ProjectList, ProjectPage, SimpleFile
from wheelmark.simple.rules import page_faults


def render_page_json(page: ProjectPage) -> bytes:
    """The project detail page as JSON (PEP 691, 700, 714, 740, 792), without a line feed at the end.

    Raises:
        Refused: the page breaks a rule that a verifier would enforce, so it must not be signed.
    """
    return orjson.dumps(_page_object(_checked(page)))


def render_page_html(page: ProjectPage) -> bytes:
    """The project detail page as HTML (PEP 503, 592, 629, 714, 740, 792).

    Raises:
        Refused: as `render_page_json`.
    """
    _checked(page)
    head = [_meta("pypi:project-status", page.status)]
    if page.status_reason is not None:
        head.append(_meta("pypi:project-status-reason", page.status_reason))
    return _document(f"Links for {page.name}", head, [_anchor(file) for file in page.files], page.serial)


def render_list_json(projects: ProjectList) -> bytes:
    """The project list as JSON (PEP 691)."""
    return orjson.dumps(
        {
            "meta": {"api-version": API_VERSION, "_last-serial": projects.serial},
            "projects": [{"name": name} for name in projects.names],
        }
    )


def render_list_html(projects: ProjectList) -> bytes:
    """The project list as HTML (PEP 503)."""
    anchors = [f'<a href="{escape(name)}/">{escape(name)}</a>' for name in projects.names]
    return _document("Simple index", [], anchors, projects.serial)


def _checked(page: ProjectPage) -> ProjectPage:
    if faults := page_faults(page):
        raise Refused(faults)
    return page


def _page_object(page: ProjectPage) -> dict[str, object]:
    status: dict[str, str] = {"status": page.status.value}
    if page.status_reason is not None:
        status["reason"] = page.status_reason
    return {
        "meta": {"api-version": API_VERSION, "_last-serial": page.serial},
        "name": page.name,
        "project-status": status,
        "versions": page.versions,
        "files": [_file_object(file) for file in page.files],
    }


def _file_object(file: SimpleFile) -> dict[str, object]:
    """Keys that say nothing are left out: every byte here is downloaded by everyone."""
    entry: dict[str, object] = {
        "filename": file.filename,
        "url": file.url,
        "hashes": {"sha256": file.sha256},
        "size": file.size,
        "upload-time": _rfc3339(file),
    }
    if file.requires_python is not None:
        entry["requires-python"] = file.requires_python
    if file.yanked:
        entry["yanked"] = file.yanked
    if file.core_metadata_sha256 is not None:
        # Only the key of PEP 714. The older `dist-info-metadata` serves pip 22.3 to 23.1, which do without.
        entry["core-metadata"] = {"sha256": file.core_metadata_sha256}
    if file.provenance_url is not None:
        entry["provenance"] = file.provenance_url
    if file.provenance_sha256 is not None:
        entry["_provenance-sha256"] = file.provenance_sha256
    return entry


def _rfc3339(file: SimpleFile) -> str:
    """PEP 700: `yyyy-mm-ddThh:mm:ss.ffffffZ`, always with six digits so that the bytes depend on nothing else."""
    return file.upload_time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _anchor(file: SimpleFile) -> str:
    attributes = [("href", f"{file.url}#sha256={file.sha256}")]
    if file.requires_python is not None:
        attributes.append(("data-requires-python", file.requires_python))
    if file.yanked:
        attributes.append(("data-yanked", "" if file.yanked is True else file.yanked))
    if file.core_metadata_sha256 is not None:
        attributes.append(("data-core-metadata", f"sha256={file.core_metadata_sha256}"))
    if file.provenance_url is not None:
        attributes.append(("data-provenance", file.provenance_url))
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes)
    return f"<a {written}>{escape(file.filename)}</a>"


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def _document(title: str, head: list[str], anchors: list[str], serial: int) -> bytes:
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        _meta("pypi:repository-version", API_VERSION),
        *head,
        f"<title>{escape(title)}</title>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        *(f"{anchor}<br>" for anchor in anchors),
        "</body>",
        "</html>",
        f"<!--SERIAL {serial}-->",
        "",
    ]
    return "\n".join(lines).encode()
