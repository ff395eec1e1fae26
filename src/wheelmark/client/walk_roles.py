"""The signed metadata of a walk: the top-level roles as one snapshot has them, and the roles below, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import ExpiredMetadataError, RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    Metadata,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.ngclient import Updater, UpdaterConfig  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.absence import check_bin_name
from wheelmark.client.address import IndexAddress
from wheelmark.client.metadata import converted_errors, refreshed_over_rotation
from wheelmark.client.tuf_fetcher import TufFetcher
from wheelmark.errors import Unavailable, WheelmarkError

OnFault = Callable[[str, str, str], None]  # code, where, message


@dataclass(frozen=True, slots=True)
class TopLevel:
    """The top-level roles after the standard's workflow (TUF specification § 5)."""

    address: IndexAddress
    fetcher: TufFetcher
    at: datetime
    max_targets_bytes: int
    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets

    @classmethod
    def refreshed(
        cls, address: IndexAddress, root: bytes, directory: Path, fetcher: TufFetcher, at: datetime
    ) -> TopLevel:
        """Fetch and verify them; `directory` keeps what was seen, so a second call goes forward from the first.

        Raises:
            Untrusted: one of them does not verify, or has expired at `at` or by the machine's clock.
            Unavailable: the index does not answer.
        """
        config = UpdaterConfig()
        with converted_errors(address.metadata_url):

            def refresh() -> None:
                Updater(str(directory), address.metadata_url, fetcher=fetcher, config=config, bootstrap=root).refresh()

            refreshed_over_rotation(refresh)
            top = cls(
                address=address,
                fetcher=fetcher,
                at=at,
                max_targets_bytes=config.targets_max_length,
                root=Metadata[Root].from_bytes((directory / "root.json").read_bytes()).signed,
                timestamp=Metadata[Timestamp].from_bytes((directory / "timestamp.json").read_bytes()).signed,
                snapshot=Metadata[Snapshot].from_bytes((directory / "snapshot.json").read_bytes()).signed,
                targets=Metadata[Targets].from_bytes((directory / "targets.json").read_bytes()).signed,
            )
            for role in (top.root, top.timestamp, top.snapshot, top.targets):
                if role.is_expired(at):
                    raise ExpiredMetadataError(f"{role.type}.json expired at {role.expires}")
        return top

    def below(self, on_fault: OnFault, newest: Callable[[], TopLevel]) -> Iterator[tuple[str, Targets]]:
        """Every delegated role that verifies, depth first; one after the other, for a large index has thousands.

        `newest` gives the newest snapshot, for roles whose version here was superseded and deleted meanwhile.
        """
        yield from self._below("targets", self.targets, on_fault, newest)

    def find(self, path: str) -> TargetFile | None:
        """What this snapshot says of a target; None when it says nothing.

        Raises:
            Untrusted, Unavailable: a role on the way does not verify, or does not come.
        """
        parent = self.targets
        while path not in parent.targets:
            if parent.delegations is None:
                return None
            name = next((name for name, _ in parent.delegations.get_roles_for_target(path)), None)
            if name is None:
                return None
            with converted_errors(name):
                parent = self._load(name, parent)
        return parent.targets[path]

    def _below(
        self, parent_name: str, parent: Targets, on_fault: OnFault, newest: Callable[[], TopLevel]
    ) -> Iterator[tuple[str, Targets]]:
        if parent.delegations is None:
            return
        succinct, named = parent.delegations.succinct_roles, parent.delegations.roles
        for name in named or () if succinct is None else succinct.get_roles():
            try:
                targets = self._loaded(name, parent, newest)
            except WheelmarkError as error:
                on_fault(error.code, name, str(error))
                continue
            for path in targets.targets:
                if not any(role == name for role, _ in parent.delegations.get_roles_for_target(path)):
                    message = f"expected it in the role to which {parent_name} gives it, got it in {name}"
                    on_fault("misplaced-target", path, message)
            yield name, targets
            yield from self._below(name, targets, on_fault, newest)

    def _loaded(self, name: str, parent: Targets, newest: Callable[[], TopLevel]) -> Targets:
        try:
            with converted_errors(name):
                return self._load(name, parent)
        except Unavailable:
            other = newest()
            here, there = (top.snapshot.meta.get(f"{name}.json") for top in (self, other))
            if here is None or there is None or there.version == here.version:
                raise
            with converted_errors(name):
                return other._load(name, parent)

    def _load(self, name: str, parent: Targets) -> Targets:
        """TUF specification § 5.6 for a delegated role: hash and version of the snapshot, signatures, expiry; and of a
        bin that it is the one that was asked for."""
        listed = self.snapshot.meta.get(f"{name}.json")
        if listed is None:
            raise RepositoryError(f"expected {name} in the snapshot, got none")
        url = f"{self.address.metadata_url}{listed.version}.{quote(name, safe='')}.json"
        raw = self.fetcher.download_bytes(url, listed.length or self.max_targets_bytes)
        listed.verify_length_and_hashes(raw)
        metadata = Metadata[Targets].from_bytes(raw)
        parent.verify_delegate(name, metadata.signed_bytes, metadata.signatures)
        if metadata.signed.version != listed.version:
            raise RepositoryError(f"expected {name} version {listed.version}, got {metadata.signed.version}")
        if metadata.signed.is_expired(self.at):
            raise RepositoryError(f"expected {name} to be unexpired, got expiry {metadata.signed.expires}")
        if parent.delegations is not None and parent.delegations.succinct_roles is not None:
            check_bin_name(name, metadata.signed)
        return metadata.signed
