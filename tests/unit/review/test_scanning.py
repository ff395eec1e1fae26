"""The scan of one file: lease, bytes, report and decision, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction

from support.context import ExaminerDouble
from support.jobs import drop_jobs, failed_jobs, run_jobs, waiting_jobs
from support.reports import ScannerDouble, a_finding
from support.rows import NOW, a_file
from wheelmark.errors import Unavailable
from wheelmark.scan import Verdict
from wheelmark.server.projects.lifecycle import transition
from wheelmark.server.projects.models import File, JournalEntry
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key
from wheelmark.server.review import lease as leases
from wheelmark.server.review import tasks
from wheelmark.server.review.lease import LEASE, MAX_ATTEMPTS, abandon, renew, renewed, take
from wheelmark.server.review.models import Scan
from wheelmark.server.review.rules import Hold, Release, ReviewPolicy
from wheelmark.server.review.scanning import Bench, scan_one
from wheelmark.server.review.tasks import enqueue_scan, forget_leases, reconcile
from wheelmark.store import MemoryStore

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = b"the bytes of a wheel"
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def no_other_jobs() -> None:
    drop_jobs()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(
        store=MemoryStore(),
        scanner=ScannerDouble(),
        examiner=ExaminerDouble(),
        policy=ReviewPolicy(),
        worker="test:1",
        temporary=tmp_path,
        clock=lambda: NOW,
    )


@pytest.fixture
def file(bench: Bench) -> File:
    file = a_file(state=FileState.VALIDATED, content=CONTENT)
    bench.store.put(file_key(file.sha256), [CONTENT], immutable=True)  # type: ignore[attr-defined]  # a whole store
    return file


def state_of(file: File) -> FileState:
    file.refresh_from_db()
    return FileState(file.state)


def test_benign_file_goes_on_and_the_report_is_kept(bench: Bench, file: File) -> None:
    assert isinstance(scan_one(file.pk, bench), Release)
    assert state_of(file) == FileState.SCANNED
    scan = Scan.objects.get(file=file)
    assert (scan.verdict, scan.ruleset, scan.worker, scan.findings) == ("benign", "test 1", "test:1", [])
    assert file.scan_lease_until is None
    row = JournalEntry.objects.get(action="file-scanned", filename=file.filename)
    assert (row.actor, row.detail["verdict"], row.detail["policy"]) == ("index", "benign", "2")


@pytest.mark.parametrize(
    ("verdict", "reason"), [(Verdict.MALICIOUS, "malicious: bad"), (Verdict.INCOMPLETE, "scan incomplete: crashed")]
)
def test_file_that_is_not_clean_is_held_with_its_findings(
    bench: Bench, file: File, verdict: Verdict, reason: str
) -> None:
    scanner = ScannerDouble(verdict, (a_finding("bad"),), "crashed" if verdict == Verdict.INCOMPLETE else None)
    assert scan_one(file.pk, replace(bench, scanner=scanner)) == Hold(reason)
    assert (state_of(file), file.state_reason) == (FileState.HELD, reason)
    assert Scan.objects.get(file=file).findings[0]["rule"] == "bad"


def test_scanned_bytes_are_the_stored_ones_even_from_a_store_without_files(bench: Bench, file: File) -> None:
    scanner = ScannerDouble()
    scan_one(file.pk, replace(bench, scanner=scanner))
    assert scanner.scanned == [CONTENT]
    assert list(bench.temporary.iterdir()) == []


@pytest.mark.parametrize("stored", [b"other bytes of the same ", b"far more bytes than the row says there are", None])
def test_bytes_that_are_not_those_of_the_upload_are_held_unscanned(
    bench: Bench, file: File, stored: bytes | None
) -> None:
    store, scanner = MemoryStore(), ScannerDouble()
    if stored is not None:
        store.put(file_key(file.sha256), [stored], immutable=True)
    decision = scan_one(file.pk, replace(bench, store=store, scanner=scanner))
    assert isinstance(decision, Hold)
    assert decision.reason.startswith("scan incomplete: expected")
    assert (state_of(file), scanner.scanned) == (FileState.HELD, [])


def test_second_run_of_the_same_job_does_nothing(bench: Bench, file: File) -> None:
    scan_one(file.pk, bench)
    assert scan_one(file.pk, bench) is None
    assert Scan.objects.count() == 1
    assert scan_one(999_999, bench) is None


def test_two_workers_never_hold_the_same_file(file: File) -> None:
    assert take(file.pk, now=NOW) is not None
    assert take(file.pk, now=NOW) is None
    assert take(file.pk, now=NOW + LEASE - SECOND) is None
    second = take(file.pk, now=NOW + LEASE)
    assert second is not None
    assert second.attempt == 2


def test_worker_that_was_paused_past_its_lease_changes_nothing(bench: Bench, file: File) -> None:
    def overtake() -> None:
        assert take(file.pk, now=NOW + LEASE + SECOND) is not None

    paused = replace(bench, scanner=ScannerDouble(Verdict.MALICIOUS, during=overtake))
    assert scan_one(file.pk, paused) is None
    assert state_of(file) == FileState.VALIDATED
    assert Scan.objects.count() == 0


def test_lease_is_lengthened_while_the_scan_runs(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = take(file.pk, now=NOW)
    assert lease is not None
    assert renew(lease, now=NOW + SECOND)
    file.refresh_from_db()
    assert file.scan_lease_until == NOW + SECOND + LEASE
    take(file.pk, now=NOW + LEASE * 2)
    assert not renew(lease, now=NOW + LEASE * 2)


def test_removed_file_keeps_its_state_and_gets_its_report(bench: Bench, file: File) -> None:
    def remove() -> None:
        transition(file.pk, FileState.REMOVED, actor="owner", now=NOW)

    assert scan_one(file.pk, replace(bench, scanner=ScannerDouble(Verdict.MALICIOUS, during=remove))) is None
    assert state_of(file) == FileState.REMOVED
    assert Scan.objects.get(file=file).verdict == "malicious"


def test_file_on_which_workers_die_is_held_after_the_last_attempt(bench: Bench, file: File) -> None:
    for attempt in range(MAX_ATTEMPTS):
        assert take(file.pk, now=NOW + LEASE * attempt) is not None  # and the worker dies
    late = replace(bench, clock=lambda: NOW + LEASE * MAX_ATTEMPTS)
    decision = scan_one(file.pk, late)
    assert decision == Hold(f"scan incomplete: {MAX_ATTEMPTS} workers died while they scanned it")
    assert state_of(file) == FileState.HELD


class AwayStore(MemoryStore):
    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        raise Unavailable("the disk is away", code="store-away")


def test_store_that_is_away_costs_no_attempt(bench: Bench, file: File) -> None:
    for attempt in range(MAX_ATTEMPTS + 2):
        later = NOW + timedelta(minutes=attempt)
        with pytest.raises(Unavailable, match="away"):
            scan_one(file.pk, replace(bench, store=AwayStore(), clock=lambda now=later: now))  # type: ignore[misc]
        assert state_of(file) == FileState.VALIDATED
        assert file.scan_attempts == 0
    assert isinstance(scan_one(file.pk, replace(bench, clock=lambda: NOW + timedelta(hours=1))), Release)


def test_worker_that_is_told_to_stop_gives_its_file_back(file: File) -> None:
    lease = take(file.pk, now=NOW)
    assert lease is not None
    with renewed(lease, lambda: NOW):
        abandon(now=NOW)
    file.refresh_from_db()
    assert (file.scan_attempts, file.scan_lease_until) == (0, NOW)
    assert take(file.pk, now=NOW + SECOND) is not None
    assert leases._held == []


def test_job_exists_with_the_commit_and_not_without(file: File) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        enqueue_scan(file.pk)
        raise RuntimeError("the upload failed")
    assert waiting_jobs() == []
    with transaction.atomic():
        enqueue_scan(file.pk)
    assert waiting_jobs() == [[file.pk]]
    with pytest.raises(RuntimeError, match="transaction"):
        enqueue_scan(file.pk)


def test_job_that_runs_scans_the_file(bench: Bench, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "bench", lambda: bench)
    with transaction.atomic():
        enqueue_scan(file.pk)
    run_jobs()
    assert state_of(file) == FileState.SCANNED
    assert (waiting_jobs(), failed_jobs()) == ([], 0)


def test_job_that_fails_says_so_and_the_next_one_runs(
    bench: Bench, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Bench:
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "bench", broken)
    tasks.scan_file.enqueue(file.pk)
    run_jobs()
    assert (state_of(file), failed_jobs()) == (FileState.VALIDATED, 1)
    monkeypatch.setattr(tasks, "bench", lambda: bench)
    tasks.scan_file.enqueue(file.pk)
    run_jobs()
    assert failed_jobs() == 1
    assert state_of(file) == FileState.SCANNED


def test_file_whose_job_was_lost_is_asked_for_again_and_only_once(file: File) -> None:
    later = NOW + timedelta(seconds=30)
    assert reconcile(now=later, idle=timedelta(seconds=5)) == 1
    assert reconcile(now=later, idle=timedelta(seconds=5)) == 0
    assert waiting_jobs() == [[file.pk]]


def test_file_that_is_new_or_leased_or_elsewhere_is_left_alone(file: File) -> None:
    later = NOW + timedelta(seconds=30)
    assert reconcile(now=NOW + SECOND, idle=timedelta(seconds=5)) == 0
    assert take(file.pk, now=later) is not None
    assert reconcile(now=later, idle=timedelta(0)) == 0
    assert reconcile(now=later + LEASE + SECOND, idle=timedelta(0)) == 1
    for state in (FileState.HELD, FileState.SCANNED, FileState.UPLOADED):
        a_file("other", f"{len(state)}.0", state=state)
    drop_jobs()
    File.objects.filter(pk=file.pk).update(state=FileState.HELD)
    assert reconcile(now=later + LEASE * 9, idle=timedelta(0)) == 0


def test_start_without_living_workers_ends_every_lease(file: File) -> None:
    assert take(file.pk, now=NOW) is not None
    forget_leases()
    assert reconcile(now=NOW, idle=timedelta(0)) == 1
    assert take(file.pk, now=NOW) is not None


def test_rescan_starts_counting_anew(file: File) -> None:
    for attempt in range(MAX_ATTEMPTS):
        take(file.pk, now=NOW + LEASE * attempt)
    with transaction.atomic():
        enqueue_scan(file.pk)
    lease = take(file.pk, now=NOW)
    assert lease is not None
    assert not lease.exhausted
