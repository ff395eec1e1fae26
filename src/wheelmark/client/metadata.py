"""Trusted metadata of one index: python-tuf's unmodified `Updater`, kept while it is fresh.

An `Updater` refreshes once, is not thread-safe and must have its directory for itself. So there is one lock (threads
and processes), and a new `Updater` only when `timestamp.json` has changed: building one parses the whole snapshot.

When the index does not answer, what was verified before is used until its timestamp expires, through the same checks.
That gives an attacker who blocks the network nothing that replaying the last answer would not give.

When a ceremony is applied between our question for the next root and our question for the timestamp, the timestamp is
signed with a key that we have not heard of. So a wrong signature is refused only when it is still wrong after one more
beginning from the root; an attacker gains a second refusal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

from filelock import FileLock, Timeout
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, TargetFile, Timestamp  # type: ignore[attr-defined]  # tuf re-exports without saying so
from tuf.ngclient import Updater, UpdaterConfig  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.absence import check_absence
from wheelmark.client.ahead import BinFiles
from wheelmark.client.fetching import Fetcher
from wheelmark.client.tuf_fetcher import TufFetcher
from wheelmark.errors import Unavailable, Untrusted, WheelmarkError

Result = TypeVar("Result")

FRESH_SECONDS = 1.0  # one run of an installer asks for many pages at once: they come from one snapshot
MAX_UPDATER_SECONDS = 3600.0  # so that snapshot and bins cannot expire unnoticed in a proxy that runs for weeks
MAX_REMEMBERED = 4096  # look-ups, each with its answer, of one state of the index
AWAY_SECONDS = 30.0  # how long an index that did not answer is not asked again
LOCK_SECONDS = 60.0
MAX_TIMESTAMP_BYTES = 16 * 1024

# The most specific class first: an expired timestamp is also a `RepositoryError`.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (ExpiredMetadataError, "expired"),
    (UnsignedMetadataError, "signature"),
    (BadVersionNumberError, "rollback"),
    (LengthOrHashMismatchError, "hash"),
    (RepositoryError, "metadata"),
)


@contextmanager
def converted_errors(subject: str) -> Iterator[None]:
    """Turns python-tuf's errors into ours. Untrusted is what arrived and is wrong, Unavailable what did not arrive."""
    try:
        yield
    except WheelmarkError:
        raise
    except DownloadError as error:
        raise Unavailable(f"{subject}: expected its metadata, got: {error}", code="connection") from error
    except RepositoryError as error:
        code = next(code for kind, code in _CODES if isinstance(error, kind))
        raise Untrusted(f"{subject}: expected trusted metadata, got: {error}", code=code) from error
    except OSError as error:
        raise Unavailable(f"cannot read or write the metadata cache: {error}", code="cache") from error


def refreshed_over_rotation(refreshed: Callable[[], Result]) -> Result:
    """What `refreshed` gives, which begins at the root; it is called once more when a signature is not trusted.

    In between there may be a root that was not there when the first call asked for it.

    Raises:
        RepositoryError, DownloadError, WheelmarkError: as the first call, or as the second if that got an answer.
    """
    try:
        return refreshed()
    except UnsignedMetadataError as wrong:
        try:
            return refreshed()
        except (Unavailable, DownloadError):
            raise wrong from None  # it did answer, wrongly: who falls silent then does not count as away


