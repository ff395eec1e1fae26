"""Setting Django up: tried in processes of their own, since a process can do it only once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wheelmark.errors import Refused
from wheelmark.server.bootstrap import bootstrap_existing
from wheelmark.server.ceremonies import FOLDER

PROGRAM = """
import os, sys
from pathlib import Path
from wheelmark.server.bootstrap import bootstrap
config = bootstrap(Path(sys.argv[1]), port=8123, host=None)
assert (config.data, config.port, config.host) == (Path(sys.argv[1]), 8123, "127.0.0.1"), config
assert os.environ["WHEELMARK_DATA"] == sys.argv[1]
assert os.environ["WHEELMARK_PORT"] == "8123" and "WHEELMARK_HOST" not in os.environ
from django.conf import settings
assert settings.CONFIG == config == bootstrap(Path(sys.argv[1]), port=8123)
try:
    bootstrap(Path(sys.argv[1]) / "another")
except RuntimeError as error:
    assert "set up already" in str(error)
else:
    raise SystemExit("switched folders")
"""


def test_settings_reach_django_and_the_processes_started_from_here(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WHEELMARK_", "DJANGO_"))}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], env=environ, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


def test_folder_without_an_index_is_told_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHEELMARK_DATABASE", raising=False)  # on PostgreSQL the folder says nothing
    with pytest.raises(Refused, match="start one there with `wheelmark serve"):
        bootstrap_existing(tmp_path)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "open.json").write_bytes(b"{}")
    with pytest.raises(Refused, match="not finished: `wheelmark trust ceremony status") as refusal:
        bootstrap_existing(tmp_path)
    assert refusal.value.code == "no-data-folder"
