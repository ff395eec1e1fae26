"""The disk fails under a local store: the caller is told what to do, and what was stored stays."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from wheelmark.errors import Unavailable
from wheelmark.store import Conflict, LocalStore, Missing, Store, open_store
from wheelmark.store.disk import Disk, unavailable
from wheelmark.store.local import PARTIAL_FOLDER

CALLS = ["create", "write", "sync", "sync_file", "sync_folder", "link", "replace", "make_folder"]
CODES = {
    errno.ENOSPC: ("store-full", "is full .*free or add space, then retry"),
    errno.EDQUOT: ("store-full", "is full .*free or add space, then retry"),
    errno.EROFS: ("store-read-only", "cannot be written .*mount it read-write"),
    errno.EACCES: ("store-read-only", "cannot be written .*let this user write"),
    errno.EPERM: ("store-read-only", "cannot be written .*let this user write and link"),
    errno.EIO: ("store-io", "failed .*look at the system log, then retry"),
    errno.EOPNOTSUPP: ("store-no-hard-links", "must lie on one file system that has hard links"),
}
Operation = Callable[[Store, Path], object]
WRITES: dict[str, Operation] = {
    "put": lambda store, _: store.put("a/new", [b"n", b"ew"], immutable=True),
    "put_file": lambda store, upload: store.put_file("a/new", upload, immutable=True),
    "put_many": lambda store, _: store.put_many([("a/new", b"new")], immutable=True),
    "replace": lambda store, _: store.put("a/old", [b"newer"], immutable=False),
    "replace by put_file": lambda store, upload: store.put_file("a/old", upload, immutable=False),
}


class FailingDisk(Disk):
    """Fails in one call with one error number while `failing`; counts how often."""

    def __init__(self, call: str, number: int) -> None:
        self.failing = False
        self.failed = 0
        works = getattr(self, call)

        def fail(*arguments: object) -> object:
            if self.failing:
                self.failed += 1
                raise OSError(number, os.strerror(number))
            return works(*arguments)

        setattr(self, call, fail)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", WRITES)
def test_failing_call_is_told_and_changes_nothing(tmp_path: Path, name: str, call: str) -> None:
    disk = FailingDisk(call, errno.ENOSPC)
    store = LocalStore(tmp_path / "objects", disk=disk)
    store.put("a/old", [b"old"], immutable=True)
    upload = tmp_path / "upload"
    upload.write_bytes(b"newer")
    if call == "make_folder":
        store.delete("a/old")
    disk.failing = True
    try:
        WRITES[name](store, upload)
    except Unavailable as error:
        assert error.code == "store-full"
        # A failed sync of a folder comes after the name: stored, perhaps, as with a lost answer over a network.
        allowed = {b"newer", b"new", b"old"} if call == "sync_folder" else {b"old"}
        assert {store.read_all(found.key, max_bytes=9) for found in store.list("")} <= allowed
        assert disk.failed == 1
        if name.endswith("put_file"):
            assert upload.exists() or call == "sync_folder"
        # With a disk that works again the same call succeeds.
        disk.failing = False
        upload.write_bytes(b"newer")
        WRITES[name](store, upload)
    else:
        assert disk.failed == 0
    assert store.read_all("a/old" if name.startswith("replace") else "a/new", max_bytes=9).startswith(b"new")
    assert list((tmp_path / "objects" / PARTIAL_FOLDER).iterdir()) == []


def test_every_call_of_the_table_is_made_by_some_write(tmp_path: Path) -> None:
    """Else the test above could pass because nothing fails."""
    made: set[str] = set()
    for call in CALLS:
        for name, write in WRITES.items():
            disk = FailingDisk(call, errno.EIO)
            store = LocalStore(tmp_path / call / name.replace(" ", "-"), disk=disk)
            upload = tmp_path / "upload"
            upload.write_bytes(b"new")
            disk.failing = True
            try:
                write(store, upload)
            except Unavailable:
                made.add(call)
    assert made == set(CALLS)


def test_deletion_that_fails_is_told_and_keeps_the_object(tmp_path: Path) -> None:
    disk = FailingDisk("unlink", errno.EROFS)
    store = LocalStore(tmp_path, disk=disk)
    store.put("a", [b"1"], immutable=False)
    disk.failing = True
    with pytest.raises(Unavailable, match="cannot be written") as told:
        store.delete("a")
    assert told.value.code == "store-read-only"
    assert store.read_all("a", max_bytes=1) == b"1"


def test_file_from_another_file_system_is_copied_and_then_removed(tmp_path: Path) -> None:
    class TwoFileSystems(Disk):
        def link(self, source: Path, target: Path) -> None:
            if source == upload:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            super().link(source, target)

    upload = tmp_path / "upload"
    upload.write_bytes(b"whole" * 50_000)
    store = LocalStore(tmp_path / "objects", disk=TwoFileSystems())
    assert store.put_file("a/b", upload, immutable=True).size == 250_000
    assert store.read_all("a/b", max_bytes=250_000) == b"whole" * 50_000
    assert not upload.exists()
    upload.write_bytes(b"other")
    with pytest.raises(Conflict):
        store.put_file("a/b", upload, immutable=True)
    assert upload.read_bytes() == b"other"


@pytest.mark.parametrize("kind", ["absent", "folder", "link"])
def test_put_file_takes_plain_files_only(tmp_path: Path, kind: str) -> None:
    store = LocalStore(tmp_path / "objects")
    upload, secret = tmp_path / "upload", tmp_path / "secret"
    secret.write_bytes(b"not ours")
    if kind == "folder":
        upload.mkdir()
    if kind == "link":
        upload.symlink_to(secret)
    with pytest.raises(Unavailable) as told:
        store.put_file("a", upload, immutable=True)
    assert told.value.code == "store-io"
    assert list(store.list("")) == []
    assert secret.read_bytes() == b"not ours"


@pytest.mark.skipif(sys.platform == "darwin", reason="there F_FULLFSYNC takes the place of fsync")
def test_each_sync_reaches_the_operating_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof in test_store_power_cut.py takes a sync of `Disk` at its word; this is where the word is kept."""
    synced: list[str] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/dev/fd/{descriptor}").resolve().name)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    disk = Disk()
    created = disk.create(tmp_path / "created")
    disk.sync(created)
    disk.close(created)
    (tmp_path / "finished").write_bytes(b"whole")
    assert disk.sync_file(tmp_path / "finished") == 5
    disk.sync_folder(tmp_path)
    assert synced == ["created", "finished", tmp_path.name]


