"""`wheelmark serve`: first start, later starts, clean stops, and one clear line when it cannot start."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
import pytest

from support.distributions import build_wheel, wheel_filename
from support.scan import a_rule_folder
from support.server import RunningIndex, eventually, founded

pytestmark = pytest.mark.timeout(180)

MAX_REST_MEGABYTES = 250


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path / "data") as index:
        yield index


def serve(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start an index that is expected not to start."""
    return subprocess.run(
        [sys.executable, "-m", "wheelmark.cli", "serve", "--data", str(data), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def assert_one_clear_line(refused: subprocess.CompletedProcess[str], *words: str) -> None:
    assert refused.returncode == 1, refused.stderr
    [line] = refused.stderr.strip().splitlines()
    assert line.startswith("wheelmark: ")
    for word in words:
        assert word in line


def test_first_start_says_what_was_made_and_what_comes_next() -> None:
    output = founded().output
    for words in (
        "Administrator   admin",
        "Password",
        "wheelmark admin token create --user admin",
        "twine upload --repository-url http://127.0.0.1:",
        "wheelmark pip --index http://127.0.0.1:",
        "Root is signed by one key alone",
        "answers at http://127.0.0.1:",
    ):
        assert words in output
    assert re.search(r"--root-fingerprint [0-9a-f]{64} install", output)


def test_secrets_of_the_first_start_are_for_their_owner_and_in_no_log() -> None:
    folder = founded().folder
    for path in (folder / "secrets", folder / "keys"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        for secret in path.iterdir():
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
            if secret.parent.name == "secrets":
                assert secret.read_text(encoding="ascii").strip() not in founded().output


def test_later_start_says_nothing_of_passwords_and_keeps_the_root(index: RunningIndex) -> None:
    assert "Password" not in index.output
    assert json.loads(index.root)["signed"]["version"] == 1
    before = index.root
    assert index.stop() == 0
    index.start()
    index.wait_ready()
    assert index.root == before


def test_upload_is_published_and_installed_from(index: RunningIndex) -> None:
    token = index.token()
    assert index.upload(wheel_filename(), build_wheel(), token=token).status == 200
    index.wait_published("demo", wheel_filename())
    page = json.loads(index.get("/simple/demo/", accept="application/vnd.pypi.simple.v1+json").data)
    [file] = page["files"]
    assert index.get(f"/files/{file['hashes']['sha256']}/{file['filename']}").data == build_wheel()


def test_all_processes_together_are_small_at_rest(index: RunningIndex) -> None:
    assert index.status("/") == 200  # Django is loaded and has made a page
    family = [index.pid("supervisor"), *index.processes().values()]
    total = sum(psutil.Process(pid).memory_full_info().pss for pid in family)
    assert total < MAX_REST_MEGABYTES * 1024 * 1024


def test_others_on_the_machine_read_neither_folder_nor_database(index: RunningIndex) -> None:
    assert stat.S_IMODE(founded().folder.stat().st_mode) == 0o700
    index.token()
    files = sorted(index.data.glob("wheelmark.sqlite3*"))
    assert len(files) == 3, "it runs: -wal and -shm lie beside it"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_clean_stop_leaves_the_whole_database_in_one_file(index: RunningIndex) -> None:
    index.token()
    assert index.stop() == 0
    beside = [path for path in index.data.glob("wheelmark.sqlite3-*") if path.stat().st_size]
    assert beside == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_everything_cleanly(index: RunningIndex, number: signal.Signals) -> None:
    family = [index.pid("supervisor"), *index.processes().values()]
    began = time.monotonic()
    assert index.stop(number) == 0
    assert time.monotonic() - began < 10
    assert not any(psutil.pid_exists(pid) for pid in family)


def test_second_signal_does_not_wait_for_anybody(index: RunningIndex) -> None:
    with socket.create_connection(("127.0.0.1", index.port), timeout=20) as client:
        client.sendall(b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        time.sleep(0.3)  # a request that would hold the stop up until the server's patience ends
        family = [index.pid("supervisor"), *index.processes().values()]
        os.kill(index.pid("supervisor"), signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        assert index.stop() == 1
        assert time.monotonic() - began < 2
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in family), seconds=5, what="all processes gone")


def test_request_in_flight_is_answered_when_the_index_stops(index: RunningIndex) -> None:
    body = b"username=nobody&password=wrong"
    head = f"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", index.port), timeout=20) as client:
        client.sendall(head.encode() + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + body[:5])
        time.sleep(0.3)  # it is being read
        stopped: list[int] = []
        thread = threading.Thread(target=lambda: stopped.append(index.stop()))
        thread.start()
        time.sleep(0.5)
        client.sendall(body[5:])
        assert client.recv(100).startswith(b"HTTP/1.1 403")  # no cookie, no form: but an answer of the application
    thread.join(20)
    assert stopped == [0]


def test_taken_port_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = serve(tmp_path / "data", "--port", str(port))
    assert_one_clear_line(refused, f"port {port}", "--port")
    assert not (tmp_path / "data").exists()


def test_second_index_on_the_same_folder_is_refused(index: RunningIndex) -> None:
    assert_one_clear_line(serve(index.data, "--port", "0"), str(index.data), "--data")
    assert index.status("/readyz") == 200


def test_host_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    assert_one_clear_line(serve(tmp_path / "data", "--host", "192.0.2.1", "--port", "0"), "192.0.2.1")


def test_unknown_or_wrong_settings_are_all_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "wheelmark.toml").write_text('web_threads = "many"\nno_such_setting = 1\n', encoding="utf-8")
    assert_one_clear_line(serve(data, "--port", "0"), "no_such_setting", "web_threads")
    assert [path.name for path in data.iterdir()] == ["wheelmark.toml"]


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "wheelmark.toml").mkdir(parents=True)
    assert_one_clear_line(serve(data, "--port", "0"), "wheelmark.toml")


def test_scanner_rules_that_cannot_be_loaded_are_named_and_nothing_starts(tmp_path: Path) -> None:
    rules = a_rule_folder(tmp_path / "rules", broken_py="def (")
    refused = serve(tmp_path / "data", "--port", "0", WHEELMARK_RULES=str(rules))
    assert_one_clear_line(refused, "broken.py", "expected a rule that loads", "SyntaxError")


def test_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    assert_one_clear_line(serve(tmp_path / "data", "--port", "0"), "cannot be written", "--data")


def test_database_that_is_none_is_named_and_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "wheelmark.sqlite3").write_bytes(b"not a database, but sixteen bytes and more")
    assert_one_clear_line(serve(data, "--port", "0"), "database")
    assert (data / "wheelmark.sqlite3").read_bytes().startswith(b"not a database")


def test_first_start_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "wheelmark.cli", "serve", "--data", str(data), "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually((data / "keys").is_dir, seconds=60, what="half a data folder")
    process.kill()
    process.wait()
    with RunningIndex(data, fresh=True) as index:
        assert index.status("/tuf/1.root.json") == 200
        assert "Password" in index.output


def test_help_lists_every_setting() -> None:
    from wheelmark.server.config import settings_table

    shown = subprocess.run([sys.executable, "-m", "wheelmark.cli", "serve", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    for name, _, _ in settings_table():
        assert name in shown.stdout


def test_worker_without_postgresql_says_what_it_needs(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "wheelmark.cli", "worker", "--data", str(tmp_path)], capture_output=True, text=True
    )
    assert_one_clear_line(refused, "PostgreSQL", "WHEELMARK_DATABASE")
