"""The example of the guide for other installers, run as it stands there; and the limits that the guide names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tuf.ngclient import UpdaterConfig  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.repository import IndexServer, SignedRepository, flipped
from support.vectors import FOLDER
from wheelmark.client import Limits
from wheelmark.client.checks import MAX_CORE_METADATA_BYTES, MAX_PROVENANCE_BYTES
from wheelmark.client.metadata import MAX_TIMESTAMP_BYTES
from wheelmark.errors import Untrusted
from wheelmark.simple import MAX_PAGE_BYTES

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "verify-in-your-installer.md").read_text("utf-8")
Fetch = Callable[[str, bytes, str, str, Path], None]


@pytest.fixture
def fetch() -> Fetch:
    [code] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "guide", "exec"), names)
    return cast(Fetch, names["fetch"])


def test_example_fetches_a_verified_file(fetch: Fetch, tmp_path: Path) -> None:
    repository = SignedRepository()
    file = repository.add_wheel("demo")
    repository.publish()
    with IndexServer(repository) as server:
        fetch(server.index_url, repository.root_bytes, "demo", file.filename, tmp_path)
        assert len((tmp_path / file.filename).read_bytes()) == file.size
        with pytest.raises(LookupError):
            fetch(server.index_url, repository.root_bytes, "no-such", file.filename, tmp_path)


def test_example_leaves_nothing_under_the_final_name_when_the_file_was_changed(fetch: Fetch, tmp_path: Path) -> None:
    repository = SignedRepository()
    file = repository.add_wheel("demo")
    repository.publish()
    with IndexServer(repository) as server:
        server.hostile = lambda path, true: flipped(true) if true and path.startswith("/files/") else None
        with pytest.raises(Untrusted):
            fetch(server.index_url, repository.root_bytes, "demo", file.filename, tmp_path)
    assert not (tmp_path / file.filename).exists()


def test_limits_in_the_guide_are_those_of_the_client() -> None:
    limits, config = Limits(), UpdaterConfig()
    for text in (
        f"| root | {config.root_max_length:,} |",
        f"| timestamp | {MAX_TIMESTAMP_BYTES:,} |",
        f"{MAX_PAGE_BYTES >> 20} MiB for a page",
        f"| roots in one go | {config.max_root_rotations} |",
        f"{MAX_CORE_METADATA_BYTES >> 20} MiB, {MAX_PROVENANCE_BYTES >> 20} MiB",
        f"{limits.gap_seconds} s, {limits.headers_seconds} s, {limits.metadata_seconds} s",
        f"{limits.min_bytes_per_second:,} bytes a second",
        f"has {len(list(FOLDER.glob('*.json')))} tiny indexes",
    ):
        assert text in GUIDE
