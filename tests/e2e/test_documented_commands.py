"""Every `wheelmark` command that the documentation shows exists, with every option that it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from wheelmark.cli import COMMANDS
from wheelmark.scan.command import SUBCOMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OF_INSTALLERS = {"pip", "uv"}


def shown() -> list[tuple[str, str]]:
    """Page and command of each `wheelmark …` in a console block or a shell pipeline of one."""
    found = []
    for page in PAGES:
        if page.name == "command-line.md":
            continue  # generated from the help texts themselves
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            joined = re.sub(r"\\\n\s*", "", block)  # a command over several lines
            for line in re.findall(r"^\$ (.*)$", joined, re.MULTILINE):
                found += [(page.name, part) for part in re.findall(r"\bwheelmark +[a-z][^|)#]*", line)]
    return found


@cache
def help_of(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "wheelmark.cli", *words, "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"wheelmark {' '.join(words)} --help: {done.stderr}"
    return done.stdout


def subcommand(words: list[str]) -> list[str]:
    """The words that name a command, without its arguments."""
    if words[0] == "scan":
        return words[:2] if len(words) > 1 and words[1] in SUBCOMMANDS else words[:1]
    if words[0] not in {"admin", "trust"}:
        return words[:1]
    length = 3 if words[0] == "admin" or words[1] in {"ceremony", "key", "rotate"} else 2
    return words[:length]


def test_documentation_shows_commands() -> None:
    assert len(shown()) >= 12


@pytest.mark.parametrize(
    ("page", "command"), shown(), ids=[f"{page}: {command[:60].strip()}" for page, command in shown()]
)
def test_command_of_the_documentation_exists_with_its_options(page: str, command: str) -> None:
    words = shlex.split(command)[1:]
    assert words[0] in COMMANDS, f"{page} shows a command that does not exist: {command}"
    name = subcommand(words)
    text = help_of(*name)
    for word in words[len(name) :]:
        if name[0] in OF_INSTALLERS and not word.startswith("--") and word in {"install", "pip"}:
            break  # from here on the words are the installer's
        if word == "--":
            break  # and after this, another program's
        if word.startswith("--"):
            assert word.partition("=")[0] in text, (
                f"{page} shows {word}, which `wheelmark {' '.join(name)}` does not know"
            )
