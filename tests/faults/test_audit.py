"""`trust audit`: nothing is wrong with an honest index, and each thing that a thief or an accident changes is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from support.publishing import HOUR
from support.recovery import Rehearsal, a_key
from support.rows import a_release
from wheelmark.errors import Refused, Unavailable
from wheelmark.server.projects.lifecycle import remove_release, set_status, yank
from wheelmark.server.projects.models import File, JournalEntry, Project, ProjectStatus
from wheelmark.server.publishing.audit_targets import TargetAudit
from wheelmark.server.publishing.keys import file_key, page_key, role_key
from wheelmark.server.publishing.models import PublishedFile, PublishedPage, RoleVersion, Snapshot
from wheelmark.server.publishing.rows import committed_rows, load_state
from wheelmark.trust import ChangedBin, TargetRow, page_target_path, sign_publication
from wheelmark.trust.audit import Faults
from wheelmark.trust.expiry import ExpiryPolicy

HUGE = 2**53 - 10

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rehearsal() -> Rehearsal:
    return Rehearsal()


def bin_of(rehearsal: Rehearsal, name: str) -> tuple[int, str]:
    state, _ = load_state()
    index = state.layout.bin_of(page_target_path(name))
    return state.bin_versions[index], state.layout.bin_name(index)


def test_honest_index_agrees_with_itself_through_its_life(rehearsal: Rehearsal) -> None:
    assert rehearsal.audit(read_files=True).faults == ()
    rehearsal.upload("alpha", "2.0")
    rehearsal.publish()
    with transaction.atomic():
        yank(a_release("beta", "1.0"), yanked=True, reason="broken", actor="ada")
        set_status(Project.objects.get(name="gamma"), ProjectStatus.QUARANTINED, actor="mod", reason="stolen")
    remove_release(a_release("alpha", "1.0"), actor="ada", reason="", now=rehearsal.index.now)
    assert rehearsal.codes() == set(), "what waits to be published is no fault"
    rehearsal.publish()
    rehearsal.index.now += 2 * HOUR
    rehearsal.publish()
    report = rehearsal.audit(read_files=True, since="2")
    assert report.faults == ()
    assert (report.pages, report.targets, report.since) == (3, 3, 2)
    assert report.role_files == len(list(rehearsal.store.list("tuf/")))


def test_page_that_was_changed_or_lost_in_the_store_is_named(rehearsal: Rehearsal) -> None:
    alpha, beta = (PublishedPage.objects.get(name=name) for name in ("alpha", "beta"))
    rehearsal.store.put_many([(page_key("alpha", alpha.sha256), b"{}")], immutable=False)
    rehearsal.store.delete(page_key("beta", beta.sha256))
    found = {(fault.code, fault.field) for fault in rehearsal.audit().faults}
    assert found == {("page-damaged", "alpha"), ("page-missing", "beta")}


def test_rows_changed_without_a_journal_row_are_named(rehearsal: Rehearsal) -> None:
    File.objects.filter(filename__startswith="alpha").update(sha256="0" * 64)
    assert "page-differs" in rehearsal.codes()


def test_file_served_that_no_page_lists_is_named(rehearsal: Rehearsal) -> None:
    page = PublishedPage.objects.get(name="alpha")
    PublishedFile.objects.create(filename="alpha-6.6.6.tar.gz", sha256="0" * 64, size=1, page=page, snapshot=2)
    faults = rehearsal.audit().faults
    assert [(fault.code, fault.field) for fault in faults] == [("file-row", "alpha-6.6.6.tar.gz")]
    assert "expected what the signed page of alpha lists (nothing) to be served, got sha256 000" in faults[0].message


def test_page_row_that_is_not_signed_is_named(rehearsal: Rehearsal) -> None:
    PublishedPage.objects.filter(name="alpha").update(sha256="0" * 64)
    assert {"target-differs", "page-missing"} <= rehearsal.codes()
    PublishedPage.objects.filter(name="beta").delete()
    assert ("target-unrecorded", "simple/beta/index.json") in {
        (fault.code, fault.field) for fault in rehearsal.audit().faults
    }


def test_project_without_any_journal_row_is_named(rehearsal: Rehearsal) -> None:
    JournalEntry.objects.filter(project="alpha").delete()
    assert [(fault.code, fault.field) for fault in rehearsal.audit().faults] == [("target-without-journal", "alpha")]


@pytest.mark.parametrize("change", ["added", "changed", "removed"])
def test_change_since_an_earlier_snapshot_without_a_journal_row_is_named(rehearsal: Rehearsal, change: str) -> None:
    """The thief runs on the server: signs with both keys, writes log, store and all rows, but leaves no journal row."""
    name = "evil" if change == "added" else "alpha"
    state, _ = load_state()
    index = state.layout.bin_of(page_target_path(name))
    before = Snapshot.objects.latest("timestamp_version").version
    rows = {
        row.name: TargetRow(page_target_path(row.name), row.size, row.sha256)
        for row in PublishedPage.objects.filter(bin=index)
    }
    if change == "removed":
        del rows[name]
    else:
        rows[name] = TargetRow(page_target_path(name), 3, "0" * 64)
    forge(rehearsal, index, rows)
    faults = {(fault.code, fault.field) for fault in rehearsal.audit(since=str(before)).faults}
    assert (f"target-{change}", page_target_path(name)) in faults
    assert (f"target-{change}", page_target_path(name)) not in {
        (fault.code, fault.field) for fault in rehearsal.audit(since=str(before + 1)).faults
    }


def forge(rehearsal: Rehearsal, index: int, rows: dict[str, TargetRow]) -> None:
    """Publish these rows of a bin with the stolen keys, through store and rows, without a line in log or journal."""
    state, serial = load_state()
    publication = sign_publication(
        state,
        [ChangedBin(index, sorted(rows.values(), key=lambda row: row.path))],
        burned={},
        now=rehearsal.index.now,
        signers=rehearsal.index.signers,
        policy=ExpiryPolicy(),
    )
    rehearsal.store.put_many([(f"tuf/{name}", body) for name, body in publication.objects], immutable=True)
    after = publication.state
    Snapshot.objects.create(
        timestamp_version=after.timestamp.version,
        version=after.snapshot.version,
        timestamp=publication.timestamp,
        length=after.snapshot.length,
        sha256=after.snapshot.sha256,
        serial=serial,
        at=rehearsal.index.now,
        projects=3,
    )
    for role, version, expires in [
        ("snapshot", after.snapshot.version, after.snapshot.expires_at),
        ("timestamp", after.timestamp.version, after.timestamp.expires_at),
        (state.layout.bin_name(index), after.bin_versions[index], after.bin_expires_at[index]),
    ]:
        RoleVersion.objects.filter(role=role).update(version=version, expires_at=expires)


def test_publication_that_the_signing_log_does_not_know_is_named(rehearsal: Rehearsal) -> None:
    version, role = bin_of(rehearsal, "alpha")
    index = load_state()[0].layout.bin_names.index(role)
    rows = {
        row.name: TargetRow(page_target_path(row.name), row.size, row.sha256)
        for row in PublishedPage.objects.filter(bin=index)
    }
    forge(rehearsal, index, rows)
    faults = [fault for fault in rehearsal.audit().faults if fault.code == "unlogged"]
    assert {fault.field for fault in faults} == {f"{version + 1}.{role}.json", "3.snapshot.json", "3.timestamp.json"}
    assert "got no line" in faults[0].message


def test_role_file_with_other_bytes_than_logged_is_named(rehearsal: Rehearsal) -> None:
    rehearsal.store.put_many([(role_key(1, "snapshot"), b"{}")], immutable=False)
    faults = rehearsal.audit().faults
    assert [(fault.code, fault.field) for fault in faults] == [("unlogged", "1.snapshot.json")]
    assert "got another sha256" in faults[0].message


def test_lost_signing_log_is_one_fault_and_not_thousands(rehearsal: Rehearsal) -> None:
    rehearsal.log.appended.clear()
    assert [fault.code for fault in rehearsal.audit().faults] == ["signing-log-missing"]


def test_versions_ahead_of_the_database_are_named(rehearsal: Rehearsal) -> None:
    state, _ = load_state()
    content = rehearsal.store.read_all(role_key(state.snapshot.version, "snapshot"), max_bytes=100_000)
    rehearsal.store.put_many([(role_key(99, "snapshot"), content)], immutable=True)
    faults = [fault for fault in rehearsal.audit().faults if fault.code == "version-ahead"]
    assert [fault.field for fault in faults] == ["snapshot"]
    assert "expected at most version 2 of the database in the store, got 99" in faults[0].message


def test_version_out_of_reach_is_ahead_only_if_a_key_in_force_signed_it(rehearsal: Rehearsal) -> None:
    """A thief's highest version: recovery asks for new keys, and passes over it once there are some. The audit, too."""
    state, _ = load_state()
    content = rehearsal.store.read_all(role_key(state.snapshot.version, "snapshot"), max_bytes=100_000)
    rehearsal.store.put_many([(role_key(HUGE, "snapshot"), content)], immutable=True)
    last = next(entry for entry in reversed(rehearsal.log.appended) if entry.role == "timestamp")
    rehearsal.log.appended.append(replace(last, version=HUGE))
    ahead = [fault.field for fault in rehearsal.audit().faults if fault.code == "version-ahead"]
    assert ahead == ["snapshot", "timestamp"]
    rehearsal.hold_ceremony(publish=a_key())
    assert rehearsal.codes() == {"unlogged"}


