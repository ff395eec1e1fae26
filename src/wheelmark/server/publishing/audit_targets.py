"""The audit of what the bins list: targets against rows, pages against what the rows would render, and the journal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from django.db.models import QuerySet

from wheelmark.dist import parse_filename
from wheelmark.errors import Fault, Refused, Untrusted
from wheelmark.server.projects.journal import INDEX
from wheelmark.server.projects.models import JournalEntry
from wheelmark.server.publishing.earlier import Earlier
from wheelmark.server.publishing.keys import page_key, role_key
from wheelmark.server.publishing.models import PublishedFile, PublishedPage, RoleVersion, Snapshot
from wheelmark.server.publishing.pages import KnownPage, render_pages
from wheelmark.server.publishing.rows import committed_rows, signs_files
from wheelmark.simple import MAX_PAGE_BYTES, parse_page_json
from wheelmark.store import Missing, Store
from wheelmark.trust import Layout, TargetRow
from wheelmark.trust.audit import Faults, changed_paths, compare_targets, read_targets, unjournalled

_MAX_BIN_BYTES = 5_000_000
_LOOKS = 20
"""Looks at a bin that is published again while it is compared."""

_BATCH = 500
_PAGE_PATH = re.compile(r"simple/([a-z0-9]+(?:-[a-z0-9]+)*)/index\.json")
_FILE_PATH = re.compile(r"files/[^/]+/([^/]+)")


def project_of(path: str) -> str | None:
    """The project whose journal rows account for a target; None for a path that belongs to none."""
    if page := _PAGE_PATH.fullmatch(path):
        return page[1]
    if file := _FILE_PATH.fullmatch(path):
        try:
            return str(parse_filename(file[1].removesuffix(".metadata"), strict=False).name)
        except Refused:
            return None
    return None


class TargetAudit:
    """Compares bin after bin; `run` does all."""

    def __init__(self, store: Store, layout: Layout, faults: Faults, earlier: Earlier | None) -> None:
        self._store = store
        self._layout = layout
        self._faults = faults
        self._earlier = earlier
        self.pages = 0

    def run(self, progress: Callable[[str, int, int], None]) -> None:
        """Compare every bin with rows, pages, journal and the earlier snapshot."""
        for index, role in enumerate(self._layout.bin_names):
            progress("comparing targets", index, self._layout.bin_count)
            self._faults.add(*self._settled(index, role))
        progress("comparing targets", self._layout.bin_count, self._layout.bin_count)

    def _settled(self, index: int, role: str) -> list[Fault]:
        """The faults of a bin, found while it stayed the same: its rows and its version change in one commit."""
        for _ in range(_LOOKS):
            version = _version(role)
            faults, pages = self._bin(index, role, version)
            if not faults or _version(role) == version:
                self.pages += pages
                return faults
        return [
            Fault("bin-moves", role, f"expected one of {_LOOKS} looks without a publication, got none; audit again")
        ]

    def _bin(self, index: int, role: str, version: int) -> tuple[list[Fault], int]:
        name = f"{version}.{role}.json"
        try:
            signed = read_targets(self._store.read_all(role_key(version, role), max_bytes=_MAX_BIN_BYTES), name)
        except (Missing, Refused, Untrusted):
            return [], 0  # said by the check of the metadata
        recorded = {row.path: row for row in committed_rows([index])[index]}
        faults = list(compare_targets(name, signed, recorded))
        pages = {row.name: row for row in PublishedPage.objects.filter(bin=index)}
        faults += self._without_journal(pages)
        faults += self._pages(pages)
        if self._earlier is not None:
            faults += self._since(self._earlier, role, signed)
        return faults, len(pages)

    def _pages(self, pages: Mapping[str, PublishedPage]) -> Iterator[Fault]:
        """The bytes of each page, the files that it lists, and whether the rows would render it so."""
        served: dict[str, dict[str, tuple[str, int]]] = {}
        for names in _batches(pages):
            for page, filename, sha256, size in PublishedFile.objects.filter(page_id__in=names).values_list(
                "page_id", "filename", "sha256", "size"
            ):
                served.setdefault(page, {})[filename] = (sha256, size)
        for name, row in sorted(pages.items()):
            yield from self._page(name, row, served.get(name, {}))
        for name in pages_unlike_rows(pages):
            yield Fault(
                "page-differs",
                name,
                "expected the page that the rows of project, releases and files give, got another: rows were changed "
                "without a journal row, or the page was",
            )

    def _page(self, name: str, row: PublishedPage, served: Mapping[str, tuple[str, int]]) -> Iterator[Fault]:
        try:
            body = self._store.read_all(page_key(name, row.sha256), max_bytes=MAX_PAGE_BYTES)
        except Missing:
            yield Fault("page-missing", name, f"expected the page {row.sha256} in the store, got no such object")
            return
        except Refused as error:
            yield Fault("page-damaged", name, str(error))
            return
        found = hashlib.sha256(body).hexdigest()
        if found != row.sha256:
            yield Fault("page-damaged", name, f"expected sha256 {row.sha256}, got {found}")
            return
        try:
            page = parse_page_json(body, expected_name=name)
        except Untrusted as error:
            yield Fault("page-form", name, str(error))
            return
        listed = {file.filename: (file.sha256, file.size) for file in page.files}
        for filename in sorted(listed.keys() | served.keys()):
            if listed.get(filename) != served.get(filename):
                yield Fault(
                    "file-row",
                    filename,
                    f"expected what the signed page of {name} lists ({_said(listed.get(filename))}) to be served, "
                    f"got {_said(served.get(filename))}",
                )

    def _without_journal(self, pages: Mapping[str, PublishedPage]) -> Iterator[Fault]:
        """Pages of projects about which the journal has no row at all up to the page's own serial."""
        first: dict[str, int] = {}
        for names in _batches(pages):
            for project, serial in JournalEntry.objects.filter(project__in=names).values_list("project", "serial"):
                first[project] = min(serial, first.get(project, serial))
        for name, row in sorted(pages.items()):
            if name not in first or first[name] > row.serial:
                yield Fault(
                    "target-without-journal", name, f"expected a journal row up to serial {row.serial}, got none"
                )

    def _since(self, earlier: Earlier, role: str, signed: Mapping[str, TargetRow]) -> list[Fault]:
        try:
            before = earlier.targets(role)
        except Untrusted as error:
            return [Fault(error.code, role, str(error))]
        if before is None:
            return [
                Fault("since-collected", role, f"expected the bin of snapshot {earlier.version} in the store, got none")
            ]
        follows = _follow_from_pages(changed_paths(before, signed), signed)
        before, signed = ({path: row for path, row in rows.items() if path not in follows} for rows in (before, signed))
        projects = {project for path in changed_paths(before, signed) if (project := project_of(path))}
        journalled: set[str] = set()
        for names in _batches(projects):
            rows = JournalEntry.objects.filter(project__in=names, serial__gt=earlier.serial)
            journalled |= set(_asks_for_a_page(rows).values_list("project", flat=True))
        return list(unjournalled(earlier.version, before, signed, project_of=project_of, journalled=journalled))


