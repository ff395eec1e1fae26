"""A founded index in memory: rows in the test's database, objects in a memory store, and a client's eye on both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from weakref import finalize

from django.db import transaction
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so
from tuf.ngclient.fetcher import FetcherInterface

from support.rows import NOW
from wheelmark.errors import Unavailable
from wheelmark.server.publishing.commit import NewSnapshot, begin, commit
from wheelmark.server.publishing.models import PublishedPage, Repository, RoleVersion, Snapshot
from wheelmark.server.publishing.offline import OfflineChanges
from wheelmark.server.publishing.publisher import Publisher
from wheelmark.server.publishing.rows import role_rows
from wheelmark.server.publishing.signing import named_keys
from wheelmark.server.publishing.signing_log import SigningRecord
from wheelmark.store import MemoryStore, Store
from wheelmark.trust import (
    ExpiryPolicy,
    Layout,
    LogEntry,
    OfflineRole,
    OfflineRoles,
    OnlineKeys,
    OnlineSigner,
    OnlineSigners,
    entries_of,
    found_repository,
    open_signer,
    page_target_path,
)

BITS = 3
POLICY = ExpiryPolicy()


@dataclass
class MemorySigningLog:
    """A signing log that remembers what was appended."""

    appended: list[LogEntry] = field(default_factory=list)

    def append(self, entries: Iterable[LogEntry]) -> None:
        self.appended += entries


@dataclass
class FoundedIndex:
    """An index without projects, whose clock the test sets."""

    store: Store
    signers: OnlineSigners
    root: bytes
    holder: OnlineSigner  # root, targets and bins are founded by this one key
    signing_log: SigningRecord = field(default_factory=MemorySigningLog)
    now: datetime = NOW
    online: list[OnlineSigner] = field(default_factory=list)  # further online keys that a publisher finds

    sign_files: bool | None = None

    def publisher(self, store: Store | None = None) -> Publisher:
        """A publisher that knows nothing but the rows."""
        store = store or self.store
        offline = OfflineChanges(store, self.signing_log, self._open_signers, POLICY)
        signers = offline.signers_or_waiting(named_keys(store))
        return Publisher(
            store,
            signers,
            self.signing_log,
            policy=POLICY,
            clock=lambda: self.now,
            offline=offline,
            sign_files=self.sign_files,
        )

    def _open_signers(self, named: OnlineKeys) -> OnlineSigners:
        by_key = {signer.public: signer for signer in (self.signers.bins, self.signers.publish, *self.online)}
        if named.bins not in by_key or named.publish not in by_key:
            raise Unavailable("a key is not here", code="key-missing")
        return OnlineSigners(bins=by_key[named.bins], publish=by_key[named.publish])

    def fetch(self, path: str) -> bytes:
        """What an address below `/tuf/` answers by rows and store, as delivery would; KeyError if nothing."""
        if path == "timestamp.json":
            current = Snapshot.current()
            assert current is not None
            return bytes(current.timestamp)
        if path.startswith("targets/simple/"):
            _, _, name, file_name = path.split("/")
            key = f"pages/{name}/{file_name.split('.')[0]}.json"
        else:
            version, role, _ = path.split(".")
            committed = RoleVersion.objects.filter(role=role).values_list("version", flat=True).first()
            if committed is None or int(version) > committed:
                raise KeyError(path)  # what an attempt left behind is served to nobody
            key = f"tuf/{path}"
        if self.store.head(key) is None:
            raise KeyError(path)
        return self.store.read_all(key, max_bytes=10_000_000)

    def client_sees(self, *names: str) -> dict[str, list[str] | None]:
        """The file names that an unmodified TUF client gets for each project; None where absence is proven."""
        return Client(self).sees(*names)


class Client:
    """An unmodified python-tuf client with a memory: what it has trusted once, it never goes back behind."""

    def __init__(self, index: FoundedIndex) -> None:
        self._index = index
        self._folder = mkdtemp()
        finalize(self, rmtree, self._folder, ignore_errors=True)

    def sees(self, *names: str) -> dict[str, list[str] | None]:
        """Refresh, and read the pages of these projects."""
        updater = self._refreshed()
        seen: dict[str, list[str] | None] = {}
        for name in names:
            info = updater.get_targetinfo(page_target_path(name))
            if info is None:
                seen[name] = None
                continue
            page = json.loads(Path(updater.download_target(info)).read_bytes())
            seen[name] = [file["filename"] for file in page["files"]]
        return seen

    def finds(self, *paths: str) -> dict[str, tuple[int, str] | None]:
        """Refresh, and look these targets up: length and sha256; None where absence is proven."""
        updater = self._refreshed()
        found = {path: updater.get_targetinfo(path) for path in paths}
        return {path: (info.length, info.hashes["sha256"]) if info else None for path, info in found.items()}

    def _refreshed(self) -> Updater:
        updater = Updater(
            metadata_dir=self._folder,
            metadata_base_url="http://index.invalid/tuf/",
            target_base_url="http://index.invalid/tuf/targets/",
            target_dir=self._folder,
            fetcher=_Fetcher(self._index),
            bootstrap=self._index.root,
        )
        updater._trusted_set.reference_time = self._index.now
        updater.refresh()
        return updater


class _Fetcher(FetcherInterface):
    def __init__(self, index: FoundedIndex) -> None:
        self._index = index

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix("http://index.invalid/tuf/")
        try:
            return iter([self._index.fetch(path)])
        except KeyError:
            raise DownloadHTTPError(f"nothing at {path}", 404) from None


def found_index(
    store: Store | None = None,
    *,
    now: datetime = NOW,
    offline: OfflineRoles | None = None,
    signing_log: SigningRecord | None = None,
) -> FoundedIndex:
    """Found an index with few bins and keys in memory."""
    store = store or MemoryStore()
    signing_log = signing_log or MemorySigningLog()
    signers = OnlineSigners(*(open_signer("memory:ed25519", passphrase=bytes) for _ in range(2)))
    offline = offline or OfflineRoles.all_by(OfflineRole((open_signer("memory:ed25519", passphrase=bytes),)))
    foundation = found_repository(layout=Layout(BITS), now=now, offline=offline, online=signers, policy=POLICY)
    signing_log.append(entries_of(foundation, signers, at=now, serial_from=0, serial_to=0))
    store.put_many([(f"tuf/{name}", body) for name, body in foundation.objects], immutable=True)
    state = foundation.state
    with transaction.atomic():
        Repository.objects.create(bit_length=BITS, begun_at=now, founded_at=now)
        commit(
            NewSnapshot(
                version=1,
                timestamp_version=1,
                timestamp=foundation.timestamp,
                length=state.snapshot.length,
                sha256=state.snapshot.sha256,
                serial=0,
                roles={name: (role.version, role.expires_at) for name, role in role_rows(None, state).items()},
                pages=(),
                bins={},
            ),
            begin({}, now=now),
            now=now,
        )
    return FoundedIndex(store, signers, foundation.root, offline.root.signers[0], signing_log, now=now)


def published_names() -> list[str]:
    """The projects that the current snapshot has."""
    return sorted(PublishedPage.objects.values_list("name", flat=True))


HOUR = timedelta(hours=1)
