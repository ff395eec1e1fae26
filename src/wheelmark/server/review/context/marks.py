"""Marks: what makes a project known beside its name. Its modules, its repositories, the addresses of its authors.

They are kept as files are scanned, so that a later project which shows the same marks can be told apart from its owner.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q

from wheelmark.scan.context import Claimant, Metadata
from wheelmark.scan.context.sources import addresses_of, sources_of
from wheelmark.scan.facts_summary import FactsSummary
from wheelmark.server.projects.models import Collaborator, File, Project
from wheelmark.server.projects.rules import LISTED
from wheelmark.server.review.models import Mark

MAX_MARKS = 60
MAX_CLAIMANTS = 20

Marks = frozenset[tuple[str, str]]
"""Kind and value."""


def marks_of(metadata: Metadata, facts: FactsSummary, *, is_wheel: bool) -> Marks:
    """What one file shows. Modules are a wheel's: what an sdist installs only its build knows."""
    found = [("repository", str(source)) for source in sources_of(metadata)]
    found += [("email", address) for address in addresses_of(metadata)]
    found += [("module", module) for module in (facts.modules if is_wheel else ())]
    return frozenset((kind, value[: Mark.MAX_VALUE]) for kind, value in found[:MAX_MARKS])


def keep_marks(project: Project, marks: Iterable[tuple[str, str]], *, now: datetime) -> None:
    """Remember what a project shows; what it has shown before keeps its first day."""
    Mark.objects.bulk_create(
        [Mark(project=project, kind=kind, value=value, first_seen_at=now) for kind, value in sorted(marks)],
        ignore_conflicts=True,
    )


def claimants_of(marks: Marks, project: Project, *, now: datetime) -> tuple[Claimant, ...]:
    """Other projects with something in the index that had one of these marks before, and other collaborators."""
    if not marks:
        return ()
    wanted = Q()
    for kind in sorted({kind for kind, _ in marks}):
        wanted |= Q(kind=kind, value__in=sorted(value for other, value in marks if other == kind))
    mine = Collaborator.objects.filter(project=project).values("user")
    shared = Collaborator.objects.filter(project=OuterRef("project"), user__in=mine)
    listed = File.objects.filter(release__project=OuterRef("project"), state__in=[state.value for state in LISTED])
    rows = (
        Mark.objects.filter(wanted)
        .filter(Exists(listed), ~Exists(shared), project__created_at__lt=project.created_at)
        .exclude(project=project)
        .select_related("project")
        .annotate(releases=Count("project__releases", distinct=True))
        .order_by("first_seen_at", "pk")[:MAX_CLAIMANTS]
    )
    return tuple(
        Claimant(
            kind=row.kind,
            value=row.value,
            project=row.project.normalized_name,
            releases=row.releases,
            age_days=max(0.0, (now - row.first_seen_at).total_seconds() / 86_400),
        )
        for row in rows
    )
