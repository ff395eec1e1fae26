"""The first start: complete, repeatable, and never over something that is there."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.rows import NOW, a_user
from wheelmark.errors import Refused, Unavailable, Untrusted, WheelmarkError
from wheelmark.server import founding
from wheelmark.server.accounts.models import User
from wheelmark.server.config import Config
from wheelmark.server.founding import found, prepare_folders
from wheelmark.server.publishing.models import Attempt, Repository, RoleVersion, Snapshot
from wheelmark.server.publishing.signing import named_keys, online_signers
from wheelmark.server.publishing.signing_log import SigningLog
from wheelmark.store import MemoryStore, Store
from wheelmark.trust import check_metadata_set, generate_key

pytestmark = pytest.mark.django_db(transaction=True)


class PowerCut(Exception):
    """The process dies here."""


@pytest.fixture
def fresh(settings: object, tmp_path: Path) -> Config:
    """The settings of an index that has never been started."""
    config = Config(data=tmp_path / "data", expected_projects=100)
    settings.CONFIG = config  # type: ignore[attr-defined]  # pytest-django's fixture sets any name
    return config


@pytest.fixture(autouse=True)
def cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files whose passphrase is quick to try: the cost is `wheelmark.trust`'s own test."""

    def cheap(path: Path, **options: Any) -> object:
        return generate_key(path, **(options | {"scrypt_cost": 2**4}))

    monkeypatch.setattr(founding, "generate_key", cheap)


def start(config: Config, store: Store) -> founding.FirstStart | None:
    prepare_folders(config)
    return found(config, store, now=NOW)


def check_whole(store: Store) -> None:
    current = Snapshot.current()
    assert current is not None

    def fetch(name: str) -> bytes | None:
        if name == "timestamp.json":
            assert current is not None
            return bytes(current.timestamp)
        return store.read_all(f"tuf/{name}", max_bytes=1_000_000) if store.head(f"tuf/{name}") else None

    root = fetch("1.root.json")
    assert root is not None
    report = check_metadata_set(fetch, root, NOW)
    assert report.faults == ()
    assert len(report.bins) == 256
    assert RoleVersion.objects.count() == 256 + 5
    assert not Attempt.objects.exists()


def test_first_start_founds_an_index_that_python_tuf_trusts(fresh: Config) -> None:
    store = MemoryStore()
    first = start(fresh, store)
    assert first is not None
    check_whole(store)
    assert User.objects.get(username="admin").is_administrator
    assert first.admin_password
    assert User.objects.get(username="admin").check_password(first.admin_password)


def test_second_start_changes_nothing(fresh: Config) -> None:
    store = MemoryStore()
    start(fresh, store)
    before = {path: path.read_bytes() for path in fresh.data.rglob("*") if path.is_file()}
    assert start(fresh, store) is None
    assert {path: path.read_bytes() for path in fresh.data.rglob("*") if path.is_file()} == before
    assert Snapshot.objects.count() == 1


def test_secrets_and_keys_are_readable_by_their_owner_only(fresh: Config) -> None:
    start(fresh, MemoryStore())
    private = [*fresh.secrets_folder.iterdir(), *fresh.keys_folder.iterdir()]
    private += [path for path in fresh.offline_folder.iterdir() if path.name != "README.txt"]
    assert len(private) == 6
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    folders = (fresh.secrets_folder, fresh.keys_folder, fresh.offline_folder)
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_offline_key_is_no_online_key_and_the_index_never_opens_it_again(fresh: Config) -> None:
    store = MemoryStore()
    start(fresh, store)
    for path in fresh.offline_folder.iterdir():
        path.unlink()
    assert start(fresh, store) is None
    online_signers(fresh, named_keys(store))


