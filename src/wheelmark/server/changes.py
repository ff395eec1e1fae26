"""Whether it is worth asking the database again: what keeps an idle index from burning a core's few percent."""

from __future__ import annotations

from django.db import connection


class DatabaseChanges:
    """Says whether another connection has committed since the last question; "yes" where that cannot be known cheaply.

    SQLite counts commits for each connection (`PRAGMA data_version`), which costs a hundredth of a query through the
    ORM. Not counted: what this thread itself committed, and time that went by. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None

    def __call__(self) -> bool:
        """Ask.

        Raises:
            django.db.Error: the database is away.
        """
        if connection.vendor != "sqlite":
            return True
        connection.ensure_connection()
        raw = connection.connection
        with connection.wrap_database_errors:
            [version] = raw.execute("PRAGMA data_version").fetchone()
        before, self._seen = self._seen, (id(raw), version)
        return before != self._seen
