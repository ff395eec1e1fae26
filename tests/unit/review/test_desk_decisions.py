"""Decisions at the desk: written with the change of state, reversible, and never over somebody else's head."""

from __future__ import annotations

import pytest
from django.test import Client

from support.jobs import waiting_jobs
from support.publishing import FoundedIndex
from support.rows import NOW, a_file
from support.web import a_scan, client_of, held_file, logged_in_user, published
from wheelmark.errors import Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.projects.models import File, JournalEntry, Project, ProjectStatus
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import PublishedFile
from wheelmark.server.review import desk, queries
from wheelmark.server.review.models import Decision

pytestmark = pytest.mark.django_db


@pytest.fixture
def moderator() -> User:
    return logged_in_user("mod", is_moderator=True)


def seen(file: File) -> str:
    view = queries.case_view(file.pk)
    assert view is not None
    return queries.seen_token(view)


def post(client: Client, file: File, action: str, reason: str = "looked at it", token: str | None = None) -> int:
    fields = {"action": action, "reason": reason, "seen": seen(file) if token is None else token}
    return client.post(f"/review/files/{file.pk}/decide", fields).status_code


def state(file: File) -> FileState:
    return FileState(File.objects.values_list("state", flat=True).get(pk=file.pk))


def test_release_lists_the_file_with_the_next_snapshot(index: FoundedIndex, moderator: User) -> None:
    file = held_file()
    assert post(client_of(moderator), file, "release", "a false alarm") == 302
    assert state(file) == FileState.SCANNED
    decision = Decision.objects.get()
    assert (decision.action, decision.reason, decision.moderator) == ("release", "a false alarm", moderator)
    entry = JournalEntry.objects.get(action="file-scanned")
    assert (entry.actor, entry.detail["reason"], entry.detail["decision"]) == ("mod", "a false alarm", decision.pk)
    assert index.publisher().publish_due()
    assert PublishedFile.objects.filter(filename=file.filename).exists()


def test_every_step_can_be_taken_back(index: FoundedIndex, moderator: User) -> None:
    file = held_file()
    client = client_of(moderator)
    assert post(client, file, "reject") == 302
    assert state(file) == FileState.REJECTED
    assert post(client, file, "hold", "too hasty") == 302
    assert state(file) == FileState.HELD
    assert post(client, file, "release") == 302
    assert post(client, file, "hold") == 302
    assert state(file) == FileState.HELD
    assert [decision.action for decision in Decision.objects.all()] == ["hold", "release", "hold", "reject"]


def test_hold_takes_a_published_file_off_the_index(index: FoundedIndex, moderator: User) -> None:
    file = published(index)
    assert post(client_of(moderator), file, "hold", "reported") == 302
    assert index.publisher().publish_due()
    assert not PublishedFile.objects.exists()


def test_rescan_needs_no_reason_and_asks_for_a_scan_in_the_same_transaction(
    index: FoundedIndex, moderator: User
) -> None:
    file = held_file()
    File.objects.filter(pk=file.pk).update(scan_attempts=3)
    assert post(client_of(moderator), file, "rescan", "") == 302
    assert state(file) == FileState.VALIDATED
    assert File.objects.get(pk=file.pk).scan_attempts == 0
    assert waiting_jobs() == [[file.pk]]


@pytest.mark.parametrize("action", ["release", "reject", "hold"])
def test_a_decision_without_a_reason_is_refused_and_the_page_says_so(
    index: FoundedIndex, moderator: User, action: str
) -> None:
    file = held_file()
    response = client_of(moderator).post(
        f"/review/files/{file.pk}/decide", {"action": action, "reason": "  ", "seen": seen(file)}
    )
    assert response.status_code == 400
    assert "expected a reason" in response.content.decode()
    assert state(file) == FileState.HELD
    assert not Decision.objects.exists()


def test_second_moderator_sees_who_decided_and_changes_nothing(index: FoundedIndex, moderator: User) -> None:
    file = held_file()
    token = seen(file)
    other = client_of(logged_in_user("nora", is_moderator=True))
    assert post(client_of(moderator), file, "reject", "steals tokens", token) == 302
    response = other.post(
        f"/review/files/{file.pk}/decide", {"action": "release", "reason": "looks fine", "seen": token}
    )
    assert response.status_code == 409
    page = response.content.decode()
    assert "mod chose reject meanwhile: steals tokens" in page
    assert 'value="looks fine"' in page
    assert state(file) == FileState.REJECTED
    assert Decision.objects.count() == 1


def test_a_scan_that_ended_meanwhile_asks_to_look_again(index: FoundedIndex, moderator: User) -> None:
    file = held_file(verdict="incomplete")
    token = seen(file)
    a_scan(file, verdict="malicious")
    assert post(client_of(moderator), file, "release", token=token) == 409
    assert state(file) == FileState.HELD


