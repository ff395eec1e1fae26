"""What a context check is: an identity, a judgement about one upload, and where to read about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from wheelmark.scan.context.upload import Upload
from wheelmark.scan.flow import printable
from wheelmark.scan.report import Severity
from wheelmark.scan.rule import MAX_EVIDENCE, MAX_MESSAGE, RuleState

MAX_SIGNS = 10
"""Findings of one check on one upload; the gravest are kept."""
MAX_PLACE = 300


class Subject(StrEnum):
    """What a check speaks of. The same finding comes again with each file of it."""

    PROJECT = "project"
    RELEASE = "release"
    FILE = "file"


class Family(StrEnum):
    """What kind of evidence a check gives. Two of one family say little more than one; see `level_of`."""

    NAME = "name"  # the project's name resembles another
    IDENTITY = "identity"  # something else of another project is claimed: modules, repository, internal names
    TEXT = "text"  # what summary and description say
    CHANGE = "change"  # what is new against the release before
    ACCOUNT = "account"  # who uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One place where a check's predicate holds. The check turns it into a finding."""

    severity: Severity
    place: str  # a field of the metadata ("Name", "Description", "Project-URL") or a member of the archive
    text: str  # the evidence
    line: int = 0  # 1-based; 0: the whole field or member
    message: str = ""  # instead of the check's own, when there is more to say
    other: str = ""  # normalized name of the project that it is about, if another one


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextFinding:
    """One check's evidence at one place."""

    check: str
    check_version: int
    family: Family
    subject: Subject
    severity: Severity
    counts: bool  # False: the check is in evaluation, or a moderator let the same be for this project
    place: str
    line: int
    message: str
    evidence: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. `check` is a pure function of the upload; a raised exception is a fault of the check.

    Raises:
        RuntimeError: `severity` is critical. Context is a prior and decides nothing alone.
    """

    id: str  # lower case, words joined by hyphens; never renamed
    version: int  # rises with every change of what it finds
    family: Family
    subject: Subject
    severity: Severity  # the most that it can say
    message: str  # one sentence for moderators
    reference: str
    check: Callable[[Upload], Iterable[Sign]]
    state: RuleState = RuleState.ENABLED

    def __post_init__(self) -> None:
        if self.severity is Severity.CRITICAL:
            raise RuntimeError(f"expected a context check to say at most high, got critical from {self.id}")

    def findings(self, upload: Upload) -> list[ContextFinding]:
        """What the check says of an upload: the gravest first, at most `MAX_SIGNS`, each place once."""
        found: dict[tuple[str, int, str], ContextFinding] = {}
        for sign in self.check(upload):
            finding = self._finding(sign, upload)
            key = (finding.place, finding.line, finding.other)
            known = found.get(key)
            if known is None or known.severity.rank < finding.severity.rank:
                found[key] = finding
        ordered = sorted(found.values(), key=lambda each: (-each.severity.rank, each.place, each.line, each.other))
        return ordered[:MAX_SIGNS]

    def _finding(self, sign: Sign, upload: Upload) -> ContextFinding:
        return ContextFinding(
            check=self.id,
            check_version=self.version,
            family=self.family,
            subject=self.subject,
            severity=sign.severity if sign.severity.rank <= self.severity.rank else self.severity,
            counts=self.state is RuleState.ENABLED and self.id not in upload.project.let_be,
            place=printable(sign.place)[:MAX_PLACE],
            line=sign.line,
            message=(sign.message or self.message)[:MAX_MESSAGE],
            evidence=printable(sign.text)[:MAX_EVIDENCE],
            other=sign.other,
        )
