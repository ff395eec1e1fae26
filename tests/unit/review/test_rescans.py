"""Files that older rules looked at: seen again when nothing else waits, and never taken off without being told to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from support.context import ExaminerDouble
from support.jobs import drop_jobs, waiting_jobs
from support.reports import ScannerDouble, a_finding
from support.rows import NOW, a_file, a_user
from support.web import a_scan
from wheelmark.scan import Verdict
from wheelmark.server.projects.models import File, JournalEntry
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key
from wheelmark.server.review import queries, rescans
from wheelmark.server.review.models import Decision, Scan
from wheelmark.server.review.rescans import BATCH, Rescans, ask_for_rescans, rescan_one
from wheelmark.server.review.rules import ReviewPolicy
from wheelmark.server.review.scanning import Bench
from wheelmark.store import MemoryStore

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "test 2"


@pytest.fixture(autouse=True)
def no_other_jobs() -> None:
    drop_jobs()


@pytest.fixture
def scanner() -> ScannerDouble:
    return ScannerDouble(version=NEW)


@pytest.fixture
def bench(tmp_path: Path, scanner: ScannerDouble) -> Bench:
    return Bench(
        store=MemoryStore(),
        scanner=scanner,
        examiner=ExaminerDouble(),
        policy=ReviewPolicy(),
        worker="test:1",
        temporary=tmp_path,
        clock=lambda: NOW,
    )


def scanned_file(bench: Bench, version: str = "1.0", state: FileState = FileState.PUBLISHED) -> File:
    file = a_file("demo", version, state=state, content=version.encode())
    bench.store.put(file_key(file.sha256), [version.encode()], immutable=True)  # type: ignore[attr-defined]  # a whole store
    a_scan(file, verdict="benign", score=0.0)
    return file


def test_listed_and_held_files_of_older_rules_are_asked_for_once(bench: Bench) -> None:
    listed = scanned_file(bench, "1.0")
    held = scanned_file(bench, "2.0", FileState.HELD)
    scanned_file(bench, "3.0", FileState.REJECTED)
    assert ask_for_rescans(ruleset=NEW) == 2
    assert sorted(waiting_jobs()) == sorted([[listed.pk], [held.pk]])
    assert ask_for_rescans(ruleset=NEW) == 0
    assert len(waiting_jobs()) == 2


def test_nothing_is_asked_for_while_an_upload_waits(bench: Bench) -> None:
    scanned_file(bench)
    a_file("demo", "9.0", state=FileState.VALIDATED)
    assert ask_for_rescans(ruleset=NEW) == 0
    assert waiting_jobs() == []


def test_batches_are_small(bench: Bench) -> None:
    for number in range(BATCH + 3):
        scanned_file(bench, f"1.{number}")
    assert ask_for_rescans(ruleset=NEW) == BATCH


def test_new_report_is_kept_and_the_file_stays_listed(bench: Bench, scanner: ScannerDouble) -> None:
    file = scanned_file(bench)
    scanner.verdict, scanner.findings = Verdict.MALICIOUS, (a_finding("bad"),)
    assert rescan_one(file.pk, bench) is not None
    file.refresh_from_db()
    assert file.state == FileState.PUBLISHED
    scan = Scan.objects.filter(file=file).first()
    assert scan is not None
    assert (scan.verdict, scan.ruleset, scan.findings[0]["rule"], scan.findings[0]["context"]) == (
        "malicious",
        NEW,
        "bad",
        "import",
    )
    _, rows = queries.noticed(now=NOW + timedelta(minutes=1))
    assert [row.file.pk for row in rows] == [file.pk]


def test_every_file_is_seen_once_by_each_rule_set(bench: Bench, scanner: ScannerDouble) -> None:
    file = scanned_file(bench)
    rescan_one(file.pk, bench)
    assert rescan_one(file.pk, bench) is None
    assert ask_for_rescans(ruleset=NEW) is None
    scanner.version = "test 3"
    assert rescan_one(file.pk, bench) is not None
    assert len(scanner.scanned) == 2


def test_file_whose_bytes_are_gone_is_incomplete_and_not_asked_for_for_ever(bench: Bench) -> None:
    file = a_file("demo", "1.0", state=FileState.PUBLISHED, content=b"gone")
    scan = rescan_one(file.pk, bench)
    assert scan is not None
    assert (scan.verdict, scan.ruleset) == ("incomplete", NEW)
    assert "got none" in scan.incomplete_reason
    assert ask_for_rescans(ruleset=NEW) is None


def test_operator_can_have_malicious_files_taken_off(bench: Bench, scanner: ScannerDouble) -> None:
    strict = replace(bench, policy=ReviewPolicy(hold_on_rescan=True))
    file, suspicious, released = (scanned_file(bench, version) for version in ("1.0", "2.0", "3.0"))
    moderator = a_user("mod", is_moderator=True)
    Decision.objects.create(file=released, at=timezone.now(), moderator=moderator, action="release", reason="known")
    scanner.verdict, scanner.findings = Verdict.SUSPICIOUS, (a_finding("odd"),)
    rescan_one(suspicious.pk, strict)
    scanner.verdict, scanner.findings = Verdict.MALICIOUS, (a_finding("bad"),)
    rescan_one(file.pk, strict)
    rescan_one(released.pk, strict)
    states = {each.pk: each.state for each in File.objects.all()}
    assert states == {
        file.pk: FileState.HELD,
        suspicious.pk: FileState.PUBLISHED,
        released.pk: FileState.PUBLISHED,
    }
    row = JournalEntry.objects.get(action="file-held", filename=file.filename)
    assert (row.actor, row.detail["reason"], row.detail["by"]) == ("index", "malicious: bad", "rescan")


def test_worker_stops_looking_when_every_file_was_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescans, "bench", lambda: bench)
    looks = Rescans()
    assert not looks.look(now=NOW)  # no file yet: no scanner is started for it
    file = scanned_file(bench)
    assert looks.look(now=NOW)
    assert waiting_jobs() == [[file.pk]]
    drop_jobs()
    rescan_one(file.pk, bench)
    assert looks.look(now=NOW)
    assert not looks.look(now=NOW)
