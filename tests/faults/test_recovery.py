"""Each recovery, rehearsed: a founded and published index, the damage as a thief or an accident does it, the steps of
the runbook (docs/how-to/recover.md), and at the end an unmodified TUF client that knew the state before, and a new one,
that both get everything again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from django.db import transaction
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError

from support.publishing import HOUR, POLICY, Client, FoundedIndex
from support.recovery import Backup, Rehearsal, a_key
from support.rows import a_release
from wheelmark.errors import Refused, Unavailable
from wheelmark.server.projects.lifecycle import set_status, transition, yank
from wheelmark.server.projects.models import File, JournalEntry, Project, ProjectStatus, Release
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key, page_key, role_key
from wheelmark.server.publishing.models import Attempt, PublishedPage, Repository, RoleVersion, Snapshot
from wheelmark.server.publishing.recovery import adopt_offline_roles
from wheelmark.server.publishing.rows import load_state
from wheelmark.store import Conflict
from wheelmark.trust import (
    ChangedBin,
    OnlineSigner,
    OnlineSigners,
    RepositoryState,
    RoleKeys,
    TargetRow,
    bins_bytes,
    bins_delegation,
    envelope,
    page_target_path,
    root_bytes,
    sign_publication,
    targets_bytes,
)

pytestmark = pytest.mark.django_db(transaction=True)

ALPHA = "alpha-1.0-py3-none-any.whl"
EVIL_PAGE = b'{"files":[],"meta":{"api-version":"1.4"},"name":"alpha","versions":[]}'
HUGE = 2**53 - 10


@pytest.fixture
def rehearsal() -> Rehearsal:
    return Rehearsal()


@dataclass
class HostileMirror(FoundedIndex):
    """The index as a thief shows it: signed with stolen keys, under versions that the thief chooses."""

    files: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(
        cls, rehearsal: Rehearsal, *, bins: OnlineSigner | None, publish: OnlineSigner | None, version: int
    ) -> HostileMirror:
        """What the thief of these keys can make of the state in force: an emptied page of `alpha`."""
        index = rehearsal.index
        mirror = cls(index.store, index.signers, index.root, index.holder, index.signing_log, now=index.now)
        state, _ = load_state()
        at = state.layout.bin_of(page_target_path("alpha"))
        sha256 = hashlib.sha256(EVIL_PAGE).hexdigest()
        evil = TargetRow(page_target_path("alpha"), len(EVIL_PAGE), sha256)
        leaping = replace(
            state,
            bin_versions=tuple(version if number == at else old for number, old in enumerate(state.bin_versions)),
            snapshot=replace(state.snapshot, version=version),
            timestamp=replace(state.timestamp, version=version),
        )
        signed = sign_publication(
            leaping,
            [ChangedBin(at, [evil])],
            burned={},
            now=index.now,
            signers=OnlineSigners(bins=bins or a_key(), publish=publish or a_key()),
            policy=POLICY,
        )
        mirror.files = {
            **dict(signed.objects),
            "timestamp.json": signed.timestamp,
            f"targets/simple/alpha/{sha256}.index.json": EVIL_PAGE,
        }
        return mirror

    def fetch(self, path: str) -> bytes:
        return self.files[path] if path in self.files else super().fetch(path)


def clients_of(rehearsal: Rehearsal, mirror: FoundedIndex) -> Client:
    """A client that has been told to ask the mirror; afterwards it asks the index again."""
    client = rehearsal.old_client
    client._index = mirror
    return client


def back_home(rehearsal: Rehearsal) -> None:
    rehearsal.old_client._index = rehearsal.index


def all_is_well(rehearsal: Rehearsal) -> None:
    """Both clients get every page, a further upload arrives, and the audit has nothing to say."""
    names = sorted(PublishedPage.objects.values_list("name", flat=True))
    seen = rehearsal.sees(*names)
    assert seen["alpha"] and ALPHA in seen["alpha"]
    file = rehearsal.upload(f"delta-{len(names)}")
    rehearsal.publish()
    assert rehearsal.sees(f"delta-{len(names)}") == {f"delta-{len(names)}": [file.filename]}
    assert rehearsal.audit(read_files=True).faults == ()


# -- stolen keys ------------------------------------------------------------------------------------------------------


def test_stolen_bins_key_alone_publishes_nothing_and_is_replaced(rehearsal: Rehearsal) -> None:
    thief = HostileMirror.of(rehearsal, bins=rehearsal.index.signers.bins, publish=None, version=7)
    with pytest.raises(RepositoryError):
        clients_of(rehearsal, thief).sees("alpha")
    back_home(rehearsal)
    rehearsal.hold_ceremony(bins=a_key())
    all_is_well(rehearsal)


def test_stolen_snapshot_and_timestamp_key_freezes_until_it_is_replaced(rehearsal: Rehearsal) -> None:
    stolen = rehearsal.index.signers.publish
    rehearsal.upload("alpha", "2.0")
    old = {path: rehearsal.index.fetch(path) for path in ("timestamp.json", "2.snapshot.json")}
    rehearsal.publish()
    mirror = HostileMirror.of(rehearsal, bins=None, publish=stolen, version=7)
    mirror.files = dict(old)
    assert clients_of(rehearsal, mirror).sees("alpha") == {"alpha": [ALPHA]}, "frozen: the thief hides 2.0"
    back_home(rehearsal)
    rehearsal.hold_ceremony(publish=a_key())
    assert ALPHA in (rehearsal.sees("alpha")["alpha"] or [])
    mirror.files = HostileMirror.of(rehearsal, bins=None, publish=stolen, version=90).files
    with pytest.raises(RepositoryError):
        clients_of(rehearsal, mirror).sees("alpha")
    back_home(rehearsal)
    all_is_well(rehearsal)


@pytest.mark.parametrize("version", [7, 1_000_000, HUGE])
def test_both_online_keys_stolen_and_clients_deceived_recover_by_new_keys(rehearsal: Rehearsal, version: int) -> None:
    """Fast-forward: the thief's versions are so high that the index could never reach them."""
    signers = rehearsal.index.signers
    mirror = HostileMirror.of(rehearsal, bins=signers.bins, publish=signers.publish, version=version)
    assert clients_of(rehearsal, mirror).sees("alpha") == {"alpha": []}, "deceived: the thief can publish anything"
    back_home(rehearsal)
    with pytest.raises(RepositoryError):
        rehearsal.old_client.sees("alpha")
    rehearsal.hold_ceremony(bins=a_key(), publish=a_key())
    all_is_well(rehearsal)
    assert load_state()[0].snapshot.version < 100, "versions go on where the index left them"


