"""The signing log on disk: durable, found as it is at every append, and never added to when its end is not sound."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from support.trust import NOON
from wheelmark.errors import Unavailable, Untrusted
from wheelmark.server.publishing.signing_log import SigningLog
from wheelmark.store.disk import Disk
from wheelmark.trust import LogEntry


def an_entry(number: int) -> LogEntry:
    return LogEntry(
        at=NOON,
        role="snapshot",
        version=number,
        sha256=f"{number:064x}",
        keyid="ab" * 32,
        serial_from=0,
        serial_to=number,
    )


def versions(log: SigningLog) -> list[int]:
    return [entry.version for entry in log.entries()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "signing-log.jsonl"


def filled(path: Path, *numbers: int) -> SigningLog:
    log = SigningLog(path)
    for number in numbers:
        log.append([an_entry(number)])
    return log


def test_every_append_is_read_back_in_order_by_this_and_later_processes(path: Path) -> None:
    log = SigningLog(path)
    log.append([an_entry(1), an_entry(2)])
    log.append([])
    log.append([an_entry(3)])
    assert versions(log) == [1, 2, 3]
    SigningLog(path).append([an_entry(4)])
    log.append([an_entry(5)])  # it notices that another process has written meanwhile
    assert versions(SigningLog(path)) == [1, 2, 3, 4, 5]


def test_log_that_is_not_there_has_no_entries(path: Path) -> None:
    assert versions(SigningLog(path)) == []


def test_long_log_goes_on_after_a_restart(path: Path) -> None:
    SigningLog(path).append([an_entry(number) for number in range(1, 1_001)])
    assert path.stat().st_size > 300_000
    SigningLog(path).append([an_entry(1_001)])
    assert versions(SigningLog(path)) == list(range(1, 1_002))


def test_lines_and_the_name_of_the_file_are_on_the_medium_before_append_returns(path: Path) -> None:
    class Recording(Disk):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def write(self, descriptor: int, chunk: bytes) -> None:
            super().write(descriptor, chunk)
            self.calls.append("write")

        def sync(self, descriptor: int) -> None:
            super().sync(descriptor)
            self.calls.append("sync")

        def sync_folder(self, path: Path) -> None:
            super().sync_folder(path)
            self.calls.append("sync_folder")

    disk = Recording()
    log = SigningLog(path, disk=disk)
    log.append([an_entry(1)])
    assert disk.calls == ["sync_folder", "write", "sync"]
    log.append([an_entry(2), an_entry(3)])
    assert disk.calls[3:] == ["write", "sync"]


def test_power_cut_at_every_byte_leaves_a_log_that_goes_on(path: Path) -> None:
    filled(path, 1, 2, 3)
    whole = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        torn: dict[int, bytes] = {}
        before = [entry.version for entry in SigningLog(path).entries(on_torn=torn.__setitem__)]
        assert before == [1, 2, 3][:kept]
        assert bool(torn) == (cut not in {0, *ends})
        SigningLog(path).append([an_entry(9)])
        assert versions(SigningLog(path)) == [*[1, 2, 3][:kept], 9]


class FullDisk(Disk):
    """A disk with room for so many bytes more."""

    def __init__(self, room: int, *, stored: bool = False) -> None:
        self.room = room
        self.stored = stored

    def write(self, descriptor: int, chunk: bytes) -> None:
        super().write(descriptor, chunk if self.stored else chunk[: self.room])
        self.room -= len(chunk)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("room", [0, 1, 200])
def test_full_disk_is_unavailable_and_the_same_log_goes_on_once_there_is_space(path: Path, room: int) -> None:
    filled(path, 1)
    before = path.read_bytes()
    disk = FullDisk(room)
    log = SigningLog(path, disk=disk)
    with pytest.raises(Unavailable, match=r"full .*nothing is published before there is space") as failure:
        log.append([an_entry(2)])
    assert failure.value.code == "signing-log-full"
    assert path.read_bytes() == before
    disk.room = 10_000
    log.append([an_entry(2)])
    assert versions(log) == [1, 2]


def test_failed_sync_is_unavailable_and_the_lines_are_written_again(path: Path) -> None:
    """After a failed fsync the system may forget that bytes are not on the medium: they must be written anew."""

    class FailingSync(Disk):
        fails = True

        def sync(self, descriptor: int) -> None:
            if self.fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().sync(descriptor)

    disk = FailingSync()
    log = SigningLog(path, disk=disk)
    with pytest.raises(Unavailable) as failure:
        log.append([an_entry(1)])
    assert failure.value.code == "signing-log-away"
    assert path.read_bytes() == b""
    disk.fails = False
    log.append([an_entry(1)])
    assert versions(log) == [1]


def test_folder_that_is_not_there_is_unavailable_until_it_is(tmp_path: Path) -> None:
    log = SigningLog(tmp_path / "away" / "log")
    with pytest.raises(Unavailable, match="cannot be written") as failure:
        log.append([an_entry(1)])
    assert failure.value.code == "signing-log-away"
    (tmp_path / "away").mkdir()
    log.append([an_entry(1)])
    assert versions(log) == [1]


def test_second_writer_is_turned_away(path: Path) -> None:
    log = filled(path, 1)
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Unavailable):
            log.append([an_entry(2)])
    log.append([an_entry(2)])
    assert versions(log) == [1, 2]


def test_log_that_was_moved_away_begins_anew(path: Path) -> None:
    log = filled(path, 1, 2)
    moved = path.rename(path.with_name("2026.jsonl"))
    log.append([an_entry(3)])
    assert versions(SigningLog(moved)) == [1, 2]
    assert versions(log) == [3]


def test_log_whose_end_was_tampered_with_is_never_added_to(path: Path) -> None:
    log = filled(path, 1, 2, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    for tampered in (
        b"".join([lines[0], lines[2]]),
        b"".join([lines[0], lines[2], lines[1]]),
        b"".join([*lines[:2], lines[2].replace(b'"version":3', b'"version": 3')]),
        b"".join([*lines, b"x" * 5_000]),
        b"x" * 70_000,
    ):
        path.write_bytes(tampered)
        for writer in (SigningLog(path), log):
            with pytest.raises(Untrusted, match="under another name") as distrust:
                writer.append([an_entry(4)])
            assert distrust.value.code == "signing-log-broken"
        assert path.read_bytes() == tampered


def test_anyone_may_copy_it_and_only_its_owner_writes(path: Path) -> None:
    old = os.umask(0)
    try:
        filled(path, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_another_file_of_the_same_size_in_its_place_is_noticed(path: Path) -> None:
    log = filled(path, 1, 2)
    path.rename(path.with_name("2026.jsonl"))
    filled(path, 3, 4)
    log.append([an_entry(5)])
    assert versions(SigningLog(path)) == [3, 4, 5]
