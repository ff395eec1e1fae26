"""Provenance (PEP 740) as a program under `wheelmark run` and `wheelmark proxy` sees it: where we answer, verified.

The index is a hand-made one: a running `wheelmark serve` publishes no provenance yet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.client import installed_versions, new_environment, run_wheelmark
from support.front import Front
from support.repository import IndexServer, SignedRepository, flipped
from wheelmark.simple import SimpleFile

PROVENANCE = b'{"version":1,"attestation_bundles":[]}'
# What a tool that looks at attestations does: read the page, follow the address in it.
READER = """\
import json, sys, urllib.request
asked = urllib.request.Request(sys.argv[1], headers={"Accept": "application/vnd.pypi.simple.v1+json"})
[file] = json.load(urllib.request.urlopen(asked, timeout=30))["files"]
print(json.dumps([file["provenance"], urllib.request.urlopen(file["provenance"], timeout=30).read().decode()]))
"""


@dataclass
class Setup:
    server: IndexServer
    front: Front
    file: SimpleFile
    root: Path
    state: Path

    def verified(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command, *rest = arguments
        own = ["--index", self.front.url, "--root", str(self.root)]
        return run_wheelmark(command, *own, *rest, state=self.state, cwd=self.root.parent, **self.front.trusting)


@pytest.fixture(params=["http", "https"])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    repository = SignedRepository()
    file = repository.add_wheel("demo", provenance=PROVENANCE)
    repository.publish()
    root = tmp_path / "root.json"
    root.write_bytes(repository.root_bytes)
    with ExitStack() as stack:
        server = stack.enter_context(IndexServer(repository))
        front = stack.enter_context(Front(server.origin, tmp_path if request.param == "https" else None))
        yield Setup(server, front, file, root, tmp_path / "state")


def test_program_reads_verified_provenance_at_the_indexs_own_address(setup: Setup) -> None:
    run = setup.verified("run", "--", sys.executable, "-c", READER, f"{setup.front.url}demo/")
    assert run.returncode == 0, run
    beside = f"{setup.front.url.removesuffix('simple/')}files/{setup.file.sha256}/{setup.file.filename}.provenance"
    assert json.loads(run.stdout) == [beside, PROVENANCE.decode()]


def test_changed_provenance_is_never_seen_and_ends_the_run(setup: Setup) -> None:
    setup.server.hostile = lambda path, true: flipped(true) if true and path.endswith(".provenance") else None
    run = setup.verified("run", "--", sys.executable, "-c", READER, f"{setup.front.url}demo/")
    assert run.returncode == 3, run
    assert run.stdout == ""
    assert f"wheelmark: refused: {setup.file.filename}: expected provenance with sha256" in run.stderr


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_installers_take_a_page_that_names_provenance(setup: Setup, installer: str, tmp_path: Path) -> None:
    python = new_environment(tmp_path / "venv")
    into = ["--python", str(python), "install"] if installer == "pip" else ["pip", "install", "--python", str(python)]
    run = setup.verified(installer, *into, "demo")
    assert run.returncode == 0, run
    assert installed_versions(python, "demo") == {"demo": "1.0"}
