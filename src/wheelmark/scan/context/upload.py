"""What a context check may look at: one upload and its surroundings, as frozen values. The server fills them.

Nothing here reads a database, a clock or a file. What is unknown has its default, and a check then says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wheelmark.dist import CoreMetadata, normalize
from wheelmark.errors import Refused
from wheelmark.scan.context.lists import Lists, shipped_lists
from wheelmark.scan.facts_summary import NOTHING_KNOWN, FactsSummary
from wheelmark.scan.report import Finding, Verdict

MAX_TEXT_CHARS = 200_000
"""What is looked at of one description."""
MAX_URLS = 200
YOUNG_DAYS = 30.0
"""So long a project is taken for new: checks of names and texts look at no older one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The core metadata that checks look at; what is absent is empty."""

    summary: str = ""
    description: str = ""
    description_content_type: str = ""
    keywords: tuple[str, ...] = ()
    author: str = ""
    author_email: str = ""
    maintainer: str = ""
    maintainer_email: str = ""
    urls: tuple[tuple[str, str], ...] = ()  # label and address; the home page and the download address are among them
    requires: tuple[str, ...] = ()  # normalized names of the distributions that it depends on
    import_names: tuple[str, ...] = ()  # PEP 794, as declared

    @classmethod
    def of(cls, core: CoreMetadata) -> Metadata:
        """What checks look at, of core metadata."""
        urls = [
            *core.project_urls,
            *(("Home-page", url) for url in (core.home_page,) if url),
            *(("Download-URL", url) for url in (core.download_url,) if url),
        ]
        return cls(
            summary=core.summary or "",
            description=(core.description or "")[:MAX_TEXT_CHARS],
            description_content_type=core.description_content_type or "",
            keywords=core.keywords,
            author=core.author or "",
            author_email=core.author_email or "",
            maintainer=core.maintainer or "",
            maintainer_email=core.maintainer_email or "",
            urls=tuple(urls[:MAX_URLS]),
            requires=tuple(sorted({name for name in map(_normalized, core.requires_dist) if name})),
            import_names=core.import_names or (),
        )


def _normalized(requirement: object) -> str:
    try:
        return normalize(getattr(requirement, "name", ""))
    except Refused:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who uploads, as it was at the time of the upload."""

    name: str = ""
    age_days: float | None = None
    has_second_factor: bool = False
    has_verified_email: bool = False
    other_projects: int = 0  # projects that the account works on, this one not counted
    rejected_files: int = 0  # files of this account that moderators rejected before
    is_trusted_publisher: bool = False  # the upload came from a publisher, not from somebody's token


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The project, with what is known of it before this upload."""

    name: str  # as its owner spells it
    normalized_name: str
    age_days: float = 0.0
    other_releases: int = 0  # releases beside this one that have a file in the index
    let_be: frozenset[str] = frozenset()  # ids of checks whose findings a moderator has let be for this project
    collaborators: frozenset[str] = frozenset()  # names of accounts

    @property
    def is_young(self) -> bool:
        """Whether it still counts as new."""
        return self.age_days < YOUNG_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The file, and what its scan said."""

    filename: str
    is_wheel: bool = False
    size: int = 0  # bytes
    metadata: Metadata = field(default_factory=Metadata)
    facts: FactsSummary = NOTHING_KNOWN
    verdict: Verdict = Verdict.BENIGN
    findings: tuple[Finding, ...] = ()
    python_digests: tuple[tuple[str, str], ...] = ()  # module path and digest; only filled for comparing with a sibling


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """Another file of the same release, of the other kind: the sdist of a wheel, or a wheel of an sdist."""

    filename: str
    is_wheel: bool
    python_digests: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The newest file of an earlier release that is most like this one."""

    filename: str
    version: str
    size: int  # bytes
    uploader: str
    facts: FactsSummary
    findings: tuple[Finding, ...] = ()
    same_kind: bool = True  # both wheels, or both sdists


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The release that the file belongs to."""

    version: str
    earlier: Earlier | None = None
    siblings: tuple[Sibling, ...] = ()
    uploader_is_new: bool = False  # other accounts uploaded to this project before, this one never


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalProject:
    """Another project of this index whose name is near."""

    normalized_name: str
    releases: int
    age_days: float
    shares_collaborator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Another project of this index that has had one of this upload's marks for longer."""

    kind: str  # "repository", "email" or "module"
    value: str
    project: str  # normalized name
    releases: int
    age_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What this index and its operator know: lists of names, near projects, who had which marks before."""

    lists: Lists = field(default_factory=shipped_lists)
    near: tuple[LocalProject, ...] = ()
    claimants: tuple[Claimant, ...] = ()  # only of projects that share no collaborator with this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload in its context."""

    project: Project
    release: Release
    file: Distribution
    uploader: Account = field(default_factory=Account)
    index: Index = field(default_factory=Index)
