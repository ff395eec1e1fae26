"""What the publisher committed, read row by row.

Each answer carries the version of the snapshot that it belongs to, and comes from one SQL statement, so that both are
of the same moment on every database and at every isolation level, without a transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import QuerySet, Subquery

from wheelmark.errors import Unavailable
from wheelmark.server.changes import DatabaseChanges
from wheelmark.server.publishing.models import (
    Heartbeat,
    PublishedFile,
    PublishedPage,
    RoleVersion,
    Snapshot,
    SupersededPage,
)

MAX_CHANGED = 5_000
"""More changed pages than these between two looks: the reader forgets everything instead of picking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The current snapshot."""

    version: int
    timestamp_version: int
    timestamp: bytes
    serial: int
    at: datetime
    projects: int


@dataclass(frozen=True, slots=True)
class PageRow:
    """A project page that the snapshot lists."""

    name: str
    sha256: str
    size: int  # bytes
    serial: int


@dataclass(frozen=True, slots=True)
class FileRow:
    """A distribution that a page of the snapshot lists."""

    sha256: str
    size: int  # bytes
    metadata_sha256: str  # empty: none is served
    metadata_size: int  # bytes
    page: str  # the name of its project


@dataclass(frozen=True, slots=True)
class Pulse:
    """What tells whether the publisher lives."""

    heartbeat_at: datetime | None
    expires_at: Mapping[str, datetime]  # of timestamp and snapshot


class Catalog(Protocol):
    """The rows that delivery reads. All methods raise `Unavailable` when the database is away."""

    def current(self) -> Current | None:
        """The current snapshot; None before the first."""

    def page(self, name: str) -> tuple[int, PageRow | None]:
        """The snapshot's version, and its page of this name."""

    def file(self, filename: str) -> tuple[int, FileRow | None]:
        """The snapshot's version, and its file of this name."""

    def role(self, role: str) -> tuple[int, int | None]:
        """The snapshot's version, and the role's."""

    def superseded(self, name: str, sha256: str) -> int | None:
        """The size of a page that an earlier snapshot named, while it is kept."""

    def names(self) -> tuple[int, list[str]]:
        """The snapshot's version, and the names of its pages in order."""

    def changed_since(self, version: int) -> set[str] | None:
        """The pages that later snapshots changed; None when they are too many to tell."""

    def pulse(self) -> Pulse:
        """What tells whether the publisher lives."""

    def may_have_changed(self) -> bool:
        """False when nobody has committed anything since the last question. For one thread alone, the watcher."""


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        # A connection that failed may stay broken; the next read opens a new one.
        connection.close()
        raise Unavailable(f"the database does not answer: {error}", code="database-away") from error


class DatabaseCatalog:
    """`Catalog` on Django's models. Each thread that calls it holds one database connection."""

    def __init__(self) -> None:
        self._changes = DatabaseChanges()

    def current(self) -> Current | None:
        """See `Catalog`."""
        fields = ("version", "timestamp_version", "timestamp", "serial", "at", "projects")
        with _reading():
            row = Snapshot.objects.order_by("-timestamp_version").values(*fields).first()
        if row is None:
            return None
        row["timestamp"] = bytes(row["timestamp"])  # psycopg gives a memoryview
        return Current(**row)

    def page(self, name: str) -> tuple[int, PageRow | None]:
        """See `Catalog`."""
        version, found = self._beside(PublishedPage.objects.filter(name=name), "name", "sha256", "size", "serial")
        return version, None if found is None else PageRow(**found)

    def file(self, filename: str) -> tuple[int, FileRow | None]:
        """See `Catalog`."""
        fields = ("sha256", "size", "metadata_sha256", "metadata_size", "page")
        version, found = self._beside(PublishedFile.objects.filter(filename=filename), *fields)
        return version, None if found is None else FileRow(**found)

    def role(self, role: str) -> tuple[int, int | None]:
        """See `Catalog`."""
        version, found = self._beside(RoleVersion.objects.filter(role=role), "version")
        return version, None if found is None else int(found["version"])

    def superseded(self, name: str, sha256: str) -> int | None:
        """See `Catalog`."""
        with _reading():
            return SupersededPage.objects.filter(name=name, sha256=sha256).values_list("size", flat=True).first()

    def names(self) -> tuple[int, list[str]]:
        """See `Catalog`. One statement for a list of any length: the version stands beside each name."""
        newest = Subquery(Snapshot.objects.order_by("-timestamp_version").values("version")[:1])
        with _reading():
            rows = list(PublishedPage.objects.order_by("name").values_list("name", newest))
        if not rows:
            current = self.current()
            return (current.version if current else 0), []
        return rows[0][1], [name for name, _ in rows]

    def changed_since(self, version: int) -> set[str] | None:
        """See `Catalog`."""
        with _reading():
            found = PublishedPage.objects.filter(snapshot__gt=version).values_list("name", flat=True)
            names = set(found[: MAX_CHANGED + 1])
        return names if len(names) <= MAX_CHANGED else None

    def pulse(self) -> Pulse:
        """See `Catalog`."""
        with _reading():
            heartbeat = Heartbeat.objects.values_list("at", flat=True).order_by("-at").first()
            roles = RoleVersion.objects.filter(role__in=("timestamp", "snapshot"))
            return Pulse(heartbeat, dict(roles.values_list("role", "expires_at")))

    def may_have_changed(self) -> bool:
        """See `Catalog`."""
        with _reading():
            return self._changes()

    @staticmethod
    def _beside(rows: QuerySet[Any], *fields: str) -> tuple[int, dict[str, Any] | None]:
        """The newest snapshot's version, and beside it the fields of the first of these rows, in one statement."""
        columns = {f"found_{field}": Subquery(rows.values(field)[:1]) for field in fields}
        with _reading():
            row = (
                Snapshot.objects.order_by("-timestamp_version").annotate(**columns).values("version", *columns).first()
            )
        if row is None:
            return 0, None
        found = {field: row[f"found_{field}"] for field in fields}
        return row["version"], found if found[fields[0]] is not None else None
