"""What the public pages show, read from the rows in a bounded number of queries.

Strangers see what the current snapshot lists and nothing else (invariant 1): every query here that is not for
insiders starts from `PublishedPage` or `PublishedFile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser
from django.core.paginator import Page, Paginator
from django.db.models import (
    Case,
    Count,
    Exists,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Length
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelmark.dist import ultra_normalize
from wheelmark.errors import Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.accounts.permissions import may
from wheelmark.server.accounts.rules import Action
from wheelmark.server.projects.models import File, JournalEntry, Project, Release
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import Heartbeat, PublishedFile, PublishedPage, RoleVersion, Snapshot
from wheelmark.server.web import wording

FILES_A_PAGE = 30
RELEASES_A_PAGE = 100
RESULTS_A_PAGE = 20
MAX_RESULTS = 200
"""A search that finds more says so, and asks for a longer word."""
MAX_QUERY_CHARS = 100
JOURNAL_LINES = 50

Viewer = User | AnonymousUser


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file as a page draws it."""

    file: File
    words: wording.StateWords
    at: datetime | None  # when it came into the state that the words say; None: nothing to say
    is_listed: bool  # the current snapshot lists it, so it can be downloaded
    uploaded_with: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """One release as a list draws it."""

    release: Release
    version: Version
    listed_files: int  # files of it that the current snapshot lists


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectView:
    """A project, the release that is shown, and what this viewer may see of both."""

    project: Project
    page: PublishedPage | None
    is_insider: bool
    releases: tuple[ReleaseRow, ...]  # newest version first
    shown: ReleaseRow | None
    latest: ReleaseRow | None


def is_insider(viewer: Viewer, project: Project) -> bool:
    """Whether the viewer sees what is not published: the project's collaborators and the moderators."""
    return may(viewer, Action.MANAGE_PROJECT, project)


def find_project(name: str, viewer: Viewer) -> Project | None:
    """A project by its normalized name, if the viewer may know that it exists."""
    project = (
        Project.objects.filter(normalized_name=name)
        .annotate(has_page=Exists(PublishedPage.objects.filter(name=OuterRef("normalized_name"))))
        .first()
    )
    if project is None or not (project.has_page or is_insider(viewer, project)):
        return None
    return project


def project_view(project: Project, viewer: Viewer, *, version: str | None = None) -> ProjectView | None:
    """A project with one of its releases: the one asked for, or the latest. None: no such release for this viewer."""
    name = project.normalized_name
    insider = is_insider(viewer, project)
    listed: Mapping[int, int] = dict(
        File.objects.filter(release__project=project, filename__in=_listed_names(name))
        .values_list("release_id")
        .annotate(count=Count("pk"))
    )
    found = project.releases.defer("description", "metadata").all()
    rows = sorted(
        (
            ReleaseRow(release=release, version=Version(release.version), listed_files=listed.get(release.pk, 0))
            for release in found
            if insider or release.pk in listed
        ),
        key=lambda row: row.version,
        reverse=True,
    )
    latest = _latest(rows)
    shown = latest if version is None else next((row for row in rows if row.release.version == version), None)
    if version is not None and shown is None:
        return None
    return ProjectView(
        project=project,
        page=PublishedPage.objects.filter(name=name).first(),
        is_insider=insider,
        releases=tuple(rows),
        shown=shown,
        latest=latest,
    )


def _latest(rows: list[ReleaseRow]) -> ReleaseRow | None:
    """What installers take by default: published before not, final before pre-release, yanked last; then the newest."""
    return max(
        rows,
        key=lambda row: (
            row.listed_files > 0,
            not row.release.is_yanked,
            not row.version.is_prerelease,
            row.version,
        ),
        default=None,
    )


