"""A completed ceremony comes into force in one publication, and an unmodified TUF client follows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tuf.api.exceptions import UnsignedMetadataError

from support.ceremonies import DAY, RENEWAL, ann, bo, change, cy, holders_of
from support.publishing import Client, FoundedIndex, MemorySigningLog, found_index
from support.rows import a_file
from support.trust import a_signer
from wheelmark.errors import Refused, Unavailable
from wheelmark.server.publishing.commit import begin
from wheelmark.server.publishing.models import OfflineChange, PublishedPage, Repository, RoleVersion, Snapshot
from wheelmark.server.publishing.offline import hand_over, take_back
from wheelmark.server.publishing.publisher import Publisher
from wheelmark.server.publishing.signing import current_files, named_keys
from wheelmark.trust import Layout, RoleKeys
from wheelmark.trust.ceremony import Wish, complete, propose, sign
from wheelmark.trust.ceremony_file import format_ceremony
from wheelmark.trust.holders import changed_holders
from wheelmark.trust.succession import terms_of
from wheelmark.trust.terms import OFFLINE_ROLES, OfflineTerms

pytestmark = pytest.mark.django_db(transaction=True)

FILES = ["demo-1.0-py3-none-any.whl"]


@pytest.fixture
def index() -> FoundedIndex:
    index = found_index()
    a_file("demo", "1.0")
    assert index.publisher().publish_due()
    return index


def terms(index: FoundedIndex) -> OfflineTerms:
    return terms_of(current_files(index.store, OFFLINE_ROLES))


def versions() -> dict[str, int]:
    return dict(RoleVersion.objects.values_list("role", "version"))


def apply(index: FoundedIndex, row: OfflineChange) -> None:
    assert index.publisher().publish_due()
    row.refresh_from_db()
    assert not row.waiting


def test_client_that_was_away_for_fifty_roots_comes_back(index: FoundedIndex) -> None:
    old, steady = Client(index), Client(index)
    assert old.sees("demo") == {"demo": FILES}
    for _ in range(50):
        index.now += DAY
        apply(index, change(index, Wish(renew=frozenset({"root"})), index.holder))
        if versions()["root"] % 10 == 0:
            assert steady.sees("demo") == {"demo": FILES}
    assert versions()["root"] == 51
    assert old.sees("demo", "unknown") == {"demo": FILES, "unknown": None}
    assert steady.sees("demo") == {"demo": FILES}
    assert index.client_sees("demo") == {"demo": FILES}


def test_quick_start_moves_to_two_of_three_and_its_key_counts_no_more(index: FoundedIndex) -> None:
    client = Client(index)
    client.sees("demo")
    apply(index, change(index, Wish(holders=holders_of(ann(), bo(), cy(), threshold=2)), index.holder, ann(), cy()))
    assert client.sees("demo") == {"demo": FILES}
    with pytest.raises(Refused) as refusal:
        change(index, RENEWAL, index.holder)
    assert refusal.value.code == "not-a-holder"
    with pytest.raises(Refused) as refusal:
        change(index, RENEWAL, bo())
    assert refusal.value.code == "ceremony-unsigned"
    apply(index, change(index, RENEWAL, bo(), cy()))
    assert client.sees("demo") == {"demo": FILES}


def test_holders_come_and_go_and_thresholds_rise_and_sink(index: FoundedIndex) -> None:
    client = Client(index)
    client.sees("demo")
    apply(index, change(index, Wish(holders=holders_of(ann(), bo(), cy(), threshold=2)), index.holder, ann(), cy()))
    di = a_signer("di")
    steps = [
        ({"add": [di.public]}, (ann(), bo())),
        ({"threshold": 3}, (ann(), bo(), di)),
        ({"remove": [ann().public]}, (ann(), bo(), di, cy())),
        ({"threshold": 1}, (cy(), bo(), di)),
    ]
    for asked, present in steps:
        index.now += DAY
        wish = Wish(holders=changed_holders(terms(index), **asked))  # type: ignore[arg-type]  # three kinds of options
        apply(index, change(index, wish, *present))
        assert client.sees("demo") == {"demo": FILES}
    assert terms(index).root.root == RoleKeys((bo().public, cy().public, di.public), 1)
    assert index.client_sees("demo") == {"demo": FILES}


@pytest.mark.parametrize("role", OFFLINE_ROLES)
def test_key_of_each_offline_role_is_replaced(index: FoundedIndex, role: str) -> None:
    client = Client(index)
    client.sees("demo")
    apply(index, change(index, Wish(holders={role: RoleKeys((ann().public,))}), index.holder, ann()))
    assert terms(index).holders(role).keys == (ann().public,)
    index.now += DAY
    apply(index, change(index, RENEWAL, index.holder, ann()))
    assert client.sees("demo") == {"demo": FILES}
    assert index.client_sees("demo") == {"demo": FILES}


def test_new_bins_key_signs_every_bin_again(index: FoundedIndex) -> None:
    client = Client(index)
    client.sees("demo")
    key = a_signer("online 3")
    index.online.append(key)
    before = versions()
    apply(index, change(index, Wish(bins_key=key.public), index.holder))
    bins = terms(index).bins.layout.bin_names
    assert all(versions()[name] == before[name] + 1 for name in bins)
    assert named_keys(index.store).bins == key.public
    assert client.sees("demo", "unknown") == {"demo": FILES, "unknown": None}
    a_file("demo", "2.0")
    index.publisher().publish_due()
    assert len(client.sees("demo")["demo"] or []) == 2


def test_new_timestamp_key_signs_snapshot_and_timestamp_and_leaves_bins_alone(index: FoundedIndex) -> None:
    client = Client(index)
    client.sees("demo")
    key = a_signer("online 4")
    index.online.append(key)
    before = versions()
    publisher = index.publisher()
    change(index, Wish(publish_key=key.public), index.holder)
    assert publisher.publish_due()
    bins = terms(index).bins.layout.bin_names
    assert all(versions()[name] == before[name] for name in bins)
    assert client.sees("demo") == {"demo": FILES}
    a_file("demo", "2.0")
    assert publisher.publish_due(), "the same publisher goes on with the new key"
    assert len(client.sees("demo")["demo"] or []) == 2


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_client_that_knew_another_number_of_bins_accepts_the_new_one(index: FoundedIndex, bits: int) -> None:
    for number in range(12):
        a_file(f"project-{number}", "1.0")
    index.publisher().publish_due()
    names = tuple(f"project-{number}" for number in range(12))
    client = Client(index)
    seen = client.sees(*names)
    keys = [a_signer("online 5"), a_signer("online 6")]
    index.online += keys
    publisher = index.publisher()
    change(index, Wish(layout=Layout(bits), bins_key=keys[0].public, publish_key=keys[1].public), index.holder)
    assert publisher.publish_due()
    assert Repository.objects.get().bit_length == bits
    assert client.sees(*names, "unknown") == {**seen, "unknown": None}
    assert index.client_sees(*names) == seen
    layout = Layout(bits)
    assert {page.bin for page in PublishedPage.objects.all()} <= set(range(layout.bin_count))
    a_file("project-3", "2.0")
    assert publisher.publish_due()
    assert len(client.sees("project-3")["project-3"] or []) == 2
    index.now += timedelta(days=80)
    while index.publisher().publish_due():
        pass
    assert client.sees("demo") == {"demo": FILES}


def test_bins_that_come_back_go_on_with_their_versions(index: FoundedIndex) -> None:
    """Their old files are served for ever as immutable: another content under such a name would lock clients out."""
    client = Client(index)
    client.sees("demo")
    before = versions()
    for number, bits in enumerate((8, 3)):
        keys = [a_signer(f"bins {number}"), a_signer(f"timestamp {number}")]
        index.online += keys
        wish = Wish(layout=Layout(bits), bins_key=keys[0].public, publish_key=keys[1].public)
        apply(index, change(index, wish, index.holder))
        assert client.sees("demo") == {"demo": FILES}
    assert all(versions()[name] > before[name] for name in Layout(3).bin_names)
    assert index.client_sees("demo") == {"demo": FILES}


def test_publisher_that_was_overtaken_by_a_ceremony_signs_nothing_with_the_old_key(index: FoundedIndex) -> None:
    key = a_signer("online 4")
    client = Client(index)
    client.sees("demo")
    old = index.publisher()
    index.online.append(key)
    apply(index, change(index, Wish(publish_key=key.public), index.holder))
    a_file("demo", "2.0")
    with pytest.raises(Unavailable) as refusal:
        old.publish_due()
    assert refusal.value.code == "keys-changed"
    assert client.sees("demo") == {"demo": FILES}
    assert index.publisher().publish_due()
    assert len(client.sees("demo")["demo"] or []) == 2


def test_old_key_signs_nothing_more_that_a_client_takes(index: FoundedIndex) -> None:
    client, key = Client(index), a_signer("online 4")
    client.sees("demo")
    index.online.append(key)
    apply(index, change(index, Wish(publish_key=key.public), index.holder))
    client.sees("demo")
    thief = Publisher(
        index.store, index.signers, index.signing_log, policy=index.publisher().policy, clock=lambda: index.now
    )
    a_file("demo", "2.0")
    assert thief.publish_due()
    with pytest.raises(UnsignedMetadataError):
        client.sees("demo")


def test_ceremony_whose_key_is_not_here_waits_and_holds_nothing_up(index: FoundedIndex) -> None:
    key = a_signer("online 4")
    row = change(index, Wish(publish_key=key.public), index.holder)
    publisher = index.publisher()
    a_file("demo", "2.0")
    assert publisher.publish_due()
    assert OfflineChange.objects.filter(pk=row.pk, waiting=True).exists()
    assert len(index.client_sees("demo")["demo"] or []) == 2
    index.online.append(key)
    assert publisher.publish_due()
    row.refresh_from_db()
    assert not row.waiting
    assert len(index.client_sees("demo")["demo"] or []) == 2


def test_ceremony_on_top_of_an_older_root_is_not_applied(index: FoundedIndex) -> None:
    stale = propose(current_files(index.store, OFFLINE_ROLES), RENEWAL, now=index.now, policy=index.publisher().policy)
    index.now += DAY  # another root 2, not the same
    apply(index, change(index, Wish(renew=frozenset({"root"})), index.holder))
    signed = sign(stale, index.holder)
    row = hand_over(complete(signed, now=index.now), format_ceremony(signed), now=index.now)
    a_file("demo", "2.0")
    index.publisher().publish_due()
    row.refresh_from_db()
    assert row.waiting
    assert versions()["root"] == 2
    assert take_back(index.store)
    assert not OfflineChange.objects.filter(waiting=True).exists()


def test_ceremony_that_waits_is_handed_over_once_and_keeps_others_out(index: FoundedIndex) -> None:
    row = change(index, RENEWAL, index.holder)
    assert change(index, RENEWAL, index.holder) == row
    with pytest.raises(Refused) as refusal:
        change(index, Wish(renew=frozenset({"root"})), index.holder)
    assert refusal.value.code == "ceremony-waiting"


def test_ceremony_that_is_begun_cannot_be_taken_back(index: FoundedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of root 2 may lie in the store: there must never be another root 2."""
    change(index, RENEWAL, index.holder)
    publisher = index.publisher()

    def away(*arguments: object, **options: object) -> None:
        raise Unavailable("the store is away", code="store-unavailable")

    monkeypatch.setattr(index.store, "put_many", away)
    with pytest.raises(Unavailable):
        publisher.publish_due()
    monkeypatch.undo()
    with pytest.raises(Refused) as refusal:
        take_back(index.store)
    assert refusal.value.code == "ceremony-begun"
    assert index.publisher().publish_due()
    assert versions()["root"] == 2


