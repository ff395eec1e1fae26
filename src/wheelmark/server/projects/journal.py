"""The journal: each change of state is a row with a rising serial, in the same transaction as the change."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from wheelmark.server.projects.models import JournalEntry

INDEX = "index"
"""The actor of what the index does by itself."""

# Any constant that nobody else in the database uses as an advisory lock.
_JOURNAL_LOCK = 0x574D4A


def record(
    action: str, *, actor: str, project: str, version: str = "", filename: str = "", **detail: Any
) -> JournalEntry:
    """Write one row, inside the caller's transaction.

    Serials must become visible in rising order, or a reader that remembers "all up to N" would miss a row that
    commits late with a smaller serial. SQLite has one writer anyway; PostgreSQL takes a lock until the commit.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a journal row belongs in the transaction of the change that it records")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_JOURNAL_LOCK])
    return JournalEntry.objects.create(
        action=action, actor=actor, project=project, version=version, filename=filename, detail=detail
    )
