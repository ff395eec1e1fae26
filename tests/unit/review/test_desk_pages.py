"""The desk's pages: what matters first, with the evidence as it is in the archive."""

from __future__ import annotations

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from support.publishing import FoundedIndex
from support.rows import NOW, a_file, a_user
from support.web import a_finding, a_scan, a_zip, client_of, held_file, logged_in_user, published
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key
from wheelmark.server.review import excerpts, queries
from wheelmark.server.review.models import Decision, Scan
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db


def page(address: str) -> str:
    response = client_of(logged_in_user("mod", is_moderator=True)).get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_queue_is_worst_first_and_says_how_many_wait(index: FoundedIndex) -> None:
    for version, verdict, score in (
        ("1.0", "suspicious", 0.6),
        ("2.0", "malicious", 0.8),
        ("3.0", "incomplete", 0.0),
        ("4.0", "malicious", 0.99),
    ):
        held_file("demo", version, verdict=verdict, score=score)
    a_file("demo", "5.0", state=FileState.VALIDATED)
    _, rows = queries.held()
    assert [row.file.release.version for row in rows] == ["4.0", "2.0", "3.0", "1.0"]
    html = page("/review/")
    assert "4 files wait for you" in html
    assert "1 more waits for its scan" in html
    assert "decode-then-exec" in html
    assert "malicious 0.99" in html


def test_queue_goes_by_the_newest_scan(index: FoundedIndex) -> None:
    first = held_file("demo", "1.0", verdict="malicious", score=0.9)
    a_scan(first, verdict="benign", score=0.0)
    held_file("demo", "2.0", verdict="suspicious", score=0.5)
    _, rows = queries.held()
    assert [row.file.release.version for row in rows] == ["2.0", "1.0"]


def test_empty_desk_says_that_nothing_waits(index: FoundedIndex) -> None:
    assert "Nothing waits for you." in page("/review/")
    for show in ("noticed", "decided", "quarantined", "nonsense"):
        page(f"/review/?show={show}")


def test_queue_writes_out_what_cannot_be_seen(index: FoundedIndex) -> None:
    held_file(verdict="incomplete", findings=[])
    Scan.objects.update(incomplete_reason="demo/\u202egnp.py: expected less")
    html = page("/review/")
    assert "\u202e" not in html
    assert "gnp.py: expected less" in html


def test_noticed_lists_what_was_published_although_something_was_found(index: FoundedIndex) -> None:
    file = published(index)
    other = published(index, version="2.0")
    old = published(index, version="3.0")
    Scan.objects.create(
        file=file, at=timezone.now(), verdict="suspicious", score=0.5, ruleset="t", elapsed_ms=1, worker="w"
    )
    Scan.objects.create(
        file=other, at=timezone.now(), verdict="benign", score=0.0, ruleset="t", elapsed_ms=1, worker="w"
    )
    Scan.objects.create(file=old, at=NOW.replace(year=2020), verdict="suspicious", score=0.5, ruleset="t",
                        elapsed_ms=1, worker="w")  # fmt: skip
    _, rows = queries.noticed(now=timezone.now())
    assert [row.file.filename for row in rows] == [file.filename]
    Decision.objects.create(file=file, moderator=a_user("mod"), action="release", reason="fine")
    assert queries.noticed(now=timezone.now())[1] == []


