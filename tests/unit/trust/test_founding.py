"""A new repository is whole from its first moment, and the offline keys are nobody else's."""

from __future__ import annotations

import json

import pytest
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.trust import NOON, POLICY, Repository, a_foundation, a_signer, offline_roles, online_signers
from wheelmark.errors import Refused, Untrusted
from wheelmark.trust import (
    Layout,
    OfflineRole,
    OfflineRoles,
    OnlineKeys,
    OnlineSigners,
    check_metadata_set,
    found_repository,
    sign_offline_roles,
)


def test_a_founded_repository_is_trusted_and_every_bin_is_there() -> None:
    repository = Repository.founded(layout=Layout(4))
    report = repository.audit()
    assert report.faults == ()
    assert len(report.bins) == 16
    assert report.target_count == 0
    assert {name: role.version for name, role in report.roles.items()} == dict.fromkeys(
        ("root", "targets", "bins", "snapshot", "timestamp"), 1
    )


def test_the_state_says_what_was_signed() -> None:
    repository = Repository.founded(layout=Layout(4))
    report, state = repository.audit(), repository.state
    assert {**report.roles} == {**state.offline, "timestamp": state.timestamp, "snapshot": report.roles["snapshot"]}
    assert [report.bins[index].expires_at for index in range(16)] == list(state.bin_expires_at)
    assert [report.bins[index].version for index in range(16)] == list(state.bin_versions)


def test_everything_is_written_in_an_order_that_a_reader_can_follow() -> None:
    foundation = a_foundation(layout=Layout(1))
    assert [name for name, _ in foundation.objects] == [
        "1.root.json", "1.targets.json", "1.bins.json", "1.bins-0.json", "1.bins-1.json", "1.snapshot.json",
    ]  # fmt: skip
    assert foundation.objects[0][1] == foundation.root


def test_the_snapshot_lists_every_role_that_targets_delegates_to_and_never_root() -> None:
    listed = json.loads(dict(a_foundation(layout=Layout(1)).objects)["1.snapshot.json"])["signed"]["meta"]
    assert set(listed) == {"targets.json", "bins.json", "bins-0.json", "bins-1.json"}


def test_bins_of_a_new_index_do_not_expire_together() -> None:
    assert len(set(a_foundation(layout=Layout(6)).state.bin_expires_at)) == 64


def test_two_of_three_holders_found_an_index_and_the_third_counts_later() -> None:
    role = OfflineRole((a_signer("ann"), a_signer("bo")), threshold=2, absent=(a_signer("cy").public,))
    foundation = found_repository(
        layout=Layout(1), now=NOON, offline=OfflineRoles.all_by(role), online=online_signers(), policy=POLICY
    )
    files = {**dict(foundation.objects), "timestamp.json": foundation.timestamp}
    assert check_metadata_set(files.get, foundation.root, NOON, policy=POLICY).faults == ()
    root = Metadata[Root].from_bytes(foundation.root).signed
    assert root.roles["root"].threshold == 2
    assert set(root.roles["root"].keyids) == {a_signer(name).keyid for name in ("ann", "bo", "cy")}


def test_fewer_signers_than_the_threshold_are_refused() -> None:
    with pytest.raises(Refused, match="expected 2 or more signers, got 1") as refusal:
        OfflineRole((a_signer("ann"),), threshold=2, absent=(a_signer("bo").public,))
    assert refusal.value.code == "role-signers"


def test_root_names_no_online_key_for_an_offline_role() -> None:
    root = json.loads(a_foundation().root)["signed"]
    online = {online_signers().bins.keyid, online_signers().publish.keyid}
    assert not online & {*root["roles"]["root"]["keyids"], *root["roles"]["targets"]["keyids"]}
    assert (
        root["roles"]["timestamp"]["keyids"] == root["roles"]["snapshot"]["keyids"] == [online_signers().publish.keyid]
    )
    assert online_signers().bins.keyid not in root["keys"]


@pytest.mark.parametrize("online", [("offline", "online 2"), ("online 1", "offline")])
def test_an_online_key_that_is_an_offline_key_is_refused(online: tuple[str, str]) -> None:
    signers = OnlineSigners(a_signer(online[0]), a_signer(online[1]))
    with pytest.raises(Refused, match="expected online keys of their own") as refusal:
        found_repository(layout=Layout(1), now=NOON, offline=offline_roles(), online=signers, policy=POLICY)
    assert refusal.value.code == "key-shared"


def test_an_absent_holders_key_is_no_online_key_either() -> None:
    absent = OfflineRole((a_signer("ann"),), absent=(a_signer("online 1").public,))
    with pytest.raises(Refused, match="expected online keys of their own"):
        sign_offline_roles(
            layout=Layout(1),
            now=NOON,
            offline=OfflineRoles(OfflineRole((a_signer("ann"),)), OfflineRole((a_signer("ann"),)), absent),
            online=OnlineKeys.of(online_signers()),
            policy=POLICY,
        )


def test_one_online_key_for_two_roles_is_refused_at_the_ceremony() -> None:
    key = a_signer("online 1").public
    with pytest.raises(Refused, match="got one for both"):
        sign_offline_roles(
            layout=Layout(1), now=NOON, offline=offline_roles(), online=OnlineKeys(key, key), policy=POLICY
        )


def test_the_founded_files_name_the_online_keys() -> None:
    files = dict(a_foundation().objects)
    assert OnlineKeys.named_in(files["1.root.json"], files["1.bins.json"]) == OnlineKeys.of(online_signers())


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"signed":{"roles":{"timestamp":{"keyids":[]}}}}'])
def test_files_that_name_no_online_key_are_untrusted(content: bytes) -> None:
    files = dict(a_foundation().objects)
    for root, bins in ((content, files["1.bins.json"]), (files["1.root.json"], content)):
        with pytest.raises(Untrusted, match="expected root and bins that name online keys") as distrust:
            OnlineKeys.named_in(root, bins)
        assert distrust.value.code == "online-keys"


def test_a_ceremony_needs_no_online_key_and_comes_to_the_same() -> None:
    ceremony = sign_offline_roles(
        layout=Layout(3), now=NOON, offline=offline_roles(), online=OnlineKeys.of(online_signers()), policy=POLICY
    )
    assert ceremony.objects == a_foundation(layout=Layout(3)).objects[:3]
