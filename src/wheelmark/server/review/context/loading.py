"""Loads one upload and its surroundings for the context checks: a bounded number of queries, whatever there is."""

from __future__ import annotations

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db.models import Count, Exists, OuterRef, Q

from wheelmark.dist import parse_metadata
from wheelmark.scan import Report
from wheelmark.scan.context import (
    Account,
    Distribution,
    Earlier,
    Index,
    Lists,
    LocalProject,
    Metadata,
    Project,
    Release,
    Sibling,
    Upload,
)
from wheelmark.scan.context.names import MAX_CHARS, neighbours, word_orders
from wheelmark.scan.facts_summary import FactsSummary
from wheelmark.server.projects.models import Collaborator, File
from wheelmark.server.projects.models import Project as ProjectRow
from wheelmark.server.projects.rules import LISTED, FileState
from wheelmark.server.publishing.keys import metadata_key
from wheelmark.server.review.archives import read_members
from wheelmark.server.review.context.marks import claimants_of, marks_of
from wheelmark.server.review.models import ContextFinding, Scan
from wheelmark.store import Store

MAX_METADATA_BYTES = 4_000_000
MAX_NEAR = 20
MAX_COLLABORATORS = 200
NAMES_A_QUERY = 2_000
"""Databases take a limited number of parameters in one statement."""

_LISTED = [state.value for state in LISTED]
_SOURCE_FOLDERS = ("src/", "lib/", "python/")


def load_upload(file_id: int, report: Report, *, store: Store, lists: Lists, now: datetime) -> Upload:
    """The upload that a file and the report on it are.

    Raises:
        Missing: the store has no core metadata for it.
        Refused: the core metadata cannot be parsed; intake took it, so the stored bytes are others.
        Unavailable: the store is away.
    """
    file = File.objects.select_related("release__project", "uploaded_by").get(pk=file_id)
    metadata = _metadata(file, store)
    project = _project(file)
    siblings = _siblings(file, store)
    distribution = Distribution(
        filename=file.filename,
        is_wheel=file.kind == "bdist_wheel",
        size=file.size,
        metadata=metadata,
        facts=report.facts,
        verdict=report.verdict,
        findings=report.findings,
        python_digests=_python_digests(file, store) if siblings else (),
    )
    marks = marks_of(metadata, report.facts, is_wheel=distribution.is_wheel)
    return Upload(
        project=project,
        release=_release(file, siblings),
        file=distribution,
        uploader=_account(file),
        index=Index(
            lists=lists,
            near=_near(file) if project.is_young else (),
            claimants=claimants_of(marks, file.release.project, now=now) if project.is_young else (),
        ),
    )


def _metadata(file: File, store: Store) -> Metadata:
    chunks = store.read(metadata_key(file.metadata_sha256), stop=MAX_METADATA_BYTES)
    return Metadata.of(parse_metadata(b"".join(chunks)))


def _project(file: File) -> Project:
    row = file.release.project
    of_project = File.objects.filter(release__project=row)
    listed = of_project.filter(state__in=[*_LISTED, FileState.REMOVED]).exclude(release=file.release)
    released = of_project.filter(decisions__action="release").exclude(state=FileState.REJECTED)
    let_be = ContextFinding.objects.filter(report__scan__file__in=released).values_list("check_name", flat=True)
    names = Collaborator.objects.filter(project=row).values_list("user__username", flat=True)
    return Project(
        name=row.name,
        normalized_name=row.normalized_name,
        age_days=_days(row.created_at, file.uploaded_at),
        other_releases=listed.values("release").distinct().count(),
        let_be=frozenset(let_be.distinct()),
        collaborators=frozenset(names[:MAX_COLLABORATORS]),
    )


def _account(file: File) -> Account:
    user = file.uploaded_by
    factors = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return Account(
        name=user.username,
        age_days=_days(user.date_joined, file.uploaded_at),
        has_second_factor=Authenticator.objects.filter(user=user, type__in=factors).exists(),
        has_verified_email=EmailAddress.objects.filter(user=user, verified=True).exists(),
        other_projects=Collaborator.objects.filter(user=user).exclude(project=file.release.project).count(),
        rejected_files=File.objects.filter(uploaded_by=user, state=FileState.REJECTED).exclude(pk=file.pk).count(),
        is_trusted_publisher=file.uploaded_with.startswith("publisher"),
    )


