"""One index on many machines that share a PostgreSQL database and an S3 store: killed machines' work is done by others.

What was measured is printed (`pytest -s`); what is asserted is what `docs/how-to/grow.md` promises.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
import pytest

from support.distributions import build_wheel, wheel_filename
from support.machines import Database, Shared, fresh_database, give_secrets, kill_machine
from support.s3 import moto_server, rclone_server
from support.server import RunningIndex, eventually
from wheelmark.client import verify_repository

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

SCAN_TAKE_OVER_SECONDS = 30.0
PUBLISHER_TAKE_OVER_SECONDS = 10.0
PATIENCE_SECONDS = 90.0
"""For whatever is not a promise, on a machine that has other things to do."""

LEASE_SECONDS = 8.0
TOGETHER = 8


@pytest.fixture
def database() -> Iterator[Database]:
    with fresh_database() as database:
        yield database


@pytest.fixture
def shared(database: Database) -> Iterator[Shared]:
    with rclone_server() as s3:
        yield Shared(database, s3.url("index"))


def upload(index: RunningIndex, project: str, token: str, version: str = "1.0") -> str:
    """Upload a wheel; gives its name once the index has accepted it."""
    filename = wheel_filename(project, version)
    answer = index.upload(filename, build_wheel(project, version), token=token)
    assert answer.status == 200, (answer.status, answer.data[:500], index.output[-2000:])
    return filename


def published(index: RunningIndex, project: str, token: str, version: str = "1.0") -> None:
    """Upload a wheel, and wait until its page lists it."""
    index.wait_published(project, upload(index, project, token, version), seconds=PATIENCE_SECONDS)


def check_history(shared: Shared, index: RunningIndex, *, files: int) -> None:
    """Each version was signed once, versions rise, and everything that is served verifies."""
    rows = shared.database.rows(
        "SELECT timestamp_version, version, sha256, timestamp FROM publishing_snapshot ORDER BY timestamp_version"
    )
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    assert len({(row[1], row[2]) for row in rows}) == len({row[1] for row in rows})  # one content for each version
    assert [orjson.loads(row[3])["signed"]["version"] for row in rows] == [row[0] for row in rows]
    stored = {version: hashlib.sha256(body).hexdigest() for version, body in shared.snapshots_in_store().items()}
    assert stored == {row[1]: row[2] for row in rows}
    summary = verify_repository(f"{index.base_url}/simple/", index.root, include_files=True)
    assert summary.faults == ()
    assert summary.files == files
    assert summary.snapshot_version == rows[-1][1]


@pytest.mark.parametrize("server", [rclone_server, moto_server], ids=["rclone", "moto"])
def test_scan_of_a_killed_machine_is_done_by_another_and_of_a_living_one_is_not(
    database: Database, server: type, tmp_path: Path
) -> None:
    with ExitStack() as machines:
        shared = Shared(database, machines.enter_context(server()).url("index"))
        web = machines.enter_context(shared.first(tmp_path / "web"))
        assert not [name for name in web.processes() if name.startswith("worker")]
        token = web.token()
        one = machines.enter_context(shared.worker(tmp_path / "one"))
        published(web, "warm", token)
        scanner = one.process("scanner")
        scanner.suspend()  # a scan that never ends
        filename = upload(web, "orphan", token)
        taken = "SELECT count(*) FROM projects_file WHERE state = 'validated' AND scan_attempts = 1"
        eventually(lambda: database.value(taken), seconds=PATIENCE_SECONDS, what="the scan has begun")

        machines.enter_context(shared.worker(tmp_path / "two"))
        began = time.monotonic()
        published(web, "other", token)
        time.sleep(max(0.0, began + LEASE_SECONDS + 4 - time.monotonic()))
        assert web.listed("orphan") == []
        assert database.value(taken) == 1  # a slow worker is not a dead one

        began = time.monotonic()
        one.kill()
        web.wait_published("orphan", filename, seconds=SCAN_TAKE_OVER_SECONDS)
        print(f"\nscan of a killed machine published elsewhere after {time.monotonic() - began:.1f} s")
        scans = "SELECT count(*) FROM review_scan JOIN projects_file f ON f.id = file_id WHERE f.filename = %s"
        assert database.value(scans, filename) == 1
        check_history(shared, web, files=3)


def test_killed_publishing_machine_is_followed_by_the_one_that_stood_by(shared: Shared, tmp_path: Path) -> None:
    with ExitStack() as machines:
        one = machines.enter_context(shared.first(tmp_path / "one", scan_workers=1))
        two = machines.enter_context(shared.another(tmp_path / "two", like=one.data, scan_workers=1))
        token = two.token()
        published(two, "before", token)
        assert shared.database.publisher == one.pid("publisher")
        standing_by = two.pid("publisher")

        began = time.monotonic()
        kill_machine(one)
        filename = upload(two, "after", token)
        eventually(
            lambda: shared.database.publisher == standing_by,
            seconds=PUBLISHER_TAKE_OVER_SECONDS,
            what="the stand-by holds the lock",
        )
        print(f"\nstand-by of another web machine took over after {time.monotonic() - began:.1f} s")
        two.wait_published("after", filename, seconds=PATIENCE_SECONDS)
        print(f"upload right after the kill published after {time.monotonic() - began:.1f} s")

        one.start()  # it comes back, and stands by
        one.wait_ready()
        published(one, "later", token)
        assert shared.database.publisher == standing_by
        check_history(shared, one, files=3)


def test_worker_that_publishes_takes_over_and_is_taken_over(shared: Shared, tmp_path: Path) -> None:
    with ExitStack() as machines:
        web = machines.enter_context(shared.first(tmp_path / "web", scan_workers=1))
        token = web.token()
        published(web, "before", token)
        give_secrets(web.data, tmp_path / "worker", signs=True)
        worker = machines.enter_context(shared.worker(tmp_path / "worker", "--publish"))
        standing_by = worker.process("publisher").pid
        published(web, "warm", token)

        supervisor = psutil.Process(web.pid("supervisor"))
        supervisor.suspend()  # it does not start another publisher
        try:
            began = time.monotonic()
            web.kill("publisher")
            filename = upload(web, "after", token)
            eventually(
                lambda: shared.database.publisher == standing_by,
                seconds=PUBLISHER_TAKE_OVER_SECONDS,
                what="the worker holds the lock",
            )
            print(f"\nworker --publish took over after {time.monotonic() - began:.1f} s")
            web.wait_published("after", filename, seconds=PATIENCE_SECONDS)
        finally:
            supervisor.resume()
        own = eventually(lambda: web.processes().get("publisher"), seconds=PATIENCE_SECONDS, what="a publisher again")
        began = time.monotonic()
        worker.kill()
        filename = upload(web, "at-home", token)
        eventually(
            lambda: shared.database.publisher == own,
            seconds=PUBLISHER_TAKE_OVER_SECONDS,
            what="the web machine holds the lock again",
        )
        print(f"web machine took over from a killed worker --publish after {time.monotonic() - began:.1f} s")
        web.wait_published("at-home", filename, seconds=PATIENCE_SECONDS)
        check_history(shared, web, files=4)


def test_publisher_that_slept_through_the_loss_of_its_lock_does_not_sign_beside_its_follower(
    shared: Shared, tmp_path: Path
) -> None:
    with ExitStack() as machines:
        one = machines.enter_context(shared.first(tmp_path / "one", scan_workers=1))
        two = machines.enter_context(shared.another(tmp_path / "two", like=one.data))
        token = one.token()
        published(one, "before", token)
        for holder, follower in ((one, two), (two, one)):
            sleeping = psutil.Process(holder.pid("publisher"))
            assert shared.database.publisher == sleeping.pid
            sleeping.suspend()
            try:
                # Its machine is cut off: the server ends the session, and with it the lock.
                lock = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                assert shared.database.rows(f"{lock} AND objid = {0x574D50}") == [(True,)]
                followed_by = follower.pid("publisher")
                name = f"while-{sleeping.pid}-slept"
                published(two, name, token)
                assert shared.database.publisher == followed_by
            finally:
                sleeping.resume()
            for number in range(5):
                published(one, name, token, f"{number + 2}.0")
            assert shared.database.publisher == followed_by
            assert sleeping.is_running()  # it noticed, and stands by
        check_history(shared, two, files=1 + 2 * 6)


def test_machine_without_keys_accepts_uploads_and_never_takes_the_lock(shared: Shared, tmp_path: Path) -> None:
    with ExitStack() as machines:
        signs = machines.enter_context(shared.first(tmp_path / "signs", scan_workers=1))
        plain = machines.enter_context(shared.another(tmp_path / "plain", like=signs.data, signs=False))
        token = signs.token()
        published(plain, "before", token)
        eventually(lambda: "cannot sign" in plain.output, seconds=PATIENCE_SECONDS, what="a word on the missing keys")
        kill_machine(signs)
        filename = upload(plain, "meanwhile", token)
        time.sleep(5)  # longer than a stand-by waits between two looks at the lock
        held = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = {0x574D50}"
        assert shared.database.value(held) == 0
        assert plain.listed("before") == [wheel_filename("before")]  # and it serves what was signed
        signs.start()
        plain.wait_published("meanwhile", filename, seconds=PATIENCE_SECONDS)
        check_history(shared, plain, files=2)


def test_database_that_was_away_is_used_again_by_everyone_and_nothing_was_lost(shared: Shared, tmp_path: Path) -> None:
    with ExitStack() as machines:
        web = machines.enter_context(shared.first(tmp_path / "web"))
        worker = machines.enter_context(shared.worker(tmp_path / "worker"))
        token = web.token()
        published(web, "before", token)
        running = [web.pid("supervisor"), web.pid("http")]
        with shared.database.away():
            eventually(lambda: web.status("/readyz") == 503, seconds=PATIENCE_SECONDS, what="not ready")
            answer = web.upload(wheel_filename("during"), build_wheel("during"), token=token)
            assert answer.status == 503
            assert web.listed("before") == [wheel_filename("before")]  # what was signed is still served
            assert web.status("/tuf/timestamp.json") == 200
            time.sleep(5)
        began = time.monotonic()
        web.wait_ready()
        published(web, "during", token)
        print(f"\nupload published {time.monotonic() - began:.1f} s after the database came back")
        assert [web.pid("supervisor"), web.pid("http")] == running
        assert worker.process("worker-1").is_running()
        check_history(shared, web, files=2)


def test_uploads_together_on_two_machines_neither_fail_nor_deadlock(shared: Shared, tmp_path: Path) -> None:
    with ExitStack() as machines:
        one = machines.enter_context(shared.first(tmp_path / "one", scan_workers=1))
        two = machines.enter_context(shared.another(tmp_path / "two", like=one.data, scan_workers=1))
        machines.enter_context(shared.worker(tmp_path / "three"))
        token = one.token()
        batches = (
            [("same", f"{number}.0") for number in range(TOGETHER)],  # one new project, many releases
            [("same", f"1{number}.0") for number in range(TOGETHER)],  # the same project, now that it is there
            [("twin", "1.0")] * TOGETHER,  # the same bytes from everyone
            [(f"new-{number}", "1.0") for number in range(TOGETHER)],  # new names
        )

        def send(number: int, wanted: tuple[str, str]) -> str:
            return upload((one, two)[number % 2], wanted[0], token, wanted[1])

        with ThreadPoolExecutor(TOGETHER) as senders:
            for batch in batches:
                list(senders.map(send, range(TOGETHER), batch))
        wanted = {item for batch in batches for item in batch}
        for project, version in wanted:
            two.wait_published(project, wheel_filename(project, version), seconds=PATIENCE_SECONDS)
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert shared.database.value(deadlocks) == 0
        for index in (one, two):
            assert "process-died" not in index.output
            assert "publishing failed" not in index.output
        check_history(shared, one, files=len(wanted))
