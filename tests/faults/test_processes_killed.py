"""Kill -9 of every process: it comes back, the work is done, nothing that was accepted is lost, no port stays taken."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
import pytest

from support.distributions import build_wheel, wheel_filename
from support.server import RunningIndex, eventually

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path / "data") as index:
        yield index


def upload(index: RunningIndex, version: str, token: str) -> None:
    filename = wheel_filename("demo", version)
    assert index.upload(filename, build_wheel("demo", version), token=token).status == 200


@pytest.mark.parametrize("name", ["publisher", "worker-1", "web", "http"])
def test_killed_process_comes_back_and_work_is_done(index: RunningIndex, name: str) -> None:
    token = index.token()
    upload(index, "1.0", token)
    killed = index.kill(name)
    eventually(lambda: index.processes().get(name, killed) != killed, seconds=20, what=f"another {name}")
    eventually(lambda: index.status("/healthz") == 200, seconds=20, what="a web process")
    upload(index, "2.0", token)
    for version in ("1.0", "2.0"):
        index.wait_published("demo", wheel_filename("demo", version))
    assert index.stop() == 0


def test_worker_killed_in_the_middle_of_a_scan_loses_its_lease_and_not_the_file(index: RunningIndex) -> None:
    token = index.token()
    upload(index, "1.0", token)
    index.wait_published("demo", wheel_filename("demo", "1.0"))
    [scanner] = psutil.Process(index.pid("worker-1")).children()
    scanner.suspend()  # a scan that never ends
    try:
        upload(index, "2.0", token)
        time.sleep(1)  # the worker has taken it
        index.kill("worker-1")
        index.wait_published("demo", wheel_filename("demo", "2.0"), seconds=45)
    finally:
        with suppress(psutil.NoSuchProcess):  # it dies with its worker
            scanner.kill()


def test_killed_supervisor_takes_everyone_along_and_leaves_no_port_taken(index: RunningIndex) -> None:
    token = index.token()
    upload(index, "1.0", token)
    family = list(index.processes().values())
    index.kill("supervisor")
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in family), seconds=5, what="all processes gone")
    with socket.create_server(("127.0.0.1", index.port)):
        pass
    index.start()
    index.wait_ready()
    index.wait_published("demo", wheel_filename("demo", "1.0"))


def test_whole_family_killed_right_after_uploads_loses_none(index: RunningIndex) -> None:
    token, versions = index.token(), [f"{number}.0" for number in range(8)]
    for version in versions:
        upload(index, version, token)
    for pid in [*index.processes().values(), index.pid("supervisor")]:
        psutil.Process(pid).kill() if psutil.pid_exists(pid) else None
    index.kill("supervisor")
    index.start()
    index.wait_ready()
    for version in versions:
        index.wait_published("demo", wheel_filename("demo", version))


def test_slow_readers_hold_no_page_up(index: RunningIndex) -> None:
    token = index.token()
    content = build_wheel("big", "1.0", payload_size=20_000_000)
    assert index.upload(wheel_filename("big", "1.0"), content, token=token).status == 200
    index.wait_published("big", wheel_filename("big", "1.0"))
    path = f"/files/{_sha256(content)}/{wheel_filename('big', '1.0')}"
    readers = [_slow_reader(index.port, path) for _ in range(40)]
    try:
        slowest = 0.0
        for _ in range(50):
            began = time.monotonic()
            assert index.status("/simple/big/") == 200
            assert index.status("/account/login/") == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 5
    finally:
        for reader in readers:
            reader.close()


def _slow_reader(port: int, path: str) -> socket.socket:
    """A client that asks for a file, reads its beginning, and then nothing more."""
    reader = socket.create_connection(("127.0.0.1", port), timeout=10)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert reader.recv(100).startswith(b"HTTP/1.1 200")
    return reader


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