def test_root_that_nobody_signed_leaves_no_roots_missing_before_it(rehearsal: Rehearsal) -> None:
    rehearsal.store.put_many([(role_key(HUGE, "root"), b"a thief's"), (role_key(9, "bins"), b"too")], immutable=True)
    found = {(fault.code, fault.field) for fault in rehearsal.audit().faults}
    assert found == {("unlogged", f"{HUGE}.root.json"), ("unlogged", "9.bins.json")}


def test_lost_or_changed_distribution_is_named(rehearsal: Rehearsal) -> None:
    alpha, beta = (File.objects.get(filename__startswith=name) for name in ("alpha", "beta"))
    rehearsal.store.delete(file_key(alpha.sha256))
    rehearsal.store.put_many([(file_key(beta.sha256), b"x" * beta.size)], immutable=False)
    assert {(fault.code, fault.field) for fault in rehearsal.audit().faults} == {("file-missing", alpha.filename)}
    found = {(fault.code, fault.field) for fault in rehearsal.audit(read_files=True).faults}
    assert found == {("file-missing", alpha.filename), ("file-damaged", beta.filename)}


def test_lost_old_root_is_named_because_roots_are_for_ever(rehearsal: Rehearsal) -> None:
    rehearsal.hold_ceremony(publish=a_key())
    rehearsal.store.delete(role_key(1, "root"))
    assert "root-missing" in {fault.code for fault in rehearsal.audit(root=rehearsal.index.root).faults}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_lost_root_is_named_by_audit_and_recovery_whichever_it_is(rehearsal: Rehearsal, version: int) -> None:
    rehearsal.hold_ceremony(publish=a_key())
    rehearsal.hold_ceremony(publish=a_key())
    rehearsal.store.delete(role_key(version, "root"))
    lost = ("root-missing", f"{version}.root.json")
    assert lost in {(fault.code, fault.field) for fault in rehearsal.audit().faults}
    if version == 3:
        with pytest.raises(Unavailable, match=r"3\.root\.json"):  # it says which keys sign
            rehearsal.recover()
    else:
        assert lost in {(fault.code, fault.field) for fault in rehearsal.recover().remaining}