class TrustedMetadata:
    """Looks targets up in metadata that is signed, unexpired and never older than what was seen before.

    `directory` keeps what has been seen: whoever deletes it takes the memory of versions with it, and expiry dates
    are then all that bounds a rollback. One directory belongs to one index. With `strict`, a workflow of the standard
    that fails is not begun again, and bins need not name themselves: so the conformance suite has it.
    """

    def __init__(
        self,
        metadata_url: str,
        trusted_root: bytes,
        directory: Path,
        *,
        fetcher: Fetcher,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        notify: Callable[[str], None] = lambda _: None,
        strict: bool = False,
    ) -> None:
        self._metadata_url = metadata_url
        self._timestamp_url = urljoin(metadata_url, "timestamp.json")
        self._root = trusted_root
        self._directory = directory
        self._fetcher = TufFetcher(fetcher, watched=self._timestamp_url, held=directory, monotonic=monotonic)
        self._now = now
        self._monotonic = monotonic
        self._notify = notify
        self._strict = strict
        self._thread_lock = threading.Lock()
        self._updater: Updater | None = None
        self._seen_timestamp = b""
        self._expires_at = datetime.min.replace(tzinfo=UTC)
        self._built_at = self._checked_at = 0.0
        self._config = UpdaterConfig(timestamp_max_length=MAX_TIMESTAMP_BYTES)
        self._bins: BinFiles | None = None  # of the present updater, once it has looked something up
        self._told_before: dict[str, TargetFile | None] = {}  # by the present updater; a new one begins a new mapping

    def find(self, target_path: str) -> TargetFile | None:
        """What the repository says of a target; None is proof that it says nothing (its bin is complete, signed, and
        no other bin).

        Raises:
            Untrusted: a signature, version, hash, length or expiry fails.
            Unavailable: the network, or the metadata directory.
        """
        if found_before := self.found_before(target_path):
            return found_before[0]
        if not self._knows_bins():
            with self._thread_lock:  # of those who wait together, the first finds out for all which bins there are
                if found_before := self.found_before(target_path):
                    return found_before[0]
                if not self._knows_bins():
                    return self._found(target_path)
        self._fetch_ahead(target_path)
        with self._thread_lock:
            found_before = self.found_before(target_path)
            return found_before[0] if found_before else self._found(target_path)

    def _found(self, target_path: str) -> TargetFile | None:
        with self._locked(), converted_errors(target_path):
            found = self._despite_deltas(
                lambda: self._look_up(target_path), lambda: self._told(self._new_updater(), target_path)
            )
            if len(self._told_before) >= MAX_REMEMBERED:
                self._told_before = {}
            self._told_before[target_path] = found
            if self._bins is None and not self._strict:
                self._bins = BinFiles.held(self._directory)
            return found

    def found_before(self, target_path: str) -> tuple[TargetFile | None] | None:
        """What `find` said a moment ago of the same state; None when it was not asked. Takes no lock and no time: an
        installer asks for a page, and then for what it lists."""
        told_before = self._told_before
        return (told_before[target_path],) if self._is_fresh() and target_path in told_before else None

    def _knows_bins(self) -> bool:
        return self._bins is not None and self._is_fresh()

    def _fetch_ahead(self, target_path: str) -> None:
        """While others have their turn: the bin that ours is going to ask for (see `ahead`)."""
        bins = self._bins
        if bins is not None and (needed := bins.needed_for(target_path)) is not None:
            url = urljoin(self._metadata_url, f"{needed.version}.{needed.role}.json")
            self._fetcher.fetch_ahead(url, needed, self._config.targets_max_length)

    def _despite_deltas(self, first: Callable[[], Result], again: Callable[[], Result]) -> Result:
        rebuilt_before = self._fetcher.rebuilt
        try:
            return first()
        except RepositoryError:
            if self._fetcher.rebuilt == rebuilt_before:
                raise
            # Perhaps it was a delta that lied, and the files themselves are in order: once more without deltas.
            self._fetcher.pause_deltas()
            return again()

    def _look_up(self, target_path: str) -> TargetFile | None:
        updater = self._fresh_updater()
        try:
            return self._told(updater, target_path)
        except DownloadHTTPError:
            # The bins of a superseded snapshot are deleted in time. PEP 458: begin again from the timestamp.
            return self._told(self._new_updater(), target_path)

    def _told(self, updater: Updater, target_path: str) -> TargetFile | None:
        target = updater.get_targetinfo(target_path)
        if target is None and not self._strict:  # to the standard, any signed metadata without the target is proof
            check_absence(target_path, self._directory)
        return target

    def refresh(self) -> None:
        """Bring the top-level roles up to date (TUF specification § 5.3 to 5.6), without looking anything up.

        As the specification has it: unlike `find` this never makes do with what was verified before (decision 0013).

        Raises:
            Untrusted: as `find`.
            Unavailable: the index does not answer, or the metadata directory.
        """
        with self._thread_lock, self._locked(), converted_errors(self._metadata_url):
            self._fetcher.away = None
            self._despite_deltas(self._asked_updater, self._new_updater)

    def forget(self) -> None:
        """Ask for the timestamp at the next look-up, however fresh the last one is."""
        self._updater, self._bins, self._told_before = None, None, {}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Against other processes, by who holds the lock of threads: this one polls, and keeps no order."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(self._directory / ".lock", timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            message = f"{self._directory}: expected the lock within {LOCK_SECONDS:.0f} s, another process has it"
            raise Unavailable(message, code="cache") from error

    def _is_fresh(self) -> bool:
        """True while nobody has to be asked."""
        fresh_seconds = FRESH_SECONDS if self._fetcher.away is None else AWAY_SECONDS
        recent = self._monotonic() - self._checked_at < fresh_seconds
        return self._updater is not None and recent and self._now() < self._expires_at

    def _fresh_updater(self) -> Updater:
        if self._updater is not None and self._is_fresh():
            return self._updater
        was_away, self._fetcher.away = self._fetcher.away is not None, None
        try:
            return self._asked_updater()
        except (Unavailable, DownloadError) as error:
            return self._remembered_updater(error, announced=was_away)

    def _asked_updater(self) -> Updater:
        if self._updater is None:
            return self._new_updater()
        timestamp = self._fetcher.download_bytes(self._timestamp_url, MAX_TIMESTAMP_BYTES)
        aged = self._monotonic() - self._built_at > MAX_UPDATER_SECONDS
        if timestamp == self._seen_timestamp and self._now() < self._expires_at and not aged:
            self._checked_at = self._monotonic()
            return self._updater
        return self._new_updater()

    def _remembered_updater(self, reason: Exception, *, announced: bool) -> Updater:
        """The standard's workflow over what is in the directory, with every check but that there is nothing newer.

        Raises:
            Unavailable, DownloadError: `reason`, when nothing is there or it is wrong; that it has expired is said.
        """
        self._fetcher.away = reason
        try:
            updater = self._new_updater()
        except ExpiredMetadataError:
            self._fetcher.away = None
            message = f"the index does not answer ({reason}), and what was verified before has expired"
            raise Unavailable(message, code="offline-expired") from None
        except (WheelmarkError, RepositoryError, DownloadError, OSError):
            self._fetcher.away = None
            raise reason from None
        self._checked_at = self._monotonic()
        if not announced:
            until = f"{self._expires_at:%Y-%m-%d %H:%M} UTC"
            self._notify(f"the index does not answer; what was verified before is good until {until} ({reason})")
        return updater

    def _new_updater(self) -> Updater:
        """A refreshed `Updater`: the whole workflow of TUF specification § 5.3 to 5.6, in its order."""
        self.forget()  # whatever fails below, the old state is not used on
        started = self._monotonic()
        self._sweep()
        once = self._strict or self._fetcher.away is not None  # the memory will not say anything else next time
        updater = self._refreshed_updater() if once else refreshed_over_rotation(self._refreshed_updater)
        trusted = Metadata[Timestamp].from_bytes((self._directory / "timestamp.json").read_bytes())
        self._seen_timestamp, self._expires_at = self._fetcher.last_answer, trusted.signed.expires
        if self._now() >= self._expires_at:  # python-tuf has looked at the machine's clock, not at ours
            raise ExpiredMetadataError(f"timestamp.json expired at {self._expires_at}")
        self._built_at = self._checked_at = started
        self._updater = updater
        return updater

    def _refreshed_updater(self) -> Updater:
        updater = Updater(
            metadata_dir=str(self._directory),
            metadata_base_url=self._metadata_url,
            fetcher=self._fetcher,
            config=self._config,
            bootstrap=self._root,
        )
        updater.refresh()
        return updater

    def _sweep(self) -> None:
        """Removes what a process left that died while python-tuf was writing. We hold the lock: nobody writes now."""
        for left in self._directory.glob("tmp*"):
            left.unlink(missing_ok=True)
