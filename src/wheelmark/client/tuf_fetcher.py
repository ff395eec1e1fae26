"""Our network under python-tuf's interface: whole files, deltas where they help, and memory when nobody answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.absence import check_arriving_bin
from wheelmark.client.deltas import MAX_DELTA_BYTES, MAX_HELD_BYTES, Listed, RoleFile, rebuild, version_of
from wheelmark.client.fetching import Fetcher, HttpStatus, Kind, download
from wheelmark.errors import Unavailable, Untrusted, WheelmarkError

DELTA_PAUSE_SECONDS = 3600.0
"""After a delta that was absent or wrong, none is asked for so long: an index without deltas costs one request."""

NOT_FROM_THAT_VERSION = 410
"""How an index that makes deltas says that it no longer has the version that the client holds."""

_NOT_FOUND = 404


MAX_AHEAD = 256  # files that were fetched before anybody came for them


class _Arrived(NamedTuple):
    """What fetching ahead led to."""

    raw: bytes
    error: Exception | None
    is_rebuilt: bool


class TufFetcher(FetcherInterface):
    """Fetches for one `Updater` after the other; remembers what the address `watched` answered last.

    `held` is the directory in which python-tuf keeps the metadata that it trusted last. Its files are what deltas are
    applied to. Nothing that comes out of here is trusted: python-tuf verifies it as if it had come whole.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        watched: str = "",
        *,
        held: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._watched = watched
        self._held = held
        self._monotonic = monotonic
        self._no_deltas_until = float("-inf")
        self._ahead: dict[str, _Arrived | None] = {}  # None: on its way
        self.last_answer = b""
        self.rebuilt = 0  # files made from a delta; whether they are right, the verification says
        self.away: Exception | None = None  # why the index is not asked, but the memory

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """As python-tuf's own, without the temporary file, and closing the connection when the bound is crossed."""
        if self.away is not None:
            raw = self._remembered(url, self.away)
        elif (arrived := self._ahead.get(url)) is not None:
            self._ahead.pop(url, None)
            raw = self._taken(arrived, max_length)
        else:
            raw = self._by_delta(url, max_length) or self._whole(url, max_length)
        if url == self._watched:
            self.last_answer = raw
        return raw

    def fetch_ahead(self, url: str, file: RoleFile, max_length: int) -> None:
        """Have a file ready for `download_bytes`, if it is not held. What goes wrong is told there, not here."""
        if self.away is not None or self._held is None or url in self._ahead:
            return
        if version_of(_read(self._held / file.held_name)) == file.version:
            return
        self._ahead[url] = None
        raw: bytes | None = None
        error: Exception | None = None
        try:
            raw = self._from_delta(url, max_length)
            is_rebuilt = raw is not None
            raw = raw or self._whole(url, max_length)
        except (WheelmarkError, DownloadError) as caught:
            error, is_rebuilt = caught, False
        if len(self._ahead) > MAX_AHEAD:
            self._ahead = {}  # nobody came for them: their look-ups failed
        self._ahead[url] = _Arrived(raw or b"", error, is_rebuilt)

    def pause_deltas(self) -> None:
        """Ask for whole files only, for an hour."""
        self._no_deltas_until = self._monotonic() + DELTA_PAUSE_SECONDS

    def _whole(self, url: str, max_length: int) -> bytes:
        try:
            raw = download(self._fetcher, url, max_length)
        except HttpStatus as error:
            raise DownloadHTTPError(str(error), error.status) from error
        file = RoleFile.parse(url.rpartition("/")[2])
        if file is not None and file.is_bin:
            check_arriving_bin(file.role, raw)
        return raw

    def _taken(self, arrived: _Arrived, max_length: int) -> bytes:
        """What `fetch_ahead` got, as if it came now."""
        if arrived.error is not None:
            raise arrived.error
        if len(arrived.raw) > max_length:
            raise DownloadLengthMismatchError(f"expected at most {max_length} bytes, got {len(arrived.raw)}")
        self.rebuilt += arrived.is_rebuilt
        return arrived.raw

    def _by_delta(self, url: str, max_length: int) -> bytes | None:
        """The file rebuilt from what is held; None when it has to be fetched whole."""
        raw = self._from_delta(url, max_length)
        self.rebuilt += raw is not None
        return raw

    def _from_delta(self, url: str, max_length: int) -> bytes | None:
        base, _, name = url.rpartition("/")
        file = RoleFile.parse(name)
        if file is None or self._held is None or self._monotonic() < self._no_deltas_until:
            return None
        held = _read(self._held / file.held_name)
        delta_name = file.delta_name(held)
        if delta_name is None:
            return None
        try:
            delta = download(self._fetcher, f"{base}/{delta_name}", min(MAX_DELTA_BYTES, max_length), Kind.DELTA)
            raw = rebuild(delta, held, max_length)
            self._check(file, raw)
        except HttpStatus as error:
            if error.status != NOT_FROM_THAT_VERSION:
                self.pause_deltas()
            return None
        except WheelmarkError:  # too slow, too long, no delta, or one that makes something else
            self.pause_deltas()
            return None
        return raw

    def _check(self, file: RoleFile, raw: bytes) -> None:
        """What can be seen now, while the whole file can still be fetched instead. The rest, python-tuf checks."""
        listed = Listed()
        if self._held is not None and file.role == "snapshot":
            listed = Listed.of_snapshot(_read(self._held / "timestamp.json"))  # trusted a moment ago
        if version_of(raw) != file.version or not listed.agrees(raw):
            raise Untrusted(f"expected a delta that makes version {file.version} of {file.role}", code="delta")
        if file.is_bin:
            check_arriving_bin(file.role, raw)

    def _remembered(self, url: str, reason: Exception) -> bytes:
        """What the index would say if nothing had changed since it was asked last; python-tuf reads the rest itself."""
        name = url.rpartition("/")[2]
        if name.endswith(".root.json"):
            raise DownloadHTTPError(f"no {name} in memory", _NOT_FOUND)
        held = _read(self._held / "timestamp.json") if url == self._watched and self._held is not None else b""
        if not held:
            message = f"expected {name}, which was not fetched while the index could be reached; now: {reason}"
            raise Unavailable(message, code="offline")
        return held

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._fetcher.stream(url, Kind.METADATA)


def _read(path: Path) -> bytes:
    """A file of the metadata directory, or nothing when there is none that could serve."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_HELD_BYTES + 1)
    except OSError:
        return b""
    return raw if len(raw) <= MAX_HELD_BYTES else b""
