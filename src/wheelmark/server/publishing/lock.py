"""One publisher signs at a time: a lock that dies with its holder.

On the embedded default it is a `flock` on a file in the data folder, which the kernel drops with the process. On
PostgreSQL it is a session advisory lock, which the server drops with the connection. Neither can be left behind.

The lock alone does not make it safe: a holder may lose it without noticing (a broken connection) and go on for a
while. What fences it off is `commit.py`: a commit needs its own `Attempt` row to be the newest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from django.db import InterfaceError, OperationalError, connection
from filelock import FileLock, Timeout

from wheelmark.server.config import Config

# Any constant that nobody else in the database uses as an advisory lock.
_PUBLISHER_LOCK = 0x574D50


class PublisherLock(Protocol):
    """Who may sign."""

    def acquire(self) -> bool:
        """Take the lock if it is free; say whether it is ours. Never waits."""

    def held(self) -> bool:
        """Whether the lock is still ours."""

    def release(self) -> None:
        """Give it back."""


class FilePublisherLock:
    """For one machine: a lock on a file."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, thread_local=False)

    def acquire(self) -> bool:
        """See `PublisherLock`."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def held(self) -> bool:
        """See `PublisherLock`."""
        return self._lock.is_locked

    def release(self) -> None:
        """See `PublisherLock`."""
        self._lock.release(force=True)


class PostgresPublisherLock:
    """For many machines: an advisory lock of this process's database session."""

    def __init__(self) -> None:
        self._backend: int | None = None

    def acquire(self) -> bool:
        """See `PublisherLock`."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s), pg_backend_pid()", [_PUBLISHER_LOCK])
            row = cursor.fetchone()
        if row is None or not row[0]:
            return False
        self._backend = row[1]
        return True

    def held(self) -> bool:
        """See `PublisherLock`. The lock belongs to one session: another backend means that it is gone."""
        if self._backend is None:
            return False
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                row = cursor.fetchone()
        except (OperationalError, InterfaceError):
            return False
        return row is not None and row[0] == self._backend

    def release(self) -> None:
        """See `PublisherLock`."""
        self._backend = None
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock_all()")
        except (OperationalError, InterfaceError):
            # The session is gone, and the lock with it.
            connection.close()


def publisher_lock(config: Config) -> PublisherLock:
    """The lock that fits the database."""
    if config.on_postgresql:
        return PostgresPublisherLock()
    return FilePublisherLock(config.data / "publisher.lock")
