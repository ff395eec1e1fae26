"""Many machines with one database and one store, as real processes: each has a data folder of its own.

    with fresh_database() as database, rclone_server() as s3:
        shared = Shared(database, s3.url())
        with shared.first(tmp_path / "one") as one, shared.worker(tmp_path / "two") as two:
            two.kill()

All "machines" are this one: what makes them many is that they share no folder, no lock file and no parent.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
import psycopg
import pytest

from support.server import STOP_SECONDS, RunningIndex, eventually
from wheelmark.store import open_store

SERVER_VARIABLE = "WHEELMARK_TEST_POSTGRESQL"
SCAN_SECONDS = 600
"""A test suspends a scanner for longer than a scan usually may take."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database of a test's own."""

    url: str

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a statement gives, in a transaction of its own."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def value(self, statement: str, *parameters: object) -> Any:
        """The one value of the one row."""
        [[value]] = self.rows(statement, *parameters)
        return value

    @contextmanager
    def away(self) -> Iterator[None]:
        """While the block runs, the database ends every session and takes no new one, as while it restarts."""
        with psycopg.connect(os.environ[SERVER_VARIABLE], autocommit=True) as server:
            name = urlsplit(self.url).path.removeprefix("/")
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            try:
                server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
                yield
            finally:
                server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    @property
    def publisher(self) -> int:
        """The process id of the publisher that last said it lives."""
        return int(str(self.value("SELECT holder FROM publishing_heartbeat")).rpartition(":")[2])


@contextmanager
def fresh_database() -> Iterator[Database]:
    """An empty database on the server of `make services`, dropped at the end."""
    server = os.environ.get(SERVER_VARIABLE)
    if not server:
        pytest.fail(f"expected the URL of a PostgreSQL server in {SERVER_VARIABLE}, got none: run `make services`")
    name = f"machines_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield Database(urlunsplit(urlsplit(server)._replace(path=f"/{name}")))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True, slots=True)
class Shared:
    """What the machines of one index have in common."""

    database: Database
    store_url: str

    def first(self, data: Path, *, scan_workers: int = 0) -> RunningIndex:
        """The machine on which the index is founded."""
        return self._serve(data, fresh=True, scan_workers=scan_workers)

    def another(self, data: Path, *, like: Path, signs: bool = True, scan_workers: int = 0) -> RunningIndex:
        """A further web machine, given what `docs/how-to/grow.md` says; `signs`: the online keys too."""
        give_secrets(like, data, signs=signs)
        return self._serve(data, fresh=False, scan_workers=scan_workers)

    def worker(self, data: Path, *arguments: str) -> RunningWorker:
        """A machine that scans."""
        return RunningWorker(data, self, *arguments)

    @property
    def settings(self) -> dict[str, object]:
        """The settings that every machine has."""
        return {"database": self.database.url, "store": self.store_url, "scan_seconds": SCAN_SECONDS}

    def snapshots_in_store(self) -> dict[int, bytes]:
        """The signed snapshot of every version that was ever committed, as it lies in the store."""
        store = open_store(self.store_url)
        versions = [row[0] for row in self.database.rows("SELECT DISTINCT version FROM publishing_snapshot")]
        return {version: store.read_all(f"tuf/{version}.snapshot.json", max_bytes=10_000_000) for version in versions}

    def _serve(self, data: Path, *, fresh: bool, scan_workers: int) -> RunningIndex:
        return RunningIndex(data, fresh=fresh, scan_workers=scan_workers, **self.settings)


def give_secrets(source: Path, target: Path, *, signs: bool) -> None:
    """Copy to a new machine what it must share with the others, and nothing else."""
    (target / "secrets").mkdir(parents=True)
    shutil.copy(source / "secrets" / "django", target / "secrets" / "django")
    if signs:
        shutil.copy(source / "secrets" / "online-keys", target / "secrets" / "online-keys")
        shutil.copytree(source / "keys", target / "keys")


class RunningWorker:
    """`wheelmark worker` on a machine of its own while the block runs."""

    def __init__(self, data: Path, shared: Shared, *arguments: str) -> None:
        self.data = data
        self._log_path = data.with_name(data.name + ".log")
        self._command = [sys.executable, "-m", "wheelmark.cli", "worker", "--data", str(data), *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WHEELMARK_", "DJANGO_"))}
        given = {f"WHEELMARK_{name.upper()}": str(value) for name, value in shared.settings.items()}
        self._environment = kept | given | {"WHEELMARK_LOG_FORMAT": "json"}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RunningWorker:
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def output(self) -> str:
        """All that its processes logged."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def process(self, name: str) -> psutil.Process:
        """One of its processes: worker-1, publisher, scanner."""
        return eventually(lambda: self._find(name), seconds=60, what=f"a process {name}; {self.output[-2000:]}")

    def _find(self, name: str) -> psutil.Process | None:
        assert self._process is not None
        if name == "scanner":
            children = self.process("worker-1").children()
            return children[0] if children else None
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._process.pid).children():
                with suppress(psutil.NoSuchProcess, OSError):
                    if Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip() == f"wm-{name}":
                        return process
        return None

    def stop(self) -> int:
        """Stop it as an operator would; gives the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill -9 every process of the machine, all at the same moment as far as that goes."""
        assert self._process is not None
        family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        kill_all(family)
        self._process.wait(STOP_SECONDS)


def kill_machine(index: RunningIndex) -> None:
    """The same for a web machine."""
    supervisor = psutil.Process(index.pid("supervisor"))
    family = supervisor.children(recursive=True)
    index.kill("supervisor")
    kill_all(family)


def kill_all(processes: list[psutil.Process]) -> None:
    """Kill -9 processes that may be dead already."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=STOP_SECONDS)
