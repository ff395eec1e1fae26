"""Builders for tests of the trust room: keys that never touch a disk, a founded repository, and its clients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater  # type: ignore[attr-defined]  # re-exported without saying so

from wheelmark.trust import (
    ChangedBin,
    ExpiryPolicy,
    Foundation,
    Layout,
    MetadataReport,
    OfflineRole,
    OfflineRoles,
    OnlineSigner,
    OnlineSigners,
    Publication,
    RepositoryState,
    TargetRow,
    check_metadata_set,
    found_repository,
    open_signer,
    page_target_path,
    sign_publication,
)

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
POLICY = ExpiryPolicy()


def no_passphrase() -> bytes:
    raise AssertionError("this signer needs no passphrase")


@cache
def a_signer(name: str, algorithm: str = "ed25519") -> OnlineSigner:
    """The key of that name: the same one for the whole run of the tests."""
    assert name
    return open_signer(f"memory:{algorithm}", passphrase=no_passphrase)


def online_signers() -> OnlineSigners:
    return OnlineSigners(bins=a_signer("online 1"), publish=a_signer("online 2"))


def offline_roles() -> OfflineRoles:
    return OfflineRoles.all_by(OfflineRole((a_signer("offline"),)))


def a_foundation(*, layout: Layout | None = None, now: datetime = NOON, policy: ExpiryPolicy = POLICY) -> Foundation:
    return found_repository(
        layout=layout or Layout(3), now=now, offline=offline_roles(), online=online_signers(), policy=policy
    )


def a_row(path: str, content: bytes | None = None) -> TargetRow:
    body = path.encode() if content is None else content
    return TargetRow(path, len(body), hashlib.sha256(body).hexdigest())


def a_page(name: str, content: bytes | None = None) -> TargetRow:
    return a_row(page_target_path(name), content)


@dataclass
class Repository:
    """A repository in memory: the files as a mirror would have them, the pages, and the state that the index keeps."""

    state: RepositoryState
    root: bytes
    files: dict[str, bytes]
    pages: dict[str, bytes] = field(default_factory=dict)
    policy: ExpiryPolicy = POLICY

    @classmethod
    def founded(
        cls, *, layout: Layout | None = None, now: datetime = NOON, policy: ExpiryPolicy = POLICY
    ) -> Repository:
        foundation = a_foundation(layout=layout, now=now, policy=policy)
        files = {**dict(foundation.objects), "timestamp.json": foundation.timestamp}
        return cls(foundation.state, foundation.root, files, policy=policy)

    def rows_of(self, index: int) -> list[TargetRow]:
        rows = [a_page(name, content) for name, content in self.pages.items()]
        return sorted((row for row in rows if self.state.layout.bin_of(row.path) == index), key=lambda row: row.path)

    def bins_of(self, names: Iterable[str]) -> set[int]:
        return {self.state.layout.bin_of(page_target_path(name)) for name in names}

    def sign(
        self,
        pages: Mapping[str, bytes] | None = None,
        *,
        resign: Iterable[int] = (),
        burned: Mapping[str, int] | None = None,
        now: datetime = NOON,
    ) -> Publication:
        """Sign new contents of some pages, and some bins again; nothing is written yet."""
        self.pages.update(pages or {})
        return sign_publication(
            self.state,
            [ChangedBin(index, self.rows_of(index)) for index in self.bins_of(pages or {}) | set(resign)],
            burned=burned or {},
            now=now,
            signers=online_signers(),
            policy=self.policy,
        )

    def write(self, publication: Publication) -> None:
        """Commit a publication. A file that exists is never written with another content."""
        for name, content in publication.objects:
            assert self.files.setdefault(name, content) == content, f"{name} has two contents"
        self.files["timestamp.json"] = publication.timestamp
        self.state = publication.state

    def publish(
        self,
        pages: Mapping[str, bytes] | None = None,
        *,
        resign: Iterable[int] = (),
        burned: Mapping[str, int] | None = None,
        now: datetime = NOON,
    ) -> Publication:
        publication = self.sign(pages, resign=resign, burned=burned, now=now)
        self.write(publication)
        return publication

    def audit(self, *, now: datetime = NOON) -> MetadataReport:
        return check_metadata_set(self.files.get, self.root, now, policy=self.policy)

    def client(self, folder: Path) -> Updater:
        """An unmodified TUF client with its trusted metadata in `folder`; a second one there is a returning client."""
        for name in ("metadata", "targets"):
            (folder / name).mkdir(exist_ok=True)
        return Updater(
            str(folder / "metadata"),
            "https://index.invalid/tuf/",
            target_dir=str(folder / "targets"),
            target_base_url="https://index.invalid/tuf/targets/",
            fetcher=_RepositoryFetcher(self),
            bootstrap=self.root,
        )


class _RepositoryFetcher(FetcherInterface):
    """Gives a client the files of a repository in memory, and its pages under the names of consistent snapshots."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix("https://index.invalid/tuf/")
        content = self.repository.files.get(path)
        if content is None and path.startswith("targets/simple/"):
            _, _, name, hashed = path.split("/")
            body = self.repository.pages.get(name, b"")
            content = body if hashed == f"{hashlib.sha256(body).hexdigest()}.index.json" else None
        if content is None:
            raise DownloadHTTPError(f"no {path}", 404)
        return iter([content])
