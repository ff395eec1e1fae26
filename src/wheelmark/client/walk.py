"""Walks a whole published repository: every delegation, every bin, every page, and on request every file.

What an installer checks for the projects that it asks for, this checks for all of them, with python-tuf's own
verification of delegations. It trusts nothing that it has not fetched now: no cache, no memory of versions.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Snapshot, TargetFile, Targets  # type: ignore[attr-defined]  # tuf re-exports without saying so
from tuf.ngclient import Updater, UpdaterConfig  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.address import IndexAddress
from wheelmark.client.fetching import Fetcher
from wheelmark.client.http_fetcher import HttpFetcher
from wheelmark.client.metadata import converted_errors
from wheelmark.client.tuf_fetcher import TufFetcher
from wheelmark.client.verifier import Verifier, utc_now
from wheelmark.dist import parse_filename
from wheelmark.errors import Fault, WheelmarkError

MAX_FAULTS = 1000
_PAGE_PATH = re.compile(r"simple/([a-z0-9]+(?:-[a-z0-9]+)*)/index\.json")
_FILE_PATH = re.compile(r"files/([0-9a-f]{64})/([^/]+)")
_METADATA_SUFFIX = ".metadata"

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
    faults: tuple[Fault, ...]


def verify_repository(
    index_url: str,
    trusted_root: bytes,
    progress: Progress | None = None,
    *,
    fetcher: Fetcher | None = None,
    now: Callable[[], datetime] = utc_now,
    include_files: bool = False,
) -> WalkSummary:
    """Check everything that the index's snapshot lists; `include_files` also downloads every file and its metadata.

    Raises:
        Untrusted: a top-level role fails, so that there is nothing to walk.
        Unavailable: the same, because the index does not answer.
    """
    address = IndexAddress.parse(index_url)
    network = fetcher or HttpFetcher()
    with tempfile.TemporaryDirectory(prefix="wheelmark-verify-") as directory:
        top = _TopLevel.refreshed(address, trusted_root, Path(directory), TufFetcher(network))
        verifier = Verifier(index_url, trusted_root, Path(directory) / "verifier", fetcher=network, now=now)
        walk = _Walk(top=top, address=address, verifier=verifier, fetcher=TufFetcher(network), at=now())
        return walk.run(progress or (lambda *_: None), include_files=include_files)


@dataclass(frozen=True, slots=True)
class _TopLevel:
    """The top-level roles after the standard's workflow (TUF specification § 5)."""

    root_version: int
    max_targets_bytes: int
    snapshot: Snapshot
    targets: Targets

    @classmethod
    def refreshed(cls, address: IndexAddress, root: bytes, directory: Path, fetcher: TufFetcher) -> _TopLevel:
        config = UpdaterConfig()
        with converted_errors(address.metadata_url):
            Updater(str(directory), address.metadata_url, fetcher=fetcher, config=config, bootstrap=root).refresh()
            return cls(
                root_version=Metadata.from_bytes((directory / "root.json").read_bytes()).signed.version,
                max_targets_bytes=config.targets_max_length,
                snapshot=Metadata[Snapshot].from_bytes((directory / "snapshot.json").read_bytes()).signed,
                targets=Metadata[Targets].from_bytes((directory / "targets.json").read_bytes()).signed,
            )