def release_files(view: ProjectView, *, number: int | str = 1) -> Page[File]:
    """One page of the files of the release that is shown, sdists first, each with `listed_in` and `listed_at`."""
    if view.shown is None:
        return Paginator(File.objects.none(), FILES_A_PAGE).get_page(1)
    files = view.shown.release.files.select_related("uploaded_by")
    if not view.is_insider:
        files = files.filter(filename__in=_listed_names(view.project.normalized_name))
    return Paginator(with_listing(files).order_by("-kind", "filename"), FILES_A_PAGE).get_page(number)


def with_listing(files: QuerySet[File]) -> QuerySet[File]:
    """The files, each with the version and time of the snapshot that listed it first, if the current one lists it."""
    listing = PublishedFile.objects.filter(filename=OuterRef("filename"), sha256=OuterRef("sha256"))
    return files.annotate(
        listed_in=Subquery(listing.values("snapshot")[:1]), listed_at=Subquery(listing.values("at")[:1])
    )


def file_rows(files: Iterable[File], *, insider: bool) -> list[FileRow]:
    """The files of one page in the viewer's words: strangers are not told that a listed file is about to leave."""
    rows = []
    for file in files:
        snapshot, listed_at = listed_in(file), getattr(file, "listed_at", None)
        state = FileState(file.state) if insider else FileState.PUBLISHED
        rows.append(
            FileRow(
                file=file,
                words=wording.file_state_words(state, snapshot=snapshot),
                at=listed_at if state is FileState.PUBLISHED and snapshot else file.state_changed_at,
                is_listed=snapshot is not None,
                uploaded_with=wording.uploaded_with_words(file.uploaded_with),
            )
        )
    return rows


def listed_in(file: File) -> int | None:
    """The snapshot that listed a file of `with_listing` first; None if the current one does not list it."""
    snapshot: int | None = getattr(file, "listed_in", None)
    return snapshot


