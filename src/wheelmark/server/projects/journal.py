"""The journal: each change of state is a row with a rising serial, in the same transaction as the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from wheelmark.server.projects.models import JournalEntry

INDEX = "index"
"""The actor of what the index does by itself."""

# Any constant that nobody else in the database uses as an advisory lock.
_JOURNAL_LOCK = 0x574D4A
_BATCH = 100  # rows in one statement: SQLite takes a limited number of parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one row will say."""

    action: str
    actor: str
    project: str  # normalized name
    version: str = ""
    filename: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(
    action: str, *, actor: str, project: str, version: str = "", filename: str = "", **detail: Any
) -> JournalEntry:
    """Write one row, inside the caller's transaction."""
    change = Change(action=action, actor=actor, project=project, version=version, filename=filename, detail=detail)
    return record_all([change])[0]


def record_all(changes: Iterable[Change]) -> list[JournalEntry]:
    """Write rows in this order, inside the caller's transaction.

    Serials must become visible in rising order, or a reader that remembers "all up to N" would miss a row that
    commits late with a smaller serial. SQLite has one writer anyway; PostgreSQL takes a lock until the commit.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a journal row belongs in the transaction of the change that it records")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_JOURNAL_LOCK])
    return JournalEntry.objects.bulk_create(
        [
            JournalEntry(
                action=change.action,
                actor=change.actor,
                project=change.project,
                version=change.version,
                filename=change.filename,
                detail=dict(change.detail),
            )
            for change in changes
        ],
        batch_size=_BATCH,
    )
