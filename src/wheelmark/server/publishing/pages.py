"""Project pages from rows: what the next snapshot will say of a project."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.version import Version

from wheelmark.dist import NormalizedName
from wheelmark.server.projects.models import File, Project, ProjectStatus
from wheelmark.server.projects.rules import LISTED
from wheelmark.simple import ProjectPage, SimpleFile, Status, file_url, render_page_json
from wheelmark.trust import TargetRow, page_target_path


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPage:
    """The bytes of one page, and the files that they list."""

    name: str
    body: bytes
    sha256: str
    serial: int
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class KnownPage:
    """What the current snapshot says of a page: enough to see whether it changed."""

    sha256: str
    serial: int


def render_pages(names: Iterable[str], known: Mapping[str, KnownPage], *, serial: int) -> list[RenderedPage]:
    """Render the pages of these projects that differ from what is known.

    A page carries the journal serial of its last change. A journal row that changes nothing on the page (a file was
    uploaded and is held, a collaborator came) must not show there, so the page is rendered with its old serial first,
    and with the new one only if the rest differs. A project gets a page with its first listed file, and keeps it.
    """
    wanted = list(names)
    listed = _listed_files(wanted)
    changed = []
    for project in Project.objects.filter(normalized_name__in=wanted).order_by("normalized_name"):
        name = project.normalized_name
        files = [] if project.status == ProjectStatus.QUARANTINED else listed[name]
        before = known.get(name)
        if before is None and not files:
            continue
        if before is not None and _digest(render_page_json(_page(project, files, before.serial))) == before.sha256:
            continue
        body = render_page_json(_page(project, files, serial))
        changed.append(RenderedPage(name=name, body=body, sha256=_digest(body), serial=serial, files=tuple(files)))
    return changed


def target_of(page: RenderedPage) -> TargetRow:
    """The page as a TUF target."""
    return TargetRow(page_target_path(page.name), len(page.body), page.sha256)


def _listed_files(names: list[str]) -> dict[str, list[File]]:
    rows = File.objects.filter(
        release__project__normalized_name__in=names, state__in=[state.value for state in LISTED]
    ).select_related("release__project")
    # A description can have a megabyte, and stands on no page.
    rows = rows.defer("release__description", "release__metadata")
    found: dict[str, list[File]] = defaultdict(list)
    for file in rows:
        found[file.release.project.normalized_name].append(file)
    for files in found.values():
        files.sort(key=lambda file: (Version(file.release.version), file.filename))
    return found


def _page(project: Project, files: list[File], serial: int) -> ProjectPage:
    versions = {file.release.version: Version(file.release.version) for file in files}
    return ProjectPage(
        name=NormalizedName(project.normalized_name),
        files=tuple(_entry(file) for file in files),
        versions=tuple(sorted(versions, key=versions.__getitem__)),
        status=Status(project.status),
        status_reason=project.status_reason or None,
        serial=serial,
    )


def _entry(file: File) -> SimpleFile:
    return SimpleFile(
        filename=file.filename,
        sha256=file.sha256,
        size=file.size,
        upload_time=file.uploaded_at,
        url=file_url(file.sha256, file.filename),
        requires_python=file.requires_python or None,
        yanked=(file.release.yanked_reason or True) if file.release.is_yanked else False,
        core_metadata_sha256=served_metadata_sha256(file) or None,
    )


def served_metadata_sha256(file: File) -> str:
    """Digest of the core metadata that is served beside a file; empty for an sdist.

    PEP 658 allows it for sdists too, but an sdist's `PKG-INFO` may change when it is built, and installers build it
    anyway.
    """
    return file.metadata_sha256 if file.kind == "bdist_wheel" else ""


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
