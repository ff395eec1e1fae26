"""Fixtures for everyone: an index of one's own, in a folder that goes away."""

from __future__ import annotations

from pathlib import Path

import pytest

from wheelmark.server.config import Config


@pytest.fixture
def config(settings: object, tmp_path: Path) -> Config:
    """The settings of an index whose data folder is this test's own (the database is pytest-django's)."""
    folder = tmp_path / "data"
    for name in ("incoming", "secrets", "keys", "store"):
        (folder / name).mkdir(parents=True)
    mine = Config(data=folder)
    settings.CONFIG = mine  # type: ignore[attr-defined]  # pytest-django's fixture sets any name
    settings.FILE_UPLOAD_TEMP_DIR = str(folder / "incoming")  # type: ignore[attr-defined]
    return mine
