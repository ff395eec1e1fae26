"""The fault table of a ceremony that is applied: every write × (failed | failed but was stored).

Before the commit the old root and the old snapshot are in force and whole, after it the new ones; a publisher that
knows nothing but the rows ends what was begun; and no version ever has two contents.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from faults.test_publisher_faults import DyingStore, PowerCut
from support.ceremonies import RENEWAL, ann, bo, change, cy, holders_of
from support.publishing import BITS, Client, FoundedIndex, MemorySigningLog, found_index
from support.rows import a_file
from support.trust import a_signer
from wheelmark.errors import Refused
from wheelmark.server.publishing import offline as offline_module
from wheelmark.server.publishing.models import Attempt, OfflineChange, Repository, RoleVersion
from wheelmark.server.publishing.offline import take_back
from wheelmark.server.publishing.recovery import Recovery, adopt_offline_roles, recover
from wheelmark.store import Conflict
from wheelmark.trust import Layout
from wheelmark.trust.ceremony import Wish
from wheelmark.trust.terms import OFFLINE_ROLES

pytestmark = pytest.mark.django_db(transaction=True)

SEEN = {"alpha": ["alpha-1.0-py3-none-any.whl"], "beta": ["beta-1.0-py3-none-any.whl"], "gamma": None}
STORE_WRITES = 8
"""Root, targets, bins; four bins of the new layout; the snapshot: `test_table_covers_every_write` holds it to that."""


FEWER = Layout(2)


def prepared(store: DyingStore, *, layout: Layout | None = FEWER) -> tuple[FoundedIndex, Client]:
    """An index on which a ceremony waits that changes everything: holders, both online keys, the number of bins."""
    index = found_index(store)
    a_file("alpha", "1.0")
    a_file("beta", "1.0")
    assert index.publisher().publish_due()
    client = Client(index)
    assert client.sees(*SEEN) == SEEN
    keys = [a_signer("online 7"), a_signer("online 8")]
    index.online += keys
    wish = Wish(
        holders=holders_of(ann(), bo(), cy(), threshold=2),
        bins_key=keys[0].public,
        publish_key=keys[1].public,
        layout=layout,
    )
    change(index, wish, index.holder, ann(), bo())
    return index, client


def check(index: FoundedIndex, store: DyingStore, client: Client, *, committed: bool) -> None:
    assert RoleVersion.objects.get(role="root").version == (2 if committed else 1)
    assert client.sees(*SEEN) == SEEN, "a client that was there before"
    assert index.client_sees(*SEEN) == SEEN, "a new client"
    store.die_at = None
    assert index.publisher().publish_due() is not committed
    assert RoleVersion.objects.get(role="root").version == 2
    assert Repository.objects.get().bit_length == 2
    assert not OfflineChange.objects.filter(waiting=True).exists()
    assert not Attempt.objects.exists()
    assert client.sees(*SEEN) == SEEN
    assert index.client_sees(*SEEN) == SEEN
    assert [key for key, contents in store.history.items() if len(contents) > 1] == [], "no version has two contents"
    a_file("delta", "1.0")
    assert index.publisher().publish_due()
    assert client.sees("delta") == {"delta": ["delta-1.0-py3-none-any.whl"]}


def test_table_covers_every_write() -> None:
    store = DyingStore()
    index, _ = prepared(store)
    store.writes = 0
    assert index.publisher().publish_due()
    assert store.writes == STORE_WRITES


@pytest.mark.parametrize("stored", [False, True], ids=["failed", "failed-but-stored"])
@pytest.mark.parametrize("write", range(1, STORE_WRITES + 1))
def test_death_at_any_store_write_leaves_the_old_root_in_force(write: int, stored: bool) -> None:
    store = DyingStore()
    index, client = prepared(store)
    store.die_at, store.stored = store.writes + write, stored
    with pytest.raises(PowerCut):
        index.publisher().publish_due()
    check(index, store, client, committed=False)


@pytest.mark.parametrize("stored", [False, True], ids=["failed", "failed-but-stored"])
@pytest.mark.parametrize("step", ["begin", "commit", "_move_targets"])
def test_death_at_a_database_write_leaves_the_old_root_in_force(
    step: str, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`commit` and what follows it are one transaction: a death inside takes all of it back."""
    store = DyingStore()
    index, client = prepared(store)
    real: Callable[..., Any] = getattr(offline_module, step)

    def dying(*arguments: Any, **keywords: Any) -> None:
        if stored:
            real(*arguments, **keywords)
        raise PowerCut(step)

    monkeypatch.setattr(offline_module, step, dying)
    with pytest.raises(PowerCut):
        index.publisher().publish_due()
    monkeypatch.undo()
    check(index, store, client, committed=False)


def test_death_right_after_the_commit_leaves_the_new_root_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    store = DyingStore()
    index, client = prepared(store)
    real = offline_module.OfflineChanges._publish

    def dying(*arguments: Any, **keywords: Any) -> None:
        real(*arguments, **keywords)
        raise PowerCut("after")

    monkeypatch.setattr(offline_module.OfflineChanges, "_publish", dying)
    with pytest.raises(PowerCut):
        index.publisher().publish_due()
    monkeypatch.undo()
    check(index, store, client, committed=True)


def recover_index(index: FoundedIndex) -> Recovery:
    assert isinstance(index.signing_log, MemorySigningLog)
    adopted = adopt_offline_roles(index.store, now=index.now)
    return recover(index.publisher(), [index.signing_log.appended], adopted=adopted)


