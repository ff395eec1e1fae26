"""Store, database and disk that fail in the middle of an upload: 503, nothing half done, and the next try succeeds."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

from support.distributions import build_wheel
from support.store import FaultyStore
from support.upload import a_token, incoming, journal, nothing_taken_in, post_upload, waiting_scans
from wheelmark.dist import inspect_distribution
from wheelmark.server.config import Config
from wheelmark.server.projects.models import File
from wheelmark.server.publishing.keys import file_key
from wheelmark.store import MemoryStore, Store

pytestmark = pytest.mark.django_db(transaction=True)

WHEEL = build_wheel()
STORY = ["project-created", "release-created", "file-uploaded", "file-validated"]
WRITES = 2


def assert_tried_in_vain(response: Any, config: Config) -> None:
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert b"try again" in response.content
    assert nothing_taken_in() and waiting_scans() == set()
    assert incoming(config) == []


def assert_taken_in_once(response: Any, config: Config) -> None:
    assert response.status_code == 200, response.content
    file = File.objects.get()
    assert journal() == STORY and waiting_scans() == {file.pk}
    assert incoming(config) == []


def use(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelmark.server.intake.views.current_store", lambda: store)


@pytest.mark.parametrize("stored", [False, True], ids=["failed", "failed but stored"])
@pytest.mark.parametrize("fail_at", range(1, WRITES + 1))
def test_store_that_fails_at_any_write_loses_nothing_but_time(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch, fail_at: int, stored: bool
) -> None:
    token, inner = a_token(), MemoryStore()
    store = FaultyStore(inner, fail_at=fail_at, stored=stored)
    use(store, monkeypatch)
    assert_tried_in_vain(post_upload(client, token, WHEEL), config)
    assert_taken_in_once(post_upload(client, token, WHEEL), config)
    assert inner.read_all(file_key(File.objects.get().sha256), max_bytes=10**6) == WHEEL


def test_faults_cover_every_write(client: Client, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FaultyStore(MemoryStore())
    use(store, monkeypatch)
    assert_taken_in_once(post_upload(client, a_token(), WHEEL), config)
    assert store.writes == WRITES


def test_object_that_is_not_what_its_name_says_is_not_the_senders_fault(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    use(store, monkeypatch)
    token = a_token()
    key = file_key(hashlib.sha256(WHEEL).hexdigest())
    store.put(key, [b"bit rot"], immutable=True)
    assert_tried_in_vain(post_upload(client, token, WHEEL), config)
    store.delete(key)
    assert_taken_in_once(post_upload(client, token, WHEEL), config)


class FailingQuery:
    """Fails the `fail_at`-th statement (from 1) before the database sees it."""

    def __init__(self, fail_at: int, error: type[Exception]) -> None:
        self._left = fail_at
        self._error = error
        self.failed = ""

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self.failed = sql
            raise self._error("the connection is gone")
        return execute(sql, params, many, context)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_database_that_fails_at_any_statement_loses_nothing_but_time(
    client: Client, config: Config, error: type[Exception]
) -> None:
    token = a_token()
    failed: list[str] = []
    while True:
        fault = FailingQuery(len(failed) + 1, error)
        with connection.execute_wrapper(fault):
            response = post_upload(client, token, WHEEL)
        if not fault.failed:
            break
        failed.append(fault.failed)
        assert_tried_in_vain(response, config)
    assert_taken_in_once(response, config)
    inserts = {sql.split('"')[1] for sql in failed if sql.startswith("INSERT")}
    assert {"projects_project", "projects_release", "projects_file", "projects_journalentry"} <= inserts


def test_commit_that_was_not_heard_of_is_found_by_the_next_try(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, really_commit = a_token(), connection.commit

    def commit_and_break() -> None:
        really_commit()
        raise OperationalError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "commit", commit_and_break)
        assert post_upload(client, token, WHEEL).status_code == 503
    response = post_upload(client, token, WHEEL)
    assert b"is already here" in response.content
    assert_taken_in_once(response, config)


def test_commit_that_fails_loses_nothing_but_time(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = a_token()

    def fail() -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "commit", fail)
        response = post_upload(client, token, WHEEL)
    assert_tried_in_vain(response, config)
    assert_taken_in_once(post_upload(client, token, WHEEL), config)


def test_full_disk_is_a_503_and_no_fault_of_the_sender(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, make = a_token(), tempfile.mkstemp

    def on_a_full_disk(**where: Any) -> tuple[int, str]:
        handle, path = make(**where)
        os.close(handle)
        return os.open("/dev/full", os.O_WRONLY), path

    for size in (0, 5_000_000):
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "mkstemp", on_a_full_disk)
            response = post_upload(client, token, build_wheel(payload_size=size))
        assert_tried_in_vain(response, config)
    assert_taken_in_once(post_upload(client, token, WHEEL), config)


def test_folder_that_cannot_be_made_is_a_503(client: Client, config: Config) -> None:
    folder = config.data / "incoming"
    folder.rmdir()
    folder.write_bytes(b"in the way")
    response = post_upload(client, a_token(), WHEEL)
    assert response.status_code == 503 and nothing_taken_in()
    folder.unlink()
    assert_taken_in_once(post_upload(client, a_token(), WHEEL), config)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_received_file_that_changes_on_our_disk_is_no_fault_of_the_sender(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    def damaged(path: Path, filename: str) -> Any:
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(build_wheel(files={"other.py": b""}))
        return inspect_distribution(path, filename)

    with monkeypatch.context() as patch:
        patch.setattr("wheelmark.server.intake.views.inspect_distribution", damaged)
        response = post_upload(client, a_token(), WHEEL)
    assert_tried_in_vain(response, config)
    assert_taken_in_once(post_upload(client, a_token(), WHEEL), config)
