"""`wheelmark run --tunnel`: one host that is no index is reached as it is, and nobody else."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.attack_suite.ways import Run
from support.client import run_wheelmark
from support.repository import IndexServer, SignedRepository
from support.tls import HOST, Identity

LARGE = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(100_000))  # 3.2 MB

_FETCH = """
import hashlib, sys, urllib.request
for url in sys.argv[1:]:
    print(hashlib.sha256(urllib.request.urlopen(url).read()).hexdigest())
"""


@dataclass
class Setup:
    """A verified index, and two servers of strangers that speak https."""

    index: IndexServer
    wanted: IndexServer
    other: IndexServer
    directory: Path
    trusting: dict[str, str]

    def fetch(self, *words: str, urls: tuple[str, ...]) -> tuple[Run, str]:
        """Under `wheelmark run` with the options `words`, a program asks for these; what it printed."""
        root = self.directory / "root.json"
        own = ["--index", self.index.index_url, "--root", str(root), *words]
        command = ["run", *own, "--", sys.executable, "-c", _FETCH, *urls]
        ran = run_wheelmark(*command, state=self.directory / "state", cwd=None, **self.trusting)
        return Run.of(ran.returncode, ran.stderr), ran.stdout


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    repository, identity = SignedRepository(), Identity(tmp_path / "tls")
    repository.add_wheel("demo")
    repository.publish()
    (tmp_path / "root.json").write_bytes(repository.root_bytes)
    strangers = SignedRepository()
    strangers.objects = {"/large": LARGE}
    with (
        IndexServer(repository) as index,
        IndexServer(strangers, identity=identity) as wanted,
        IndexServer(strangers, identity=identity) as other,
    ):
        yield Setup(index, wanted, other, tmp_path, identity.trusting)


def test_what_the_host_sends_arrives_and_the_index_is_still_verified(setup: Setup) -> None:
    port = setup.wanted.origin.rpartition(":")[2]
    page = f"{setup.index.index_url}demo/"
    urls = (f"{setup.wanted.origin}/large", page)
    run, printed = setup.fetch("--tunnel", f"{HOST}:{port}", urls=urls)
    assert (run.status, run.lines) == (0, ()), run
    assert printed.split()[0] == hashlib.sha256(LARGE).hexdigest()
    assert setup.wanted.requests == ["/large"]
    assert "/simple/demo/" not in setup.index.requests  # the page was answered by us, from what is signed
    assert "/tuf/timestamp.json" in setup.index.requests


def test_another_port_of_the_host_is_refused(setup: Setup) -> None:
    port = setup.wanted.origin.rpartition(":")[2]
    run, printed = setup.fetch("--tunnel", f"{HOST}:{port}", urls=(f"{setup.other.origin}/large",))
    assert (run.status, printed) == (3, ""), run
    assert "expected requests to the verified index only, got CONNECT 'localhost:" in run.lines[0]
    assert setup.other.requests == []


def test_host_that_was_not_named_is_refused(setup: Setup) -> None:
    run, printed = setup.fetch(urls=(f"{setup.wanted.origin}/large",))
    assert (run.status, printed) == (3, ""), run
    assert setup.wanted.requests == []


def test_host_that_is_named_and_not_there_is_the_programs_own_failure(setup: Setup) -> None:
    run, printed = setup.fetch("--tunnel", f"{HOST}:9", urls=(f"https://{HOST}:9/large",))
    assert (run.status, run.lines, printed) == (1, (), ""), run