def _release(file: File, siblings: tuple[Sibling, ...]) -> Release:
    before = File.objects.filter(release__project=file.release.project).exclude(release=file.release)
    uploaders = set(before.exclude(state=FileState.REJECTED).values_list("uploaded_by_id", flat=True).distinct())
    return Release(
        version=file.release.version,
        earlier=_earlier(file),
        siblings=siblings,
        uploader_is_new=bool(uploaders) and file.uploaded_by_id not in uploaders,
    )


def _earlier(file: File) -> Earlier | None:
    """The newest listed file of an earlier release: one of the same kind and tag, if there is one."""
    scanned = Scan.objects.filter(file=OuterRef("pk")).exclude(verdict="incomplete")
    listed = File.objects.filter(
        Exists(scanned), release__project=file.release.project, state__in=_LISTED, uploaded_at__lte=file.uploaded_at
    ).exclude(release=file.release)
    alike = (Q(kind=file.kind, python_tag=file.python_tag), Q(kind=file.kind), Q())
    found = None
    for condition in alike:
        found = listed.filter(condition).select_related("release", "uploaded_by").order_by("-uploaded_at").first()
        if found is not None:
            break
    if found is None:
        return None
    scan = Scan.objects.filter(file=found).exclude(verdict="incomplete").first()
    if scan is None:
        return None
    return Earlier(
        filename=found.filename,
        version=found.release.version,
        size=found.size,
        uploader=found.uploaded_by.username,
        facts=FactsSummary.from_mapping(scan.facts),
        findings=scan.report_findings(),
        same_kind=found.kind == file.kind,
    )


def _siblings(file: File, store: Store) -> tuple[Sibling, ...]:
    """One file of the other kind, of the same release, if it was not taken away."""
    others = File.objects.filter(release=file.release).exclude(kind=file.kind)
    other = others.exclude(state__in=(FileState.REJECTED, FileState.REMOVED)).order_by("pk").first()
    if other is None:
        return ()
    return (
        Sibling(
            filename=other.filename,
            is_wheel=other.kind == "bdist_wheel",
            python_digests=_python_digests(other, store),
        ),
    )


def _python_digests(file: File, store: Store) -> tuple[tuple[str, str], ...]:
    """The modules of a stored file and their digests; none where it could not be read whole, for then all differs."""
    members = read_members(store, file)
    if members.gaps:
        return ()
    return tuple(
        sorted(
            (_module_path(place), member.sha256)
            for place, member in members.by_place.items()
            if place.endswith(".py") and not place.startswith("*.")
        )
    )


def _module_path(place: str) -> str:
    """Where a module would lie in a wheel."""
    folder = next((folder for folder in _SOURCE_FOLDERS if place.startswith(folder)), "")
    return place.removeprefix(folder)


def _near(file: File) -> tuple[LocalProject, ...]:
    """Projects of this index whose name is one slip away."""
    row = file.release.project
    if len(row.normalized_name) > MAX_CHARS:
        return ()
    candidates = sorted(neighbours(row.normalized_name) | word_orders(row.normalized_name))
    mine = Collaborator.objects.filter(project=row).values("user")
    found: list[LocalProject] = []
    for start in range(0, len(candidates), NAMES_A_QUERY):
        rows = (
            ProjectRow.objects.filter(normalized_name__in=candidates[start : start + NAMES_A_QUERY])
            .annotate(
                live_releases=Count("releases", filter=Q(releases__files__state__in=_LISTED), distinct=True),
                shared=Exists(Collaborator.objects.filter(project=OuterRef("pk"), user__in=mine)),
            )
            .order_by("created_at")[:MAX_NEAR]
        )
        found += [
            LocalProject(
                normalized_name=near.normalized_name,
                releases=near.live_releases,
                age_days=_days(near.created_at, file.uploaded_at),
                shares_collaborator=near.shared,
            )
            for near in rows
        ]
    return tuple(found[:MAX_NEAR])


def _days(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() / 86_400)