@pytest.mark.parametrize("version", [7, HUGE])
def test_thief_who_also_wrote_to_the_store_is_found_and_swept_aside(rehearsal: Rehearsal, version: int) -> None:
    signers = rehearsal.index.signers
    mirror = HostileMirror.of(rehearsal, bins=signers.bins, publish=signers.publish, version=version)
    rehearsal.store.put_many(
        [(f"tuf/{name}", body) for name, body in mirror.files.items() if name[0].isdigit()], immutable=True
    )
    assert rehearsal.codes() >= {"unlogged", "version-ahead"}
    if version == HUGE:
        with pytest.raises(Refused) as caught:
            rehearsal.recover()
        assert caught.value.code == "fast-forward"
    rehearsal.hold_ceremony(bins=a_key(), publish=a_key())
    done = rehearsal.recover()
    assert done.remaining == ()
    assert {one.version for one in done.ignored} == ({HUGE + 1} if version == HUGE else set())
    assert rehearsal.sees("alpha") == {"alpha": [ALPHA]}
    assert load_state()[0].snapshot.version < 100
    # What the thief wrote stays in the store and stays named, and asks for no further recovery; it can be deleted.
    assert rehearsal.codes() == {"unlogged"}
    for name in mirror.files:
        rehearsal.store.delete(f"tuf/{name}")
    all_is_well(rehearsal)


def test_version_that_a_thief_left_in_the_store_does_not_stop_the_publisher_for_ever(rehearsal: Rehearsal) -> None:
    rehearsal.store.put_many([("tuf/3.snapshot.json", b"not even signed")], immutable=True)
    rehearsal.upload("alpha", "2.0")
    with pytest.raises(Conflict):
        rehearsal.publish()
    rehearsal.recover()
    rehearsal.store.delete("tuf/3.snapshot.json")
    all_is_well(rehearsal)


