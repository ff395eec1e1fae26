"""`wheelmark admin`, run as the operator runs it: a process of its own on a data folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "nine-grey-herons-wade"

Run = Callable[..., subprocess.CompletedProcess[str]]


def run_in(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WHEELMARK_", "DJANGO_"))}
    command = [sys.executable, "-m", "wheelmark.cli", "admin", *arguments, "--data", str(folder)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, env=environ, timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a database and a secret key, as the first start leaves them."""
    data = tmp_path_factory.mktemp("data")
    (data / "secrets").mkdir()
    (data / "secrets" / "django").write_text("a-secret-key-that-stays-the-same-between-two-processes", encoding="ascii")
    environ = {**os.environ, "WHEELMARK_DATA": str(data), "DJANGO_SETTINGS_MODULE": "wheelmark.server.settings"}
    for words in (["migrate", "--verbosity=0", "--skip-checks"], ["createcachetable"]):
        subprocess.run([sys.executable, "-m", "django", *words], check=True, env=environ, timeout=120)
    run_in(data, "user", "create", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
    return data


@pytest.fixture
def run(folder: Path) -> Run:
    return lambda *arguments, stdin="": run_in(folder, *arguments, stdin=stdin)


def answer(result: subprocess.CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_users_are_created_in_every_role_and_listed(run: Run) -> None:
    cases = (("una", [], "user"), ("mo", ["--moderator"], "moderator"), ("al", ["--admin"], "administrator"))
    for name, flags, role in cases:
        words = ["user", "create", name, "--email", f"{name}@example.org", "--password-stdin", *flags, "--json"]
        created = answer(run(*words, stdin=f"{PASSWORD}\n"))
        assert (created["name"], created["role"]) == (name, role)
        assert (created["active"], created["second_factor"]) == (True, False)
    assert {"ada", "una", "mo", "al"} <= {row["name"] for row in answer(run("user", "list", "--json"))}


def test_every_fault_of_a_new_user_is_named_at_once(run: Run) -> None:
    words = ["user", "create", "ADA", "--email", "nowhere", "--password-stdin"]
    result = run(*words, stdin="password1234")
    assert result.returncode == 1
    for text in ("expected a new name, got 'ada'", "expected an e-mail address, got 'nowhere'", "common password"):
        assert text in result.stderr
    assert "password1234" not in result.stderr
    assert "Traceback" not in result.stderr


def test_password_comes_from_standard_input_and_from_nowhere_else(run: Run) -> None:
    assert run("user", "create", "eve", "--email", "eve@example.org").returncode == 2
    result = run("user", "create", "eve", "--email", "eve@example.org", "--password-stdin", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["error"] == "password-missing"


def test_token_is_created_listed_without_its_secret_and_revoked(run: Run) -> None:
    words = [
        "token",
        "create",
        "--user",
        "ada",
        "--project",
        "My.Project",
        "--expires",
        "30",
        "--description",
        "ci",
        "--json",
    ]
    created = answer(run(*words))
    assert created["token"].startswith("wheelmark-")
    assert (created["project"], created["description"], created["revoked_at"]) == ("my-project", "ci", None)
    assert created["expires_at"] > created["created_at"]
    listed = run("token", "list", "--user", "ada", "--json")
    assert created["token"] not in listed.stdout
    assert created["id"] in {row["id"] for row in answer(listed)}
    assert answer(run("token", "revoke", created["id"], "--json"))["revoked_at"]


def test_token_without_project_and_expiry_is_account_wide_and_lasts(run: Run) -> None:
    created = answer(run("token", "create", "--user", "ada", "--json"))
    assert (created["project"], created["expires_at"]) == (None, None)


def test_user_is_disabled_and_enabled_and_changes_role(run: Run) -> None:
    assert answer(run("user", "disable", "ada", "--json"))["active"] is False
    assert answer(run("user", "enable", "ada", "--json"))["active"] is True
    assert answer(run("user", "role", "ada", "moderator", "--json"))["role"] == "moderator"
    assert answer(run("user", "role", "ada", "user", "--json"))["role"] == "user"


def test_new_password_is_checked_like_any_other(run: Run) -> None:
    assert run("user", "password", "ada", "--password-stdin", stdin="short").returncode == 1
    assert run("user", "password", "ada", "--password-stdin", stdin="eleven-quiet-otters").returncode == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["token", "create", "--user", "nobody"], "user-unknown"),
        (["token", "create", "--user", "ada", "--project", "-"], "token-project"),
        (["token", "revoke", "not-an-id"], "token-unknown"),
        (["token", "revoke", "2c1f4a4e-0000-4000-8000-000000000000"], "token-unknown"),
        (["project", "status", "nothing", "archived", "--reason", "x"], "project-unknown"),
        (["file", "release", "nothing-1.0.tar.gz", "--reason", "x"], "file-unknown"),
        (["user", "disable", "nobody"], "user-unknown"),
    ],
)
def test_what_is_not_there_is_said_in_one_line_or_in_json(run: Run, words: list[str], code: str) -> None:
    plain = run(*words)
    assert (plain.returncode, plain.stdout) == (1, "")
    assert plain.stderr.startswith("wheelmark: ")
    assert plain.stderr.count("\n") == 1
    result = run(*words, "--json")
    assert (result.returncode, result.stderr) == (1, "")
    assert json.loads(result.stdout)["error"] == code


def test_folder_without_an_index_is_told_how_to_start_one_and_stays_empty(tmp_path: Path) -> None:
    result = run_in(tmp_path / "nowhere", "user", "list")
    assert result.returncode == 1
    assert "wheelmark serve --data" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_text_form_says_the_same(run: Run) -> None:
    result = run("token", "create", "--user", "ada")
    assert result.returncode == 0
    assert "wheelmark-" in result.stdout
    assert "ada" in run("user", "list").stdout
