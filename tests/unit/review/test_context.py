"""Context checks in the index: what is loaded, what follows, what is kept, and what moderators see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries

from support.context import ExaminerDouble, a_context_finding, a_context_report
from support.jobs import drop_jobs
from support.publishing import FoundedIndex
from support.reports import ScannerDouble, a_finding
from support.rows import NOW, a_file, a_project, a_user
from support.web import a_zip, client_of, logged_in_user
from wheelmark.errors import Refused
from wheelmark.scan import Context, Severity, Verdict
from wheelmark.scan.context import Level, load_checks, shipped_lists
from wheelmark.scan.facts_summary import FactsSummary
from wheelmark.server.config import Config
from wheelmark.server.projects.models import Collaborator, File, JournalEntry, Role
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key, metadata_key
from wheelmark.server.review import queries
from wheelmark.server.review.context.examiner import ContextExaminer, check_lists, keep_examination, make_examiner
from wheelmark.server.review.context.loading import load_upload
from wheelmark.server.review.context.marks import claimants_of, keep_marks
from wheelmark.server.review.models import ContextFinding, ContextReport, Decision, Mark, Scan
from wheelmark.server.review.rules import Hold, Release, ReviewPolicy, decide
from wheelmark.server.review.scanning import Bench, scan_one
from wheelmark.store import MemoryStore

pytestmark = pytest.mark.django_db(transaction=True)

SHA256 = "a" * 64
REPOSITORY = "Project-URL: Source, https://github.com/harbour/pilot\n"


@pytest.fixture(autouse=True)
def old_hand() -> None:
    """Uploads come from an account that has been here for long."""
    drop_jobs()
    a_user("ada", date_joined=NOW - timedelta(days=900))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def bench(tmp_path: Path, store: MemoryStore) -> Bench:
    examiner = ContextExaminer(store=store, checkset=load_checks(), lists=shipped_lists(), clock=lambda: NOW)
    return Bench(
        store=store,
        scanner=ScannerDouble(),
        examiner=examiner,
        policy=ReviewPolicy(),
        worker="test:1",
        temporary=tmp_path,
        clock=lambda: NOW,
    )


def uploaded(
    store: MemoryStore,
    project: str,
    version: str = "1.0",
    *,
    fields: str = REPOSITORY,
    members: Mapping[str, str] | None = None,
    kind: str = "bdist_wheel",
    state: FileState = FileState.VALIDATED,
) -> File:
    metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{fields}".encode()
    content = a_zip({path: text.encode() for path, text in (members or {f"{project}.py": "x = 1\n"}).items()})
    file = a_file(project, version, state=state, content=content, metadata=metadata, kind=kind)
    store.put(file_key(file.sha256), [content], immutable=True)
    store.put(metadata_key(file.metadata_sha256), [metadata], immutable=True)
    return file


def test_new_project_with_a_look_alike_name_is_held_and_the_evidence_is_kept(bench: Bench, store: MemoryStore) -> None:
    file = uploaded(store, "reqeusts")
    decision = scan_one(file.pk, bench)
    assert decision == Hold("context strong: typosquat")
    file.refresh_from_db()
    assert (file.state, file.state_reason) == (FileState.HELD, "context strong: typosquat")
    report = ContextReport.objects.get(scan__file=file)
    assert (report.level, report.checkset) == ("strong", load_checks().version)
    assert {run["check"] for run in report.runs} == {check.id for check in load_checks().checks}
    assert all(run["elapsed_ms"] >= 0 and run["version"] >= 1 for run in report.runs)
    finding = ContextFinding.objects.get(report=report, check_name="typosquat")
    assert (finding.severity, finding.other, finding.subject, finding.counts) == ("high", "requests", "project", True)
    assert JournalEntry.objects.get(action="file-held", filename=file.filename).detail["context"] == "strong"


def test_ordinary_new_project_goes_on(bench: Bench, store: MemoryStore) -> None:
    file = uploaded(store, "weatherstation-reader")
    assert scan_one(file.pk, bench) == Release("nothing found")
    assert ContextReport.objects.get(scan__file=file).level in ("nothing", "noted")


def test_operator_can_let_strong_contexts_through_and_the_desk_lists_them(bench: Bench, store: MemoryStore) -> None:
    file = uploaded(store, "reqeusts")
    decision = scan_one(file.pk, replace(bench, policy=ReviewPolicy(hold_on_context=False)))
    assert decision == Release("context strong: typosquat")
    _, rows = queries.noticed(now=NOW)
    assert [(row.file.pk, row.context_level) for row in rows] == [(file.pk, "strong")]
    assert rows[0].rules[0] == "typosquat"


def test_what_a_moderator_released_is_not_held_again_for_the_same(bench: Bench, store: MemoryStore) -> None:
    first = uploaded(store, "reqeusts")
    scan_one(first.pk, bench)
    Decision.objects.create(file=first, moderator=a_user("mod"), action="release", reason="a real project")
    second = uploaded(store, "reqeusts", "1.1")
    assert scan_one(second.pk, bench) == Release("nothing found")
    assert ContextFinding.objects.get(report__scan__file=second, check_name="typosquat").counts is False


def test_decision_that_was_taken_back_lets_nothing_be(bench: Bench, store: MemoryStore) -> None:
    first = uploaded(store, "reqeusts")
    scan_one(first.pk, bench)
    Decision.objects.create(file=first, moderator=a_user("mod"), action="release", reason="a mistake")
    File.objects.filter(pk=first.pk).update(state=FileState.REJECTED)
    assert isinstance(scan_one(uploaded(store, "reqeusts", "1.1").pk, bench), Hold)


@pytest.mark.parametrize("lost", ["missing", "other"])
def test_file_whose_metadata_cannot_be_read_is_held(bench: Bench, store: MemoryStore, lost: str) -> None:
    file = a_file("weatherstation-reader", state=FileState.VALIDATED, content=b"x", metadata=b"not metadata")
    store.put(file_key(file.sha256), [b"x"], immutable=True)
    if lost == "other":
        store.put(metadata_key(file.metadata_sha256), [b"not metadata"], immutable=True)
    decision = scan_one(file.pk, bench)
    assert isinstance(decision, Hold)
    assert decision.reason.startswith("context incomplete: expected the core metadata")


@pytest.mark.parametrize(
    ("verdict", "level", "reason"),
    [
        (Verdict.BENIGN, Level.DOUBTFUL, None),
        (Verdict.BENIGN, Level.NOTED, None),
        (Verdict.BENIGN, Level.STRONG, "context strong: typosquat"),
        (Verdict.SUSPICIOUS, Level.NOTED, None),
        (Verdict.SUSPICIOUS, Level.DOUBTFUL, "suspicious: odd; context doubtful: typosquat"),
        (Verdict.SUSPICIOUS, Level.STRONG, "suspicious: odd; context strong: typosquat"),
        (Verdict.MALICIOUS, Level.NOTHING, "malicious: odd"),
        (Verdict.INCOMPLETE, Level.STRONG, "scan incomplete: no reason given"),
    ],
)
def test_context_moves_the_decision_and_never_makes_malicious(
    verdict: Verdict, level: Level, reason: str | None
) -> None:
    from support.reports import a_report

    findings = (a_finding("odd"),) if verdict is not Verdict.BENIGN else ()
    context = a_context_report(level, a_context_finding())
    decision = decide(a_report(verdict, *findings), ReviewPolicy(), sha256=SHA256, context=context)
    if reason is None:
        assert isinstance(decision, Release)
    else:
        assert decision == Hold(reason)


def test_failed_check_holds_a_file_that_the_scan_finds_clean() -> None:
    from support.reports import a_report

    context = a_context_report(incomplete_reason="loud failed: ZeroDivisionError: x")
    decision = decide(a_report(), ReviewPolicy(), sha256=SHA256, context=context)
    assert decision == Hold("context incomplete: loud failed: ZeroDivisionError: x")


def test_marks_tell_a_later_project_of_other_people_from_their_owner(store: MemoryStore) -> None:
    old, new = a_project("harbour-pilot"), a_project("pilot-of-harbours", owner="bob")
    type(old).objects.filter(pk=old.pk).update(created_at=NOW - timedelta(days=700))
    marks = frozenset({("repository", "github.com/harbour/pilot"), ("module", "pilot")})
    a_file("harbour-pilot", state=FileState.PUBLISHED)
    keep_marks(old, marks, now=NOW - timedelta(days=700))
    keep_marks(old, marks, now=NOW)  # a second file of the same project changes nothing
    assert Mark.objects.count() == 2
    found = claimants_of(marks, new, now=NOW)
    assert [(claim.kind, claim.project, round(claim.age_days)) for claim in found] == [
        ("module", "harbour-pilot", 700),
        ("repository", "harbour-pilot", 700),
    ]
    Collaborator.objects.create(project=new, user=a_user("ada"), role=Role.MAINTAINER)
    assert claimants_of(marks, new, now=NOW) == ()


def test_marks_of_a_project_with_nothing_in_the_index_claim_nothing(store: MemoryStore) -> None:
    old, new = a_project("harbour-pilot"), a_project("pilot-of-harbours", owner="bob")
    type(old).objects.filter(pk=old.pk).update(created_at=NOW - timedelta(days=700))
    keep_marks(old, [("module", "pilot")], now=NOW - timedelta(days=700))
    a_file("harbour-pilot", state=FileState.REJECTED)
    assert claimants_of(frozenset({("module", "pilot")}), new, now=NOW) == ()


def test_scan_keeps_the_marks_of_a_file(bench: Bench, store: MemoryStore) -> None:
    file = uploaded(store, "weatherstation-reader", fields=REPOSITORY + "Author-email: Ada <ada@harbour.test>\n")
    scan_one(file.pk, bench)
    assert set(Mark.objects.values_list("kind", "value")) == {
        ("repository", "github.com/harbour/pilot"),
        ("email", "ada@harbour.test"),
    }


def test_previous_release_and_sibling_are_loaded(bench: Bench, store: MemoryStore) -> None:
    facts = FactsSummary(acts=("start a process/call",), python_files=3)
    old = uploaded(store, "widget", state=FileState.PUBLISHED)
    Scan.objects.create(
        file=old, verdict="benign", score=0, ruleset="t", elapsed_ms=1, worker="w", facts=facts.to_mapping(),
        findings=[
            {"rule": "odd", "severity": "low", "member": "a.py", "line": 1, "message": "m", "evidence": "e",
             "context": "call"}
        ],
    )  # fmt: skip
    Scan.objects.create(file=old, verdict="incomplete", score=0, ruleset="t", elapsed_ms=1, worker="w")
    uploaded(store, "widget", "1.1", members={"widget.py": "x = 2\n", "widget_b.py": "y = 1\n"})
    file = uploaded(store, "widget", "1.1", members={"widget-1.1/src/widget.py": "x = 2\n"}, kind="sdist")
    report = bench.scanner.scan(_path(store, file, bench.temporary), file.filename)
    upload = load_upload(file.pk, report, store=store, lists=shipped_lists(), now=NOW)
    earlier = upload.release.earlier
    assert earlier is not None
    assert (earlier.version, earlier.facts, earlier.same_kind) == ("1.0", facts, False)
    assert [(finding.rule, finding.context) for finding in earlier.findings] == [("odd", Context.ON_CALL)]
    assert upload.project.other_releases == 1
    assert not upload.release.uploader_is_new
    assert [sibling.is_wheel for sibling in upload.release.siblings] == [True]
    assert [path for path, _ in upload.release.siblings[0].python_digests] == ["widget.py", "widget_b.py"]


def _path(store: MemoryStore, file: File, folder: Path) -> Path:
    path = folder / "copy"
    path.write_bytes(b"".join(store.read(file_key(file.sha256))))
    return path


def test_uploader_who_never_uploaded_here_is_new(bench: Bench, store: MemoryStore) -> None:
    uploaded(store, "widget", state=FileState.PUBLISHED)
    file = uploaded(store, "widget", "1.1")
    File.objects.filter(pk=file.pk).update(uploaded_by=a_user("bob"))
    report = ScannerDouble().scan(_path(store, file, bench.temporary), file.filename)
    assert load_upload(file.pk, report, store=store, lists=shipped_lists(), now=NOW).release.uploader_is_new


def test_established_neighbours_of_the_index_are_found(bench: Bench, store: MemoryStore) -> None:
    near = a_project("harbour-pilot")
    type(near).objects.filter(pk=near.pk).update(created_at=NOW - timedelta(days=700))
    for version in ("1.0", "1.1", "1.2"):
        a_file("harbour-pilot", version, state=FileState.PUBLISHED)
    a_project("harbour-pillot", owner="bob")
    file = uploaded(store, "harbour-pillot", fields="Home-page: https://gitlab.com/others/harbour-pilot\n")
    assert scan_one(file.pk, bench) == Hold("context strong: local-typosquat")


def test_queries_do_not_grow_with_the_index(
    bench: Bench, store: MemoryStore, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        near = a_project(f"widge{'abcdefghijklmnopqrsuvwxyz0123456'[number]}")
        keep_marks(near, [("repository", "github.com/harbour/pilot")], now=NOW)
        a_file(near.normalized_name, state=FileState.PUBLISHED)
    for version in ("0.1", "0.2", "0.3"):
        uploaded(store, "widget", version, state=FileState.PUBLISHED)
    file = uploaded(store, "widget")
    report = ScannerDouble().scan(_path(store, file, bench.temporary), file.filename)
    with django_assert_max_num_queries(20):
        bench.examiner.examine(file.pk, report)


def test_lists_of_the_operator_are_read_from_the_data_folder(tmp_path: Path, store: MemoryStore) -> None:
    config = Config(data=tmp_path)
    check_lists(config)  # none is no fault
    (tmp_path / "context.toml").write_text('[[internal]]\nnames = ["harbour-*"]\naccounts = ["bot"]\n')
    assert make_examiner(store, config, clock=lambda: NOW).lists.internal[0].patterns == ("harbour-*",)
    (tmp_path / "context.toml").write_text("[checks]\ntyposqat = 'disabled'\n")
    with pytest.raises(Refused, match="typosqat"):
        check_lists(config)


def test_named_lists_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="expected a file that can be read"):
        check_lists(Config(data=tmp_path, context_lists=str(tmp_path / "none.toml")))


def test_case_page_shows_context_beside_the_scan(index: FoundedIndex, bench: Bench, store: MemoryStore) -> None:
    file = uploaded(store, "reqeusts")
    finding = a_context_finding(
        "spam", Severity.HIGH, message="It lures <b>people</b>.", evidence="casino: \\u202e", other="requests", line=3
    )
    let_be = a_context_finding("typosquat", Severity.HIGH, counts=False)
    double = ExaminerDouble(a_context_report(Level.STRONG, finding, let_be))
    scan_one(file.pk, replace(bench, examiner=double))
    assert double.asked == [file.pk]
    html = page(f"/review/files/{file.pk}/")
    for text in ("<h2>Context</h2>", "speak strongly against it", "It lures &lt;b&gt;people&lt;/b&gt;.", "Name:3"):
        assert text in html
    assert "a moderator let the same be" in html
    assert "context strong" in page("/review/")
    # A rescan looks at the bytes alone; the context of the upload stays on the page.
    Scan.objects.create(file=file, verdict="benign", score=0, ruleset="t", elapsed_ms=1, worker="w")
    assert "speak strongly against it" in page(f"/review/files/{file.pk}/")


def test_case_page_says_which_check_failed(index: FoundedIndex, bench: Bench, store: MemoryStore) -> None:
    file = uploaded(store, "widget")
    double = ExaminerDouble(a_context_report(incomplete_reason="loud failed: x"))
    assert scan_one(file.pk, replace(bench, examiner=double)) == Hold("context incomplete: loud failed: x")
    assert "loud failed: x" in page(f"/review/files/{file.pk}/")


def test_report_outlives_a_removed_file(bench: Bench, store: MemoryStore) -> None:
    file = uploaded(store, "widget")
    scan = Scan.objects.create(file=file, verdict="benign", score=0, ruleset="t", elapsed_ms=1, worker="w")
    examination = ExaminerDouble(a_context_report(Level.NOTED, a_context_finding())).examine(file.pk, None)  # type: ignore[arg-type]  # the double looks at no report
    keep_examination(scan, examination, now=NOW)
    File.objects.filter(pk=file.pk).update(state=FileState.REMOVED)
    assert ContextFinding.objects.filter(report__scan__file=file).count() == 1


def page(address: str) -> str:
    response = client_of(logged_in_user("mod", is_moderator=True)).get(address)
    assert response.status_code == 200
    return response.content.decode()