# -- lost keys --------------------------------------------------------------------------------------------------------


def test_lost_online_keys_are_replaced_although_they_cannot_sign_any_more(rehearsal: Rehearsal) -> None:
    rehearsal.index.signers = OnlineSigners(a_key(), a_key())  # whatever lies on the new disk, it is not the keys
    rehearsal.upload("alpha", "2.0")
    with pytest.raises(Unavailable):
        rehearsal.publish()
    rehearsal.hold_ceremony(bins=a_key(), publish=a_key())
    rehearsal.publish()
    assert rehearsal.sees("alpha")["alpha"] == [ALPHA, "alpha-2.0-py3-none-any.whl"]
    all_is_well(rehearsal)


def test_two_of_three_holders_replace_the_one_that_is_lost(rehearsal: Rehearsal) -> None:
    first, second, _lost = rehearsal.holders
    rehearsal.hold_ceremony(holders=(first, second, a_key()))
    all_is_well(rehearsal)
    # The new holder counts, the lost one does not: the next root is signed by the first and the new one.
    rehearsal.hold_ceremony(publish=a_key(), present=(0, 2))
    all_is_well(rehearsal)


# -- expiry -----------------------------------------------------------------------------------------------------------


def test_server_that_was_down_for_a_week_mends_itself_at_its_start(rehearsal: Rehearsal) -> None:
    rehearsal.index.now += timedelta(days=8)
    with pytest.raises(ExpiredMetadataError):
        rehearsal.old_client.sees("alpha")
    rehearsal.publish()
    all_is_well(rehearsal)


def test_server_that_was_down_until_its_bins_expired_mends_itself_too(rehearsal: Rehearsal) -> None:
    rehearsal.index.now += timedelta(days=100)
    rehearsal.publish()
    all_is_well(rehearsal)


def test_expired_root_is_renewed_and_clients_of_the_old_one_follow(rehearsal: Rehearsal) -> None:
    rehearsal.index.now += timedelta(days=366)
    rehearsal.publish()
    with pytest.raises(ExpiredMetadataError):
        rehearsal.old_client.sees("alpha")
    rehearsal.hold_ceremony(renew=True)
    all_is_well(rehearsal)


# -- a restored database ----------------------------------------------------------------------------------------------


def restored(rehearsal: Rehearsal) -> None:
    """A backup, then further life that clients see, then the backup again."""
    backup = Backup()
    for number in range(3):
        rehearsal.upload("alpha", f"2.{number}")
        rehearsal.upload("omega", f"1.{number}")
        rehearsal.publish()
    rehearsal.index.now += 2 * HOUR
    rehearsal.publish()
    rehearsal.old_client.sees("alpha", "omega")
    backup.restore()


def test_restored_database_is_found_burns_what_clients_saw_and_names_what_is_lost(rehearsal: Rehearsal) -> None:
    restored(rehearsal)
    with pytest.raises(RepositoryError):
        rehearsal.old_client.sees("alpha")
    assert "version-ahead" in rehearsal.codes()
    done = rehearsal.recover()
    assert {file.filename for file in done.withdrawn.lost} == {
        f"{name}-py3-none-any.whl"
        for name in ("alpha-2.0", "alpha-2.1", "alpha-2.2", "omega-1.0", "omega-1.1", "omega-1.2")
    }
    assert all(file.in_store for file in done.withdrawn.lost)
    assert done.withdrawn.held == ()
    assert done.remaining == ()
    assert rehearsal.sees("alpha", "omega") == {"alpha": [ALPHA], "omega": None}
    assert not Attempt.objects.exists()
    all_is_well(rehearsal)
    again = rehearsal.recover()
    assert (again.burned, again.withdrawn.lost) == ({}, ())


def test_serials_go_on_above_those_that_mirrors_have_seen(rehearsal: Rehearsal) -> None:
    restored(rehearsal)
    seen = max(entry.serial_to for entry in rehearsal.log.appended)
    assert JournalEntry.objects.latest("serial").serial < seen
    rehearsal.recover()
    rehearsal.upload("alpha", "9.0")
    assert JournalEntry.objects.latest("serial").serial > seen + 1


