"""The daily work: what is signed, by whom, under which version, and in which order it is written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from support.trust import NOON, POLICY, Repository, a_page, a_signer, online_signers
from wheelmark.errors import Refused, Unavailable
from wheelmark.trust import (
    BINS,
    ROOT,
    TARGETS,
    ChangedBin,
    Layout,
    OnlineSigners,
    PublicKey,
    RepositoryState,
    sign_publication,
)

DAY = timedelta(days=1)


def signers_of(content: bytes) -> list[str]:
    return [signature["keyid"] for signature in json.loads(content)["signatures"]]


def test_a_publication_is_trusted_and_lists_what_changed() -> None:
    repository = Repository.founded()
    repository.publish({"flask": b"page", "django": b"other"})
    report = repository.audit()
    assert (report.faults, report.target_count) == ((), 2)


def test_bins_are_written_first_then_the_snapshot_and_the_timestamp_is_apart() -> None:
    repository = Repository.founded(layout=Layout(4))
    names = [f"project-{number}" for number in range(12)]
    publication = repository.sign(dict.fromkeys(names, b"page"))
    written = [name for name, _ in publication.objects]
    bins = sorted(repository.bins_of(names))
    assert len(bins) > 1
    assert publication.signed_bins == tuple(bins)
    assert written == [*(f"2.bins-{index:x}.json" for index in bins), "2.snapshot.json"]
    assert json.loads(publication.timestamp)["signed"]["meta"]["snapshot.json"]["version"] == 2


def test_each_online_key_signs_its_own_roles_only() -> None:
    repository = Repository.founded()
    publication = repository.publish({"flask": b"page"})
    signers = online_signers()
    for name, content in publication.objects:
        assert signers_of(content) == [signers.publish.keyid if "snapshot" in name else signers.bins.keyid]
    assert signers_of(publication.timestamp) == [signers.publish.keyid]


def test_no_publication_touches_an_offline_role() -> None:
    repository = Repository.founded()
    offline = repository.state.offline
    publication = repository.publish({"flask": b"page"}, resign=range(8), burned={ROOT: 9, TARGETS: 9, BINS: 9})
    assert repository.state.offline == offline
    written = {name.split(".")[1] for name, _ in publication.objects}
    assert written == {*repository.state.layout.bin_names, "snapshot"}


def test_one_key_for_both_online_roles_is_refused() -> None:
    with pytest.raises(Refused, match="expected two online keys") as refusal:
        OnlineSigners(a_signer("one"), a_signer("one"))
    assert refusal.value.code == "key-shared"


def test_without_a_change_only_the_timestamp_is_new() -> None:
    repository = Repository.founded()
    before = repository.state
    publication = repository.publish(now=NOON + timedelta(hours=1))
    assert publication.objects == ()
    assert repository.state.snapshot == before.snapshot
    assert repository.state.timestamp.version == 2
    assert repository.state.timestamp.expires_at == NOON + timedelta(hours=25)
    assert repository.audit(now=NOON + timedelta(hours=1)).faults == ()


def test_a_snapshot_half_way_to_its_expiry_is_renewed_with_the_timestamp() -> None:
    repository = Repository.founded()
    publication = repository.publish(now=NOON + 4 * DAY)
    assert [name for name, _ in publication.objects] == ["2.snapshot.json"]
    assert repository.state.snapshot.expires_at == NOON + 11 * DAY


def test_a_removed_page_is_absent_after_the_next_publication() -> None:
    repository = Repository.founded()
    repository.publish({"flask": b"page"})
    del repository.pages["flask"]
    repository.publish(resign=repository.bins_of(["flask"]))
    assert repository.audit().target_count == 0


def test_a_burned_version_is_never_used_again() -> None:
    repository = Repository.founded()
    index = min(repository.bins_of(["flask"]))
    name = repository.state.layout.bin_name(index)
    publication = repository.publish({"flask": b"page"}, burned={name: 7, "snapshot": 4, "timestamp": 11})
    assert [written for written, _ in publication.objects] == [f"8.{name}.json", "5.snapshot.json"]
    assert repository.state.timestamp.version == 12
    assert repository.audit().faults == ()


def test_a_burned_version_below_the_state_changes_nothing() -> None:
    repository = Repository.founded()
    repository.publish({"flask": b"1"})
    repository.publish({"flask": b"2"}, burned={"snapshot": 1, "timestamp": 1})
    assert (repository.state.snapshot.version, repository.state.timestamp.version) == (3, 3)


def test_an_attempt_that_died_leaves_no_version_with_two_contents() -> None:
    repository = Repository.founded()
    died = repository.sign({"flask": b"never committed"})
    repository.files.update(died.objects)  # everything but the timestamp was written
    del repository.pages["flask"]
    burned = {name.split(".")[1]: int(name.split(".")[0]) for name, _ in died.objects} | {
        "timestamp": died.state.timestamp.version
    }
    repository.publish({"flask": b"committed"}, burned=burned)  # `write` asserts that no file has two contents
    assert repository.audit().faults == ()


def test_an_unpublished_attempt_leaves_the_previous_snapshot_whole() -> None:
    repository = Repository.founded()
    repository.publish({"flask": b"page"})
    before = repository.audit()
    for name, content in repository.sign({"django": b"page"}).objects:
        repository.files[name] = content
        assert repository.audit() == before


def test_a_clock_set_back_neither_stops_publishing_nor_shortens_anything() -> None:
    repository = Repository.founded()
    repository.publish({"flask": b"page"}, resign=range(8))
    before = repository.state
    repository.publish({"flask": b"new page"}, resign=range(8), now=NOON - 400 * DAY)
    after = repository.state
    assert after.timestamp.version == before.timestamp.version + 1
    assert after.snapshot.version == before.snapshot.version + 1
    assert after.bin_versions == tuple(version + 1 for version in before.bin_versions)
    assert after.timestamp.expires_at == before.timestamp.expires_at
    assert after.snapshot.expires_at == before.snapshot.expires_at
    assert after.bin_expires_at == before.bin_expires_at
    assert repository.audit().faults == ()


def test_an_expiry_from_a_clock_far_ahead_can_be_taken_back_by_hand() -> None:
    repository = Repository.founded()
    repository.publish(resign=range(8), now=NOON + 4000 * DAY)
    assert {fault.code for fault in repository.audit().faults} == {"expires-late"}
    state = repository.state
    repository.state = replace(
        state,
        bin_expires_at=(NOON,) * 8,
        snapshot=replace(state.snapshot, expires_at=NOON),
        timestamp=replace(state.timestamp, expires_at=NOON),
    )
    repository.publish(resign=range(8))
    assert repository.audit().faults == ()
    assert repository.state.timestamp.version == state.timestamp.version + 1


def test_a_bin_given_twice_is_refused() -> None:
    repository = Repository.founded()
    with pytest.raises(Refused, match="expected each bin once, got bins-3 again"):
        _publish(repository.state, [ChangedBin(3, ()), ChangedBin(1, ()), ChangedBin(3, ())])


@pytest.mark.parametrize("index", [-1, 8])
def test_an_unknown_bin_is_refused(index: int) -> None:
    with pytest.raises(Refused, match="expected 0 to 7"):
        _publish(Repository.founded().state, [ChangedBin(index, ())])


def test_a_page_in_a_bin_where_no_client_looks_is_refused() -> None:
    repository = Repository.founded()
    row = a_page("flask")
    astray = (repository.state.layout.bin_of(row.path) + 1) % 8
    with pytest.raises(Refused, match="got one of another bin") as refusal:
        _publish(repository.state, [ChangedBin(astray, [row])])
    assert [(fault.code, fault.field) for fault in refusal.value.faults] == [("row-astray", row.path)]


def test_a_signer_that_is_away_costs_nothing() -> None:
    class Away:
        uri = "hsm:away"

        @property
        def public(self) -> PublicKey:
            return a_signer("away").public

        @property
        def keyid(self) -> str:
            return self.public.keyid

        def sign(self, signed: bytes) -> dict[str, str]:
            raise Unavailable(f"no answer to {len(signed)} bytes", code="signer-away")

    repository = Repository.founded()
    with pytest.raises(Unavailable, match="no answer"):
        sign_publication(
            repository.state,
            (),
            burned={},
            now=NOON,
            signers=OnlineSigners(a_signer("online 1"), Away()),
            policy=POLICY,
        )
    repository.publish({"flask": b"page"})
    assert repository.state.snapshot.version == 2


def test_a_state_that_lacks_a_bin_is_our_own_mistake() -> None:
    state = Repository.founded().state
    with pytest.raises(RuntimeError, match="expected 8 bins, got 7 versions and 8 expiries"):
        replace(state, bin_versions=state.bin_versions[1:])


def _publish(state: RepositoryState, changed: list[ChangedBin]) -> None:
    sign_publication(state, changed, burned={}, now=NOON, signers=online_signers(), policy=POLICY)
