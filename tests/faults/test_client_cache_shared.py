"""Six installs share one cache while the index changes, and one of them is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from support.client import clean_environment
from support.repository import Answer, IndexServer, SignedRepository
from wheelmark.client import HttpFetcher, Verifier
from wheelmark.simple import SimpleFile

PROCESSES = 6
PROJECTS = 12
ROUNDS = 4
SECONDS = 120

# Each look-up begins with the timestamp, as separate installs do, so that all processes want the lock all the time.
INSTALL = f"""
import sys
from pathlib import Path
from wheelmark.client import Verifier

url, root, cache = sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3])
for number in range({ROUNDS}):
    verifier = Verifier(url, root, cache)
    for project in range({PROJECTS}):
        page = verifier.page(f"project-{{project}}")
        for file in page.files:
            content = b"".join(verifier.open_file(file))
            verifier.metadata(file)
            assert len(content) == file.size
        print(project, flush=True)
        verifier._metadata.forget()
print("done", flush=True)
"""


@pytest.fixture
def repository() -> SignedRepository:
    repository = SignedRepository()
    repository.expires_in = {"timestamp": timedelta(days=1)}
    for project in range(PROJECTS):
        repository.add_wheel(f"project-{project}", filler=100_000)
    repository.publish()
    return repository


@pytest.mark.parametrize("victim_says", ["0", "5", "11"])
def test_six_processes_and_one_kill_leave_a_cache_that_all_can_use(
    repository: SignedRepository, tmp_path: Path, victim_says: str
) -> None:
    root, cache = tmp_path / "root.json", tmp_path / "cache"
    root.write_bytes(repository.root_bytes)
    with IndexServer(repository) as server:
        server.makes_deltas = True
        command = [sys.executable, "-c", INSTALL, server.index_url, str(root), str(cache)]
        running = [
            subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        victim, *others = running
        killer = threading.Thread(target=_kill_when_it_says, args=(victim, victim_says, repository))
        killer.start()
        try:
            for process in others:
                said, failed = process.communicate(timeout=SECONDS)
                assert process.returncode == 0, failed
                assert said.splitlines()[-1] == "done"
        finally:
            for process in running:
                process.kill()
                process.wait(SECONDS)
            killer.join(SECONDS)
            assert victim.stdout is not None
            assert victim.stderr is not None
            victim.stdout.close()
            victim.stderr.close()
        assert victim.returncode == -signal.SIGKILL
        _check_by_one_more(server, repository, cache)


def _kill_when_it_says(victim: subprocess.Popen[str], word: str, repository: SignedRepository) -> None:
    """Kill it in the middle of its work, and publish at that very moment."""
    assert victim.stdout is not None
    for line in victim.stdout:
        if line.strip() == word:
            repository.add_wheel("project-0", "2.0")
            repository.publish()
            os.kill(victim.pid, signal.SIGKILL)
            return


def _check_by_one_more(server: IndexServer, repository: SignedRepository, cache: Path) -> None:
    """The next install takes what the cache holds and sees what is new; and once more without any network."""
    before = len(server.requests)
    _read_all(Verifier(server.index_url, repository.root_bytes, cache), repository)
    fetched = [path for path in server.requests[before:] if path.startswith(("/files/", "/tuf/targets/"))]
    assert len(fetched) <= 3, "all but the new release was in the cache"
    server.hostile = lambda *_: Answer(503)
    fetcher = HttpFetcher(sleep=lambda _: None)
    _read_all(Verifier(server.index_url, repository.root_bytes, cache, fetcher=fetcher), repository)
    assert not list((cache / "metadata").glob("tmp*"))


def _read_all(verifier: Verifier, repository: SignedRepository) -> None:
    for project in range(PROJECTS):
        page = verifier.page(f"project-{project}")
        assert page is not None
        assert {file.filename for file in page.files} == set(repository.page_files[f"project-{project}"])
        for file in page.files:
            assert b"".join(verifier.open_file(file)) == _true_bytes(repository, file)


def _true_bytes(repository: SignedRepository, file: SimpleFile) -> bytes:
    return repository.objects[f"/files/{file.sha256}/{file.filename}"]


def _environment() -> dict[str, str]:
    return clean_environment(PYTHONPATH=os.pathsep.join(path for path in sys.path if path))


HOLD = """
import sys
from pathlib import Path
from filelock import FileLock

metadata = Path(sys.argv[1])
FileLock(metadata / ".lock").acquire()
(metadata / "tmpdead").write_bytes(b"half a snapsh")
print("held", flush=True)
sys.stdin.read()
"""


def test_process_killed_while_it_held_the_lock_and_wrote_holds_nobody_up(
    repository: SignedRepository, tmp_path: Path
) -> None:
    with IndexServer(repository) as server:
        verifier = Verifier(server.index_url, repository.root_bytes, tmp_path)
        _read_all(verifier, repository)
        command = [sys.executable, "-c", HOLD, str(tmp_path / "metadata")]
        with subprocess.Popen(
            command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            holder.kill()
        repository.add_wheel("project-1", "2.0")
        repository.publish()
        _read_all(Verifier(server.index_url, repository.root_bytes, tmp_path), repository)
        assert not (tmp_path / "metadata" / "tmpdead").exists()


@pytest.mark.parametrize("threads", [8])
def test_threads_of_one_process_share_a_verifier(repository: SignedRepository, tmp_path: Path, threads: int) -> None:
    with IndexServer(repository) as server:
        verifier = Verifier(server.index_url, repository.root_bytes, tmp_path / "cache")
        failures: list[BaseException] = []

        def install() -> None:
            try:
                _read_all(verifier, repository)
            except BaseException as error:  # noqa: BLE001  (shown below, whatever it is)
                failures.append(error)

        running = [threading.Thread(target=install) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(SECONDS)
        assert failures == []
