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
    for words in (["migrate", "--verbosity=0"], ["createcachetable"]):
        subprocess.run([sys.executable, "-m", "django", *words], check=True, env=environ, timeout=120)
    run_in(data, "user", "create", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
    return data


@pytest.fixture
def run(folder: Path) -> Run:
    return lambda *arguments, stdin="": run_in(folder, *arguments, stdin=stdin)


def answer(result: subprocess.CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_token_made_by_one_process_is_read_by_another(run: Run) -> None:
    created = answer(run("token", "create", "--user", "ada", "--json"))
    assert created["token"].startswith("wheelmark-")
    listed = run("token", "list", "--user", "ada", "--json")
    assert created["token"] not in listed.stdout
    assert [row["id"] for row in answer(listed)] == [created["id"]]


def test_password_comes_from_standard_input_and_from_nowhere_else(run: Run) -> None:
    assert run("user", "create", "eve", "--email", "eve@example.org").returncode == 2
    assert answer(
        run("user", "create", "eve", "--email", "eve@example.org", "--password-stdin", "--json", stdin=PASSWORD)
    )


def test_refusal_is_one_line_or_json_and_never_a_traceback(run: Run) -> None:
    plain = run("user", "disable", "nobody")
    assert (plain.returncode, plain.stdout) == (1, "")
    assert plain.stderr.startswith("wheelmark: user: expected a user of this index, got 'nobody'")
    assert plain.stderr.count("\n") == 1
    result = run("user", "disable", "nobody", "--json")
    assert (result.returncode, result.stderr) == (1, "")
    assert json.loads(result.stdout)["error"] == "user-unknown"


def test_folder_without_an_index_is_told_how_to_start_one_and_stays_empty(tmp_path: Path) -> None:
    result = run_in(tmp_path / "nowhere", "user", "list")
    assert result.returncode == 1
    assert "wheelmark serve --data" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_text_form_says_the_same(run: Run) -> None:
    assert "ada" in run("user", "list").stdout