@pytest.mark.parametrize("token", ["", "x", "0", "1.1", "0.0", "-1.-1"])
def test_a_form_that_does_not_say_what_was_seen_decides_nothing(
    index: FoundedIndex, moderator: User, token: str
) -> None:
    file = held_file()
    assert post(client_of(moderator), file, "release", token=token) == 409
    assert state(file) == FileState.HELD


@pytest.mark.parametrize("action", ["", "publish", "removed", "RELEASE"])
def test_unknown_step_is_refused(index: FoundedIndex, moderator: User, action: str) -> None:
    file = held_file()
    assert post(client_of(moderator), file, action) == 400
    assert state(file) == FileState.HELD


ALLOWED = {
    "release": {FileState.HELD},
    "reject": {FileState.HELD},
    "rescan": {FileState.HELD},
    "hold": {FileState.VALIDATED, FileState.SCANNED, FileState.PUBLISHED, FileState.REJECTED},
}


@pytest.mark.parametrize("before", list(FileState))
@pytest.mark.parametrize("action", list(desk.STEPS))
def test_each_step_is_for_its_states_alone(db: None, moderator: User, action: str, before: FileState) -> None:
    file = a_file("demo", "1.0", state=before)
    if before in ALLOWED[action]:
        desk.decide(file.pk, action, moderator=moderator, reason="r", seen="0.0", now=NOW)
        assert state(file) == desk.STEPS[action].target
    else:
        with pytest.raises(Refused) as caught:
            desk.decide(file.pk, action, moderator=moderator, reason="r", seen="0.0", now=NOW)
        assert caught.value.code == "not-allowed"
        assert state(file) == before
        assert not Decision.objects.exists()


@pytest.mark.parametrize("who", ["anonymous", "user", "owner"])
def test_the_desk_is_for_moderators(index: FoundedIndex, who: str) -> None:
    file = held_file()
    user = None if who == "anonymous" else logged_in_user("ada" if who == "owner" else "eve")
    client = client_of(user)
    for address in ("/review/", "/review/?show=decided", f"/review/files/{file.pk}/", "/review/files/999/",
                    "/review/projects/demo/quarantine", "/review/projects/nothing/quarantine"):  # fmt: skip
        response = client.get(address)
        assert response.status_code == (302 if who == "anonymous" else 403), address
        assert file.filename not in response.content.decode()
    assert post(client, file, "release") == 403
    assert client.post("/review/projects/demo/quarantine", {"reason": "r"}).status_code == 403
    assert state(file) == FileState.HELD
    assert Project.objects.get().status == ProjectStatus.ACTIVE


def test_a_moderator_without_the_demanded_second_factor_is_sent_to_get_one(
    index: FoundedIndex, moderator: User, settings: object, config: object
) -> None:
    from wheelmark.server.config import Config

    assert isinstance(config, Config)
    settings.CONFIG = Config(data=config.data, public_url="https://index.example")  # type: ignore[attr-defined]  # any name goes
    file = held_file()
    response = client_of(moderator).get("/review/")
    assert response.status_code == 403
    assert "Add a second factor" in response.content.decode()
    assert post(client_of(moderator), file, "release") == 403
    assert state(file) == FileState.HELD


def test_quarantine_and_lift_give_the_project_back_as_it_was(index: FoundedIndex, moderator: User) -> None:
    published(index)
    Project.objects.update(status=ProjectStatus.DEPRECATED)
    client = client_of(moderator)
    page = client.get("/review/projects/demo/quarantine").content.decode()
    assert "Off the index with the next snapshot, in about a second: 1 file." in page
    assert client.post("/review/projects/demo/quarantine", {"lift": "0", "reason": ""}).status_code == 400
    assert client.post("/review/projects/demo/quarantine", {"lift": "0", "reason": "stolen"}).status_code == 302
    assert Project.objects.get().status == ProjectStatus.QUARANTINED
    assert index.publisher().publish_due()
    assert not PublishedFile.objects.exists()
    assert client.post("/review/projects/demo/quarantine", {"lift": "0", "reason": "again"}).status_code == 403
    assert client.post("/review/projects/demo/quarantine", {"lift": "1"}).status_code == 302
    assert Project.objects.get().status == ProjectStatus.DEPRECATED
    assert index.publisher().publish_due()
    assert PublishedFile.objects.exists()
    assert client.post("/review/projects/demo/quarantine", {"lift": "1"}).status_code == 403


def test_an_unknown_file_is_not_found(index: FoundedIndex, moderator: User) -> None:
    client = client_of(moderator)
    assert client.get("/review/files/12345/").status_code == 404
    assert client.post("/review/files/12345/decide", {"action": "release", "reason": "r"}).status_code == 404
    assert client.get("/review/projects/nothing/quarantine").status_code == 404
