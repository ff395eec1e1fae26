"""The audit finds every kind of fault in a repository that was tampered with, forged, left to expire or half lost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from support.trust import NOON, POLICY, Repository, a_page, a_signer, offline_roles, online_signers
from wheelmark.trust import (
    Delegation,
    Layout,
    OnlineSigner,
    RoleKeys,
    bin_bytes,
    bins_delegation,
    check_metadata_set,
    envelope,
    page_target_path,
    root_bytes,
    snapshot_bytes,
    targets_bytes,
    timestamp_bytes,
)
from wheelmark.trust.metadata import BIN_NAME_FIELD

DAY = timedelta(days=1)


@pytest.fixture
def repository() -> Repository:
    """Founded and published to once: bins of flask and django are at version 2, as is the snapshot."""
    repository = Repository.founded()
    repository.publish({"flask": b"page", "django": b"page"})
    return repository


def codes(repository: Repository, **arguments: Any) -> set[tuple[str, str]]:
    return {(fault.code, fault.field) for fault in repository.audit(**arguments).faults}


def flask_bin(repository: Repository) -> str:
    layout = repository.state.layout
    return layout.bin_name(layout.bin_of(page_target_path("flask")))


def forge(content: bytes, signer: OnlineSigner, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The metadata with something changed in it, signed again by some key."""
    signed = json.loads(content)["signed"]
    change(signed)
    plain = json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()
    return envelope(plain, [signer.sign(plain)])


def commit(repository: Repository, snapshot: bytes) -> None:
    """Put a forged snapshot under a timestamp that fits it: what a thief of online key 2 could do."""
    version = json.loads(snapshot)["signed"]["version"]
    signed = timestamp_bytes(
        version=repository.state.timestamp.version,
        expires=NOON + DAY,
        snapshot_version=version,
        snapshot_length=len(snapshot),
        snapshot_sha256=hashlib.sha256(snapshot).hexdigest(),
    )
    repository.files[f"{version}.snapshot.json"] = snapshot
    repository.files["timestamp.json"] = envelope(signed, [online_signers().publish.sign(signed)])


def test_a_whole_repository_has_no_fault(repository: Repository) -> None:
    report = repository.audit()
    assert report.trusted
    assert report.target_count == 2


def test_a_missing_file_is_named(repository: Repository) -> None:
    names = ["timestamp.json", "2.snapshot.json", "1.targets.json", "1.bins.json", f"2.{flask_bin(repository)}.json"]
    for name in names:
        kept = repository.files.pop(name)
        assert codes(repository) == {("missing", name)}
        repository.files[name] = kept


def test_every_flipped_signature_is_found(repository: Repository) -> None:
    for name in ["timestamp.json", "1.targets.json", "1.bins.json", f"2.{flask_bin(repository)}.json"]:
        kept = repository.files[name]
        at = kept.index(b'"sig":"') + 10
        repository.files[name] = kept[:at] + (b"0" if kept[at : at + 1] != b"0" else b"1") + kept[at + 1 :]
        assert codes(repository) == {("unsigned", name)}
        repository.files[name] = kept


def test_a_changed_snapshot_does_not_fit_its_timestamp(repository: Repository) -> None:
    for content in (repository.files["2.snapshot.json"] + b" ", repository.files["2.snapshot.json"][:-1] + b" "):
        repository.files["2.snapshot.json"] = content
        assert codes(repository) == {("length-or-hash", "2.snapshot.json")}


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000, b"null", b'{"signatures":[],"signed":{}}'])
def test_unreadable_bytes_are_a_fault_and_not_a_crash(repository: Repository, content: bytes) -> None:
    for name in ("timestamp.json", "1.targets.json", "1.bins.json", f"2.{flask_bin(repository)}.json"):
        kept = repository.files[name]
        repository.files[name] = content
        assert codes(repository) == {("unreadable", name)}
        repository.files[name] = kept


def test_an_unreadable_root_trusts_nothing(repository: Repository) -> None:
    repository.root = b"{}"
    assert codes(repository) == {("unreadable", "root.json")}


def test_a_role_in_anothers_place_is_found(repository: Repository) -> None:
    repository.files["timestamp.json"] = repository.files["2.snapshot.json"]
    assert codes(repository) == {("unreadable", "timestamp.json")}


def test_a_bin_signed_by_the_other_online_key_is_not_trusted(repository: Repository) -> None:
    name = f"2.{flask_bin(repository)}.json"
    repository.files[name] = forge(repository.files[name], online_signers().publish, lambda signed: None)
    assert codes(repository) == {("unsigned", name)}