def test_ceremony_that_is_taken_back_while_it_is_applied_changes_nothing(
    index: FoundedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(index, RENEWAL, index.holder)

    def taken_back(*arguments: object, **options: object) -> object:
        assert take_back(index.store)
        return begin(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("wheelmark.server.publishing.offline.begin", taken_back)
    with pytest.raises(Unavailable, match="taken back"):
        index.publisher().publish_due()
    assert versions()["root"] == 1
    assert index.client_sees("demo") == {"demo": FILES}


def test_offline_change_and_new_files_come_one_after_the_other(index: FoundedIndex) -> None:
    change(index, RENEWAL, index.holder)
    a_file("demo", "2.0")
    publisher = index.publisher()
    assert publisher.publish_due()
    assert publisher.publish_due()
    current = Snapshot.current()
    assert current is not None
    assert current.version == 4
    assert len(index.client_sees("demo")["demo"] or []) == 2


def test_every_signature_of_a_ceremony_is_a_line_of_the_signing_log(index: FoundedIndex) -> None:
    holders = (index.holder, ann(), cy())
    apply(index, change(index, Wish(holders=holders_of(ann(), bo(), cy(), threshold=2)), *holders))
    assert isinstance(index.signing_log, MemorySigningLog)
    lines = [(entry.role, entry.version, entry.keyid) for entry in index.signing_log.appended]
    assert {("root", 2, holder.keyid) for holder in holders} <= set(lines)
    assert {("targets", 2, ann().keyid), ("bins", 2, cy().keyid)} <= set(lines)
    assert ("snapshot", 3, index.signers.publish.keyid) in lines
