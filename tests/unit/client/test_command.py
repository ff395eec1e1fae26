"""What the commands take from their arguments and the environment, before anything runs."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from wheelmark.client import command
from wheelmark.client.anchor import RootChoice
from wheelmark.client.command import _ask, _options, _parser, _split, _wait, main_pip, main_proxy, main_uv

INDEX = "https://index.example.org/simple/"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WHEELMARK_INDEX", "WHEELMARK_ROOT", "WHEELMARK_STATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("argv", "own"),
    [
        (["install", "demo"], 0),
        (["--index", INDEX, "install", "demo"], 2),
        ([f"--index={INDEX}", "--trust-on-first-use", "install", "--index", "x"], 2),
        (["--index", INDEX, "--no-deps", "--root", "x"], 2),
        (["--help"], 1),
        (["install", "--help"], 0),
        (["--index", INDEX, "--help"], 2),
        ([], 0),
        (["--index"], 2),
    ],
)
def test_own_options_end_at_the_first_other_word(argv: list[str], own: int) -> None:
    assert _split(argv) == (argv[:own], argv[own:])


def test_index_and_root_come_from_the_environment_when_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELMARK_INDEX", INDEX)
    monkeypatch.setenv("WHEELMARK_ROOT", "root.json")
    monkeypatch.setenv("WHEELMARK_STATE", "state")
    options = _options(_parser("pip", "x"), [])
    assert (options.index, options.root, options.directory) == (
        INDEX,
        RootChoice(file=Path("root.json")),
        Path("state"),
    )
    other = _options(_parser("pip", "x"), ["--index", "https://other.example/simple/", "--root", "b", "--state", "c"])
    assert (other.index, other.root.file, other.directory) == ("https://other.example/simple/", Path("b"), Path("c"))


def test_fingerprint_given_outweighs_a_root_file_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELMARK_ROOT", "root.json")
    options = _options(_parser("pip", "x"), ["--index", INDEX, "--root-fingerprint", "ab"])
    assert options.root == RootChoice(fingerprint="ab")


@pytest.mark.parametrize(
    "argv", [[], ["--index"], ["--index", INDEX, "--port", "x"], ["--index", INDEX, "--port", "65536"]]
)
@pytest.mark.parametrize("main", [main_pip, main_uv, main_proxy])
def test_wrong_usage_ends_with_2_and_says_what_was_expected(
    main: command.Main, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "expected" in capsys.readouterr().err


@pytest.mark.parametrize("main", [main_pip, main_uv, main_proxy])
def test_address_that_is_none_is_refused_with_3(main: command.Main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--index", "ftp://index.example.org/"]) == 3
    assert capsys.readouterr().err.startswith("wheelmark: refused: index: expected an address like ")


def test_missing_root_file_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_pip(["--index", INDEX, "--root", str(tmp_path / "none"), "list"]) == 1
    assert capsys.readouterr().err.startswith("wheelmark: unavailable: cannot read the trusted root")


@pytest.mark.parametrize(
    ("typed", "yes"), [("yes\n", True), ("YES \n", True), ("y\n", False), ("\n", False), ("", False)]
)
def test_only_a_whole_yes_is_one(
    typed: str, yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert _ask(INDEX, "ab" * 32) is yes
    assert "abababab abababab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "status"), [("pass", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 143)]
)
def test_status_of_the_installer_is_passed_through(code: str, status: int) -> None:
    assert _wait(subprocess.Popen([sys.executable, "-c", code])) == status


def test_commands_listen_without_importing_python_tuf_or_django() -> None:
    # Both take longer to import than the proxy may take to start.
    code = (
        "import sys; import wheelmark.client.command\n"
        "print([name for name in ('tuf', 'securesystemslib', 'django', 'zstandard') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