def test_an_older_bin_under_the_new_name_is_found(repository: Repository) -> None:
    name = flask_bin(repository)
    repository.files[f"2.{name}.json"] = repository.files[f"1.{name}.json"]
    assert codes(repository) == {("version", f"2.{name}.json")}


@pytest.mark.parametrize(
    ("days", "expired"),
    [
        (2, {"timestamp"}),
        (8, {"timestamp", "snapshot"}),
        (400, {"root", "timestamp", "snapshot", "targets", "bins", *Layout(3).bin_names}),
    ],
)
def test_everything_expired_is_named(repository: Repository, days: int, expired: set[str]) -> None:
    assert codes(repository, now=NOON + days * DAY) == {("expired", role) for role in expired}


def test_metadata_expires_on_the_second(repository: Repository) -> None:
    assert ("expired", "timestamp") not in codes(repository, now=NOON + DAY - timedelta(seconds=1))
    assert ("expired", "timestamp") in codes(repository, now=NOON + DAY)


def test_a_snapshot_that_lacks_a_bin_is_found(repository: Repository) -> None:
    name = flask_bin(repository)
    snapshot = forge(
        repository.files["2.snapshot.json"], online_signers().publish, lambda signed: signed["meta"].pop(f"{name}.json")
    )
    commit(repository, snapshot)
    assert codes(repository) == {("not-listed", "2.snapshot.json")}


def test_a_timestamp_that_binds_no_snapshot_is_found(repository: Repository) -> None:
    for field in ("length", "hashes"):

        def drop(signed: dict[str, Any], field: str = field) -> None:
            del signed["meta"]["snapshot.json"][field]

        kept = repository.files["timestamp.json"]
        repository.files["timestamp.json"] = forge(kept, online_signers().publish, drop)
        assert codes(repository) == {("snapshot-unbound", "timestamp.json")}
        repository.files["timestamp.json"] = kept


def test_a_target_in_a_bin_where_no_client_looks_is_found(repository: Repository) -> None:
    name, layout = flask_bin(repository), repository.state.layout
    astray = next(page for page in map(a_page, "abcdefgh") if layout.bin_name(layout.bin_of(page.path)) != name)
    signed = bin_bytes(name, version=2, expires=NOON + 60 * DAY, rows=[astray])
    repository.files[f"2.{name}.json"] = envelope(signed, [online_signers().bins.sign(signed)])
    assert codes(repository) == {("row-astray", name)}


@pytest.mark.parametrize("said", ["bins-0", None])
def test_a_bin_that_does_not_say_that_it_is_this_one_is_found(repository: Repository, said: str | None) -> None:
    name = flask_bin(repository)

    def rename(signed: dict[str, Any]) -> None:
        del signed[BIN_NAME_FIELD]
        if said is not None:
            signed[BIN_NAME_FIELD] = f"{said}x"

    file = f"2.{name}.json"
    repository.files[file] = forge(repository.files[file], online_signers().bins, rename)
    assert codes(repository) == {("bin-name", name)}


def test_a_target_without_sha256_is_found(repository: Repository) -> None:
    name = f"2.{flask_bin(repository)}.json"

    def weaken(signed: dict[str, Any]) -> None:
        for target in signed["targets"].values():
            target["hashes"] = {"sha512": "0" * 128}

    repository.files[name] = forge(repository.files[name], online_signers().bins, weaken)
    assert codes(repository) == {("sha256", flask_bin(repository))}


def test_delegations_in_another_order_are_found(repository: Repository) -> None:
    keys = offline_roles().bins.keys
    claims = Delegation("claims", keys, ("claims/*",))
    for delegations, faults in [
        ((claims, bins_delegation(keys)), set()),
        ((bins_delegation(keys), claims), {("delegations", "targets")}),
        ((Delegation("early", keys, ("*",)), bins_delegation(keys)), {("delegations", "targets")}),
    ]:
        _put_targets(repository, targets_bytes(version=1, expires=NOON + DAY, delegations=delegations))
        assert codes(repository) == faults


def test_targets_that_speak_for_themselves_are_found(repository: Repository) -> None:
    def add(signed: dict[str, Any]) -> None:
        signed["targets"]["x"] = {"length": 1, "hashes": {"sha256": "0" * 64}}

    repository.files["1.targets.json"] = forge(repository.files["1.targets.json"], a_signer("offline"), add)
    assert codes(repository) == {("delegations", "targets")}


