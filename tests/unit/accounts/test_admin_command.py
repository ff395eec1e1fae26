"""`wheelmark admin`, in this process and on the tests' database; `tests/e2e` runs it as a process of its own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.accounts import PASSWORD, a_person, basic, with_totp
from support.rows import NOW, a_file, a_project, a_release
from wheelmark.errors import Refused
from wheelmark.server.accounts.models import EventKind, SecurityEvent, User
from wheelmark.server.accounts.tokens import authenticate
from wheelmark.server.accounts.users import create_user as new_user
from wheelmark.server.commands import admin
from wheelmark.server.projects.models import JournalEntry, ProjectStatus
from wheelmark.server.projects.rules import FileState

pytestmark = pytest.mark.django_db

Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with `--json`; gives what it prints. Django is set up already."""
    monkeypatch.setattr(admin, "bootstrap_existing", lambda data: None)

    def run_command(*words: str, stdin: str = "", status: int = 0) -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        assert admin.main([*words, "--json"]) == status
        printed = capsys.readouterr()
        assert printed.err == ""
        return json.loads(printed.out)

    return run_command


def create_user(run: Run, name: str, *flags: str, password: str = PASSWORD, status: int = 0) -> Any:
    words = ["user", "create", name, "--email", f"{name.lower()}@example.org", "--password-stdin", *flags]
    return run(*words, stdin=f"{password}\n", status=status)


@pytest.mark.parametrize(
    ("flags", "role"), [([], "user"), (["--moderator"], "moderator"), (["--admin"], "administrator")]
)
def test_user_is_created_in_a_role_with_a_confirmed_address(run: Run, flags: list[str], role: str) -> None:
    created = create_user(run, "Una", *flags)
    assert (created["name"], created["role"], created["active"], created["second_factor"]) == ("una", role, True, False)
    user = User.objects.get(username="una")
    assert user.check_password(PASSWORD)
    assert user.emailaddress_set.get().verified  # type: ignore[attr-defined]  # allauth's rows have no types
    assert not user.is_superuser


def test_every_fault_of_a_new_user_is_named_and_the_password_is_not(run: Run) -> None:
    a_person("ada")
    words = ["user", "create", "ADA", "--email", "nowhere", "--password-stdin"]
    answer = run(*words, stdin="password1234\n", status=1)
    for text in ("expected a new name, got 'ada'", "expected an e-mail address, got 'nowhere'", "common password"):
        assert text in answer["message"]
    assert "password1234" not in answer["message"]
    assert User.objects.count() == 1


def test_address_that_is_taken_is_refused(run: Run) -> None:
    a_person("ada")
    words = ["user", "create", "eve", "--email", "ADA@example.org", "--password-stdin"]
    assert run(*words, stdin=PASSWORD, status=1)["error"] == "user-email-taken"


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 51, "аda"])
def test_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        new_user(name, email="x@example.org", password=PASSWORD, now=NOW)
    assert caught.value.code == "user-name"


def test_missing_password_is_refused(run: Run) -> None:
    assert create_user(run, "una", password="", status=1)["error"] == "password-missing"


def test_users_are_listed(run: Run) -> None:
    with_totp(a_person("ada"))
    a_person("ben")
    assert [(row["name"], row["second_factor"]) for row in run("user", "list")] == [("ada", True), ("ben", False)]


def test_role_is_given_and_taken_with_an_event(run: Run) -> None:
    user = a_person("ada")
    for role in ("moderator", "administrator", "user"):
        assert run("user", "role", "ada", role)["role"] == role
    details = SecurityEvent.objects.filter(user=user, kind=EventKind.ROLE_CHANGED).values_list("detail", flat=True)
    assert [detail["role"] for detail in details] == ["user", "administrator", "moderator"]
    assert {detail["by"] for detail in details} == {"operator"}


def test_user_is_disabled_and_enabled(run: Run) -> None:
    user = a_person("ada")
    assert run("user", "disable", "ada")["active"] is False
    assert run("user", "enable", "Ada")["active"] is True
    kinds = list(SecurityEvent.objects.filter(user=user).values_list("kind", flat=True))
    assert kinds == [EventKind.ENABLED, EventKind.DISABLED]


def test_new_password_is_checked_like_any_other(run: Run) -> None:
    user = a_person("ada")
    assert run("user", "password", "ada", "--password-stdin", stdin="short", status=1)["error"] == "user-password"
    run("user", "password", "ada", "--password-stdin", stdin="eleven-quiet-otters\n")
    user.refresh_from_db()
    assert user.check_password("eleven-quiet-otters")


def test_lost_second_factors_are_removed_with_an_event(run: Run) -> None:
    user = a_person("ada")
    with_totp(user)
    answer = run("user", "remove-second-factors", "ada")
    assert (answer["removed"], answer["second_factor"]) == (1, False)
    assert SecurityEvent.objects.get(user=user).detail == {"by": "operator", "type": "all"}


