"""Manage pages: who may, what is said before, what is true afterwards."""

from __future__ import annotations

import pytest
from django.test import Client

from support.accounts import PASSWORD, a_person
from support.publishing import FoundedIndex
from support.rows import a_file, a_project
from support.web import a_maintainer, client_of, held_file, logged_in_user, published
from wheelmark.server.accounts.rules import Role as AccountRole
from wheelmark.server.projects.models import Collaborator, File, JournalEntry, Project, ProjectStatus, Release, Role
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import PublishedFile

pytestmark = pytest.mark.django_db

WHEEL = "demo-1.0-py3-none-any.whl"
PAGES = {
    "/manage/demo/": {"maintainer", "owner", "moderator", "administrator"},
    "/manage/demo/releases/1.0/yank": {"maintainer", "owner"},
    "/manage/demo/releases/1.0/remove": {"owner", "administrator"},
    f"/manage/demo/files/{WHEEL}/remove": {"owner", "administrator"},
    "/manage/demo/status": {"owner", "administrator"},
    "/manage/demo/collaborators": {"owner", "administrator"},
    "/manage/demo/collaborators/ada": {"owner", "administrator"},
}
CHANGES: dict[str, dict[str, str]] = {
    "/manage/demo/releases/1.0/yank": {"yanked": "1", "reason": "r"},
    "/manage/demo/releases/1.0/remove": {"reason": "r"},
    f"/manage/demo/files/{WHEEL}/remove": {"reason": "r"},
    "/manage/demo/status": {"status": "archived", "reason": "r"},
    "/manage/demo/collaborators": {"user": "eve", "role": "owner"},
    "/manage/demo/collaborators/ada": {},
}


def somebody(role: str) -> Client:
    match role:
        case "maintainer" | "owner":
            return client_of(a_maintainer(role, role=Role(role)))
        case "moderator":
            return client_of(logged_in_user("mod", is_moderator=True))
        case "administrator":
            return client_of(logged_in_user("root", is_administrator=True))
        case "stranger":
            return client_of(logged_in_user("eve"))
        case _:
            return client_of()


def state_of_everything() -> tuple[object, ...]:
    return (
        list(File.objects.values_list("filename", "state")),
        list(Release.objects.values_list("version", "is_yanked", "yanked_reason")),
        list(Project.objects.values_list("normalized_name", "status")),
        list(Collaborator.objects.values_list("user__username", "role")),
        JournalEntry.objects.count(),
    )


@pytest.mark.parametrize("role", ["anonymous", "stranger", "maintainer", "moderator", "owner", "administrator"])
def test_each_page_is_for_the_roles_of_the_table(index: FoundedIndex, role: str) -> None:
    published(index)
    client = somebody(role)
    for address, roles in PAGES.items():
        expected = 200 if role in roles else 302 if role == "anonymous" else 403
        response = client.get(address)
        assert response.status_code == expected, (address, role)
        if expected == 302:
            assert response["Location"].startswith("/account/login/?next=/manage/")


@pytest.mark.parametrize("role", ["anonymous", "stranger", "maintainer", "moderator"])
def test_who_may_not_changes_nothing_by_posting(index: FoundedIndex, role: str) -> None:
    published(index)
    logged_in_user("eve")
    client = somebody(role)
    before = state_of_everything()
    for address, fields in CHANGES.items():
        if role in PAGES[address]:
            continue
        assert client.post(address, fields).status_code == 403, address
        assert state_of_everything() == before


def test_a_project_that_a_stranger_may_not_know_of_is_not_found(index: FoundedIndex) -> None:
    a_file("ghost", "1.0", state=FileState.HELD)
    for role in ("anonymous", "stranger"):
        client = somebody(role)
        for address in PAGES:
            assert client.get(address.replace("demo", "ghost")).status_code == 404
            assert client.get(address.replace("demo", "no-such-project")).status_code == 404


def test_forms_without_a_token_are_refused(index: FoundedIndex) -> None:
    published(index)
    client = Client(enforce_csrf_checks=True)
    client.force_login(a_maintainer("owner", role=Role.OWNER))
    before = state_of_everything()
    for address, fields in CHANGES.items():
        assert client.post(address, fields).status_code == 403
    assert state_of_everything() == before