def test_founding_logs_every_signed_file_before_it_is_stored(fresh: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    class CheckingStore(MemoryStore):
        def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
            objects = list(objects)
            logged = {
                (f"tuf/{e.version}.{e.role}.json", e.sha256) for e in SigningLog(fresh.signing_log_path).entries()
            }
            assert {(key, hashlib.sha256(body).hexdigest()) for key, body in objects} <= logged
            super().put_many(objects, immutable=immutable)

    start(fresh, CheckingStore())
    entries = list(SigningLog(fresh.signing_log_path).entries())
    assert len(entries) == 256 + 5
    current = Snapshot.current()
    assert current is not None
    assert [entry.sha256 for entry in entries if entry.role == "snapshot"] == [current.sha256]


def test_founding_without_a_log_stores_nothing(fresh: Config) -> None:
    fresh.signing_log_path.mkdir(parents=True)
    store = MemoryStore()
    with pytest.raises(Unavailable) as caught:
        start(fresh, store)
    assert caught.value.code == "signing-log-away"
    assert list(store.list("")) == []
    fresh.signing_log_path.rmdir()
    start(fresh, store)
    check_whole(store)


STEPS = ["_offline_role", "make_online_key", "online_signers", "found_repository", "commit", "_create_admin"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_first_start_that_is_cut_short_goes_on(
    fresh: Config, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    store = MemoryStore()
    real = getattr(founding, step)

    def dying(*arguments: object, **keywords: object) -> None:
        if after:
            real(*arguments, **keywords)
        raise PowerCut(step)

    monkeypatch.setattr(founding, step, dying)
    with pytest.raises(PowerCut):
        start(fresh, store)
    monkeypatch.undo()
    start(fresh, store)
    check_whole(store)
    assert User.objects.filter(username="admin", is_administrator=True).exists()


def test_half_written_secret_is_written_again(fresh: Config) -> None:
    fresh.secrets_folder.mkdir(parents=True)
    (fresh.secrets_folder / "online-keys").touch()
    store = MemoryStore()
    start(fresh, store)
    assert len((fresh.secrets_folder / "online-keys").read_bytes()) > 30
    check_whole(store)


def test_store_of_another_index_is_never_written_over(fresh: Config) -> None:
    store = MemoryStore()
    store.put_many([("tuf/1.root.json", b"somebody's root")], immutable=True)
    with pytest.raises(Refused, match="restore the database") as caught:
        start(fresh, store)
    assert caught.value.code == "store-taken"
    assert store.read_all("tuf/1.root.json", max_bytes=100) == b"somebody's root"
    assert not Repository.objects.exists()


def test_users_who_are_there_already_get_no_administrator_beside_them(fresh: Config) -> None:
    a_user("ada")
    first = start(fresh, MemoryStore())
    assert first is not None
    assert first.admin_name is None
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]


def test_wrong_passphrase_says_which_file(fresh: Config) -> None:
    start(fresh, MemoryStore())
    fresh.passphrase_file.write_bytes(b"not this one")
    with pytest.raises(Unavailable, match=r"bins\.pem") as caught:
        online_signers(fresh)
    assert caught.value.code == "key-passphrase"


def test_passphrase_may_come_from_a_command_or_another_file(fresh: Config, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("of my own\n")
    store = MemoryStore()
    mine = replace(fresh, key_passphrase=f"file:{tmp_path / 'pin'}")
    start(mine, store)
    online_signers(replace(fresh, key_passphrase="command:echo of my own"), named_keys(store))
    with pytest.raises(Unavailable) as caught:
        online_signers(fresh, named_keys(store))
    assert caught.value.code == "key-passphrase"


def test_passphrase_from_elsewhere_leaves_none_in_the_data_folder(fresh: Config, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("of my own\n")
    start(replace(fresh, key_passphrase=f"file:{tmp_path / 'pin'}"), MemoryStore())
    assert [path.name for path in fresh.secrets_folder.iterdir()] == ["django"]


def test_generated_passphrase_may_be_named_by_its_source_and_moved_to_another(
    fresh: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    generated = fresh.secrets_folder / "online-keys"
    named = replace(fresh, key_passphrase=f"file:{generated}")
    start(named, store)
    online_signers(named, named_keys(store))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    generated.rename(tmp_path / "online-keys")
    moved = replace(fresh, key_passphrase="credential:online-keys")
    assert start(moved, store) is None
    online_signers(moved, named_keys(store))
    assert not generated.exists()


@pytest.mark.parametrize("source", ["of my own", "prompt:", "fd:3"])
def test_passphrase_itself_or_a_source_that_needs_a_person_is_refused_and_not_shown(fresh: Config, source: str) -> None:
    with pytest.raises(Refused, match="key_passphrase: expected a source") as caught:
        start(replace(fresh, key_passphrase=source), MemoryStore())
    assert source not in str(caught.value)


def test_two_settings_for_one_passphrase_are_refused(fresh: Config) -> None:
    with pytest.raises(Refused, match="got both"):
        start(replace(fresh, key_passphrase="file:/a", key_passphrase_file="/b"), MemoryStore())


def test_key_that_the_root_does_not_name_signs_nothing(fresh: Config, tmp_path: Path) -> None:
    store = MemoryStore()
    start(fresh, store)
    (fresh.keys_folder / "bins.pem").replace(tmp_path / "away.pem")
    founding.make_online_key(fresh.bins_key_uri, fresh)
    with pytest.raises(Untrusted) as caught:
        online_signers(fresh, named_keys(store))
    assert caught.value.code == "key-mismatch"


def test_lost_root_in_the_store_is_said_plainly(fresh: Config) -> None:
    store = MemoryStore()
    start(fresh, store)
    store.delete("tuf/1.root.json")
    with pytest.raises(Unavailable, match="backup") as caught:
        named_keys(store)
    assert caught.value.code == "offline-metadata-missing"


def test_file_in_the_place_of_the_data_folder_says_what_to_do(fresh: Config) -> None:
    fresh.data.write_text("in the way")
    with pytest.raises(WheelmarkError, match="--data") as caught:
        prepare_folders(fresh)
    assert caught.value.code == "data-folder"


def test_half_uploads_of_a_killed_process_are_swept_and_fresh_ones_kept(fresh: Config) -> None:
    prepare_folders(fresh)
    old, new = fresh.data / "incoming" / "old.upload", fresh.data / "incoming" / "new.upload"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 2 * founding.INCOMING_SECONDS,) * 2)
    prepare_folders(fresh)
    assert not old.exists()
    assert new.exists()
