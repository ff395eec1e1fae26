"""Walks a whole published repository: every delegation, every bin, every page, and on request every file.

What an installer checks for the projects that it asks for, this checks for all of them, with python-tuf's own
verification of delegations and the client's own of what lies below. It trusts nothing that it has not fetched now: no
cache, no memory of versions. All of it is of one snapshot, and no more than one bin is held at a time.

An index that publishes meanwhile may delete what that snapshot names, after a day. Then the newest snapshot is asked:
what it says otherwise was superseded and is checked as it is now; what it still names and does not come is a fault.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock

from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.address import IndexAddress
from wheelmark.client.checks import (
    MAX_CORE_METADATA_BYTES,
    MAX_PROVENANCE_BYTES,
    check_page_bytes,
    checked_beside,
    checked_pieces,
    page_sha256,
)
from wheelmark.client.fetching import Fetcher, HttpStatus, Kind, download
from wheelmark.client.http_fetcher import HttpFetcher
from wheelmark.client.tuf_fetcher import TufFetcher
from wheelmark.client.verifier import utc_now
from wheelmark.client.walk_ledger import Ledger
from wheelmark.client.walk_roles import TopLevel
from wheelmark.dist import NormalizedName
from wheelmark.errors import Fault, WheelmarkError
from wheelmark.simple import ProjectPage, SimpleFile, parse_page_json

MAX_FAULTS = 1000
JOBS = 8  # pages that are fetched at a time
NEWEST_SECONDS = 2.0
_PAGE_PATH = re.compile(r"simple/([a-z0-9]+(?:-[a-z0-9]+)*)/index\.json")
_FILE_PATH = re.compile(r"files/[0-9a-f]{64}/[^/]+")

Progress = Callable[[str, int, int], None]  # what, how many are done, how many there are


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkSummary:
    """What was checked, and everything that was wrong (the first `MAX_FAULTS`). Good when there are no faults."""

    root_version: int
    snapshot_version: int
    roles: int  # delegated roles, the bins among them
    pages: int
    files: int  # listed by the pages
    file_bytes: int  # of those files, whether downloaded or not
    expires: Mapping[str, datetime]  # of each top-level role
    faults: tuple[Fault, ...]


def verify_repository(
    index_url: str,
    trusted_root: bytes,
    progress: Progress | None = None,
    *,
    fetcher: Fetcher | None = None,
    now: Callable[[], datetime] = utc_now,
    include_files: bool = False,
    jobs: int = JOBS,
) -> WalkSummary:
    """Check everything that the index's snapshot lists; `include_files` also downloads every file and what lies beside.

    Raises:
        Untrusted: a top-level role fails, so that there is nothing to walk.
        Unavailable: the same, because the index does not answer.
    """
    address, network = IndexAddress.parse(index_url), fetcher or HttpFetcher()
    with tempfile.TemporaryDirectory(prefix="wheelmark-verify-") as folder:
        directory = Path(folder)
        (directory / "metadata").mkdir()

        def refreshed() -> TopLevel:
            return TopLevel.refreshed(address, trusted_root, directory / "metadata", TufFetcher(network), now())

        with closing(Ledger(directory / "files.sqlite3")) as ledger, ThreadPoolExecutor(max(1, jobs)) as pool:
            pages = _Pages(address=address, fetcher=network, include_files=include_files, refreshed=refreshed)
            walk = _Walk(top=refreshed(), pages=pages, ledger=ledger, pool=pool)
            return walk.run(progress or (lambda *_: None))


@dataclass(frozen=True, slots=True)
class _Page:
    """What became of one page: itself, or the fault that it has."""

    page: ProjectPage | None
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Walk:
    top: TopLevel
    pages: _Pages
    ledger: Ledger
    pool: ThreadPoolExecutor
    roles: int = 0
    page_count: int = 0
    files: int = 0
    file_bytes: int = 0
    faults: list[Fault] = field(default_factory=list)

    def run(self, progress: Progress) -> WalkSummary:
        total = len(self.top.snapshot.meta) - 1  # `targets.json` is not a delegated role
        self._check_targets(self.top.targets.targets)
        for _, targets in self.top.below(self._fault, self.pages.newest):
            self.roles += 1
            self._check_targets(targets.targets)
            progress("roles", self.roles, max(total, self.roles))
        if self.roles < total:
            self._fault("unreached-role", "snapshot", f"expected {total} delegated roles, reached {self.roles}")
        for fault in self.ledger.faults():
            if len(self.faults) == MAX_FAULTS:
                break
            self.faults.append(fault)
        top = self.top
        return WalkSummary(
            root_version=top.root.version,
            snapshot_version=top.snapshot.version,
            roles=self.roles,
            pages=self.page_count,
            files=self.files,
            file_bytes=self.file_bytes,
            expires={role.type: role.expires for role in (top.root, top.timestamp, top.snapshot, top.targets)},
            faults=tuple(self.faults),
        )

    def _check_targets(self, targets: Mapping[str, TargetFile]) -> None:
        """All targets of one role: pages by several workers, files for the ledger."""
        for path in targets:
            if _FILE_PATH.fullmatch(path):
                self.ledger.add_target(targets[path])
            elif not _PAGE_PATH.fullmatch(path):
                self._fault("foreign-target", path, "expected only project pages, simple/<name>/index.json, and files")
        paths = sorted(path for path in targets if _PAGE_PATH.fullmatch(path))
        for checked in self.pool.map(lambda path: self.pages.checked(targets[path]), paths):
            self.faults += checked.faults[: MAX_FAULTS - len(self.faults)]
            if checked.page is not None:
                self.ledger.add_page(checked.page)
                self.page_count += 1
                self.files += len(checked.page.files)
                self.file_bytes += sum(file.size for file in checked.page.files)

    def _fault(self, code: str, where: str, message: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(code, where, message))


@dataclass(slots=True, kw_only=True)
class _Pages:
    """Checks pages, by several threads at once."""

    address: IndexAddress
    fetcher: Fetcher
    include_files: bool
    refreshed: Callable[[], TopLevel]
    _newest: TopLevel | None = None
    _newest_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def checked(self, target: TargetFile) -> _Page:
        """One page, and with `include_files` all that it lists."""
        try:
            page = self._page(target)
            if page is None:
                return _Page(None)
            faults = tuple(self._file_faults(page)) if self.include_files else ()
            return _Page(page, faults)
        except WheelmarkError as error:
            return _Page(None, (Fault(error.code, target.path, str(error)),))

    def _page(self, target: TargetFile) -> ProjectPage | None:
        """The page of a target; None when it was superseded and the project is no more."""
        try:
            return self._fetched(target)
        except HttpStatus:
            newer = self._superseding(target)
            if newer is target:
                raise
            return None if newer is None else self._fetched(newer)

    def _fetched(self, target: TargetFile) -> ProjectPage:
        name = NormalizedName(target.path.split("/")[1])
        sha256 = page_sha256(target)
        raw = download(self.fetcher, self.address.page_url(name, sha256), target.length)
        check_page_bytes(target, raw)
        return parse_page_json(raw, expected_name=name)

    def _file_faults(self, page: ProjectPage) -> Iterator[Fault]:
        for file in page.files:
            try:
                self._check_file(file)
            except HttpStatus as error:
                # A file is deleted only when no page lists it any more: then the project's newest page does not.
                if self._still_listed(page, file):
                    yield Fault(error.code, f"simple/{page.name}/index.json", str(error))
            except WheelmarkError as error:
                yield Fault(error.code, f"simple/{page.name}/index.json", str(error))

    def _check_file(self, file: SimpleFile) -> None:
        url = self.address.file_url(file)
        with closing(self.fetcher.stream(url, Kind.FILE)) as arriving:
            for _ in checked_pieces(file, arriving):
                pass
        for what, sha256, address, max_bytes in (
            ("core metadata", file.core_metadata_sha256, self.address.core_metadata_url(file), MAX_CORE_METADATA_BYTES),
            ("provenance", file.provenance_sha256, self.address.provenance_url(file), MAX_PROVENANCE_BYTES),
        ):
            if sha256 is not None:
                checked_beside(file, what, sha256, download(self.fetcher, address, max_bytes))

    def _still_listed(self, page: ProjectPage, file: SimpleFile) -> bool:
        target = self.newest().find(f"simple/{page.name}/index.json")
        return target is not None and file in self._fetched(target).files

    def _superseding(self, target: TargetFile) -> TargetFile | None:
        """What the newest snapshot has in the place of a target: itself when nothing changed, None when it is gone."""
        found = self.newest().find(target.path)
        return target if found is not None and found.hashes == target.hashes else found

    def newest(self) -> TopLevel:
        """The newest snapshot, at most `NEWEST_SECONDS` old: many pages may be asked for it at once."""
        with self._lock:
            if self._newest is None or time.monotonic() - self._newest_at > NEWEST_SECONDS:
                self._newest, self._newest_at = self.refreshed(), time.monotonic()
            return self._newest