@pytest.mark.parametrize("change", [{"bit_length": 17}, {"name_prefix": "other"}])
def test_bins_of_another_kind_are_found_and_not_walked(repository: Repository, change: Mapping[str, Any]) -> None:
    def other(signed: dict[str, Any]) -> None:
        signed["delegations"]["succinct_roles"].update(change)

    repository.files["1.bins.json"] = forge(repository.files["1.bins.json"], a_signer("offline"), other)
    assert codes(repository) == {("delegations", "bins")}


def a_root(version: int, *, root: RoleKeys, consistent: bool = True) -> bytes:
    online = RoleKeys((online_signers().publish.public,))
    signed = root_bytes(
        version=version,
        expires=NOON + DAY,
        root=root,
        targets=offline_roles().targets.keys,
        snapshot=online,
        timestamp=online,
    )
    return signed if consistent else signed.replace(b'"consistent_snapshot":true', b'"consistent_snapshot":false')


def test_a_rotated_root_is_followed(repository: Repository) -> None:
    old, new = a_signer("offline"), a_signer("offline new")
    signed = a_root(2, root=RoleKeys((new.public,)))
    repository.files["2.root.json"] = envelope(signed, [old.sign(signed), new.sign(signed)])
    report = repository.audit()
    assert (report.faults, report.roles["root"].version) == ((), 2)


@pytest.mark.parametrize("signers", [("offline",), ("offline new",), ("stranger",)])
def test_a_root_that_lacks_the_old_or_its_own_signature_is_not_followed(
    repository: Repository, signers: tuple[str, ...]
) -> None:
    signed = a_root(2, root=RoleKeys((a_signer("offline new").public,)))
    repository.files["2.root.json"] = envelope(signed, [a_signer(name).sign(signed) for name in signers])
    report = repository.audit()
    assert [(fault.code, fault.field) for fault in report.faults] == [("unsigned", "2.root.json")]
    assert report.roles == {}


def test_a_root_that_skips_a_version_is_not_followed(repository: Repository) -> None:
    signed = a_root(3, root=RoleKeys((a_signer("offline").public,)))
    repository.files["2.root.json"] = envelope(signed, [a_signer("offline").sign(signed)])
    assert codes(repository) == {("version", "2.root.json")}


def test_roots_without_end_are_not_followed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelmark.trust.verify.MAX_ROOT_ROTATIONS", 3)
    for version in (2, 3, 4, 5):
        signed = a_root(version, root=RoleKeys((a_signer("offline").public,)))
        repository.files[f"{version}.root.json"] = envelope(signed, [a_signer("offline").sign(signed)])
    assert codes(repository) == {("root-rotations", "root")}


def test_a_root_without_consistent_snapshots_is_found(repository: Repository) -> None:
    signed = a_root(2, root=RoleKeys((a_signer("offline").public,)), consistent=False)
    repository.files["2.root.json"] = envelope(signed, [a_signer("offline").sign(signed)])
    assert ("consistent-snapshot", "root") in codes(repository)


def test_metadata_that_lives_longer_than_the_policy_says_is_found() -> None:
    repository = Repository.founded(now=NOON + 1000 * DAY)
    late = {role for code, role in codes(repository) if code == "expires-late"}
    assert late == {"root", "targets", "bins", "snapshot", "timestamp", *Layout(3).bin_names}
    assert check_metadata_set(repository.files.get, repository.root, NOON).faults == ()


def test_all_faults_are_reported_at_once(repository: Repository) -> None:
    layout = repository.state.layout
    for index in (0, 5):
        del repository.files[f"{repository.state.bin_versions[index]}.{layout.bin_name(index)}.json"]
    assert len(repository.audit(now=NOON + 2 * DAY).faults) == 3


def _put_targets(repository: Repository, signed: bytes) -> None:
    """Other targets of version 1, and a snapshot that has the roles they delegate to."""
    repository.files["1.targets.json"] = envelope(signed, [a_signer("offline").sign(signed)])
    listed = snapshot_bytes(
        version=2,
        expires=NOON + POLICY.snapshot,
        layout=repository.state.layout,
        bin_versions=repository.state.bin_versions,
        role_versions={"targets": 1, "bins": 1, "claims": 1},
    )
    commit(repository, envelope(listed, [online_signers().publish.sign(listed)]))
