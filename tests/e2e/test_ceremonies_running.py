"""Ceremonies on an index that runs: keys and bins change under the eyes of a client that never stops asking."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.distributions import build_wheel, wheel_filename
from support.server import RunningIndex

OLD_KEY = "offline-keys-move-me-away"


def updater(index: RunningIndex, folder: Path, root: bytes) -> Updater:
    base = f"{index.base_url}/tuf/"
    return Updater(str(folder), base, target_dir=str(folder), target_base_url=f"{base}targets/", bootstrap=root)


class Asking:
    """An unmodified TUF client that refreshes again and again, with a memory of what it trusted."""

    def __init__(self, index: RunningIndex, folder: Path) -> None:
        self.index, self.folder, self.root = index, folder, index.root
        self.rounds = 0
        self.refused: list[str] = []
        self.versions: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._stop.is_set():
            client = updater(self.index, self.folder, self.root)
            try:
                client.refresh()
                assert client.get_targetinfo("simple/demo/index.json") is not None
            except RepositoryError as error:
                self.refused.append(f"{self.rounds}: {error}")
            else:
                self.versions.append(client._trusted_set.snapshot.version)
            self.rounds += 1
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    @contextmanager
    def running(self) -> Iterator[Asking]:
        self._thread.start()
        try:
            yield self
        finally:
            self.stop()


def held(index: RunningIndex, folder: Path, *change: str) -> None:
    """Begin, sign with the quick start's key, take in, and finish."""
    path = folder / "ceremony.json"
    begun = index.command("trust", *change, "--json", "--out", str(path)).stdout
    key = index.data / OLD_KEY
    words = ["--key", f"pkcs8:{key / 'root.pem'}", "--passphrase-from", f"file:{key / 'passphrase'}"]
    signed = index.plain("trust", "sign", str(path), *words, "--fingerprint", json.loads(begun)["fingerprint"])
    assert signed.returncode == 0, signed.stderr
    index.command("trust", "ceremony", "import", str(path))
    done = json.loads(index.command("trust", "ceremony", "finish", "--json").stdout)
    assert done["fingerprint"] == json.loads(begun)["fingerprint"]


@pytest.mark.slow
def test_client_that_never_stops_asking_follows_every_rotation(tmp_path: Path) -> None:
    with RunningIndex(tmp_path / "data") as index, tempfile.TemporaryDirectory() as memory:
        index.upload(wheel_filename(), build_wheel(), token=index.token())
        index.wait_published("demo", wheel_filename())
        with Asking(index, Path(memory)).running() as client:
            held(index, tmp_path, "rotate", "online-keys")
            held(index, tmp_path, "rotate", "bins", "64")
            held(index, tmp_path, "ceremony", "begin", "--renew")
            filename = wheel_filename(version="2.0")
            index.upload(filename, build_wheel(version="2.0"), token=index.token())
            index.wait_published("demo", filename)
        assert client.rounds > 20
        assert client.versions == sorted(client.versions)
        # Whoever asks for the new root an instant too early and for the timestamp after it may be refused, once.
        rounds = [int(line.partition(":")[0]) for line in client.refused]
        assert len(rounds) <= 3, client.refused
        assert all(later - earlier > 1 for earlier, later in pairwise(rounds)), client.refused
        last = updater(index, Path(memory), client.root)
        last.refresh()
        assert last.get_targetinfo("simple/demo/index.json") is not None
        assert last._trusted_set.root.version == 4
        assert index.status("/readyz") == 200
        assert "64 bins" in index.command("trust", "status").stdout
        done = index.command("trust", "status", "--json")
        assert json.loads(done.stdout)["roles"]["root"]["version"] == 4
