"""A client that comes back to a running index: what its metadata costs on the wire, and that garbage is not missed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.distributions import build_wheel
from support.server import RunningIndex
from wheelmark.client import HttpFetcher, Kind, Verifier
from wheelmark.client.metadata import TrustedMetadata

PROJECTS = ("alpha", "beta", "gamma")
MAX_RETURNING_BYTES = 1_500
"""Timestamp, delta of the snapshot, deltas of three bins. The whole files, compressed, are several times that."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path_factory.mktemp("index") / "data") as running:
        yield running


def release(index: RunningIndex, token: str, version: str) -> None:
    """A release more of every project, published."""
    for name in PROJECTS:
        filename = f"{name}-{version}-py3-none-any.whl"
        answer = index.upload(filename, build_wheel(name, version), token=token)
        assert answer.status == 200, answer.data
    for name in PROJECTS:
        index.wait_published(name, f"{name}-{version}-py3-none-any.whl")


def looks(index: RunningIndex, cache: Path, *, deltas: bool = True) -> tuple[int, int]:
    """Bytes of metadata on the wire for one look at each project, and of them deltas."""
    fetcher = HttpFetcher()
    verifier = Verifier(f"{index.base_url}/simple/", index.root, cache, fetcher=fetcher)
    if not deltas:
        metadata: TrustedMetadata = verifier._metadata
        metadata._fetcher.pause_deltas()
    for name in PROJECTS:
        # The pages are counted apart: without them it is what TUF costs.
        assert verifier._metadata.find(f"simple/{name}/index.json") is not None
    return fetcher.wire_bytes[Kind.METADATA] + fetcher.wire_bytes[Kind.DELTA], fetcher.wire_bytes[Kind.DELTA]


def test_returning_client_pays_for_what_changed_and_for_nothing_else(index: RunningIndex, tmp_path: Path) -> None:
    token = index.token()
    release(index, token, "1.0")
    new, _ = looks(index, tmp_path / "cache")
    for version in ("2.0", "3.0", "4.0"):
        release(index, token, version)
    shutil.copytree(tmp_path / "cache", tmp_path / "other", symlinks=True)
    whole, none = looks(index, tmp_path / "other", deltas=False)
    by_delta, deltas = looks(index, tmp_path / "cache")
    print(
        f"metadata on the wire: new {new} B, returning {whole} B whole, {by_delta} B with deltas ({deltas} B of them)"
    )
    assert none == 0
    assert by_delta < MAX_RETURNING_BYTES
    timestamp = by_delta - deltas
    assert deltas < (whole - timestamp) / 2
    for name in ("snapshot", "timestamp"):
        assert (tmp_path / "cache" / "metadata" / f"{name}.json").read_bytes() == (
            tmp_path / "other" / "metadata" / f"{name}.json"
        ).read_bytes()
    again, _ = looks(index, tmp_path / "cache")
    assert again < 1_000, "the timestamp alone, and that there is no newer root"


def test_collecting_garbage_of_a_running_index_is_no_loss_to_anybody(index: RunningIndex, tmp_path: Path) -> None:
    release(index, index.token(), "9.0")
    looks(index, tmp_path / "cache")
    counted = json.loads(index.command("admin", "collect-garbage", "--dry-run", "--json").stdout)
    collected = json.loads(index.command("admin", "collect-garbage", "--json").stdout)
    assert counted | {"dry_run": False} == collected
    assert collected["roles"] == collected["pages"] == 0, "all of it is younger than a day"
    assert "freed_bytes" in index.command("admin", "collect-garbage").stdout
    looks(index, tmp_path / "cache")
    looks(index, tmp_path / "new")