def test_queries_of_the_desk_do_not_grow_with_the_queue(
    index: FoundedIndex, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        held_file("demo", f"1.{number}")
    client = client_of(logged_in_user("mod", is_moderator=True))
    client.get("/review/")
    with django_assert_max_num_queries(16):
        client.get("/review/")
    file = File.objects.first()
    assert file is not None
    with django_assert_max_num_queries(26):
        client.get(f"/review/files/{file.pk}/")


def test_case_shows_the_lines_around_a_finding_as_they_are_in_the_archive(index: FoundedIndex) -> None:
    source = "".join(f"line_{number} = {number}\n" for number in range(1, 21)).replace(
        "line_10 = 10", "exec(b'\u202e<script>')"
    )
    file = held_file(source=source, findings=[a_finding(line=10)])
    html = page(f"/review/files/{file.pk}/")
    assert "line_7 = 7" in html
    assert "line_13 = 13" in html
    assert "line_6 = 6" not in html
    assert "exec(b64decode" in html  # the evidence, which is not what the line says
    assert 'class="marked"' in html
    assert '<span class="hidden-character">U+202E</span>' in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html
    assert "<script>&#x27;" not in html


def test_finding_without_lines_shows_its_evidence(index: FoundedIndex) -> None:
    file = held_file(
        findings=[
            a_finding(line=0, message="a binary", evidence="MZ\u202e"),
            a_finding("no/such/member.py", line=3, message="not there", evidence="EVIDENCE-2"),
            a_finding(line=900, message="beyond the end", evidence="EVIDENCE-3"),
        ]
    )
    html = page(f"/review/files/{file.pk}/")
    assert "EVIDENCE-2" in html
    assert "EVIDENCE-3" in html
    assert "Its code is not shown: the file has no member of this path." in html
    assert "Its code is not shown: 2 lines of the member were read." in html
    assert "MZ" in html
    assert "\u202e" not in html


def test_code_far_to_the_right_is_shown(index: FoundedIndex) -> None:
    source = "x = 1;" + " " * 3_000 + "exec(payload)\n"
    file = held_file(source=source, findings=[a_finding(line=1, evidence="exec(payload)")])
    html = page(f"/review/files/{file.pk}/")
    assert "3,000 spaces" in html
    assert "exec(payload)" in html.split("<tbody>")[1]


def test_lines_are_counted_as_python_counts_them(index: FoundedIndex) -> None:
    file = held_file(source="a = '\u2028\x0c\x85'\nb = 2\r\nc = 3\rd = 4\n", findings=[a_finding(line=4)])
    found = excerpts.read_excerpts(current_store(), file, [a_finding(line=4)])
    line = next(line for line in found.by_place["demo/__init__.py", 4].lines if line.marked)
    assert "".join(run.text for run in line.runs) == "d = 4"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not an archive",
        b"PK\x05\x06" + b"\0" * 18,
        a_zip({"demo/__init__.py": b"x" * 100})[:-10],
        a_zip({"demo/__init__.py": b"\xff\xfe\0binary"}),
    ],
    ids=["empty", "text", "no members", "cut", "binary"],
)
def test_a_broken_archive_breaks_no_page(index: FoundedIndex, body: bytes) -> None:
    file = a_file("demo", "1.0", state=FileState.HELD, content=body or b"x")
    current_store().put(file_key(file.sha256), [body or b"x"], immutable=True)
    a_scan(file, findings=[a_finding()])
    assert "exec(b64decode" in page(f"/review/files/{file.pk}/")


def test_missing_bytes_break_no_page(index: FoundedIndex) -> None:
    file = a_file("demo", "1.0", state=FileState.HELD)
    a_scan(file, findings=[a_finding()])
    assert "exec(b64decode" in page(f"/review/files/{file.pk}/")


def test_archive_bomb_costs_no_more_than_the_bounds(index: FoundedIndex) -> None:
    body = a_zip({"demo/__init__.py": b"\0" * 60_000_000})
    file = a_file("demo", "1.0", state=FileState.HELD, content=body)
    current_store().put(file_key(file.sha256), [body], immutable=True)
    found = excerpts.read_excerpts(current_store(), file, [a_finding()])
    assert all(len(line.runs) < 3_000 for excerpt in found.by_place.values() for line in excerpt.lines)


def test_many_findings_are_cut_worst_first_and_counted(index: FoundedIndex) -> None:
    findings = [a_finding(line=0, severity="low", message=f"low {n}", evidence="e") for n in range(80)]
    file = held_file(findings=[*findings, a_finding(line=0, severity="critical", message="the worst")])
    html = page(f"/review/files/{file.pk}/")
    assert "50 of 81 findings are shown" in html
    assert html.index("the worst") < html.index("low 0")
    assert len(html) < 100_000


def test_case_tells_what_is_known_about_the_uploader(index: FoundedIndex) -> None:
    a_file("demo", "0.1", state=FileState.REJECTED)
    file = held_file()
    html = page(f"/review/files/{file.pk}/")
    assert "1 file rejected before" in html
    assert "1 project" in html


def test_incomplete_scan_says_what_was_not_looked_at(index: FoundedIndex) -> None:
    file = held_file(verdict="incomplete", findings=[])
    Scan.objects.update(incomplete_reason="time-out after 60 s")
    html = page(f"/review/files/{file.pk}/")
    assert "Not everything was looked at:" in html
    assert "time-out after 60 s" in html


def test_archive_that_is_too_large_shows_the_evidence_alone(
    index: FoundedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excerpts, "MAX_ARCHIVE_BYTES", 10)
    file = held_file()
    found = excerpts.read_excerpts(current_store(), file, [a_finding()])
    assert not found.by_place
    assert "larger than the 10 bytes" in found.why_none["demo/__init__.py", 1].reason
