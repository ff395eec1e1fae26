"""Runs the context checks over one upload."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from wheelmark.scan.context.check import ContextFinding
from wheelmark.scan.context.checkset import CheckSet
from wheelmark.scan.context.level import Level, level_of
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.flow import printable
from wheelmark.scan.rule import RuleState

MAX_FINDINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """That one check ran, and how."""

    check: str
    version: int
    state: RuleState
    elapsed_ms: float
    findings: int
    fault: str = ""  # why it came to no end; then its findings are none


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReport:
    """What the context of one upload says. Everything but the times is a function of the upload and the checks."""

    level: Level
    findings: tuple[ContextFinding, ...]  # gravest first; those that count before those that do not
    runs: tuple[CheckRun, ...]
    checkset: str  # version
    incomplete_reason: str | None = None  # an enabled check failed: the context is not clean

    @property
    def elapsed_ms(self) -> float:
        """Time of all checks."""
        return round(sum(run.elapsed_ms for run in self.runs), 2)


def examine_upload(
    upload: Upload, checkset: CheckSet, *, clock: Callable[[], float] = time.perf_counter
) -> ContextReport:
    """Run every check. One that raises is a fault: enabled, it makes the report incomplete; in evaluation, it is noted.

    The checks share this process. They see bounded values only, and read nothing else.
    """
    findings: list[ContextFinding] = []
    runs: list[CheckRun] = []
    faults: list[str] = []
    for check in checkset.checks:
        started, fault = clock(), ""
        found: list[ContextFinding] = []
        try:
            found = check.findings(upload)
        except Exception as error:  # noqa: BLE001 - whatever an upload provokes in a check holds the upload, not the index
            fault = printable(f"{type(error).__name__}: {error}")
            if check.state is RuleState.ENABLED:
                faults.append(f"{check.id} failed: {fault}")
        findings += found
        runs.append(
            CheckRun(
                check=check.id,
                version=check.version,
                state=check.state,
                elapsed_ms=round((clock() - started) * 1000, 2),
                findings=len(found),
                fault=fault,
            )
        )
    findings.sort(key=lambda finding: (not finding.counts, -finding.severity.rank, finding.check, finding.place))
    return ContextReport(
        level=level_of(findings),
        findings=tuple(findings[:MAX_FINDINGS]),
        runs=tuple(runs),
        checkset=checkset.version,
        incomplete_reason="; ".join(faults) or None,
    )
