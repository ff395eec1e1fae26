"""The walk over a whole index: bounded in memory, and not misled by an index that publishes meanwhile."""

from __future__ import annotations

import gc
import hashlib
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.repository import Answer, IndexServer, SignedRepository
from wheelmark.client import verify_repository
from wheelmark.client.walk import NEWEST_SECONDS
from wheelmark.errors import Untrusted

MEBIBYTE = 1 << 20


@pytest.fixture
def repository() -> SignedRepository:
    made = SignedRepository()
    for name in ("demo", "other"):
        made.add_wheel(name)
    made.publish()
    return made


@pytest.fixture
def server(repository: SignedRepository) -> Iterator[IndexServer]:
    with IndexServer(repository) as running:
        yield running


def codes(server: IndexServer, repository: SignedRepository, **options: bool) -> list[str]:
    summary = verify_repository(server.index_url, repository.root_bytes, **options)  # type: ignore[arg-type]  # booleans only
    return sorted({fault.code for fault in summary.faults})


def page_paths(repository: SignedRepository, name: str) -> list[str]:
    return [path for path in repository.objects if path.startswith(f"/tuf/targets/simple/{name}/")]


def test_page_that_is_gone_because_a_newer_one_was_published_is_no_fault(
    repository: SignedRepository, server: IndexServer
) -> None:
    [old] = page_paths(repository, "demo")

    def published_meanwhile(path: str, true: bytes | None) -> Answer | None:
        if path != old:
            return None
        if len(page_paths(repository, "demo")) == 1:
            repository.add_wheel("demo", "2.0")
            repository.publish()
        return Answer(404)

    server.hostile = published_meanwhile
    summary = verify_repository(server.index_url, repository.root_bytes, include_files=True)
    assert (summary.faults, summary.pages, summary.files) == ((), 2, 3)


def test_page_that_is_gone_though_the_newest_snapshot_has_it_is_a_fault(
    repository: SignedRepository, server: IndexServer
) -> None:
    [path] = page_paths(repository, "demo")
    server.hostile = lambda asked, _: Answer(404) if asked == path else None
    assert codes(server, repository) == ["http-status"]


def test_bin_that_was_superseded_and_deleted_is_walked_as_it_is_now(
    repository: SignedRepository, server: IndexServer
) -> None:
    old = repository.bin_path("demo")

    def published_meanwhile(path: str, true: bytes | None) -> Answer | None:
        if path != old:
            return None
        if repository.bin_path("demo") == old:
            repository.add_wheel("demo", "2.0")
            repository.publish()
        return Answer(404)

    server.hostile = published_meanwhile
    summary = verify_repository(server.index_url, repository.root_bytes)
    assert (summary.faults, summary.files) == ((), 3)


def test_bin_that_does_not_come_is_a_fault(repository: SignedRepository, server: IndexServer) -> None:
    gone = repository.bin_path("demo")
    server.hostile = lambda path, _: Answer(404) if path == gone else None
    assert codes(server, repository) == ["connection", "unreached-role"]


def test_file_that_was_removed_meanwhile_is_no_fault_and_one_that_is_still_listed_is(
    repository: SignedRepository, server: IndexServer
) -> None:
    file = repository.add_wheel("demo", "2.0")
    repository.publish()
    path = f"/files/{file.sha256}/{file.filename}"
    removed = False

    def removed_meanwhile(asked: str, true: bytes | None) -> Answer | None:
        if asked != path:
            return None
        if removed and file.filename in repository.page_files["demo"]:
            del repository.page_files["demo"][file.filename]
            repository.render("demo")
            repository.publish()
        return Answer(404)

    server.hostile = removed_meanwhile
    assert codes(server, repository, include_files=True) == ["http-status"]
    removed = True
    assert codes(server, repository, include_files=True) == []


@pytest.mark.parametrize("beside", [".metadata", ".provenance"])
def test_what_lies_beside_a_file_is_checked_too(repository: SignedRepository, server: IndexServer, beside: str) -> None:
    repository.add_wheel("demo", "2.0", provenance=b"{}")
    repository.publish()
    assert codes(server, repository, include_files=True) == []
    server.hostile = lambda path, _: b"another" if path.endswith(beside) else None
    assert codes(server, repository, include_files=True) == ["file"]
    assert codes(server, repository) == []


def test_listed_file_that_is_no_target_where_others_are_is_named(
    repository: SignedRepository, server: IndexServer
) -> None:
    [file] = repository.page_files["demo"].values()
    path = f"files/{file.sha256}/{file.filename}"
    repository.file_targets[path] = TargetFile(file.size, {"sha256": file.sha256}, path)
    repository.publish()
    summary = verify_repository(server.index_url, repository.root_bytes)
    missing = {fault.field.rsplit("/", 1)[1] for fault in summary.faults if fault.code == "missing-target"}
    wheel = "other-1.0-py3-none-any.whl"
    assert missing == {f"{file.filename}.metadata", wheel, f"{wheel}.metadata"}


def test_targets_of_the_top_level_role_are_walked(repository: SignedRepository, server: IndexServer) -> None:
    raw = b"{}"
    sha256 = hashlib.sha256(raw).hexdigest()
    path = "simple/direct/index.json"
    repository.objects[f"/tuf/targets/simple/direct/{sha256}.index.json"] = raw
    repository.top_targets[path] = TargetFile(len(raw), {"sha256": sha256}, path)
    repository.publish_delegators()
    repository.publish()
    summary = verify_repository(server.index_url, repository.root_bytes)
    assert [(fault.code, fault.field) for fault in summary.faults] == [("page-form", path)]


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_top_level_role_is_held_against_the_clock_that_was_given(role: str, server: IndexServer) -> None:
    repository = SignedRepository()
    repository.expires_in[role] = timedelta(days=10)
    repository.publish_root()
    repository.publish_delegators()
    repository.publish()
    server.objects = repository.objects
    later = datetime.now(UTC) + timedelta(days=11)
    with pytest.raises(Untrusted) as refused:
        verify_repository(server.index_url, repository.root_bytes, now=lambda: later)
    assert refused.value.code == "expired"
    summary = verify_repository(server.index_url, repository.root_bytes)
    assert summary.expires[role] < later
    assert min(summary.expires.values()) == summary.expires[role]


def test_missing_pages_do_not_ask_for_the_newest_snapshot_each(
    repository: SignedRepository, server: IndexServer
) -> None:
    for number in range(30):
        repository.add_wheel(f"project-{number}")
    repository.publish()
    server.hostile = lambda path, _: Answer(404) if path.endswith("index.json") else None
    assert codes(server, repository) == ["http-status"]
    assert server.requests.count("/tuf/timestamp.json") < 5 + 30 * 0.02 / NEWEST_SECONDS


def test_memory_does_not_grow_with_the_number_of_projects() -> None:
    def peak_of(projects: int) -> int:
        repository = SignedRepository()
        for number in range(projects):
            repository.add_file(f"project_{number}-1.0-py3-none-any.whl", b"x" * 64)
        repository.publish()
        with IndexServer(repository) as server:
            gc.collect()
            tracemalloc.start()
            try:
                summary = verify_repository(server.index_url, repository.root_bytes)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert (summary.faults, summary.pages) == ((), projects)
        return peak

    # Four bins hold them all, and one is held at a time: 500 more targets in each, and nothing for pages.
    assert peak_of(2_000) - peak_of(100) < 8 * MEBIBYTE