def test_wrong_file_in_the_place_of_an_offline_role_is_named_and_nothing_else(rehearsal: Rehearsal) -> None:
    rehearsal.hold_ceremony(renew=True)
    old = rehearsal.store.read_all(role_key(1, "targets"), max_bytes=1_000_000)
    rehearsal.store.put_many([(role_key(2, "targets"), old)], immutable=False)
    found = {(fault.code, fault.field) for fault in rehearsal.audit().faults}
    assert found == {("version", "2.targets.json"), ("unlogged", "2.targets.json")}, "the runbook tells them from theft"


def test_expired_and_overlong_metadata_is_named(rehearsal: Rehearsal) -> None:
    rehearsal.index.now += timedelta(days=8)
    assert rehearsal.codes() >= {"expired"}


def test_earlier_snapshot_is_found_by_version_and_time_and_its_absence_is_said(rehearsal: Rehearsal) -> None:
    assert rehearsal.audit(since=rehearsal.index.now.isoformat()).since == 2
    for text, code in [("77", "since-unknown"), ("yesterday", "since-form"), ("2001-01-01", "since-unknown")]:
        with pytest.raises(Refused) as caught:
            rehearsal.audit(since=text)
        assert caught.value.code == code
    rehearsal.store.delete(role_key(1, "snapshot"))
    with pytest.raises(Refused) as caught:
        rehearsal.audit(since="1")
    assert caught.value.code == "since-collected"


