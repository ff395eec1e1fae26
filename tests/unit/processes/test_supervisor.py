"""The supervisor, in a process of its own: restarts, clean and unclean ends, inherited locks and ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from support.server import eventually
from wheelmark.errors import Refused, Unavailable
from wheelmark.server.processes import family
from wheelmark.server.processes.family import lock_folder, reserve_port

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from wheelmark.server.processes import Child, Supervisor

folder = Path(sys.argv[1])

def note(name, text):
    with (folder / name).open("a") as file:
        file.write(f"{text}\\n")

def steady():
    note("steady", os.getpid())
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    while not stopped:
        time.sleep(0.01)
    note("ended", "steady")
    return 0

def crashing():
    note("crashing", time.monotonic())
    return 3

def raising():
    note("raising", os.getpid())
    raise ZeroDivisionError

def stubborn():
    note("stubborn", os.getpid())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
    return 0

children = tuple(Child(name, globals()[name]) for name in sys.argv[2:])
sys.exit(Supervisor(children, grace_seconds=1.0).run())
"""


class Running:
    """The program above while a test looks at it."""

    def __init__(self, folder: Path, *children: str) -> None:
        self.folder = folder
        command = [sys.executable, "-c", PROGRAM, str(folder), *children]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def notes(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text(encoding="ascii").split() if path.exists() else []

    def wait_notes(self, name: str, count: int = 1) -> list[str]:
        eventually(lambda: len(self.notes(name)) >= count, seconds=20, what=f"{count} notes of {name}")
        return self.notes(name)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def run(*children: str) -> Running:
        started.append(Running(tmp_path, *children))
        return started[-1]

    yield run
    for running in started:
        running.process.kill()
        running.process.wait()


def test_killed_child_is_started_again_at_once(run: Callable[..., Running]) -> None:
    running = run("steady")
    [first] = running.wait_notes("steady")
    os.kill(int(first), signal.SIGKILL)
    assert running.wait_notes("steady", 2)[1] != first
    assert running.stop() == 0
    assert running.notes("ended") == ["steady"]


def test_child_that_keeps_dying_is_started_less_and_less_often(run: Callable[..., Running]) -> None:
    running = run("crashing", "steady")
    times = [float(note) for note in running.wait_notes("crashing", 4)]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[2] >= 2.0
    assert len(running.notes("steady")) == 1
    running.stop()  # 0 or 1, as the crashing child is caught between two lives or in one


def test_child_that_raises_never_gets_back_into_the_supervisor(run: Callable[..., Running]) -> None:
    running = run("raising")
    assert len(set(running.wait_notes("raising", 2))) == 2
    running.stop()
    assert b"ZeroDivisionError" in (running.folder / "log").read_bytes()


def test_stubborn_child_is_killed_after_the_grace(run: Callable[..., Running]) -> None:
    running = run("stubborn", "steady")
    [pid] = running.wait_notes("stubborn")
    running.wait_notes("steady")
    time.sleep(0.2)  # it ignores the signal by now
    began = time.monotonic()
    assert running.stop() == 1
    assert 0.9 < time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert running.notes("ended") == ["steady"]


def test_children_die_with_a_supervisor_that_was_killed(run: Callable[..., Running]) -> None:
    running = run("stubborn", "steady")
    pids = [int(running.wait_notes(name)[0]) for name in ("stubborn", "steady")]
    running.process.kill()
    running.process.wait()
    for pid in pids:
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), seconds=5, what="the child gone")  # type: ignore[misc]


def test_reserved_port_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "PATIENCE_SECONDS", 0.1)
    reserved, port = reserve_port("127.0.0.1", 0)
    with reserved, pytest.raises(Unavailable, match=f"port {port} on 127.0.0.1 is taken"):
        reserve_port("127.0.0.1", port)
    again, same = reserve_port("127.0.0.1", port)
    again.close()
    assert same == port
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Unavailable, match="--port"):
        reserve_port("127.0.0.1", other.getsockname()[1])


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Refused, match=r"expected an address of this machine, got '192\.0\.2\.1'"):
        reserve_port("192.0.2.1", 0)
    with pytest.raises(Refused, match=r"nowhere\.invalid"):
        reserve_port("nowhere.invalid", 0)


def test_data_folder_belongs_to_one_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "PATIENCE_SECONDS", 0.1)
    with lock_folder(tmp_path / "data"), pytest.raises(Unavailable, match="another `wheelmark serve` runs on"):
        lock_folder(tmp_path / "data")
    lock_folder(tmp_path / "data").close()
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(Unavailable, match="cannot be written"):
        lock_folder(tmp_path / "file")
