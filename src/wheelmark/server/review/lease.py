"""The right to scan one file: a short lease that its holder renews, and that runs out when the holder dies.

`File.scan_attempts` is the fencing token. Every taking raises it, so a worker that was paused past the end of its
lease finds another number there and leaves the file alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState

LEASE = timedelta(seconds=8)
RENEW_SECONDS = 2.0
MAX_ATTEMPTS = 3
"""Takings of one file that may end with the death of the worker. After them a moderator looks at it."""

log = structlog.get_logger(__name__)

_held: list[Lease] = []
"""What this process holds: one at most, for a worker scans one file at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One worker's right to scan one file, and what it must know of the file."""

    file_id: int
    attempt: int  # the fencing token
    filename: str
    sha256: str
    size: int  # bytes

    @property
    def exhausted(self) -> bool:
        """True when `MAX_ATTEMPTS` takings came to nothing before this one."""
        return self.attempt > MAX_ATTEMPTS


def take(file_id: int, *, now: datetime) -> Lease | None:
    """Take the lease, or None when there is nothing to do: no such file, not validated, or somebody is at it."""
    with transaction.atomic():
        file = File.objects.select_for_update().filter(pk=file_id, state=FileState.VALIDATED).first()
        if file is None or (file.scan_lease_until is not None and file.scan_lease_until > now):
            return None
        file.scan_attempts += 1
        file.scan_lease_until = now + LEASE
        file.save(update_fields=["scan_attempts", "scan_lease_until"])
    return Lease(
        file_id=file.pk, attempt=file.scan_attempts, filename=file.filename, sha256=file.sha256, size=file.size
    )


def renew(lease: Lease, *, now: datetime) -> bool:
    """Lengthen the lease; False when it is ours no more."""
    return bool(_ours(lease).update(scan_lease_until=now + LEASE))


def give_back(lease: Lease, *, now: datetime, pause: timedelta) -> None:
    """Undo the taking, because the scan never began: the store was away. Nobody takes the file again before `pause`."""
    _ours(lease).update(scan_lease_until=now + pause, scan_attempts=F("scan_attempts") - 1)


def _ours(lease: Lease):  # type: ignore[no-untyped-def]  # the manager's own type, which only the plugin can name
    return File.objects.filter(pk=lease.file_id, state=FileState.VALIDATED, scan_attempts=lease.attempt)


@contextmanager
def renewed(lease: Lease, clock: Callable[[], datetime]) -> Iterator[None]:
    """Keep the lease alive while the block runs, from a thread of its own."""
    done = threading.Event()
    _held.append(lease)

    def keep() -> None:
        try:
            while not done.wait(RENEW_SECONDS):
                try:
                    if not renew(lease, now=clock()):
                        return
                except DatabaseError as error:
                    # The lease may run out now. That costs a second scan, and the fencing token keeps it harmless.
                    log.warning("scan-lease-not-renewed", file=lease.filename, error=str(error))
        finally:
            connection.close()

    thread = threading.Thread(target=keep, name="scan-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        _held.remove(lease)
        done.set()
        thread.join()


def abandon(*, now: datetime) -> None:
    """Give back what this process holds: it is about to end in the middle of a scan, and not because of the file."""
    for lease in list(_held):
        give_back(lease, now=now, pause=timedelta(0))