def test_publication_in_the_middle_of_the_audit_is_no_fault(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher goes on while the audit reads: in the middle of each step, and of each bin, files are published."""
    numbers = iter(range(1_000))
    read_all = rehearsal.store.read_all

    def publish_meanwhile(what: str, done: int, total: int) -> None:
        if what in {"comparing targets", "verifying signatures", "listing metadata"} and done < 3:
            number = next(numbers)
            rehearsal.upload(("alpha", "beta", "gamma")[number % 3], f"3.{number}")
            rehearsal.publish()

    def read_slowly(key: str, *, max_bytes: int) -> bytes:
        """Each version of a bin is read, and before its rows are, the next one is published."""
        body = read_all(key, max_bytes=max_bytes)
        if ".bins-" in key and key not in read and len(read) < 12:
            read.add(key)
            for name in ("alpha", "beta", "gamma"):
                rehearsal.upload(name, f"4.{next(numbers)}")
            rehearsal.publish()
        return body

    read: set[str] = set()
    assert rehearsal.audit(progress=publish_meanwhile).faults == ()
    monkeypatch.setattr(rehearsal.store, "read_all", read_slowly)
    targets = TargetAudit(rehearsal.store, load_state()[0].layout, faults := Faults(), None)
    targets.run(lambda what, done, total: None)
    assert len(read) == 12
    assert faults.kept == ()


def test_files_that_become_targets_need_no_journal_row_if_their_page_lists_them(rehearsal: Rehearsal) -> None:
    """The mode is the operator's; a file that no page lists is nobody's."""
    rehearsal.index.sign_files = True
    rehearsal.publish()
    assert rehearsal.audit(since="2").faults == ()
    strict = Snapshot.objects.latest("timestamp_version").version
    state, _ = load_state()
    evil = TargetRow(f"files/{'0' * 64}/alpha-6.6.6.tar.gz", 3, "0" * 64)
    index = state.layout.bin_of(evil.path)
    rows = {row.path: row for row in [*committed_rows([index])[index], evil]}
    forge(rehearsal, index, rows)
    faults = {(fault.code, fault.field) for fault in rehearsal.audit(since=str(strict)).faults}
    assert faults >= {("target-added", evil.path), ("target-unrecorded", evil.path)}


def test_files_that_cease_to_be_targets_need_no_journal_row(rehearsal: Rehearsal) -> None:
    rehearsal.index.sign_files = True
    rehearsal.publish()
    strict = Snapshot.objects.latest("timestamp_version").version
    rehearsal.index.sign_files = False
    rehearsal.publish()
    assert rehearsal.audit(since=str(strict)).faults == ()
