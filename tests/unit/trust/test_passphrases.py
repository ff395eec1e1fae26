"""Passphrases: read from every source, bounded, and never shown."""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wheelmark.errors import Refused, Unavailable, WheelmarkError
from wheelmark.trust import add_passphrase_options, passphrase_from, passphrase_of, passphrases
from wheelmark.trust.passphrases import MAX_PASSPHRASE_BYTES

SECRET = "correct horse battery staple"


@pytest.fixture
def descriptor() -> Iterator[Callable[[bytes], int]]:
    """Makes a file descriptor that gives these bytes."""
    opened: list[int] = []

    def make(content: bytes) -> int:
        reader, writer = os.pipe()
        opened.append(reader)
        os.write(writer, content)
        os.close(writer)
        return reader

    yield make
    for reader in opened:
        os.close(reader)


def printing(text: str) -> str:
    return f"command:{sys.executable} -c \"import sys; sys.stdout.write('{text}')\""


@pytest.mark.parametrize("ending", ["", "\\n", "\\r\\n"])
def test_every_source_gives_the_value_without_its_line_ending(
    tmp_path: Path, descriptor: Callable[[bytes], int], ending: str
) -> None:
    content = SECRET.encode() + ending.encode().decode("unicode_escape").encode()
    path = tmp_path / "secret"
    path.write_bytes(content)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    for source in (f"file:{path}", f"fd:{descriptor(content)}", "credential:secret", printing(SECRET + ending)):
        assert passphrase_from(source, environ=environ)() == SECRET.encode(), source


def test_spaces_inside_and_around_belong_to_the_value(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"  two words \n\n")
    assert passphrase_from(f"file:{tmp_path / 'secret'}")() == b"  two words \n"


def test_descriptor_is_read_once_and_gives_the_same_value_again(descriptor: Callable[[bytes], int]) -> None:
    asked = passphrase_from(f"fd:{descriptor(SECRET.encode())}")
    assert asked() == asked() == SECRET.encode()


def test_command_is_started_without_a_shell_and_its_errors_pass_through(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "ask.py"
    script.write_text("import sys; print('for the operator', file=sys.stderr); print(sys.argv[1])")
    assert passphrase_from(f"command:{sys.executable} {script} '$HOME; x'")() == b"$HOME; x"
    assert capfd.readouterr().err == "for the operator\n"


def test_command_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"gave no passphrase within 0\.3 s"):
        passphrases._from_command([sys.executable, "-c", "import time; time.sleep(60)"], "passphrase", seconds=0.3)
    with pytest.raises(Unavailable, match=r"gave no passphrase within 0\.3 s"):
        closing = "import os, time; os.close(1); time.sleep(60)"
        passphrases._from_command([sys.executable, "-c", closing], "passphrase", seconds=0.3)
    assert time.monotonic() - began < 30


def test_endless_source_is_cut_off(descriptor: Callable[[bytes], int], tmp_path: Path) -> None:
    endless = f"command:{sys.executable} -c \"import sys\nwhile True: sys.stdout.write('x' * 1000)\""
    for source in (endless, "file:/dev/zero", f"fd:{descriptor(b'x' * (MAX_PASSPHRASE_BYTES + 1))}"):
        with pytest.raises(Unavailable, match=r"at most 4,096 bytes, got more") as failure:
            passphrase_from(source)()
        assert failure.value.code == "passphrase-long"
    longest = tmp_path / "longest"
    longest.write_bytes(b"x" * MAX_PASSPHRASE_BYTES + b"\r\n")
    assert passphrase_from(f"file:{longest}")() == b"x" * MAX_PASSPHRASE_BYTES


def test_empty_source_is_no_passphrase(descriptor: Callable[[bytes], int]) -> None:
    newline = b"\n"
    for source in ("file:/dev/null", f"fd:{descriptor(newline)}", printing("")):
        with pytest.raises(Unavailable, match="got nothing") as failure:
            passphrase_from(source)()
        assert failure.value.code == "passphrase-empty"


@pytest.mark.parametrize(
    "source", ["file:/no/such/file", "fd:987654", "credential:none", "command:/no/such/program", "command:false"]
)
def test_source_that_is_away_may_be_tried_again(source: str) -> None:
    with pytest.raises(Unavailable) as failure:
        passphrase_from(source, environ={})()
    assert failure.value.code == "passphrase-unreadable"


@pytest.mark.parametrize("source", [SECRET, f"secret:{SECRET}", f"env:{SECRET}", "file:", "fd:", "command:", ""])
def test_what_is_no_source_is_refused_and_not_shown(source: str) -> None:
    with pytest.raises(Refused, match="expected a place to read it from") as refusal:
        passphrase_from(source)
    assert refusal.value.code == "passphrase-source"
    assert "horse" not in str(refusal.value)


@pytest.mark.parametrize("source", ["fd:x", "fd:-1", "credential:../x", "command:'", "command:  "])
def test_malformed_source_is_refused(source: str) -> None:
    with pytest.raises(Refused):
        passphrase_from(source, environ={"CREDENTIALS_DIRECTORY": "/"})()


def test_no_value_is_in_an_error_or_in_what_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text(SECRET * 1_000)
    failing = f"command:{sys.executable} -c \"print('{SECRET}'); raise SystemExit(3)\""
    for source in (f"file:{path}", failing):
        asked = passphrase_from(source)
        with pytest.raises(WheelmarkError) as failure:
            asked()
        assert "horse" not in str(failure.value)
        assert failure.value.__cause__ is None
        assert "horse" not in repr(asked)


class TestPrompt:
    @pytest.fixture
    def typed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What the person at the terminal types, line by line."""
        lines: list[str] = []
        monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
        monkeypatch.setattr("getpass.getpass", lambda prompt: lines.pop(0))
        return lines

    def test_what_is_typed_is_the_value(self, typed: list[str]) -> None:
        typed += [SECRET]
        assert passphrase_from("prompt:")() == SECRET.encode()

    def test_new_passphrase_is_typed_twice(self, typed: list[str]) -> None:
        typed += [SECRET, SECRET, SECRET, "other"]
        asked = passphrase_from("prompt:", confirm=True)
        assert asked() == SECRET.encode()
        with pytest.raises(Unavailable, match="the same passphrase twice"):
            asked()

    def test_without_a_terminal_nothing_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(SECRET))
        with pytest.raises(Unavailable, match="--passphrase-fd") as failure:
            passphrase_from("prompt:")()
        assert failure.value.code == "passphrase-terminal"


def test_options_of_a_command_name_the_source(descriptor: Callable[[bytes], int], tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_passphrase_options(parser)
    assert passphrase_of(parser.parse_args(["--passphrase-fd", str(descriptor(b"a"))]))() == b"a"
    (tmp_path / "b").write_bytes(b"b")
    assert passphrase_of(parser.parse_args(["--passphrase-from", f"file:{tmp_path / 'b'}"]))() == b"b"
    with pytest.raises(SystemExit):
        parser.parse_args(["--passphrase-fd", "3", "--passphrase-from", "prompt:"])
