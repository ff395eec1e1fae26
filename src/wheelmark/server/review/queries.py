"""What the review desk shows: the queue, one case, and the figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from django.core.paginator import Page, Paginator
from django.db.models import Case, Exists, IntegerField, Max, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from wheelmark.server.projects.models import Collaborator, File, JournalEntry, Project, ProjectStatus
from wheelmark.server.projects.rules import LISTED, FileState
from wheelmark.server.publishing.models import PublishedFile
from wheelmark.server.review.models import ContextFinding, ContextReport, Decision, Scan
from wheelmark.server.web.queries import listed_in, with_listing

CASES_A_PAGE = 30
MAX_FINDINGS = 50
"""Findings that a case page shows; the worst come first, and the page says how many there are."""
MAX_RULES = 5
HISTORY = 20
NOTICED_DAYS = 30

STRONG = "strong"
_SPEAKING = ("doubtful", STRONG)
_WORST_FIRST = ("malicious", "incomplete", "suspicious")
_SEVERITIES = ("critical", "high", "medium", "low", "info")


class Queue(StrEnum):
    """The lists of the desk."""

    HELD = "held"  # waits for a decision
    NOTICED = "noticed"  # published although something was found
    DECIDED = "decided"  # what moderators did lately
    QUARANTINED = "quarantined"  # projects


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One file in a list, with what speaks against it."""

    file: File
    scan: Scan | None
    rules: tuple[str, ...]  # worst first, each once
    more_rules: int
    decision: Decision | None = None
    context_level: str = ""  # what name, texts and changes say: "doubtful", "strong"; empty for less


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What needs me now?"""

    held: int
    oldest_held_at: datetime | None
    noticed: int
    unscanned: int  # validated files whose scan has not ended
    quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """One file with all that is known about it."""

    file: File
    listed_in: int | None
    scan: Scan | None
    findings: tuple[Mapping[str, Any], ...]  # worst first, at most `MAX_FINDINGS`
    findings_total: int
    context: ContextReport | None  # the newest; a rescan makes none
    context_findings: tuple[ContextFinding, ...]  # gravest first
    earlier_scans: tuple[Scan, ...]
    decisions: tuple[Decision, ...]
    entries: tuple[JournalEntry, ...]
    project_files: int  # files of the project that are listed now
    uploader_projects: int
    uploader_rejected: int  # files of this uploader that were rejected before


def figures(*, now: datetime) -> Figures:
    """The counts on top of the desk."""
    held = File.objects.filter(state=FileState.HELD)
    return Figures(
        held=held.count(),
        oldest_held_at=held.aggregate(oldest=Min("state_changed_at"))["oldest"],
        noticed=_noticed(now).count(),
        unscanned=File.objects.filter(state=FileState.VALIDATED).count(),
        quarantined=Project.objects.filter(status=ProjectStatus.QUARANTINED).count(),
    )


def held(*, number: int | str = 1) -> tuple[Page[File], list[QueueRow]]:
    """Files that wait for a moderator, worst first; among equals the longest waiting."""
    return _queue(File.objects.filter(state=FileState.HELD), number)


def noticed(*, now: datetime, number: int | str = 1) -> tuple[Page[File], list[QueueRow]]:
    """Files of the last weeks that are listed although a scan found something, until a moderator released them."""
    return _queue(_noticed(now), number)


def decided(*, number: int | str = 1) -> tuple[Page[Decision], list[QueueRow]]:
    """The newest decisions."""
    decisions = Decision.objects.select_related("moderator", "file__release__project", "file__uploaded_by")
    page = Paginator(decisions, CASES_A_PAGE).get_page(number)
    file_ids = [decision.file_id for decision in page]
    scans, contexts = _latest_scans(file_ids), _latest_contexts(file_ids)
    return page, [
        _row(decision.file, scans.get(decision.file_id), contexts.get(decision.file_id), decision) for decision in page
    ]


def quarantined(*, number: int | str = 1) -> Page[Project]:
    """Projects that are quarantined."""
    projects = Project.objects.filter(status=ProjectStatus.QUARANTINED).order_by("normalized_name")
    return Paginator(projects, CASES_A_PAGE).get_page(number)


def case_view(file_id: int) -> CaseView | None:
    """All that is known about one file; None when there is no such file."""
    file = with_listing(File.objects.filter(pk=file_id)).select_related("release__project", "uploaded_by").first()
    if file is None:
        return None
    scans = tuple(Scan.objects.filter(file=file)[:HISTORY])
    scan = scans[0] if scans else None
    findings = sorted(scan.findings, key=badness) if scan else []
    context = ContextReport.objects.filter(scan__file=file).order_by("-pk").first()
    project = file.release.project
    uploads = File.objects.filter(uploaded_by=file.uploaded_by)
    return CaseView(
        file=file,
        listed_in=listed_in(file),
        scan=scan,
        findings=tuple(findings[:MAX_FINDINGS]),
        findings_total=len(findings),
        context=context,
        context_findings=tuple(context.findings.all()) if context else (),
        earlier_scans=scans[1:],
        decisions=tuple(Decision.objects.filter(file=file).select_related("moderator")[:HISTORY]),
        entries=tuple(
            JournalEntry.objects.filter(project=project.normalized_name, filename=file.filename).order_by("-serial")[
                :HISTORY
            ]
        ),
        project_files=PublishedFile.objects.filter(page_id=project.normalized_name).count(),
        uploader_projects=Collaborator.objects.filter(user=file.uploaded_by).count(),
        uploader_rejected=uploads.filter(state=FileState.REJECTED).exclude(pk=file.pk).count(),
    )


def seen_token(view: CaseView) -> str:
    """What a decision form says that its reader saw: the newest decision and the newest scan."""
    return f"{view.decisions[0].pk if view.decisions else 0}.{view.scan.pk if view.scan else 0}"


def _of_latest_scan(field: str) -> Subquery:
    return Subquery(Scan.objects.filter(file=OuterRef("pk")).order_by("-pk").values(field)[:1])


def _noticed(now: datetime) -> QuerySet[File]:
    noticeable = Q(verdict__in=_WORST_FIRST) | Q(context__level=STRONG)
    recent = Scan.objects.filter(noticeable, at__gte=now - timedelta(days=NOTICED_DAYS))
    listed = File.objects.filter(state__in=[state.value for state in LISTED], pk__in=recent.values("file_id"))
    let_be = Decision.objects.filter(file=OuterRef("pk"), action="release")
    strong = ContextReport.objects.filter(scan__file=OuterRef("pk"), level=STRONG)
    return (
        listed.annotate(newest_verdict=_of_latest_scan("verdict"))
        .filter(Q(newest_verdict__in=_WORST_FIRST) | Exists(strong))
        .exclude(Exists(let_be))
    )


def _queue(files: QuerySet[File], number: int | str) -> tuple[Page[File], list[QueueRow]]:
    ordered = (
        files.select_related("release__project", "uploaded_by")
        .annotate(
            last_verdict=_of_latest_scan("verdict"),
            last_score=Coalesce(_of_latest_scan("score"), Value(0.0)),
        )
        .annotate(
            badness=Case(
                *(When(last_verdict=verdict, then=Value(rank)) for rank, verdict in enumerate(_WORST_FIRST)),
                default=Value(len(_WORST_FIRST)),
                output_field=IntegerField(),
            )
        )
        .order_by("badness", "-last_score", "state_changed_at", "pk")
    )
    page: Page[File] = Paginator(cast("QuerySet[File]", ordered), CASES_A_PAGE).get_page(number)
    file_ids = [file.pk for file in page]
    scans, contexts = _latest_scans(file_ids), _latest_contexts(file_ids)
    return page, [_row(file, scans.get(file.pk), contexts.get(file.pk)) for file in page]


def _latest_scans(file_ids: list[int]) -> dict[int, Scan]:
    newest = Scan.objects.filter(file__in=file_ids).values("file").annotate(newest=Max("pk")).values("newest")
    return {scan.file_id: scan for scan in Scan.objects.filter(pk__in=newest)}


def _latest_contexts(file_ids: list[int]) -> dict[int, ContextReport]:
    """The newest report of each file whose context says something against it, with its findings."""
    of_files = ContextReport.objects.filter(scan__file__in=file_ids)
    newest = of_files.values("scan__file").annotate(newest=Max("pk")).values("newest")
    reports = ContextReport.objects.filter(pk__in=newest, level__in=_SPEAKING)
    return {report.scan.file_id: report for report in reports.select_related("scan").prefetch_related("findings")}


def _row(
    file: File, scan: Scan | None, context: ContextReport | None = None, decision: Decision | None = None
) -> QueueRow:
    findings = sorted(scan.findings, key=badness) if scan else []
    told = [str(finding.get("rule", "")) for finding in findings]
    told += [finding.check_name for finding in context.findings.all() if finding.counts] if context else []
    rules = list(dict.fromkeys(told))
    return QueueRow(
        file=file,
        scan=scan,
        rules=tuple(rules[:MAX_RULES]),
        more_rules=max(0, len(rules) - MAX_RULES),
        decision=decision,
        context_level=context.level if context else "",
    )


def badness(finding: Mapping[str, Any]) -> int:
    """What to sort findings by, the worst first."""
    severity = finding.get("severity")
    # An unknown severity comes from a newer scanner: it is read first, not last.
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else -1


def file_exists(file_id: int) -> bool:
    """Whether there is a file row with this id."""
    return File.objects.filter(pk=file_id).exists()


def listed_files(project: Project) -> int:
    """How many files of a project the current snapshot lists."""
    return PublishedFile.objects.filter(page_id=project.normalized_name).count()
