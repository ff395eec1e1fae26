"""A restored database has forgotten what was withdrawn after its backup: signed pages of later snapshots remember.

What they do not list is not listed again before a person has looked; what only they list is lost, and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from wheelmark.errors import Refused, Untrusted
from wheelmark.server.projects.journal import INDEX
from wheelmark.server.projects.lifecycle import set_status, transition, yank
from wheelmark.server.projects.models import File, Project, ProjectStatus, Release
from wheelmark.server.projects.rules import LISTED, FileState
from wheelmark.server.publishing.keys import file_key, page_key
from wheelmark.server.publishing.models import PublishedPage
from wheelmark.simple import MAX_PAGE_BYTES, ProjectPage, SimpleFile, Status, parse_page_json
from wheelmark.store import Missing, Store
from wheelmark.trust import TargetRow
from wheelmark.trust.audit import read_targets

_PAGE_PATH = re.compile(r"simple/([a-z0-9]+(?:-[a-z0-9]+)*)/index\.json")


@dataclass(frozen=True, slots=True)
class LostFile:
    """A file that was published after the backup."""

    project: str
    filename: str
    sha256: str
    in_store: bool  # its bytes are still there

    def __str__(self) -> str:
        where = "its bytes are still in the store" if self.in_store else "its bytes are gone, too"
        return f"{self.filename} (sha256 {self.sha256}; {where})"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What the later snapshot and the restored rows do not agree about."""

    held: tuple[str, ...] = ()  # file names that it does not list any more
    quarantined: tuple[str, ...] = ()  # projects
    yanked: tuple[str, ...] = ()  # "project version"
    lost: tuple[LostFile, ...] = ()


@dataclass(slots=True)
class _Found:
    held: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    yanked: list[str] = field(default_factory=list)
    lost: list[LostFile] = field(default_factory=list)


def put_back(
    store: Store,
    snapshot: int,
    bins: Iterable[tuple[str, bytes]],
    *,
    now: datetime,
) -> Withdrawn:
    """Compare the pages of a later snapshot's bins with the rows. The caller has verified who signed the bins."""
    found = _Found()
    why = f"snapshot {snapshot}, which is newer than the restored database, does not list it"
    for role, content in bins:
        for name, page in _changed_pages(store, read_targets(content, role)):
            with transaction.atomic():
                _compare(store, name, page, found, now=now, why=why)
    return Withdrawn(tuple(found.held), tuple(found.quarantined), tuple(found.yanked), tuple(found.lost))


def _changed_pages(store: Store, targets: Mapping[str, TargetRow]) -> Iterator[tuple[str, ProjectPage]]:
    """The signed pages that differ from those of the rows."""
    names = {found[1]: row for path, row in targets.items() if (found := _PAGE_PATH.fullmatch(path))}
    known = dict(PublishedPage.objects.filter(name__in=list(names)).values_list("name", "sha256"))
    for name, row in sorted(names.items()):
        if known.get(name) == row.sha256:
            continue
        try:
            body = store.read_all(page_key(name, row.sha256), max_bytes=MAX_PAGE_BYTES)
            yield name, parse_page_json(body, expected_name=name)
        except (Missing, Refused, Untrusted):
            continue  # lost with everything that it listed; the audit names the project's page if a row has it


def _compare(store: Store, name: str, page: ProjectPage, found: _Found, *, now: datetime, why: str) -> None:
    project = Project.objects.filter(normalized_name=name).first()
    listed = {file.filename: file for file in page.files}
    rows = {row.filename: row for row in File.objects.filter(filename__in=list(listed))}
    for filename, file in sorted(listed.items()):
        if filename not in rows:
            found.lost.append(LostFile(name, filename, file.sha256, store.head(file_key(file.sha256)) is not None))
    if project is None:
        return
    if page.status == Status.QUARANTINED and project.status != ProjectStatus.QUARANTINED:
        set_status(project, ProjectStatus.QUARANTINED, actor=INDEX, reason=page.status_reason or why)
        found.quarantined.append(name)
        return  # a quarantined page lists nothing: it says nothing about single files
    _hold_unlisted(project, listed, found, now=now, why=why)
    _yank(project, listed, rows, found)


def _hold_unlisted(
    project: Project, listed: Mapping[str, SimpleFile], found: _Found, *, now: datetime, why: str
) -> None:
    states = [state.value for state in LISTED]
    for file in File.objects.filter(release__project=project, state__in=states).order_by("pk"):
        if file.filename not in listed:
            transition(file.pk, FileState.HELD, actor=INDEX, now=now, reason=why)
            found.held.append(file.filename)


def _yank(project: Project, listed: Mapping[str, SimpleFile], rows: Mapping[str, File], found: _Found) -> None:
    yanked = {rows[name].release_id: file.yanked for name, file in listed.items() if name in rows and file.yanked}
    for release in Release.objects.filter(project=project, pk__in=list(yanked), is_yanked=False):
        reason = yanked[release.pk]
        yank(release, yanked=True, reason=reason if isinstance(reason, str) else "", actor=INDEX)
        found.yanked.append(f"{project.normalized_name} {release.version}")