def _listed_names(project: str) -> QuerySet[PublishedFile, str]:
    return PublishedFile.objects.filter(page_id=project).values_list("filename", flat=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """When the newest file of a release came into a snapshot."""

    snapshot: int
    at: datetime


def newest_listing(view: ProjectView) -> Listing | None:
    """The snapshot that listed the newest file of the release that is shown."""
    if view.shown is None or not view.shown.listed_files:
        return None
    found = (
        PublishedFile.objects.filter(page_id=view.project.normalized_name)
        .filter(filename__in=view.shown.release.files.values("filename"))
        .order_by("-snapshot")
        .values_list("snapshot", "at")
        .first()
    )
    return Listing(snapshot=found[0], at=found[1]) if found else None


def waiting_counts(view: ProjectView) -> dict[FileState, int]:
    """For insiders: how many files of the release that is shown are in which state that no snapshot lists."""
    if view.shown is None or not view.is_insider:
        return {}
    counted = (
        view.shown.release.files.exclude(state__in=[FileState.PUBLISHED, FileState.REMOVED])
        .values_list("state")
        .annotate(count=Count("pk"))
        .order_by("state")
    )
    return {FileState(state): count for state, count in counted}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """One page of projects, and the projects whose names are easily taken for the one that was asked for."""

    projects: Page[Project]
    lookalikes: tuple[Project, ...]
    has_exact: bool
    is_cut: bool  # there are more than `MAX_RESULTS`


def search(query: str, *, number: int | str = 1) -> SearchResult:
    """Published projects whose name or summary holds the words, those whose name fits best first."""
    words = query.strip()[:MAX_QUERY_CHARS]
    name = canonicalize_name(words)
    listed_file = File.objects.filter(
        Exists(PublishedFile.objects.filter(filename=OuterRef("filename"))), release=OuterRef("pk")
    )
    listed = Release.objects.filter(Exists(listed_file), project=OuterRef("pk"))
    projects = (
        Project.objects.filter(Exists(PublishedPage.objects.filter(name=OuterRef("normalized_name"))))
        .annotate(
            rank=Case(
                When(normalized_name=name, then=Value(0)),
                When(normalized_name__startswith=name, then=Value(1)),
                When(normalized_name__contains=name, then=Value(2)),
                default=Value(3),
                output_field=IntegerField(),
            ),
            summary=Subquery(listed.order_by("-pk").values("summary")[:1]),
        )
        .filter(Q(normalized_name__contains=name) | Q(summary__icontains=words))
        .order_by("rank", Length("normalized_name"), "normalized_name")
    )
    found: list[Project] = list(projects[: MAX_RESULTS + 1]) if words else []
    return SearchResult(
        projects=Paginator(found[:MAX_RESULTS], RESULTS_A_PAGE).get_page(number),
        lookalikes=_lookalikes(words, name),
        has_exact=any(project.normalized_name == name for project in found[:1]),
        is_cut=len(found) > MAX_RESULTS,
    )


def _lookalikes(words: str, name: str) -> tuple[Project, ...]:
    try:
        folded = ultra_normalize(words)
    except Refused:
        return ()
    found = Project.objects.filter(
        Exists(PublishedPage.objects.filter(name=OuterRef("normalized_name"))), lookalike_name=folded
    ).exclude(normalized_name=name)
    return tuple(found.order_by("created_at")[:5])


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """Is it healthy? `snapshot` is None before the index is founded."""

    snapshot: Snapshot | None
    timestamp_expires_at: datetime | None
    publisher_seen_at: datetime | None
    held: int  # files that wait for a moderator


def index_state() -> IndexState:
    """The figures of the home page."""
    return IndexState(
        snapshot=Snapshot.current(),
        timestamp_expires_at=RoleVersion.objects.filter(role="timestamp").values_list("expires_at", flat=True).first(),
        publisher_seen_at=Heartbeat.objects.values_list("at", flat=True).order_by("-at").first(),
        held=File.objects.filter(state=FileState.HELD).count(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The bins taken together: there may be thousands."""

    count: int
    newest_version: int
    first_expires_at: datetime


def role_versions() -> tuple[dict[str, RoleVersion], Bins | None]:
    """The top-level roles by name, and the bins in one line."""
    bins = RoleVersion.objects.filter(role__startswith="bins-").aggregate(
        count=Count("pk"), newest=Max("version"), expires=Min("expires_at")
    )
    roles = {row.role: row for row in RoleVersion.objects.exclude(role__startswith="bins-")}
    if not bins["count"]:
        return roles, None
    return roles, Bins(count=bins["count"], newest_version=bins["newest"], first_expires_at=bins["expires"])


def journal(*, everything: bool, before: int | None = None, lines: int = JOURNAL_LINES) -> list[JournalEntry]:
    """The newest journal rows below a serial.

    Strangers read only what the current snapshot shows anyway: publications of files that are still listed, yanks of
    releases that are, and status changes of projects that have a page. That a file was held or removed is no news.
    """
    entries = JournalEntry.objects.order_by("-serial")
    if before is not None:
        entries = entries.filter(serial__lt=before)
    if not everything:
        listed_release = File.objects.filter(
            Exists(PublishedFile.objects.filter(filename=OuterRef("filename"))),
            release__project__normalized_name=OuterRef("project"),
            release__version=OuterRef("version"),
        )
        entries = entries.filter(
            Q(Exists(PublishedFile.objects.filter(filename=OuterRef("filename"))), action="file-published")
            | Q(Exists(listed_release), action__in=["release-yanked", "release-unyanked"])
            | Q(
                Exists(PublishedPage.objects.filter(name=OuterRef("project"))),
                action__in=["project-active", "project-archived", "project-deprecated", "project-quarantined"],
            )
        )
    return list(entries[:lines])


def project_journal(project: Project, *, lines: int = JOURNAL_LINES) -> list[JournalEntry]:
    """The newest journal rows of one project, for its collaborators and the desk."""
    return list(JournalEntry.objects.filter(project=project.normalized_name).order_by("-serial")[:lines])