@dataclass(slots=True, kw_only=True)
class _Walk:
    top: _TopLevel
    address: IndexAddress
    verifier: Verifier
    fetcher: TufFetcher
    at: datetime
    roles: int = 0
    pages: int = 0
    files: int = 0
    file_bytes: int = 0
    faults: list[Fault] = field(default_factory=list)

    def run(self, progress: Progress, *, include_files: bool) -> WalkSummary:
        total = len(self.top.snapshot.meta) - 1  # `targets.json` is not a delegated role
        for _, targets in self._delegated("targets", self.top.targets):
            self.roles += 1
            for path in sorted(targets.targets):
                if found := _FILE_PATH.fullmatch(path):
                    self._check_file_target(targets.targets[path], sha256=found[1], name=found[2])
                else:
                    self._check_page(path, include_files=include_files)
            progress("roles", self.roles, max(total, self.roles))
        if self.roles < total:
            self._fault("unreached-role", "snapshot", f"expected {total} delegated roles, reached {self.roles}")
        return WalkSummary(
            root_version=self.top.root_version,
            snapshot_version=self.top.snapshot.version,
            roles=self.roles,
            pages=self.pages,
            files=self.files,
            file_bytes=self.file_bytes,
            faults=tuple(self.faults),
        )

    def _delegated(self, parent_name: str, parent: Targets) -> Iterator[tuple[str, Targets]]:
        """Every role below `parent` that verifies, depth first."""
        if parent.delegations is None:
            return
        succinct, named = parent.delegations.succinct_roles, parent.delegations.roles
        for name in named or () if succinct is None else succinct.get_roles():
            try:
                with converted_errors(name):
                    targets = self._load(name, parent)
            except WheelmarkError as error:
                self._fault(error.code, name, str(error))
                continue
            for path in targets.targets:
                if not any(role == name for role, _ in parent.delegations.get_roles_for_target(path)):
                    message = f"expected it in the role to which {parent_name} gives it, got it in {name}"
                    self._fault("misplaced-target", path, message)
            yield name, targets
            yield from self._delegated(name, targets)

    def _load(self, name: str, parent: Targets) -> Targets:
        """TUF specification § 5.6 for a delegated role: hash and version of the snapshot, signatures, expiry."""
        listed = self.top.snapshot.meta.get(f"{name}.json")
        if listed is None:
            raise RepositoryError(f"expected {name} in the snapshot, got none")
        url = f"{self.address.metadata_url}{listed.version}.{quote(name, safe='')}.json"
        raw = self.fetcher.download_bytes(url, listed.length or self.top.max_targets_bytes)
        listed.verify_length_and_hashes(raw)
        metadata = Metadata[Targets].from_bytes(raw)
        parent.verify_delegate(name, metadata.signed_bytes, metadata.signatures)
        if metadata.signed.version != listed.version:
            raise RepositoryError(f"expected {name} version {listed.version}, got {metadata.signed.version}")
        if metadata.signed.is_expired(self.at):
            raise RepositoryError(f"expected {name} to be unexpired, got expiry {metadata.signed.expires}")
        return metadata.signed

    def _check_page(self, path: str, *, include_files: bool) -> None:
        match = _PAGE_PATH.fullmatch(path)
        if match is None:
            self._fault("foreign-target", path, "expected only project pages, simple/<name>/index.json, and files")
            return
        try:
            page = self.verifier.page(match[1])
            if page is None:
                self._fault("unfindable-target", path, "expected a target that a client finds, got none")
                return
            self.pages += 1
            for file in page.files:
                self.files += 1
                self.file_bytes += file.size
                if include_files:
                    for _ in self.verifier.open_file(file):
                        pass
                    if file.core_metadata_sha256 is not None:
                        self.verifier.metadata(file)
        except WheelmarkError as error:
            self._fault(error.code, path, str(error))

    def _check_file_target(self, target: TargetFile, *, sha256: str, name: str) -> None:
        """Strict PEP 458 mode: a file that is a target of its own is one that its project's page lists, and the same.

        Not checked: whether every listed file is a target, since the metadata does not say which mode the index is in.
        """
        filename = name.removesuffix(_METADATA_SUFFIX)
        try:
            page = self.verifier.page(parse_filename(filename, strict=False).name)
        except WheelmarkError as error:
            self._fault(error.code, target.path, str(error))
            return
        files = () if page is None else page.files
        file = next((one for one in files if (one.filename, one.sha256) == (filename, sha256)), None)
        signed = target.hashes.get("sha256")
        if file is None:
            self._fault("unlisted-target", target.path, "expected a file that its project's page lists, got another")
        elif name != filename and signed != file.core_metadata_sha256:
            message = f"expected the core metadata of the page, sha256 {file.core_metadata_sha256}, got {signed}"
            self._fault("other-target", target.path, message)
        elif name == filename and (signed, target.length) != (file.sha256, file.size):
            message = (
                f"expected sha256 {file.sha256} and {file.size} bytes as on the page, got {signed}, {target.length}"
            )
            self._fault("other-target", target.path, message)

    def _fault(self, code: str, where: str, message: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(code, where, message))