def check_recovered(index: FoundedIndex, client: Client, *, bits: int) -> None:
    """The ceremony is in force, waits no longer, and another can follow."""
    assert not OfflineChange.objects.filter(waiting=True).exists()
    assert set(RoleVersion.objects.filter(role__in=OFFLINE_ROLES).values_list("version", flat=True)) == {2}
    assert Repository.objects.get().bit_length == bits
    assert client.sees(*SEEN) == SEEN
    assert index.client_sees(*SEEN) == SEEN
    change(index, RENEWAL, ann(), bo())
    assert index.publisher().publish_due()
    assert not OfflineChange.objects.filter(waiting=True).exists()
    assert client.sees(*SEEN) == SEEN


@pytest.mark.parametrize("layout", [None, FEWER], ids=["same-bins", "fewer-bins"])
@pytest.mark.parametrize("write", range(1, STORE_WRITES + 1))
def test_recovery_in_the_middle_of_a_ceremony_ends_it(write: int, layout: Layout | None) -> None:
    store = DyingStore()
    index, client = prepared(store, layout=layout)
    store.die_at, store.stored = store.writes + write, True
    with pytest.raises(PowerCut):
        index.publisher().publish_due()
    store.die_at = None
    store.put_many([("tuf/9.bins-6.json", b"a thief's, of a bin that may be gone afterwards")], immutable=True)
    remaining = recover_index(index).remaining
    assert {fault.code for fault in remaining} == {"file-missing"}, "these files never had bytes"
    check_recovered(index, client, bits=2 if layout else BITS)
    assert [key for key, contents in store.history.items() if len(contents) > 1] == [], "no version has two contents"


def test_recovery_after_a_thiefs_bin_stood_in_a_ceremonys_way_ends_it() -> None:
    store = DyingStore()
    index, client = prepared(store, layout=None)
    store.put_many([("tuf/2.bins-4.json", b"a thief's")], immutable=True)
    with pytest.raises(Conflict):
        index.publisher().publish_due()
    assert adopt_offline_roles(store, now=index.now) == {"root": 2, "targets": 2, "bins": 2}
    assert not OfflineChange.objects.filter(waiting=True).exists(), "in the same transaction"
    recover_index(index)
    check_recovered(index, client, bits=BITS)


@pytest.mark.parametrize("later", [False, True], ids=["in-force", "in-force-until-a-later-one"])
def test_publisher_frees_a_ceremony_that_was_taken_over_before(later: bool) -> None:
    """As an index was left by a version whose recovery took over the files and not the ceremony."""
    index, client = prepared(DyingStore(), layout=None)
    row = OfflineChange.objects.get(waiting=True)
    assert index.publisher().publish_due()
    if later:
        change(index, RENEWAL, ann(), bo())
        assert index.publisher().publish_due()
    OfflineChange.objects.filter(pk=row.pk).update(waiting=True, applied_at=None)
    index.publisher().publish_due()
    row.refresh_from_db()
    assert (row.waiting, row.applied_at) == (False, index.now)
    assert client.sees(*SEEN) == SEEN
    assert index.client_sees(*SEEN) == SEEN


def test_begun_ceremony_whose_place_another_took_may_be_dropped() -> None:
    store = DyingStore()
    index, client = prepared(store, layout=None)
    store.die_at, store.stored = store.writes + 1, False
    with pytest.raises(PowerCut):
        index.publisher().publish_due()
    store.die_at = None
    with pytest.raises(Refused):
        take_back(store)
    OfflineChange.objects.update(waiting=False)
    change(index, RENEWAL, index.holder)
    assert index.publisher().publish_due()
    first = OfflineChange.objects.earliest("pk")
    OfflineChange.objects.filter(pk=first.pk).update(waiting=True)
    assert take_back(store)
    assert not OfflineChange.objects.filter(waiting=True).exists()
    assert client.sees(*SEEN) == SEEN


def test_deaths_in_a_row_lose_nothing() -> None:
    store = DyingStore()
    index, client = prepared(store)
    for write in (STORE_WRITES, STORE_WRITES - 1, STORE_WRITES):
        store.die_at, store.stored = store.writes + write, True
        with pytest.raises(PowerCut):
            index.publisher().publish_due()
    check(index, store, client, committed=False)


@pytest.mark.parametrize("write", [1, 2, 5])
def test_begun_ceremony_is_ended_though_it_has_expired_and_another_follows(write: int) -> None:
    store = DyingStore()
    index, _ = prepared(store)
    store.die_at, store.stored = store.writes + write, True
    with pytest.raises(PowerCut):
        index.publisher().publish_due()
    store.die_at = None
    index.now += timedelta(days=3 * 365)
    assert index.publisher().publish_due()
    assert RoleVersion.objects.get(role="root").version == 2
    change(index, RENEWAL, ann(), bo())
    assert index.publisher().publish_due()
    assert index.client_sees(*SEEN) == SEEN
    assert [key for key, contents in store.history.items() if len(contents) > 1] == [], "no version has two contents"


def test_ceremony_that_nobody_can_read_is_in_nobodys_way() -> None:
    store = DyingStore()
    index, client = prepared(store)
    OfflineChange.objects.update(ceremony=b"{}")
    a_file("gamma", "1.0")
    assert index.publisher().publish_due()
    assert client.sees("gamma") == {"gamma": ["gamma-1.0-py3-none-any.whl"]}
