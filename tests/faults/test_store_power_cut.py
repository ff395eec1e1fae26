"""The power fails after any single call to the disk: what a local store acknowledged is there, and nothing is half.

The disk of these tests is real; what would survive is worked out from the calls, in the two worst cases that POSIX
allows (`support.store.PowerCut`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.store import Change, PowerCut, RecordingDisk
from wheelmark.store import Conflict, LocalStore

Objects = dict[str, bytes]
Step = tuple[str, Objects, bool]

KEYS = ["a", "b/c", "b/d", "b/e/f", "g"]
STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["put", "put_file", "put_many"]),
        st.dictionaries(st.sampled_from(KEYS), st.binary(min_size=1, max_size=6), min_size=1, max_size=3),
        st.booleans(),
    ),
    st.tuples(st.just("delete"), st.dictionaries(st.sampled_from(KEYS), st.just(b""), max_size=2), st.just(False)),
)


class Session:
    """A local store in use, with what it acknowledged after how many changes to the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root / "objects"
        self.spool = root / "spool"
        self.spool.mkdir()
        self.uploads: dict[Path, bytes] = {}
        self.disk = RecordingDisk()
        self.store = LocalStore(self.root, disk=self.disk)
        self.acknowledged: Objects = {}
        # For each step: changes before it, changes after it, what was promised before and after.
        self.steps: list[tuple[int, int, Objects, Objects]] = []

    def take(self, step: Step) -> None:
        name, objects, immutable = step
        before, begun = dict(self.acknowledged), len(self.disk.changes)
        if name == "put_many":
            fresh = {key: whole for key, whole in objects.items() if not immutable or before.get(key, whole) == whole}
            self.store.put_many(fresh.items(), immutable=immutable)
            self.acknowledged |= fresh
        else:
            for key, whole in objects.items():
                self._take_one(name, key, whole, immutable=immutable)
        self.steps.append((begun, len(self.disk.changes), before, dict(self.acknowledged)))

    def _take_one(self, name: str, key: str, whole: bytes, *, immutable: bool) -> None:
        if name == "delete":
            self.store.delete(key)
            self.acknowledged.pop(key, None)
            return
        upload = self.spool / f"upload-{len(self.uploads)}"
        upload.write_bytes(whole)
        self.uploads[upload] = whole
        try:
            if name == "put":
                self.store.put(key, [whole[:3], whole[3:]], immutable=immutable)
            else:
                self.store.put_file(key, upload, immutable=immutable)
            self.acknowledged[key] = whole
        except Conflict:
            assert immutable

    def cut_after(self, changes: int) -> PowerCut:
        return PowerCut(self.root, self.disk.changes[:changes], spool=self.uploads)

    def check_every_cut(self) -> None:
        for begun, ended, before, after in self.steps:
            for changes in range(begun, ended + 1):
                cut = self.cut_after(changes)
                check_promises(cut.late_names(), before, after, done=changes == ended)
                check_promises(cut.early_names(), before, after, done=changes == ended)


def check_promises(survived: Objects, before: Objects, after: Objects, *, done: bool) -> None:
    """Each key holds what it held before the step or what it holds after it, whole; after the step only the latter."""
    if done:
        assert survived == after
    for key in survived.keys() | before.keys():
        assert survived.get(key) in {before.get(key), after.get(key)}, key


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


@pytest.mark.parametrize("immutable", [True, False])
@pytest.mark.parametrize("name", ["put", "put_file", "put_many"])
def test_power_cut_while_writing_leaves_the_old_state_or_the_new_one(
    session: Session, name: str, *, immutable: bool
) -> None:
    session.take(("put", {"files/ab/x": b"first"}, True))
    session.take((name, {"files/ab/y": b"second", "files/cd/z": b"third"}, immutable))
    # Once more: acknowledged without a write, but not before it is durable.
    session.take((name, {"files/ab/y": b"second", "files/cd/z": b"third"}, immutable))
    assert session.acknowledged == {"files/ab/x": b"first", "files/ab/y": b"second", "files/cd/z": b"third"}
    session.check_every_cut()


@pytest.mark.parametrize("name", ["put", "put_file", "put_many"])
def test_power_cut_while_replacing_leaves_the_old_bytes_or_the_new_ones(session: Session, name: str) -> None:
    for number in range(3):
        session.take((name, {"tuf/timestamp.json": b"%d" % number * 10}, False))
    session.check_every_cut()


def test_power_cut_while_deleting_keeps_what_was_not_deleted(session: Session) -> None:
    session.take(("put_many", {"files/ab/x": b"1", "files/ab/y": b"2", "files/cd/z": b"3"}, True))
    session.take(("delete", {"files/ab/x": b"", "files/cd/z": b""}, False))
    assert session.acknowledged == {"files/ab/y": b"2"}
    session.check_every_cut()


def test_object_of_a_writer_that_has_not_finished_is_not_acknowledged_before_it_is_durable(tmp_path: Path) -> None:
    """Another process linked the object (and made its folder) and has not synced the folders yet."""
    other = Session(tmp_path)
    other.take(("put", {"files/ab/x": b"whole"}, True))
    linked = [change.call for change in other.disk.changes].index("link") + 1
    assert other.cut_after(linked).late_names() == {}
    ours = RecordingDisk()
    LocalStore(other.root, disk=ours).put("files/ab/x", [b"whole"], immutable=True)
    synced = [change for change in ours.changes if change.call == "sync_folder"]
    assert PowerCut(other.root, [*other.disk.changes[:linked], *synced]).late_names() == {"files/ab/x": b"whole"}


def test_power_cut_while_writing_many_leaves_whole_objects(session: Session) -> None:
    session.take(("put_many", {f"bins/{number % 3}/{number}": b"x" * number for number in range(9)}, True))
    session.take(("put_many", {f"bins/{number % 3}/{number}": b"y" * number for number in range(12)}, False))
    session.check_every_cut()


def test_put_many_syncs_each_folder_once(session: Session) -> None:
    session.take(("put_many", {f"bins/{number % 3}/{number}": b"x" for number in range(30)}, True))
    folders = [change.path for change in session.disk.changes if change.call == "sync_folder"]
    root = session.root
    assert sorted(folders[-5:]) == sorted([root, root / "bins", *(root / "bins" / str(number) for number in range(3))])
    begun = session.steps[0][0]
    assert len([change for change in session.disk.changes[begun:] if change.call == "sync_folder"]) == 5


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=5))
def test_power_cut_anywhere_in_any_sequence(tmp_path_factory: pytest.TempPathFactory, steps: list[Step]) -> None:
    session = Session(tmp_path_factory.mktemp("power"))
    for step in steps:
        # One step a key and object, so that a cut within it has two states to choose from.
        name, objects, immutable = step
        for key, whole in objects.items():
            session.take((name, {key: whole}, immutable))
    session.check_every_cut()


@pytest.mark.parametrize(
    ("forgotten", "is_forgotten"),
    [
        ("the bytes", lambda change: change.call == "sync"),
        ("every folder", lambda change: change.call == "sync_folder"),
        ("the folder's own folder", lambda change: change.call == "sync_folder" and change.path.name == "files"),
    ],
)
def test_this_proof_notices_a_sync_that_is_left_out(
    session: Session, forgotten: str, is_forgotten: Callable[[Change], bool]
) -> None:
    session.take(("put", {"files/ab/x": b"first"}, True))
    kept = [change for change in session.disk.changes if not is_forgotten(change)]
    cut = PowerCut(session.root, kept)
    assert cut.late_names() != {"files/ab/x": b"first"}, forgotten
