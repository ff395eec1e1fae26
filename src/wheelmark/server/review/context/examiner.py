"""Examines the context of a scanned file, and writes down what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from wheelmark.errors import Refused
from wheelmark.scan import Report
from wheelmark.scan.context import (
    CheckSet,
    ContextReport,
    Level,
    Lists,
    Upload,
    examine_upload,
    load_checks,
    read_lists,
    shipped_lists,
)
from wheelmark.server.config import Config
from wheelmark.server.review import models
from wheelmark.server.review.context.loading import load_upload
from wheelmark.server.review.context.marks import Marks, keep_marks, marks_of
from wheelmark.store import Missing, Store

LISTS_NAME = "context.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the context says, and the marks to remember."""

    report: ContextReport
    marks: Marks = frozenset()


class Examiner(Protocol):
    """What looks at the context of a file: `ContextExaminer`, or a double."""

    def examine(self, file_id: int, report: Report) -> Examination:
        """What the context of a file says, of which this is the scan's report.

        Raises:
            Unavailable: the store is away.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextExaminer:
    """The examiner of an index. Kept for the life of a worker."""

    store: Store
    checkset: CheckSet
    lists: Lists
    clock: Callable[[], datetime]

    def examine(self, file_id: int, report: Report) -> Examination:
        """See `Examiner.examine`."""
        try:
            upload = load_upload(file_id, report, store=self.store, lists=self.lists, now=self.clock())
        except Missing:
            return _incomplete(self.checkset, "expected the core metadata in the store, got none")
        except Refused as error:
            return _incomplete(self.checkset, f"expected the core metadata that was taken in, got: {error}")
        return Examination(report=examine_upload(upload, self.checkset), marks=_marks(upload))


def lists_of(config: Config) -> Lists:
    """The shipped lists, with the operator's where there are any.

    Raises:
        Refused: the operator's file is not there, or no such list.
    """
    path = Path(config.context_lists) if config.context_lists else config.data / LISTS_NAME
    if not config.context_lists and not path.exists():
        return shipped_lists()
    try:
        return read_lists(path.read_bytes(), path=str(path))
    except OSError as error:
        message = f"expected a file that can be read at {path}, got: {error.strerror}"
        raise Refused.because("lists-unreadable", "context_lists", message) from error


def make_examiner(store: Store, config: Config, *, clock: Callable[[], datetime]) -> ContextExaminer:
    """The examiner that a configuration describes.

    Raises:
        Refused: as `lists_of`, or the file gives a state to a check that there is not.
    """
    lists = lists_of(config)
    checkset = load_checks(lists.states, lists_version=lists.version)
    return ContextExaminer(store=store, checkset=checkset, lists=lists, clock=clock)


def check_lists(config: Config) -> None:
    """See at the start that the operator's lists can be used, and not only when the first file is scanned.

    Raises:
        Refused: as `make_examiner`.
    """
    if config.context_lists or (config.data / LISTS_NAME).exists():
        load_checks(lists_of(config).states)


def keep_examination(scan: models.Scan, examination: Examination, *, now: datetime) -> models.ContextReport:
    """Write an examination down beside the scan that it belongs to, in the caller's transaction."""
    report = examination.report
    row = models.ContextReport.objects.create(
        scan=scan,
        level=report.level.value,
        checkset=report.checkset[:100],
        elapsed_ms=report.elapsed_ms,
        incomplete_reason=(report.incomplete_reason or "")[:500],
        runs=[
            {
                "check": run.check,
                "version": run.version,
                "state": run.state.value,
                "elapsed_ms": run.elapsed_ms,
                "findings": run.findings,
                **({"fault": run.fault} if run.fault else {}),
            }
            for run in report.runs
        ],
    )
    models.ContextFinding.objects.bulk_create(
        models.ContextFinding(
            report=row,
            check_name=finding.check,
            check_version=finding.check_version,
            family=finding.family.value,
            subject=finding.subject.value,
            severity=finding.severity.value,
            counts=finding.counts,
            place=finding.place,
            line=finding.line,
            message=finding.message,
            evidence=finding.evidence,
            other=finding.other,
        )
        for finding in report.findings
    )
    keep_marks(scan.file.release.project, examination.marks, now=now)
    return row


def _incomplete(checkset: CheckSet, reason: str) -> Examination:
    report = ContextReport(
        level=Level.NOTHING, findings=(), runs=(), checkset=checkset.version, incomplete_reason=reason
    )
    return Examination(report=report)


def _marks(upload: Upload) -> Marks:
    return marks_of(upload.file.metadata, upload.file.facts, is_wheel=upload.file.is_wheel)
