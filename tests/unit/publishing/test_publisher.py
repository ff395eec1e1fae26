"""The publisher: journal in, signed snapshot out, as rows and as an unmodified TUF client sees it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from support.publishing import HOUR, Client, FoundedIndex, found_index, published_names
from support.rows import NOW, a_file, a_project, a_release
from wheelmark.errors import Unavailable
from wheelmark.server.projects.lifecycle import remove_release, set_status, transition, yank
from wheelmark.server.projects.models import File, JournalEntry, ProjectStatus
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import Attempt, PublishedFile, PublishedPage, Snapshot, SupersededPage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def index() -> FoundedIndex:
    return found_index()


def current() -> Snapshot:
    snapshot = Snapshot.current()
    assert snapshot is not None
    return snapshot


def test_new_index_proves_that_every_name_is_absent(index: FoundedIndex) -> None:
    assert index.client_sees("demo", "anything-else") == {"demo": None, "anything-else": None}


def test_scanned_file_is_published_and_seen_by_a_tuf_client(index: FoundedIndex) -> None:
    file = a_file("demo", "1.0")
    assert index.publisher().publish_due()
    assert index.client_sees("demo") == {"demo": [file.filename]}
    assert File.objects.get(pk=file.pk).state == FileState.PUBLISHED
    assert JournalEntry.objects.filter(action="file-published", filename=file.filename).count() == 1


def test_what_publishing_itself_writes_does_not_ask_for_another_snapshot(index: FoundedIndex) -> None:
    a_file("demo", "1.0")
    publisher = index.publisher()
    assert publisher.publish_due()
    assert not publisher.publish_due()
    assert not index.publisher().publish_due()


@pytest.mark.parametrize("state", sorted(set(FileState) - {FileState.SCANNED, FileState.PUBLISHED}))
def test_file_in_any_other_state_is_in_no_snapshot(index: FoundedIndex, state: FileState) -> None:
    a_file("demo", "1.0", state=state)
    assert not index.publisher().publish_due()
    assert published_names() == []
    assert not PublishedFile.objects.exists()


def test_held_file_beside_a_published_one_changes_nothing_that_strangers_see(index: FoundedIndex) -> None:
    first = a_file("demo", "1.0")
    index.publisher().publish_due()
    before = PublishedPage.objects.get(name="demo").sha256
    a_file("demo", "2.0", state=FileState.HELD)
    assert not index.publisher().publish_due()
    assert PublishedPage.objects.get(name="demo").sha256 == before
    assert index.client_sees("demo") == {"demo": [first.filename]}


def test_many_changes_share_one_snapshot(index: FoundedIndex) -> None:
    for number in range(30):
        a_file(f"project-{number}", "1.0")
    index.publisher().publish_due()
    assert current().version == 2
    assert current().projects == 30
    assert all(index.client_sees(f"project-{number}")[f"project-{number}"] for number in (0, 13, 29))


def test_removed_release_goes_with_the_next_snapshot_and_its_page_stays(index: FoundedIndex) -> None:
    file = a_file("demo", "1.0")
    kept = a_file("demo", "2.0")
    client = Client(index)
    index.publisher().publish_due()
    assert client.sees("demo") == {"demo": [file.filename, kept.filename]}
    remove_release(a_release("demo", "1.0"), actor="ada", reason="broken", now=NOW)
    index.publisher().publish_due()
    assert client.sees("demo") == {"demo": [kept.filename]}
    assert not PublishedFile.objects.filter(filename=file.filename).exists()
    assert SupersededPage.objects.filter(name="demo").count() == 1


def test_last_file_removed_leaves_an_empty_page_and_not_an_unknown_name(index: FoundedIndex) -> None:
    a_file("demo", "1.0")
    index.publisher().publish_due()
    remove_release(a_release("demo", "1.0"), actor="ada", reason="", now=NOW)
    index.publisher().publish_due()
    assert index.client_sees("demo") == {"demo": []}


def test_published_file_that_is_held_again_leaves_the_index(index: FoundedIndex) -> None:
    file = a_file("demo", "1.0")
    index.publisher().publish_due()
    transition(file.pk, FileState.HELD, actor="mod", now=NOW, reason="found by a new rule")
    index.publisher().publish_due()
    assert index.client_sees("demo") == {"demo": []}
    assert not PublishedFile.objects.exists()


def test_yank_and_its_reason_reach_the_signed_page(index: FoundedIndex) -> None:
    a_file("demo", "1.0")
    index.publisher().publish_due()
    yank(a_release("demo", "1.0"), yanked=True, reason="wrong licence", actor="ada")
    index.publisher().publish_due()
    page = PublishedPage.objects.get(name="demo")
    body = json.loads(index.store.read_all(f"pages/demo/{page.sha256}.json", max_bytes=10_000))
    assert [file["yanked"] for file in body["files"]] == ["wrong licence"]


def test_quarantined_project_lists_no_file_and_says_why(index: FoundedIndex) -> None:
    a_file("demo", "1.0")
    index.publisher().publish_due()
    set_status(a_project("demo"), ProjectStatus.QUARANTINED, actor="mod", reason="under review")
    index.publisher().publish_due()
    page = PublishedPage.objects.get(name="demo")
    body = json.loads(index.store.read_all(f"pages/demo/{page.sha256}.json", max_bytes=10_000))
    assert body["files"] == []
    assert body["project-status"] == {"status": "quarantined", "reason": "under review"}
    assert not PublishedFile.objects.exists()


def test_timestamp_is_signed_again_without_anyones_help(index: FoundedIndex) -> None:
    publisher = index.publisher()
    assert not publisher.publish_due()
    index.now += 2 * HOUR
    assert index.publisher().publish_due()
    assert (current().timestamp_version, current().version) == (2, 1)


def test_index_that_lives_on_for_a_year_never_expires_for_a_client(index: FoundedIndex) -> None:
    a_file("demo", "1.0")
    index.publisher().publish_due()
    client = Client(index)
    # Root is offline and lives a year: until then nobody but the publisher is needed.
    while index.now < NOW + timedelta(days=360):
        index.now += timedelta(days=3)
        while index.publisher().publish_due():
            pass
        assert client.sees("demo")["demo"]


def test_clock_set_back_neither_stops_publishing_nor_lowers_a_version(index: FoundedIndex) -> None:
    a_file("demo", "1.0")
    index.publisher().publish_due()
    before = current()
    client = Client(index)
    client.sees("demo")
    index.now -= timedelta(days=30)
    file = a_file("demo", "2.0")
    index.publisher().publish_due()
    assert current().version > before.version
    index.now += timedelta(days=30)
    assert file.filename in (client.sees("demo")["demo"] or [])


def test_publisher_that_lost_its_lock_commits_nothing(index: FoundedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("demo", "1.0")
    slow, quick = index.publisher(), index.publisher()
    write = slow._write

    def overtaken(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        assert quick.publish_due()

    monkeypatch.setattr(slow, "_write", overtaken)
    with pytest.raises(Unavailable) as caught:
        slow.publish_due()
    assert caught.value.code == "publisher-superseded"
    assert current().version == 3, "the one that took over burned the versions of the one that it found"
    assert not Attempt.objects.exists()
    assert index.client_sees("demo")["demo"]


def test_file_that_is_held_while_its_page_is_signed_is_not_published(
    index: FoundedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_file("demo", "1.0")
    publisher = index.publisher()
    write = publisher._write

    def held_meanwhile(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        transition(file.pk, FileState.HELD, actor="mod", now=NOW)

    monkeypatch.setattr(publisher, "_write", held_meanwhile)
    with pytest.raises(Unavailable) as caught:
        publisher.publish_due()
    assert caught.value.code == "snapshot-stale"
    assert current().version == 1
    monkeypatch.undo()
    publisher.publish_due()
    assert index.client_sees("demo") == {"demo": None}
