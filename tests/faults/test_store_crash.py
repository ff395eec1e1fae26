"""Writers in processes of their own: killed at any moment, and racing one another."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wheelmark.store import LocalStore, open_store
from wheelmark.store.local import PARTIAL_FOLDER, STALE_AFTER_SECONDS

# Writes objects whose key tells what they must hold, and says so after each; until it is killed.
WRITER = """
import hashlib, itertools, pathlib, sys
from wheelmark.store import open_store
url, spool, seed = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
store = open_store(url)
print("ready", flush=True)
for number in itertools.count():
    seed_bytes = hashlib.sha256(f"{seed} {number}".encode()).digest()
    whole = seed_bytes * (1 + number % 5000)
    key = f"files/{hashlib.sha256(whole).hexdigest()}/{len(whole)}"
    match number % 3:
        case 0:
            store.put(key, (whole[at:at + 4096] for at in range(0, len(whole), 4096)), immutable=True)
        case 1:
            upload = spool / f"{seed}-{number}"
            upload.write_bytes(whole)
            store.put_file(key, upload, immutable=True)
        case 2:
            store.put_many([(key, whole), (f"{key}.metadata", whole)], immutable=True)
    print(key, flush=True)
    store.put("tuf/timestamp.json", [whole], immutable=False)
"""

# Waits for the others, then puts the same keys as they do.
RACER = """
import sys
from wheelmark.store import Conflict, open_store
url, content, keys = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
store = open_store(url)
print("ready", flush=True)
sys.stdin.readline()
for number in range(keys):
    try:
        store.put(f"race/{number}/object", [content] * 50, immutable=True)
        print("won", flush=True)
    except Conflict:
        print("conflict", flush=True)
"""
ROUNDS = 12
RACED_KEYS = 60


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_writer_leaves_only_whole_objects_and_all_that_it_acknowledged(tmp_path: Path) -> None:
    url = (tmp_path / "objects").as_uri()
    chance = random.Random(20_261_123)
    acknowledged: set[str] = set()
    for turn in range(ROUNDS):
        process = start(WRITER, url, str(tmp_path), str(turn))
        time.sleep(chance.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
        # The last line may be half, for the writer was killed.
        acknowledged |= {line.strip() for line in said.splitlines(keepends=True) if line.endswith("\n")}
    store = open_store(url)
    found = {stored.key: stored.size for stored in store.list("")}
    assert len(acknowledged) > ROUNDS
    assert acknowledged <= found.keys()
    for key in found:
        whole = store.read_all(key, max_bytes=1 << 20)
        if key.startswith("files/"):
            _, sha256, name = key.split("/")
            assert hashlib.sha256(whole).hexdigest() == sha256
            assert len(whole) == int(name.removesuffix(".metadata"))
        else:
            assert whole == whole[:32] * (len(whole) // 32) != b""


def test_what_killed_writers_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    for turn in range(ROUNDS):
        process = start(WRITER, root.as_uri(), str(tmp_path), str(turn))
        time.sleep(0.01 * turn)
        process.kill()
        process.communicate()
    (root / PARTIAL_FOLDER / "left").write_bytes(b"half")
    left = len(list((root / PARTIAL_FOLDER).iterdir()))
    store = LocalStore(root)
    kept = sorted(stored.key for stored in store.list(""))
    assert store.sweep(now=time.time()) == 0
    assert store.sweep(now=time.time() + STALE_AFTER_SECONDS + 60) == left > 0
    assert list((root / PARTIAL_FOLDER).iterdir()) == []
    assert sorted(stored.key for stored in store.list("")) == kept


@pytest.mark.parametrize("same", [False, True])
def test_of_two_processes_with_one_immutable_key_one_wins(tmp_path: Path, *, same: bool) -> None:
    url = (tmp_path / "objects").as_uri()
    contents = ["one", "one" if same else "two"]
    racers = [start(RACER, url, content, str(RACED_KEYS)) for content in contents]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    verdicts = list(zip(*(racer.communicate()[0].splitlines() for racer in racers), strict=True))
    assert len(verdicts) == RACED_KEYS
    store = open_store(url)
    for number, verdict in enumerate(verdicts):
        stored = store.read_all(f"race/{number}/object", max_bytes=1000)
        if same:
            assert verdict == ("won", "won")
            assert stored == b"one" * 50
        else:
            assert sorted(verdict) == ["conflict", "won"]
            assert stored == contents[verdict.index("won")].encode() * 50


def test_writer_survives_a_deletion_that_takes_its_folder_away(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)

    def write(worker: int) -> int:
        for _ in range(100):
            store.put(f"deep/er/folder/{worker}", [b"whole"], immutable=worker % 2 == 0)
            assert store.read_all(f"deep/er/folder/{worker}", max_bytes=5) == b"whole"
            store.delete(f"deep/er/folder/{worker}")
        return worker

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(write, range(6))) == list(range(6))
    assert [path.name for path in tmp_path.iterdir()] == [PARTIAL_FOLDER]
