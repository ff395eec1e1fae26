"""Changes: an idle process asks cheaply, and never misses what another one committed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.utils import ConnectionHandler

from wheelmark.server.changes import DatabaseChanges

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database file of its own, behind the connection that `changes` asks, whatever the other tests run on."""
    path = tmp_path / "database"
    handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}})
    monkeypatch.setattr("wheelmark.server.changes.connection", handler["default"])
    yield path
    handler["default"].close()


def test_each_commit_of_another_connection_is_seen_once(path: Path) -> None:
    changed = DatabaseChanges()
    assert changed()
    assert not changed()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.commit()
    assert changed()
    assert not changed()
    other.execute("INSERT INTO t VALUES (1)")
    assert not changed()  # not committed yet
    other.commit()
    other.close()
    assert changed()
