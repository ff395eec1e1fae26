"""Strict PEP 458 mode, with an unmodified TUF client that knows nothing of pages."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.distributions import build_wheel, wheel_filename
from support.server import RunningIndex, eventually
from wheelmark.client import verify_repository

FILENAME = wheel_filename("demo", "1.0")
WHEEL = build_wheel("demo", "1.0")
PATH = f"files/{hashlib.sha256(WHEEL).hexdigest()}/{FILENAME}"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path_factory.mktemp("index") / "data", sign_files=True) as running:
        running.upload(FILENAME, WHEEL, token=running.token())
        running.wait_published("demo", FILENAME)
        yield running


# What the owner's page does, without a browser.
REMOVE = """
import sys
from pathlib import Path
from wheelmark.server.bootstrap import bootstrap
bootstrap(Path(sys.argv[1]))
from django.utils import timezone
from wheelmark.server.projects.lifecycle import remove_release
from wheelmark.server.projects.models import Release
remove_release(Release.objects.get(), actor="admin", reason="", now=timezone.now())
"""


def remove(index: RunningIndex) -> None:
    subprocess.run([sys.executable, "-c", REMOVE, str(index.data)], check=True, timeout=60)


def refreshed(index: RunningIndex, folder: Path) -> Updater:
    updater = Updater(
        metadata_dir=str(folder),
        metadata_base_url=f"{index.base_url}/tuf/",
        target_dir=str(folder),
        target_base_url=f"{index.base_url}/tuf/targets/",
        bootstrap=index.root,
    )
    updater.refresh()
    return updater


def test_any_tuf_client_fetches_a_wheel_by_its_path_until_it_is_removed(index: RunningIndex, tmp_path: Path) -> None:
    updater = refreshed(index, tmp_path)
    wheel, metadata = updater.get_targetinfo(PATH), updater.get_targetinfo(f"{PATH}.metadata")
    assert wheel is not None
    assert metadata is not None
    assert Path(updater.download_target(wheel, str(tmp_path / "wheel"))).read_bytes() == WHEEL
    assert Path(updater.download_target(metadata, str(tmp_path / "metadata"))).read_bytes() == (
        index.get(f"/{PATH}.metadata").data
    )
    summary = verify_repository(f"{index.base_url}/simple/", index.root, include_files=True)
    assert (summary.faults, summary.pages, summary.files) == ((), 1, 1)
    remove(index)
    eventually(lambda: not index.listed("demo"), seconds=30, what="the removed file gone from its page")
    later = refreshed(index, tmp_path)
    assert later.get_targetinfo(PATH) is None
    assert later.get_targetinfo(f"{PATH}.metadata") is None
    assert index.status(f"/tuf/targets/files/{wheel.hashes['sha256']}/{wheel.hashes['sha256']}.{FILENAME}") == 404