def test_yank_and_back_go_live_with_the_next_snapshot(index: FoundedIndex) -> None:
    published(index)
    client = somebody("maintainer")
    assert "locked installs go on working" in client.get("/manage/demo/releases/1.0/yank").content.decode()
    client.post("/manage/demo/releases/1.0/yank", {"yanked": "1", "reason": "broken wheel"})
    release = Release.objects.get(version="1.0")
    assert release.is_yanked
    assert release.yanked_reason == "broken wheel"
    assert index.publisher().publish_due()
    assert "Take back the yank" in client.get("/manage/demo/releases/1.0/yank").content.decode()
    client.post("/manage/demo/releases/1.0/yank", {"yanked": "0"})
    assert not Release.objects.get(version="1.0").is_yanked
    assert list(JournalEntry.objects.filter(version="1.0", actor="maintainer").values_list("action", flat=True)) == [
        "release-yanked",
        "release-unyanked",
    ]


def test_removal_names_its_consequences_and_leaves_the_index(index: FoundedIndex) -> None:
    published(index)
    a_file("demo", "1.0", kind="sdist", state=FileState.HELD)
    client = somebody("owner")
    page = client.get("/manage/demo/releases/1.0/remove").content.decode()
    assert "1 file leaves the index with the next snapshot" in page
    assert "Installs that are locked to 1.0 will fail." in page
    assert "1 file that no snapshot lists will never be published." in page
    assert "can never be used again" in page
    assert "Remove 2 files" in page
    assert File.objects.exclude(state=FileState.REMOVED).count() == 2
    assert client.post("/manage/demo/releases/1.0/remove", {"reason": "leaked"}).status_code == 302
    assert set(File.objects.values_list("state", flat=True)) == {FileState.REMOVED}
    assert index.publisher().publish_due()
    assert not PublishedFile.objects.exists()
    assert "no files that could be removed" in client.get("/manage/demo/releases/1.0/remove").content.decode()


def test_one_file_can_be_removed_and_a_second_time_is_refused(index: FoundedIndex) -> None:
    published(index)
    client = somebody("owner")
    assert client.post(f"/manage/demo/files/{WHEEL}/remove", {}).status_code == 302
    assert File.objects.get().state == FileState.REMOVED
    response = client.post(f"/manage/demo/files/{WHEEL}/remove", {})
    assert response.status_code == 403
    assert "already out of the index for good" in response.content.decode()


def test_a_file_is_found_only_below_its_own_project(index: FoundedIndex) -> None:
    published(index)
    a_project("other", owner="owner")
    client = client_of(logged_in_user("owner"))
    assert client.get(f"/manage/other/files/{WHEEL}/remove").status_code == 404
    assert client.post(f"/manage/other/files/{WHEEL}/remove").status_code == 404


@pytest.mark.parametrize("status", ["archived", "deprecated", "active"])
def test_owner_changes_the_status(index: FoundedIndex, status: str) -> None:
    published(index)
    client = somebody("owner")
    assert client.post("/manage/demo/status", {"status": status, "reason": "done"}).status_code == 302
    project = Project.objects.get()
    assert (project.status, project.status_reason) == (status, "done")


@pytest.mark.parametrize("status", ["quarantined", "", "gone"])
def test_owner_sets_no_other_status(index: FoundedIndex, status: str) -> None:
    published(index)
    response = somebody("owner").post("/manage/demo/status", {"status": status})
    assert response.status_code == 400
    assert "expected one of active, archived, deprecated" in response.content.decode()
    assert Project.objects.get().status == ProjectStatus.ACTIVE


def test_owner_of_a_quarantined_project_changes_nothing(index: FoundedIndex) -> None:
    published(index)
    client = somebody("owner")
    logged_in_user("eve")
    Project.objects.update(status=ProjectStatus.QUARANTINED)
    before = state_of_everything()
    for address, fields in CHANGES.items():
        assert client.post(address, fields).status_code == 403, address
    assert state_of_everything() == before