def pages_unlike_rows(pages: Mapping[str, PublishedPage]) -> list[str]:
    """Pages that the rows would render otherwise, although no journal row waits to be published."""
    found: set[str] = set()
    for names in _batches(pages):
        known = {name: KnownPage(pages[name].sha256, pages[name].serial) for name in names}
        differing = {page.name for page in render_pages(names, known, serial=0)}
        current = Snapshot.current()
        if differing and current is not None:
            rows = JournalEntry.objects.filter(project__in=differing, serial__gt=current.serial)
            found |= differing - set(_asks_for_a_page(rows).values_list("project", flat=True))
    return sorted(found)


def _follow_from_pages(paths: Iterable[str], signed: Mapping[str, TargetRow]) -> set[str]:
    """Files as targets (`sign_files`) that came or went with the mode and not with a change of their project: what a
    page lists by the same digest is accounted for by the page, and without the mode there are none."""
    files = {path: found[1] for path in paths if (found := _FILE_PATH.fullmatch(path))}
    if not files:
        return set()
    listed: dict[str, str] = {}
    for names in _batches({name.removesuffix(".metadata") for name in files.values()}):
        rows = PublishedFile.objects.filter(filename__in=names)
        for name, sha256, metadata_sha256 in rows.values_list("filename", "sha256", "metadata_sha256"):
            listed |= {name: sha256, f"{name}.metadata": metadata_sha256}
    gone = set() if signs_files() else {path for path in files if path not in signed}
    return gone | {path for path, name in files.items() if path in signed and signed[path].sha256 == listed.get(name)}


def _asks_for_a_page(rows: QuerySet[JournalEntry]) -> QuerySet[JournalEntry]:
    """Without the publisher's own rows: they follow from a snapshot, and account for nothing."""
    return rows.exclude(action="file-published", actor=INDEX)


def _version(role: str) -> int:
    return RoleVersion.objects.filter(role=role).values_list("version", flat=True).first() or 0


def _said(file: tuple[str, int] | None) -> str:
    return f"sha256 {file[0]}, {file[1]} bytes" if file else "nothing"


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    return (ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH))
