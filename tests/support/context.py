"""Uploads and context reports as checks see and give them: samples, builders, an examiner for the tests of scans."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wheelmark.scan import Report, Severity
from wheelmark.scan.context import ContextFinding, ContextReport, Family, Level, Subject, Upload, read_sample
from wheelmark.server.review.context.examiner import Examination
from wheelmark.server.review.context.marks import Marks

SAMPLES = Path(__file__).parent.parent / "data" / "context"


def context_samples(check: str, kind: str) -> list[Path]:
    """The samples of a check; `kind` is `suspect` or `benign`."""
    return sorted((SAMPLES / check / kind).glob("*.toml"))


def an_upload(text: str = "") -> Upload:
    """An upload of which only what matters is said, as TOML."""
    return read_sample(text)


def a_context_finding(check: str = "typosquat", severity: Severity = Severity.HIGH, **fields: Any) -> ContextFinding:
    """One finding of a check."""
    defaults: dict[str, Any] = {
        "check_version": 1,
        "family": Family.NAME,
        "subject": Subject.PROJECT,
        "counts": True,
        "place": "Name",
        "line": 0,
        "message": "what was found",
        "evidence": "the evidence",
        "other": "",
    }
    return ContextFinding(check=check, severity=severity, **{**defaults, **fields})


def a_context_report(level: Level = Level.NOTHING, *findings: ContextFinding, **fields: Any) -> ContextReport:
    """What the context amounts to."""
    return ContextReport(level=level, findings=findings, **{"runs": (), "checkset": "test 1", **fields})


@dataclass
class ExaminerDouble:
    """Says what it was told to; remembers what it was asked about."""

    report: ContextReport = field(default_factory=a_context_report)
    marks: Marks = frozenset()
    asked: list[int] = field(default_factory=list)

    def examine(self, file_id: int, report: Report) -> Examination:
        """See `Examiner`."""
        self.asked.append(file_id)
        return Examination(report=self.report, marks=self.marks)
