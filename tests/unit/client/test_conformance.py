"""The command line that the TUF project's conformance suite drives (the suite itself: `make conformance SUITE=…`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import Answer, IndexServer, SignedRepository
from wheelmark.client.conformance import main

PAGE = "simple/demo/index.json"


@pytest.fixture
def repository() -> SignedRepository:
    made = SignedRepository()
    made.add_wheel("demo")
    made.publish()
    return made


def begun(repository: SignedRepository, folder: Path) -> Path:
    """The metadata folder after `init`."""
    directory = folder / "metadata"
    directory.mkdir()
    root = folder / "initial_root.json"
    root.write_bytes(repository.root_bytes)
    assert main(["--metadata-dir", str(directory), "init", str(root)]) == 0
    return directory


def download(server: IndexServer, directory: Path, folder: Path, name: str) -> int:
    """The exit status of one download."""
    options = ["--metadata-dir", str(directory), "--metadata-url", f"{server.origin}/tuf", "--target-name", name]
    targets = ["--target-base-url", f"{server.origin}/tuf/targets", "--target-dir", str(folder)]
    return main([*options, *targets, "download"])


def test_folder_holds_each_role_as_the_repository_has_it(repository: SignedRepository, tmp_path: Path) -> None:
    directory = begun(repository, tmp_path)
    with IndexServer(repository) as server:
        assert refresh(server, directory) == 0
    held = {path.name: path.read_bytes() for path in directory.glob("*.json")}
    assert held["timestamp.json"] == repository.objects["/tuf/timestamp.json"]
    assert set(held) == {"root.json", "timestamp.json", "snapshot.json", "targets.json"}


def refresh(server: IndexServer, directory: Path) -> int:
    """The exit status of one refresh."""
    return main(["--metadata-dir", str(directory), "--metadata-url", f"{server.origin}/tuf/", "refresh"])


def test_refresh_without_a_timestamp_fails_though_the_memory_is_fresh(
    repository: SignedRepository, tmp_path: Path
) -> None:
    directory = begun(repository, tmp_path)
    with IndexServer(repository) as server:
        assert refresh(server, directory) == 0
        server.hostile = lambda path, _: Answer(404) if path.endswith("/timestamp.json") else None
        assert refresh(server, directory) == 1


def test_target_is_downloaded_once_and_verified(repository: SignedRepository, tmp_path: Path) -> None:
    directory = begun(repository, tmp_path)
    with IndexServer(repository) as server:
        assert download(server, directory, tmp_path, PAGE) == 0
        server.hostile = lambda path, _: b"something else" if "/targets/" in path else None
        assert download(server, directory, tmp_path, PAGE) == 0
        [held] = tmp_path.glob("simple*")
        assert held.read_bytes() == repository.pages["demo"]
        held.unlink()
        assert download(server, directory, tmp_path, PAGE) == 1
    assert list(tmp_path.glob("simple*")) == []


def test_unknown_target_is_a_failure(repository: SignedRepository, tmp_path: Path) -> None:
    directory = begun(repository, tmp_path)
    with IndexServer(repository) as server:
        assert download(server, directory, tmp_path, "simple/nothing/index.json") == 1


def test_no_backend_of_a_signer_is_imported(tmp_path: Path) -> None:
    (tmp_path / "boto3.py").write_text("print('imported')\n", encoding="utf-8")
    (tmp_path / "hvac.py").write_text("print('imported')\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", "import wheelmark.client.conformance, hvac"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "imported\n", "once, by us, when everything else had been imported"
