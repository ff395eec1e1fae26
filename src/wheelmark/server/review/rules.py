"""What happens to a file after its scan. Pure: a report comes in, a decision goes out."""

from __future__ import annotations

from dataclasses import dataclass

from wheelmark.scan import Report, Severity, Verdict
from wheelmark.scan.context import ContextReport, Level

MAX_REASON_CHARS = 500
_SHOWN_RULES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """What the operator lets through by itself. `version` goes into the journal beside each decision."""

    version: str = "2"
    hold_suspicious: bool = False  # else a suspicious file is published, and the desk lists it
    hold_on_context: bool = True  # else what the context says strongly is published, and the desk lists it
    hold_on_rescan: bool = False  # else a listed file that newer rules call malicious stays, and the desk lists it


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing stands against the next snapshot listing the file."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A moderator decides."""

    reason: str


def decide(
    report: Report, policy: ReviewPolicy, *, sha256: str, context: ContextReport | None = None
) -> Release | Hold:
    """Say whether the file with this hash goes on.

    A scan that did not look at everything, or that looked at other bytes, is never clean; nor is a context of which a
    check failed. The context alone never makes a file malicious. It holds what it speaks strongly against, and what it
    doubts if the scan finds the file suspicious, too. `context`: None where it was not looked at again (a rescan).
    """
    if report.verdict is Verdict.INCOMPLETE:
        return Hold(f"scan incomplete: {report.incomplete_reason or 'no reason given'}"[:MAX_REASON_CHARS])
    if report.sha256 != sha256:
        message = f"scan incomplete: expected bytes with sha256 {sha256}, the scanner read {report.sha256 or 'none'}"
        return Hold(message[:MAX_REASON_CHARS])
    if report.verdict is Verdict.MALICIOUS:
        return Hold(f"malicious: {_rules(report)}"[:MAX_REASON_CHARS])
    if context is not None and context.incomplete_reason is not None:
        return Hold(f"context incomplete: {context.incomplete_reason}"[:MAX_REASON_CHARS])
    level = Level.NOTHING if context is None else context.level
    about = (
        f"; context {level}: {_checks(context)}" if context is not None and level.rank >= Level.DOUBTFUL.rank else ""
    )
    if report.verdict is Verdict.SUSPICIOUS:
        reason = f"suspicious: {_rules(report)}{about}"[:MAX_REASON_CHARS]
        holds = policy.hold_suspicious or (policy.hold_on_context and bool(about))
        return Hold(reason) if holds else Release(reason)
    if level is Level.STRONG:
        reason = about.removeprefix("; ")[:MAX_REASON_CHARS]
        return Hold(reason) if policy.hold_on_context else Release(reason)
    return Release("nothing found")


def _checks(context: ContextReport) -> str:
    """The checks that speak against a file, worst first, each once."""
    names = dict.fromkeys(
        finding.check for finding in context.findings if finding.counts and finding.severity is not Severity.INFO
    )
    return ", ".join(list(names)[:_SHOWN_RULES])


def _rules(report: Report) -> str:
    """The rules that found something, worst first, each once."""
    order = list(Severity)
    worst = sorted(report.findings, key=lambda finding: -order.index(finding.severity))
    names = list(dict.fromkeys(finding.rule for finding in worst))
    more = len(names) - _SHOWN_RULES
    return ", ".join(names[:_SHOWN_RULES]) + (f" and {more} more" if more > 0 else "") or "score alone"