def test_what_was_withdrawn_after_the_backup_is_not_published_again(rehearsal: Rehearsal) -> None:
    rehearsal.upload("alpha", "2.0")
    rehearsal.publish()
    backup = Backup()
    bad = File.objects.get(filename__startswith="alpha-2.0")
    transition(bad.pk, FileState.HELD, actor="mod", now=rehearsal.index.now, reason="malware")
    with transaction.atomic():
        set_status(Project.objects.get(name="beta"), ProjectStatus.QUARANTINED, actor="mod", reason="stolen account")
        yank(a_release("gamma", "1.0"), yanked=True, reason="broken", actor="ada")
    rehearsal.publish()
    backup.restore()
    done = rehearsal.recover()
    assert done.withdrawn.held == (bad.filename,)
    assert done.withdrawn.quarantined == ("beta",)
    assert done.withdrawn.yanked == ("gamma 1.0",)
    assert rehearsal.sees("alpha", "beta") == {"alpha": [ALPHA], "beta": []}
    assert File.objects.get(pk=bad.pk).state == FileState.HELD
    assert Project.objects.get(name="beta").status_reason == "stolen account"
    assert Release.objects.get(project__name="gamma").yanked_reason == "broken"
    assert rehearsal.audit().faults == ()


def test_ceremony_that_the_restored_database_forgot_is_taken_over(rehearsal: Rehearsal) -> None:
    backup = Backup()
    rehearsal.hold_ceremony(bins=a_key(), publish=a_key())
    rehearsal.old_client.sees("alpha")
    backup.restore()
    done = rehearsal.recover()
    assert done.adopted == {"root": 2, "bins": 2}
    all_is_well(rehearsal)


def test_root_in_the_store_that_the_holders_did_not_sign_is_not_taken_over(rehearsal: Rehearsal) -> None:
    """A thief's own root 2, signed by all of its own keys, with targets and bins that it names."""
    thief = RoleKeys((a_key().public,))
    key = a_key()
    own = RoleKeys((key.public,))
    expires = rehearsal.index.now + POLICY.root
    root = root_bytes(version=2, expires=expires, root=own, targets=own, snapshot=thief, timestamp=thief)
    targets = targets_bytes(version=2, expires=expires, delegations=[bins_delegation(own)])
    bins = bins_bytes(version=2, expires=expires, layout=load_state()[0].layout, keys=thief)
    for role, signed in (("root", root), ("targets", targets), ("bins", bins)):
        rehearsal.store.put_many([(role_key(2, role), envelope(signed, [key.sign(signed)]))], immutable=True)
    assert rehearsal.recover().adopted == {}
    assert set(RoleVersion.objects.filter(role__in=["root", "targets", "bins"]).values_list("version", flat=True)) == {
        1
    }


def test_signatures_of_the_signing_log_alone_burn_versions_too(rehearsal: Rehearsal) -> None:
    """Store and database were restored together; only the log, which lies elsewhere, knows what clients have seen."""
    backup, store = Backup(), dict(rehearsal.store._objects)
    rehearsal.upload("alpha", "2.0")
    rehearsal.publish()
    rehearsal.old_client.sees("alpha")
    backup.restore()
    rehearsal.store._objects.clear()
    rehearsal.store._objects.update(store)
    assert {fault.code for fault in rehearsal.audit().faults} == {"version-ahead"}
    rehearsal.recover()
    all_is_well(rehearsal)


# -- lost objects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["lost", "changed"])
def test_pages_bins_and_snapshot_of_the_store_are_made_again(rehearsal: Rehearsal, damage: str) -> None:
    state: RepositoryState = load_state()[0]
    at = state.layout.bin_of(page_target_path("beta"))
    keys = [
        page_key("alpha", PublishedPage.objects.get(name="alpha").sha256),
        role_key(state.bin_versions[at], state.layout.bin_name(at)),
        role_key(state.snapshot.version, "snapshot"),
    ]
    for key in keys:
        if damage == "lost":
            rehearsal.store.delete(key)
        else:
            rehearsal.store.put_many([(key, b'{"signed":{}}')], immutable=False)
    assert rehearsal.codes() >= {"page-missing" if damage == "lost" else "page-damaged"}
    done = rehearsal.recover()
    assert done.pages_restored == ("alpha",)
    assert done.remaining == ()
    assert rehearsal.sees("alpha", "beta", "gamma")["alpha"] == [ALPHA]
    if damage == "changed":
        for key in keys[1:]:
            rehearsal.store.delete(key)
    all_is_well(rehearsal)