def test_collaborators_come_change_and_go(index: FoundedIndex) -> None:
    published(index)
    logged_in_user("eve")
    client = somebody("owner")
    client.post("/manage/demo/collaborators", {"user": " EVE ", "role": "maintainer"})
    assert Collaborator.objects.get(user__username="eve").role == Role.MAINTAINER
    client.post("/manage/demo/collaborators", {"user": "eve", "role": "owner"})
    assert Collaborator.objects.get(user__username="eve").role == Role.OWNER
    client.post("/manage/demo/collaborators", {"user": "eve", "role": "owner"})
    client.post("/manage/demo/collaborators/eve", {})
    assert not Collaborator.objects.filter(user__username="eve").exists()
    assert list(JournalEntry.objects.filter(action__startswith="coll").values_list("action", "detail__role")) == [
        ("collaborator-added", "maintainer"),
        ("collaborator-changed", "owner"),
        ("collaborator-removed", None),
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"user": "nobody", "role": "owner"}, "expected a user of this index"),
        ({"user": "", "role": "owner"}, "expected a user of this index"),
        ({"user": "eve", "role": "king"}, "expected owner or maintainer"),
        ({"user": "gone", "role": "owner"}, "expected a user of this index"),
        ({"user": "owner", "role": "maintainer"}, "expected an owner who stays"),
    ],
)
def test_what_cannot_be_a_collaborator_is_said_in_the_form(
    index: FoundedIndex, fields: dict[str, str], why: str
) -> None:
    published(index)
    logged_in_user("eve")
    logged_in_user("gone", is_active=False)
    client = somebody("owner")
    Collaborator.objects.filter(user__username="ada").delete()
    response = client.post("/manage/demo/collaborators", fields)
    assert response.status_code == 400
    assert why in response.content.decode()
    assert list(Collaborator.objects.values_list("user__username", "role")) == [("owner", "owner")]


def test_last_owner_cannot_leave_and_a_maintainer_can(index: FoundedIndex) -> None:
    published(index)
    maintainer = somebody("maintainer")
    owner = somebody("owner")
    Collaborator.objects.filter(user__username="ada").delete()
    response = owner.post("/manage/demo/collaborators/owner", {})
    assert response.status_code == 400
    assert "name another first" in response.content.decode()
    assert maintainer.post("/manage/demo/collaborators/maintainer", {}).status_code == 302
    assert maintainer.get("/manage/demo/").status_code == 403
    assert list(Collaborator.objects.values_list("user__username", flat=True)) == ["owner"]


def test_a_disabled_owner_does_not_count_as_one(index: FoundedIndex) -> None:
    published(index)
    owner = somebody("owner")
    Collaborator.objects.get(user__username="ada").user.__class__.objects.filter(username="ada").update(is_active=False)
    assert owner.post("/manage/demo/collaborators/owner", {}).status_code == 400


def test_what_cannot_be_undone_asks_for_the_password_again(index: FoundedIndex) -> None:
    published(index)
    a_person("owner", role=AccountRole.OWNER)
    client = Client()
    assert client.post("/account/login/", {"login": "owner", "password": PASSWORD}).status_code == 302
    session = client.session
    session["account_authentication_methods"] = [
        {**method, "at": 0.0} for method in session["account_authentication_methods"]
    ]
    session.save()
    before = state_of_everything()
    for address in (
        "/manage/demo/releases/1.0/remove",
        f"/manage/demo/files/{WHEEL}/remove",
        "/manage/demo/collaborators",
        "/manage/demo/collaborators/ada",
    ):
        response = client.post(address, CHANGES[address])
        assert response.status_code == 302
        assert "reauthenticate" in response["Location"]
    assert state_of_everything() == before
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    assert client.post("/manage/demo/releases/1.0/remove", {"reason": "r"})["Location"] == "/manage/demo/"
    assert File.objects.get().state == FileState.REMOVED


def test_overview_lists_my_projects_and_an_empty_one_says_how_to_begin(index: FoundedIndex) -> None:
    published(index)
    assert "/manage/demo/" in somebody("owner").get("/manage/").content.decode()
    page = somebody("stranger").get("/manage/").content.decode()
    assert "/manage/demo/" not in page
    assert "twine upload --repository-url" in page
    assert somebody("anonymous").get("/manage/")["Location"].startswith("/account/login/")


def test_manage_page_shows_what_is_held_and_why(index: FoundedIndex) -> None:
    published(index)
    file = held_file()
    File.objects.filter(pk=file.pk).update(state_reason="malicious: decode-then-exec")
    page = somebody("maintainer").get("/manage/demo/").content.decode()
    assert file.filename in page
    assert "malicious: decode-then-exec" in page
    assert "by ada" in page
