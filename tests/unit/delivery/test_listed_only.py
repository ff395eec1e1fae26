"""Invariant 1: nothing is served that the last published snapshot does not list, by any address."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.delivery import METADATA, Got, ask, delivering, published_file, stored_file
from support.publishing import FoundedIndex, found_index
from support.rows import NOW
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.projects.lifecycle import set_status, transition
from wheelmark.server.projects.models import File, ProjectStatus
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import page_key
from wheelmark.server.publishing.models import PublishedPage

pytestmark = pytest.mark.django_db(transaction=True)

UNLISTED_STATES = [
    FileState.UPLOADED,
    FileState.VALIDATED,
    FileState.SCANNED,  # before the snapshot that will list it
    FileState.HELD,
    FileState.REJECTED,
    FileState.REMOVED,
]


@pytest.fixture
def index() -> FoundedIndex:
    return found_index()


@pytest.fixture
def delivery(index: FoundedIndex) -> Iterator[Delivery]:
    with delivering(index) as delivery:
        yield delivery


def all_reads(delivery: Delivery, file: File) -> dict[str, Got]:
    """Every address by which a file could come out, and its page as it is now."""
    project = file.release.project.normalized_name
    reads = {
        "json": ask(delivery, f"/simple/{project}/", accept="application/vnd.pypi.simple.v1+json"),
        "html": ask(delivery, f"/simple/{project}/"),
        "html by format": ask(delivery, f"/simple/{project}/?format=application/vnd.pypi.simple.v1+html"),
        "list json": ask(delivery, "/simple/", accept="application/vnd.pypi.simple.v1+json"),
        "list html": ask(delivery, "/simple/"),
        "file": ask(delivery, f"/files/{file.sha256}/{file.filename}"),
        "file range": ask(delivery, f"/files/{file.sha256}/{file.filename}", range="bytes=0-0"),
        "file head": ask(delivery, f"/files/{file.sha256}/{file.filename}", method="HEAD"),
        "metadata": ask(delivery, f"/files/{file.sha256}/{file.filename}.metadata"),
        "file target": ask(delivery, f"/tuf/targets/files/{file.sha256}/{file.sha256}.{file.filename}"),
        "metadata target": ask(
            delivery, f"/tuf/targets/files/{file.sha256}/{file.metadata_sha256}.{file.filename}.metadata"
        ),
        "timestamp": ask(delivery, "/tuf/timestamp.json"),
    }
    page = PublishedPage.objects.filter(name=project).first()
    if page is not None:
        reads["target"] = ask(delivery, f"/tuf/targets/simple/{project}/{page.sha256}.index.json")
    return reads


def assert_absent(delivery: Delivery, file: File, *, project_is_listed: bool) -> None:
    reads = all_reads(delivery, file)
    for name in ("file", "file range", "file head", "metadata", "file target", "metadata target"):
        assert reads[name].status == 404, name
    for name, got in reads.items():
        assert file.filename.encode() not in got.body or got.status == 404, name
        assert file.sha256.encode() not in got.body, name
    if not project_is_listed:
        assert reads["json"].status == reads["html"].status == 404
        project = file.release.project.normalized_name
        assert project not in [entry["name"] for entry in json.loads(reads["list json"].body)["projects"]]
        assert f'href="{project}/"'.encode() not in reads["list html"].body


@pytest.mark.parametrize("state", UNLISTED_STATES)
def test_file_of_a_new_project_is_reachable_by_no_address(
    index: FoundedIndex, delivery: Delivery, state: FileState
) -> None:
    file = stored_file(index, "fresh", state=state)
    assert_absent(delivery, file, project_is_listed=False)


@pytest.mark.parametrize("state", UNLISTED_STATES)
def test_file_beside_a_published_one_is_reachable_by_no_address(
    index: FoundedIndex, delivery: Delivery, state: FileState
) -> None:
    other = published_file(index, "demo", "1.0")
    file = stored_file(index, "demo", "2.0", state=state)
    assert_absent(delivery, file, project_is_listed=True)
    assert ask(delivery, f"/files/{other.sha256}/{other.filename}").status == 200


@pytest.mark.parametrize("state", [state for state in UNLISTED_STATES if state != FileState.SCANNED])
def test_unlisted_file_stays_absent_after_the_next_snapshot(
    index: FoundedIndex, delivery: Delivery, state: FileState
) -> None:
    file = stored_file(index, "demo", "2.0", state=state)
    published_file(index, "demo", "1.0")
    delivery.snapshots.renew()
    assert_absent(delivery, file, project_is_listed=True)


def test_published_file_is_served_by_every_address(index: FoundedIndex, delivery: Delivery) -> None:
    file = published_file(index)
    reads = all_reads(delivery, file)
    assert {got.status for name, got in reads.items() if name != "file range"} == {200}
    assert reads["file range"].status == 206
    assert reads["metadata"].body == reads["metadata target"].body == METADATA
    assert reads["file target"].body == reads["file"].body
    assert reads["target"].body == reads["json"].body
    assert [entry["filename"] for entry in json.loads(reads["json"].body)["files"]] == [file.filename]


@pytest.mark.parametrize("after", [FileState.HELD, FileState.REMOVED])
def test_published_file_that_was_taken_back_is_gone_with_the_next_snapshot(
    index: FoundedIndex, delivery: Delivery, after: FileState
) -> None:
    file = published_file(index)
    assert all_reads(delivery, file)["file"].status == 200  # and now it is remembered
    transition(file.pk, after, actor="test", now=NOW)
    assert index.publisher().publish_due()
    delivery.snapshots.renew()
    assert_absent(delivery, file, project_is_listed=True)


def test_quarantined_project_serves_a_page_without_files(index: FoundedIndex, delivery: Delivery) -> None:
    file = published_file(index)
    assert all_reads(delivery, file)["metadata"].status == 200
    set_status(file.release.project, ProjectStatus.QUARANTINED, actor="test", reason="looked at")
    assert index.publisher().publish_due()
    delivery.snapshots.renew()
    assert_absent(delivery, file, project_is_listed=True)
    page = json.loads(all_reads(delivery, file)["json"].body)
    assert page["files"] == []
    assert page["project-status"]["status"] == "quarantined"


def test_known_hash_with_another_file_name_is_not_found(index: FoundedIndex, delivery: Delivery) -> None:
    file = published_file(index)
    other = published_file(index, "other")
    assert ask(delivery, f"/files/{file.sha256}/{other.filename}").status == 404
    assert ask(delivery, f"/files/{file.sha256}/{other.filename}.metadata").status == 404


def test_bytes_in_the_store_that_no_row_names_are_not_served(index: FoundedIndex, delivery: Delivery) -> None:
    file = stored_file(index, "fresh", state=FileState.HELD)
    page = f"pages/fresh/{'a' * 64}.json"
    index.store.put(page, [b"{}"], immutable=True)
    assert ask(delivery, f"/tuf/targets/simple/fresh/{'a' * 64}.index.json").status == 404
    assert ask(delivery, f"/files/{file.sha256}/{file.sha256}").status == 404


def test_uncommitted_metadata_is_not_served(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    committed = delivery.snapshots.generation.current.version
    assert ask(delivery, f"/tuf/{committed}.snapshot.json").status == 200
    index.store.put(f"tuf/{committed + 1}.snapshot.json", [b"{}"], immutable=True)
    index.store.put("tuf/2.root.json", [b"{}"], immutable=True)
    assert ask(delivery, f"/tuf/{committed + 1}.snapshot.json").status == 404
    assert ask(delivery, "/tuf/2.root.json").status == 404
    assert ask(delivery, "/tuf/1.root.json").body == index.root
    assert ask(delivery, f"/tuf/{committed}.timestamp.json").status == 404
    assert ask(delivery, "/tuf/1.nobody.json").status == 404


def test_superseded_page_is_served_by_its_hash_and_no_longer_as_the_page(
    index: FoundedIndex, delivery: Delivery
) -> None:
    published_file(index, "demo", "1.0")
    old = PublishedPage.objects.get(name="demo")
    body = ask(delivery, "/simple/demo/", accept="application/vnd.pypi.simple.v1+json").body
    published_file(index, "demo", "2.0")
    delivery.snapshots.renew()
    assert ask(delivery, f"/tuf/targets/simple/demo/{old.sha256}.index.json").body == body
    assert ask(delivery, "/simple/demo/", accept="application/vnd.pypi.simple.v1+json").body != body
    assert ask(delivery, f"/tuf/targets/simple/other/{old.sha256}.index.json").status == 404


def test_superseded_page_that_garbage_collection_took_is_not_found_while_its_row_is_still_there(
    index: FoundedIndex, delivery: Delivery
) -> None:
    published_file(index, "demo", "1.0")
    old = PublishedPage.objects.get(name="demo")
    published_file(index, "demo", "2.0")
    index.store.delete(page_key("demo", old.sha256))
    assert ask(delivery, f"/tuf/targets/simple/demo/{old.sha256}.index.json").status == 404


def test_current_page_that_the_store_has_lost_is_our_failure_and_no_absence(
    index: FoundedIndex, delivery: Delivery
) -> None:
    published_file(index, "demo", "1.0")
    page = PublishedPage.objects.get(name="demo")
    index.store.delete(page_key("demo", page.sha256))
    assert ask(delivery, f"/tuf/targets/simple/demo/{page.sha256}.index.json").status == 503


def test_file_target_of_another_hash_is_absent(index: FoundedIndex, delivery: Delivery) -> None:
    file = published_file(index)
    below = f"/tuf/targets/files/{file.sha256}"
    assert ask(delivery, f"{below}/{file.metadata_sha256}.{file.filename}").status == 404
    assert ask(delivery, f"{below}/{file.sha256}.{file.filename}.metadata").status == 404
    assert ask(delivery, f"/tuf/targets/files/{'0' * 64}/{file.sha256}.{file.filename}").status == 404
