"""The ceremony's runbook, followed word for word: every console block, by the person it speaks to, at a terminal."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.server import RunningIndex
from support.terminal import Seen, on_terminal
from wheelmark.trust import choose_bit_length
from wheelmark.trust.holders import grouped

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "hold-a-ceremony.md"
STICK = "/media/stick"
INDEX, HOLDER, SIGNER, QUICK = (
    "on the machine of the index",
    "each holder, here Ann",
    "each holder who signs, here Ann",
    "on the machine of the index, from the quick start",
)


@dataclass(frozen=True)
class Block:
    """One console block of the page: whom it speaks to, and what they type."""

    whom: str
    commands: tuple[str, ...]


def blocks() -> list[Block]:
    found = re.findall(r"```console\n# (.*)\n((?:\$ .*\n)+)```", PAGE.read_text(encoding="utf-8"))
    return [Block(whom, tuple(line[2:] for line in lines.splitlines())) for whom, lines in found]


class Ceremony:
    """Four machines and a stick that goes around between them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for name in ("index", "stick", "ann", "bo", "cy"):
            (base / name).mkdir()
        tools = base / "tools"
        tools.mkdir()
        (tools / "wheelmark").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m wheelmark.cli "$@"\n')
        (tools / "wheelmark").chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WHEELMARK_", "DJANGO_"))}
        self.environment = kept | {"PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": "200"}

    @property
    def stick(self) -> Path:
        return self.base / "stick"

    def follow(self, block: Block, who: str) -> str:
        """Do what a block says, as this person, on their machine."""
        seen = ""
        for command in block.commands:
            seen += self.type(command.replace("ann", who) if who in {"bo", "cy"} else command, who)
        return seen

    def type(self, command: str, who: str) -> str:
        words = [word.replace(STICK, str(self.stick)) for word in shlex.split(command)]
        answers = {
            "passphrase of the key:": f"the words of {who}",
            "passphrase of the key again:": f"the words of {who}",
            "Type its first four groups:": self.read_aloud(),
        }
        done: Seen = on_terminal(words, cwd=self.base / who, env=self.environment, answers=answers)
        assert done.status == 0, f"{who}: {command}\n{done.output}"
        return done.output

    def read_aloud(self) -> str:
        """What another holder reads from the ceremony on the stick."""
        path = self.stick / "ceremony.json"
        return grouped(json.loads(path.read_bytes())["fingerprint"])[:19] if path.exists() else ""


@pytest.fixture
def ceremony(tmp_path: Path) -> Iterator[Ceremony]:
    yield Ceremony(tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_page_has_the_blocks_that_are_followed_here() -> None:
    assert [block.whom for block in blocks()] == [INDEX, HOLDER, INDEX, SIGNER, INDEX, QUICK, QUICK]


@pytest.mark.slow
def test_number_of_bins_is_chosen_as_the_page_says(ceremony: Ceremony) -> None:
    _, key, begin, *_ = blocks()
    [setting] = re.findall(r"```console\n((?:\$ .*\n)+)```", PAGE.read_text(encoding="utf-8"))
    for command in re.findall(r"\$ (.*)", setting):
        subprocess.run(command, shell=True, check=True, cwd=ceremony.base / "index")
    for who in ("ann", "bo", "cy"):
        ceremony.follow(key, who)
    assert f"{2 ** choose_bit_length(100_000):,} bins" in ceremony.follow(begin, "index")
    assert choose_bit_length(100_000) > choose_bit_length(1_000)


@pytest.mark.slow
def test_open_ceremony_is_a_file_for_holders_when_the_other_is_lost(ceremony: Ceremony) -> None:
    _, key, begin, signing, *_ = blocks()
    for who in ("ann", "bo", "cy"):
        ceremony.follow(key, who)
    ceremony.follow(begin, "index")
    ceremony.follow(signing, "ann")
    ceremony.type(f"wheelmark trust ceremony import {STICK}/ann-signs.json", "index")
    shutil.copy(ceremony.base / "index" / "data" / "ceremony" / "open.json", ceremony.stick / "ceremony.json")
    ceremony.follow(signing, "bo")
    assert "Ready" in ceremony.type(f"wheelmark trust ceremony import {STICK}/bo-signs.json", "index")


@pytest.mark.slow
def test_runbook_founds_an_index_that_serves(ceremony: Ceremony) -> None:
    rehearsal, key, begin, signing, end, *_ = blocks()
    assert "The rehearsal went well" in ceremony.follow(rehearsal, "index")
    keys = {}
    for who in ("ann", "bo", "cy"):
        said = ceremony.follow(key, who)
        keys[who] = re.search(r"Fingerprint +([0-9a-f ]{9})", said)
    summary = ceremony.follow(begin, "index")
    for found in keys.values():
        assert found is not None
        assert found[1] in summary, "the keys of the summary are those that were read aloud"
    for who in ("ann", "bo"):
        assert "waits for" in ceremony.follow(signing, who)
    assert "In force: root 1" in ceremony.follow(end, "index")
    with RunningIndex(ceremony.base / "index" / "data") as running:
        root = json.loads(running.root)["signed"]["roles"]["root"]
        assert (root["threshold"], len(root["keyids"])) == (2, 3)
        assert json.loads(running.command("trust", "status", "--json").stdout)["advice"] == []
        assert not (running.data / "offline-keys-move-me-away").exists()


@pytest.mark.slow
def test_runbook_hands_the_quick_start_over_while_it_runs(ceremony: Ceremony) -> None:
    _, key, _, signing, _, begin, end = blocks()
    with RunningIndex(ceremony.base / "index" / "data") as running:
        for who in ("ann", "bo", "cy"):
            ceremony.follow(key, who)
        ceremony.follow(begin, "index")
        for who in ("bo", "cy"):
            ceremony.follow(signing, who)
        assert "In force: root 2" in ceremony.follow(end, "index")
        root = json.loads(running.get("/tuf/2.root.json").data)["signed"]["roles"]["root"]
        assert (root["threshold"], len(root["keyids"])) == (2, 3)