def test_lost_page_whose_rows_have_changed_is_published_anew(rehearsal: Rehearsal) -> None:
    row = PublishedPage.objects.get(name="alpha")
    rehearsal.store.delete(page_key("alpha", row.sha256))
    Release.objects.filter(project__name="alpha").update(is_yanked=True)
    done = rehearsal.recover()
    assert done.pages_restored == ("alpha",)
    assert PublishedPage.objects.get(name="alpha").sha256 != row.sha256
    all_is_well(rehearsal)


def test_page_that_a_thief_wrote_into_store_and_rows_gives_way_to_what_the_files_give(rehearsal: Rehearsal) -> None:
    sha256 = hashlib.sha256(EVIL_PAGE).hexdigest()
    rehearsal.store.put_many([(page_key("alpha", sha256), EVIL_PAGE)], immutable=True)
    PublishedPage.objects.filter(name="alpha").update(sha256=sha256, size=len(EVIL_PAGE))
    assert "page-differs" in rehearsal.codes()
    assert rehearsal.recover().pages_restored == ("alpha",)
    assert rehearsal.sees("alpha") == {"alpha": [ALPHA]}
    all_is_well(rehearsal)


def test_database_from_before_another_number_of_bins_is_refused_and_nothing_is_taken_over(rehearsal: Rehearsal) -> None:
    rehearsal.hold_ceremony(bins=a_key(), publish=a_key())
    Repository.objects.update(bit_length=4)
    with pytest.raises(Refused) as caught:
        adopt_offline_roles(rehearsal.store, now=rehearsal.index.now)
    assert caught.value.code == "layout-changed"
    assert "expected a database of the 8 bins" in str(caught.value)


def test_lost_distribution_and_lost_offline_role_are_named(rehearsal: Rehearsal) -> None:
    file = File.objects.get(filename=ALPHA)
    content = rehearsal.store.read_all(file_key(file.sha256), max_bytes=1000)
    targets = rehearsal.store.read_all(role_key(1, "targets"), max_bytes=100_000)
    rehearsal.store.delete(file_key(file.sha256))
    rehearsal.store.delete(role_key(1, "targets"))
    done = rehearsal.recover()
    assert {(fault.code, fault.field) for fault in done.remaining} == {
        ("missing", "1.targets.json"),
        ("file-missing", ALPHA),
    }
    rehearsal.store.put_many([(file_key(file.sha256), content), (role_key(1, "targets"), targets)], immutable=True)
    all_is_well(rehearsal)


# -- the mechanism ----------------------------------------------------------------------------------------------------


def test_burned_version_of_a_bin_that_the_next_snapshot_leaves_alone_stays_burned(rehearsal: Rehearsal) -> None:
    """A publication died with the bin of `alpha` in its hands; the next one is about another bin."""
    state, _ = load_state()
    role = state.layout.bin_name(state.layout.bin_of(page_target_path("alpha")))
    version = RoleVersion.objects.get(role=role).version
    Attempt.objects.create(started_at=rehearsal.index.now, versions={role: version + 1})
    rehearsal.store.put_many([(role_key(version + 1, role), b"what the dead one wrote")], immutable=True)
    rehearsal.upload("beta", "2.0")
    rehearsal.publish()
    rehearsal.upload("alpha", "2.0")
    rehearsal.publish()
    assert RoleVersion.objects.get(role=role).version == version + 2
    assert not Attempt.objects.exists()
    assert Snapshot.objects.count() == 4


def test_restored_database_of_an_index_that_signs_files_comes_back_too(rehearsal: Rehearsal) -> None:
    rehearsal.index.sign_files = True
    rehearsal.publish()
    assert rehearsal.audit(since="2").faults == ()
    restored(rehearsal)
    done = rehearsal.recover()
    assert len(done.withdrawn.lost) == 6
    assert done.remaining == ()
    assert rehearsal.sees("alpha", "omega") == {"alpha": [ALPHA], "omega": None}
    all_is_well(rehearsal)
