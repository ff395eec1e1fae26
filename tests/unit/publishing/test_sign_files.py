"""Strict PEP 458 mode: files and their core metadata are targets as long as a page lists them, and not longer."""

from __future__ import annotations

import pytest

from support.publishing import Client, FoundedIndex, found_index, published_names
from support.rows import NOW, a_file, a_project, a_release
from wheelmark.errors import Refused, Unavailable
from wheelmark.server.projects.lifecycle import remove_release, set_status, transition
from wheelmark.server.projects.models import File, ProjectStatus
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import FileTarget, Repository, Snapshot
from wheelmark.store import MemoryStore
from wheelmark.trust import metadata

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def index() -> FoundedIndex:
    index = found_index()
    index.sign_files = True
    return index


def targets(file: File) -> dict[str, tuple[int, str] | None]:
    """What a client should find of a wheel."""
    path = f"files/{file.sha256}/{file.filename}"
    return {path: (file.size, file.sha256), f"{path}.metadata": (file.metadata_size, file.metadata_sha256)}


def absent(*files: File) -> dict[str, tuple[int, str] | None]:
    return dict.fromkeys(path for file in files for path in targets(file))


def publish(index: FoundedIndex) -> None:
    """Publish with one publisher that remembers, until nothing is left."""
    publisher = index.publisher()
    while publisher.publish_due():
        pass


def test_wheel_and_its_metadata_are_targets(index: FoundedIndex) -> None:
    file = a_file("demo", "1.0")
    publish(index)
    client = Client(index)
    assert client.finds(*targets(file)) == targets(file)
    assert client.sees("demo") == {"demo": [file.filename]}


def test_sdist_is_a_target_and_has_no_metadata_that_is_one(index: FoundedIndex) -> None:
    file = a_file("demo", "1.0", kind="sdist")
    publish(index)
    path, metadata = targets(file)
    assert Client(index).finds(path, metadata) == {path: (file.size, file.sha256), metadata: None}


def test_files_are_no_targets_unless_it_is_asked_for(index: FoundedIndex) -> None:
    index.sign_files = False
    file = a_file("demo", "1.0")
    publish(index)
    assert Client(index).finds(*targets(file)) == absent(file)
    assert not FileTarget.objects.exists()


@pytest.mark.parametrize("way", ["removed", "held", "quarantined"])
def test_file_that_leaves_its_page_is_no_target_any_more(index: FoundedIndex, way: str) -> None:
    file, kept = a_file("demo", "1.0"), a_file("other", "1.0")
    client, publisher = Client(index), index.publisher()
    while publisher.publish_due():
        pass
    assert client.finds(*targets(file)) == targets(file)
    match way:
        case "removed":
            remove_release(a_release("demo", "1.0"), actor="ada", reason="", now=NOW)
        case "held":
            transition(file.pk, FileState.HELD, actor="mod", now=NOW)
        case _:
            set_status(a_project("demo"), ProjectStatus.QUARANTINED, actor="mod")
    assert publisher.publish_due()
    assert client.finds(*targets(file), *targets(kept)) == absent(file) | targets(kept)
    # And by the rows alone, too: what a publisher that remembers nothing would sign.
    a_file("demo", "2.0", state=FileState.HELD)
    transition(kept.pk, FileState.HELD, actor="mod", now=NOW)
    publish(index)
    assert client.finds(*targets(file), *targets(kept)) == absent(file, kept)


def test_publisher_that_remembers_signs_what_one_without_memory_would(index: FoundedIndex) -> None:
    files = [a_file(f"project-{number}", "1.0") for number in range(20)]
    publisher = index.publisher()
    while publisher.publish_due():
        pass
    more = [a_file(f"project-{number}", "2.0") for number in range(0, 20, 3)]
    assert publisher.publish_due()
    expected = {path: found for file in (*files, *more) for path, found in targets(file).items()}
    assert Client(index).finds(*expected) == expected
    assert len(published_names()) == 20
    publish(index)
    assert Client(index).finds(*expected) == expected


def test_switched_on_and_off_later_all_at_once(index: FoundedIndex) -> None:
    index.sign_files = False
    files = [a_file(f"project-{number}", "1.0") for number in range(12)]
    publish(index)
    client = Client(index)
    expected = {path: found for file in files for path, found in targets(file).items()}
    assert client.finds(*expected) == absent(*files)
    index.sign_files = True
    before = Snapshot.objects.count()
    publish(index)
    assert Snapshot.objects.count() == before + 1
    assert Repository.objects.get().signs_files
    assert client.finds(*expected) == expected
    assert client.sees("project-3") == {"project-3": [files[3].filename]}
    index.sign_files = False
    publish(index)
    assert client.finds(*expected) == absent(*files)
    assert client.sees("project-3") == {"project-3": [files[3].filename]}
    assert not FileTarget.objects.exists()


def test_switch_that_dies_leaves_the_previous_snapshot_and_is_made_up_for() -> None:
    class Away(MemoryStore):
        away = False

        def put_many(self, *arguments: object, **keywords: object) -> None:
            if self.away:
                raise Unavailable("the store is away", code="store-unavailable")
            super().put_many(*arguments, **keywords)  # type: ignore[arg-type]

    store = Away()
    index = found_index(store)
    file = a_file("demo", "1.0")
    publish(index)
    client = Client(index)
    index.sign_files, store.away = True, True
    publisher = index.publisher()
    with pytest.raises(Unavailable):
        publisher.publish_due()
    assert client.finds(*targets(file)) == absent(file)
    assert not Repository.objects.get().signs_files
    store.away = False
    assert publisher.publish_due()
    assert client.finds(*targets(file)) == targets(file)


def test_files_that_a_switch_finds_waiting_are_published_after_it(index: FoundedIndex) -> None:
    index.sign_files = False
    a_file("demo", "1.0")
    publish(index)
    file = a_file("demo", "2.0")
    index.sign_files = True
    publish(index)
    assert Client(index).finds(*targets(file)) == targets(file)


def test_bin_that_clients_would_not_read_is_refused_and_nothing_changes(
    index: FoundedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.sign_files = False
    files = [a_file(f"project-{number}", "1.0") for number in range(12)]
    publish(index)
    client = Client(index)
    monkeypatch.setattr(metadata, "MAX_BIN_BYTES", 900)
    index.sign_files = True
    with pytest.raises(Refused, match="expected at most 900 bytes") as refusal:
        index.publisher().publish_due()
    assert refusal.value.code == "bin-too-large"
    assert client.finds(*targets(files[0])) == absent(files[0])
    assert client.sees("project-3") == {"project-3": [files[3].filename]}