def test_token_is_created_listed_without_its_secret_and_revoked(run: Run) -> None:
    user = a_person("ada")
    created = run(
        "token", "create", "--user", "ada", "--project", "My.Project", "--expires", "30", "--description", "ci"
    )
    a_minute_later = datetime.fromisoformat(created["created_at"]) + timedelta(minutes=1)
    identity = authenticate(basic(created["token"]), now=a_minute_later)
    assert (identity.user, identity.token_id, identity.projects) == (user, created["id"], frozenset({"my-project"}))
    assert created["expires_at"] > created["created_at"]
    listed = run("token", "list", "--user", "ada")
    assert [row["id"] for row in listed] == [created["id"]]
    assert all("token" not in row for row in listed)
    assert run("token", "revoke", created["id"])["revoked_at"]
    with pytest.raises(Refused, match="revoked"):
        authenticate(basic(created["token"]), now=a_minute_later)


def test_token_without_project_and_expiry_is_account_wide_and_lasts(run: Run) -> None:
    a_person("ada")
    created = run("token", "create", "--user", "ada")
    assert (created["project"], created["expires_at"]) == (None, None)


def test_tokens_of_others_are_not_in_ones_list(run: Run) -> None:
    for name in ("ada", "ben"):
        a_person(name)
        run("token", "create", "--user", name)
    assert [row["user"] for row in run("token", "list", "--user", "ben")] == ["ben"]
    assert [row["user"] for row in run("token", "list")] == ["ada", "ben"]


@pytest.mark.parametrize("status", [status for status in ProjectStatus if status != "active"])
def test_project_status_is_set_with_a_journal_row(run: Run, status: ProjectStatus) -> None:
    project = a_project("demo")
    assert run("project", "status", "Demo", status, "--reason", "because")["status"] == status
    project.refresh_from_db()
    assert (project.status, project.status_reason) == (status, "because")
    entry = JournalEntry.objects.get(action=f"project-{status}")
    assert (entry.actor, entry.project, entry.detail["reason"]) == ("operator", "demo", "because")


@pytest.mark.parametrize(("decision", "state"), [("release", FileState.SCANNED), ("reject", FileState.REJECTED)])
def test_held_file_is_decided_with_a_journal_row(run: Run, decision: str, state: FileState) -> None:
    file = a_file(state=FileState.HELD)
    assert run("file", decision, file.filename, "--reason", "looked at it")["state"] == state
    file.refresh_from_db()
    assert file.state == state
    entry = JournalEntry.objects.get(action=f"file-{state}")
    assert (entry.actor, entry.detail["reason"]) == ("operator", "looked at it")


@pytest.mark.parametrize("state", [state for state in FileState if state is not FileState.HELD])
@pytest.mark.parametrize("decision", ["release", "reject"])
def test_file_that_is_not_held_is_not_decided(run: Run, decision: str, state: FileState) -> None:
    file = a_file(state=state)
    assert run("file", decision, file.filename, "--reason", "x", status=1)["error"] == "file-not-held"
    file.refresh_from_db()
    assert file.state == state


def test_files_in_a_state_are_listed(run: Run) -> None:
    held, published = a_file(version="1.0", state=FileState.HELD), a_file(version="2.0", state=FileState.PUBLISHED)
    assert [row["filename"] for row in run("file", "list")] == [held.filename]
    assert [row["filename"] for row in run("file", "list", "--state", "published")] == [published.filename]


def test_release_is_yanked_unyanked_and_removed(run: Run) -> None:
    file = a_file(version="1", state=FileState.PUBLISHED)
    assert run("release", "yank", "demo", "1.0", "--reason", "broken")["yanked"] is True
    assert a_release(version="1").yanked_reason == "broken"
    assert run("release", "unyank", "demo", "1.0")["yanked"] is False
    assert run("release", "remove", "demo", "1.0", "--reason", "leaked a key")["files_removed"] == 1
    file.refresh_from_db()
    assert file.state == FileState.REMOVED


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["token", "create", "--user", "nobody"], "user-unknown"),
        (["token", "create", "--user", "ada", "--project", "-"], "token-project"),
        (["token", "revoke", "not-an-id"], "token-unknown"),
        (["token", "revoke", "2c1f4a4e-0000-4000-8000-000000000000"], "token-unknown"),
        (["project", "status", "nothing", "archived", "--reason", "x"], "project-unknown"),
        (["file", "release", "nothing-1.0.tar.gz", "--reason", "x"], "file-unknown"),
        (["release", "yank", "nothing", "1.0", "--reason", "x"], "release-unknown"),
        (["user", "disable", "nobody"], "user-unknown"),
    ],
)
def test_what_is_not_there_has_its_code(run: Run, words: list[str], code: str) -> None:
    a_person("ada")
    assert run(*words, status=1)["error"] == code
    with pytest.raises(Refused) as caught:
        admin.main(words)
    assert caught.value.code == code


@pytest.mark.parametrize("days", ["0", "-1", "4000", "soon"])
def test_expiry_has_its_bounds(run: Run, days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        admin.main(["token", "create", "--user", "ada", "--expires", days])
    assert caught.value.code == 2
    assert "--expires" in capsys.readouterr().err
