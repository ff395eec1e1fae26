"""What the commands take from their arguments and the environment, before anything runs."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import SignedRepository
from wheelmark.client import command
from wheelmark.client.command import _wait, main_pip, main_run, main_uv
from wheelmark.client.indexes import ask_person
from wheelmark.client.service import main as main_proxy

INDEX = "https://index.example.org/simple/"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WHEELMARK_INDEX", "WHEELMARK_ROOT", "WHEELMARK_STATE", "WHEELMARK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")


@pytest.mark.parametrize(
    "argv", [[], ["--index"], ["--index", INDEX, "--port", "x"], ["--index", INDEX, "--port", "65536"]]
)
@pytest.mark.parametrize("main", [main_run, main_pip, main_uv, main_proxy])
def test_wrong_usage_ends_with_2_and_says_what_was_expected(
    main: command.Main, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "expected" in capsys.readouterr().err


@pytest.mark.parametrize("main", [main_run, main_pip, main_uv, main_proxy])
def test_address_that_is_none_is_refused_with_3(main: command.Main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--index", "ftp://index.example.org/", *(["--", "true"] if main is main_run else [])]) == 3
    assert capsys.readouterr().err.startswith("wheelmark: refused: index: expected an address like ")


def test_missing_root_file_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_pip(["--index", INDEX, "--root", str(tmp_path / "none"), "list"]) == 1
    assert capsys.readouterr().err.startswith("wheelmark: unavailable: cannot read the trusted root")


@pytest.mark.parametrize(
    ("typed", "yes"),
    [
        *[("yes\n", True), ("YES \n", True), ("y\nyes\n", True), ("\nwhat\nyes\n", True)],
        *[("no\nyes\n", False), ("y\n", False), ("y\ny\ny\nyes\n", False), ("\n", False), ("", False)],
    ],
)
def test_only_a_whole_yes_is_one(
    typed: str, yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert ask_person(INDEX, "ab" * 32) is yes
    assert "abababab abababab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "status"), [("pass", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 143)]
)
def test_status_of_the_installer_is_passed_through(code: str, status: int) -> None:
    assert _wait(subprocess.Popen([sys.executable, "-c", code])) == status


LISTENING = {"wheelmark", "packaging", "orjson"}
VERIFYING = LISTENING | {"tuf", "securesystemslib", "cryptography", "urllib3", "filelock"}
# Parts of cryptography, and a decompressor that urllib3 takes where there is one.
PERHAPS = {"_cffi_backend", "_openssl", "backports"}
OPEN_A_VERIFIER = """
from pathlib import Path
from wheelmark.client.options import options, parser
from wheelmark.client.indexes import verified_indexes
given = options(parser("proxy", "", "", tunnels=False), sys.argv[1:])
[index] = verified_indexes(given)
index.source.verifier()
"""


def imported(code: str, *arguments: str) -> set[str]:
    """The top-level modules, besides the standard library's, that a new process has after this code."""
    code = (
        "import sys; before = set(sys.modules)\n"  # what the environment itself starts, as an editable install does
        f"{code}\nprint(*(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()} - sys.stdlib_module_names


@pytest.mark.parametrize("module", ["command", "service"])
def test_commands_listen_before_they_import_what_takes_long(module: str) -> None:
    # python-tuf and urllib3 take longer to import than all the rest.
    assert imported(f"import wheelmark.client.{module}") == LISTENING


def test_verifier_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    (tmp_path / "root.json").write_bytes(SignedRepository().root_bytes)
    options = ["--index", INDEX, "--root", str(tmp_path / "root.json"), "--state", str(tmp_path)]
    # An installed boto3 alone would double the start of the proxy.
    assert imported(OPEN_A_VERIFIER, *options) - PERHAPS == VERIFYING


def test_run_without_a_command_or_with_one_that_is_not_there_starts_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main_run(["--index", INDEX, "--"])
    assert caught.value.code == 2
    assert main_run(["--index", INDEX, "--", "no-such-program-here"]) == 3
    assert "no-such-program-here: expected a program on the PATH, got none" in capsys.readouterr().err
