"""The same index on PostgreSQL: jobs by Procrastinate, workers on "other machines", a killed worker's work done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.distributions import build_wheel, wheel_filename
from support.postgresql import running_postgresql
from support.server import RunningIndex, eventually

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(300)]

TAKE_OVER_SECONDS = 25.0
"""Lease, reconciler and start of another scanner together, on a busy machine."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with running_postgresql() as address:
        yield address


@contextmanager
def another_machine(data: Path, index: RunningIndex, database: str) -> Iterator[subprocess.Popen[bytes]]:
    """`wheelmark worker` with a folder of its own, the database and the store."""
    environment = os.environ | {
        "WHEELMARK_DATABASE": database,
        "WHEELMARK_STORE": (index.data / "store").as_uri(),
        "WHEELMARK_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "wheelmark.cli", "worker", "--data", str(data)]
    with data.with_suffix(".log").open("ab") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(20)


def test_index_on_postgresql_publishes_and_survives_kills(database: str, tmp_path: Path) -> None:
    with RunningIndex(tmp_path / "data", fresh=True, database=database, scan_workers=1) as index:
        token = index.token()

        def upload(project: str) -> str:
            filename = wheel_filename(project)
            assert index.upload(filename, build_wheel(project), token=token).status == 200
            return filename

        index.wait_published("demo", upload("demo"))
        for name in ("worker-1", "publisher", "http"):
            index.kill(name)
            eventually(lambda: index.status("/healthz") == 200, seconds=20, what="a web process")
            index.wait_published(f"after-{name}", upload(f"after-{name}"))
        assert index.stop() == 0
        _without_workers(index)

        with another_machine(tmp_path / "one", index, database) as first:
            index.wait_published("elsewhere", upload("elsewhere"), seconds=60)
            first.kill()
            first.wait()
        filename = upload("orphan")
        with another_machine(tmp_path / "two", index, database) as second:
            index.wait_published("orphan", filename, seconds=60 + TAKE_OVER_SECONDS)
            second.terminate()
            assert second.wait(20) == 0


def _without_workers(index: RunningIndex) -> None:
    index._settings["scan_workers"] = 0
    index.start()
    index.wait_ready()
    assert not [name for name in index.processes() if name.startswith("worker")]