def test_files_beside_ours_are_not_listed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("folder/ours", [b"1"], immutable=True)
    for name in ("with space", ".hidden", "folder/lost+found.", "folder/.DS_Store"):
        (tmp_path / name).write_bytes(b"not ours")
    assert [found.key for found in store.list("")] == ["folder/ours"]


def test_object_cannot_be_taken_over_by_its_own_store(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects")
    store.put("a", [b"whole"], immutable=True)
    path = store.local_path("a")
    assert path is not None
    for key in ("a", "b"):
        with pytest.raises(ValueError, match="expected a file outside"):
            store.put_file(key, path, immutable=True)
    assert [found.key for found in store.list("")] == ["a"]


def test_unmounted_disk_is_not_an_empty_store(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects")
    store.put("a/b", [b"1"], immutable=True)
    upload = tmp_path / "upload"
    upload.write_bytes(b"2")
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    (tmp_path / "objects").mkdir()
    attempts: list[Callable[[], object]] = [
        lambda: store.head("a/b"),
        lambda: store.read("a/b"),
        lambda: store.list(""),
        lambda: store.delete("a/b"),
        lambda: store.put("a/b", [b"2"], immutable=True),
        lambda: store.put_file("a/b", upload, immutable=True),
        lambda: store.put_many([("a/b", b"2")], immutable=True),
    ]
    for attempt in attempts:
        with pytest.raises(Unavailable, match=r"holds no .partial folder: mount the disk") as told:
            attempt()
        assert told.value.code == "store-gone"
    assert list((tmp_path / "objects").iterdir()) == []
    assert upload.exists()


def test_object_cut_short_on_the_disk_is_an_error_and_not_a_short_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a", [bytes(200_000)], immutable=True)
    reading = store.read("a")
    next(reading)
    os.truncate(tmp_path / "a", 100_000)
    with pytest.raises(Unavailable, match="expected 200000 bytes of a, got 100000") as told:
        list(reading)
    assert told.value.code == "store-wrong-length"


@pytest.mark.parametrize("number", CODES, ids=lambda number: errno.errorcode[number])
def test_error_of_the_disk_says_what_to_do(number: int) -> None:
    code, message = CODES[number]
    error = unavailable(Path("/objects"), OSError(number, os.strerror(number)), writing=True)
    assert error.code == code
    assert re.search(rf"/objects {message}", str(error).replace("the disk of ", ""))
    assert os.strerror(number) in str(error)


def test_object_that_may_not_be_read_says_so() -> None:
    error = unavailable(Path("/objects"), PermissionError(errno.EACCES, "Permission denied"), writing=False)
    assert error.code == "store-denied"
    assert str(error).startswith("/objects cannot be read (Permission denied): give this user the right")


@pytest.mark.parametrize("kind", ["local", "memory"])
@pytest.mark.parametrize(("key", "below"), [("a", "a/b"), ("a/b", "a/b/c/d")])
def test_key_cannot_be_the_folder_of_another(tmp_path: Path, key: str, below: str, kind: str) -> None:
    """Nor in the double, or tests would allow what disks do not. An S3 store cannot know without asking for each."""
    for first, second in ((key, below), (below, key)):
        for immutable in (True, False):
            folder = tmp_path / f"{first}-{immutable}".replace("/", "-")
            store = open_store("memory://" if kind == "memory" else folder.as_uri())
            store.put(first, [b"first"], immutable=immutable)
            with pytest.raises(Conflict, match=f"expected {second} to be neither above nor below another key"):
                store.put(second, [b"second"], immutable=immutable)
            store.delete(second)
            assert store.head(second) is None
            with pytest.raises(Missing):
                store.read(second)
            assert store.read_all(first, max_bytes=5) == b"first"


def test_stored_file_is_readable_for_who_may_enter_the_root_and_has_one_name(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects")
    upload = tmp_path / "upload"
    upload.touch(mode=0o600)
    store.put_file("by-file", upload, immutable=True)
    store.put("by-stream", [b""], immutable=True)
    store.put_many([("by-many", b"")], immutable=False)
    for key in ("by-file", "by-stream", "by-many"):
        path = store.local_path(key)
        assert path is not None
        found = path.stat()
        assert (found.st_mode & 0o777, found.st_nlink) == (0o644, 1)


# Runs as root of its own user and mount namespace, where a disk of one megabyte can be mounted without asking anybody.
SMALL_DISK = textwrap.dedent("""
    import json, pathlib, subprocess, sys
    from wheelmark.errors import Unavailable
    from wheelmark.store import LocalStore

    disk = pathlib.Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    store = LocalStore(disk / "objects")
    store.put("kept", [b"kept"], immutable=True)

    def code_of(attempt):
        try:
            attempt()
        except Unavailable as error:
            return error.code
        return None

    too_big = lambda: store.put("big", iter([bytes(65536)] * 64), immutable=True)
    too_many = lambda: store.put_many([(f"many/{n}", bytes(65536)) for n in range(64)], immutable=True)
    full = [code_of(too_big), code_of(too_many)]
    freed = code_of(lambda: store.put("fits", [bytes(500_000)], immutable=True))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    read_only = [
        code_of(lambda: store.put("x", [b"x"], immutable=True)),
        code_of(lambda: store.put_many([("x", b"x")], immutable=True)),
        code_of(lambda: store.delete("kept")),
    ]
    kept = store.read_all("kept", max_bytes=10).decode()
    keys = sorted(found.key for found in store.list(""))
    print(json.dumps({"full": full, "freed": freed, "read_only": read_only, "kept": kept, "keys": keys}))
""")


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk in a Linux namespace")
def test_real_full_disk_and_real_read_only_disk(tmp_path: Path) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    allowed = subprocess.run([*namespace, "true"], capture_output=True, check=False, text=True)
    if allowed.returncode != 0:
        pytest.skip(f"this machine allows no user namespaces ({allowed.stderr.strip()}); the simulated disks above do")
    done = subprocess.run(
        [*namespace, sys.executable, "-c", SMALL_DISK, str(tmp_path)], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "full": ["store-full", "store-full"],
        "freed": None,
        "read_only": ["store-read-only"] * 3,
        "kept": "kept",
        "keys": ["fits", "kept"],
    }
