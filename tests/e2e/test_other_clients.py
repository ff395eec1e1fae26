"""Clients that know nothing of us read a running index: python-tuf's with all its defaults, and tuf-js (JavaScript)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.client import a_wheel, clean_environment
from support.repository import IndexServer, SignedRepository
from support.server import SIMPLE_JSON, RunningIndex

TUF_JS = "tuf-js@3.1.0"  # runs on the node of Debian 12, too
SCRIPT = Path(__file__).resolve().parents[1] / "support" / "read_target.js"
FILENAME = "demo-1.0-py3-none-any.whl"
PAGE = "simple/demo/index.json"
ABSENT = "simple/nothing-here/index.json"

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path_factory.mktemp("index") / "data") as running:
        answer = running.upload(FILENAME, a_wheel("demo", "1.0"), token=running.token())
        assert answer.status == 200, answer.data
        running.wait_published("demo", FILENAME)
        yield running


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuf-js")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), TUF_JS]
    subprocess.run(command, check=True, timeout=240, env=clean_environment(), cwd=folder)
    return folder / "node_modules"


def tuf_js(modules: Path, address: str, root: bytes, folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    """One look of tuf-js at a target, with whatever it remembers in the folder."""
    trusted = folder / "trusted.json"
    trusted.write_bytes(root)
    return subprocess.run(
        ["node", str(SCRIPT), address, str(trusted), str(folder), target],
        env=clean_environment(NODE_PATH=str(modules)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def page_of(index: RunningIndex) -> bytes:
    return index.get("/simple/demo/", accept=SIMPLE_JSON).data


def test_unmodified_python_tuf_reads_and_verifies_a_project_page(index: RunningIndex, tmp_path: Path) -> None:
    updater = Updater(
        str(tmp_path / "metadata"),
        f"{index.base_url}/tuf/",
        str(tmp_path / "targets"),
        f"{index.base_url}/tuf/targets/",
        bootstrap=index.root,
    )
    found = updater.get_targetinfo(PAGE)
    assert found is not None
    assert Path(updater.download_target(found)).read_bytes() == page_of(index)
    assert updater.get_targetinfo(ABSENT) is None


def test_tuf_js_reads_and_verifies_a_project_page(index: RunningIndex, node_modules: Path, tmp_path: Path) -> None:
    done = tuf_js(node_modules, index.base_url, index.root, tmp_path, PAGE)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"].encode() == page_of(index)


def test_tuf_js_takes_a_missing_target_of_a_bin_for_absence(
    index: RunningIndex, node_modules: Path, tmp_path: Path
) -> None:
    done = tuf_js(node_modules, index.base_url, index.root, tmp_path, ABSENT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"text": None}


def test_both_refuse_the_index_under_another_root(index: RunningIndex, node_modules: Path, tmp_path: Path) -> None:
    other = SignedRepository().root_bytes
    done = tuf_js(node_modules, index.base_url, other, tmp_path, PAGE)
    assert done.returncode == 1
    assert "timestamp" in done.stderr
    with pytest.raises(RepositoryError):
        Updater(str(tmp_path / "python"), f"{index.base_url}/tuf/", bootstrap=other).refresh()


def test_tuf_js_refuses_a_page_that_a_mirror_changed(node_modules: Path, tmp_path: Path) -> None:
    repository = SignedRepository()
    repository.add_wheel("demo")
    repository.publish()
    with IndexServer(repository) as mirror:
        assert tuf_js(node_modules, mirror.origin, repository.root_bytes, tmp_path, PAGE).returncode == 0
        mirror.hostile = lambda path, true: true and (true[:-1] + b" " if "/targets/" in path else None)
        assert tuf_js(node_modules, mirror.origin, repository.root_bytes, tmp_path, PAGE).returncode == 1
