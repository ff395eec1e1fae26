"""Fixtures for everyone: an index of one's own, in a folder that goes away."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from wheelmark.server.config import Config

# A busy machine is no fault of the code: what has a bound in time has a test of its own.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


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
