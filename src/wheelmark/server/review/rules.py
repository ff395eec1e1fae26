"""What happens to a file after its scan. Pure: a report comes in, a decision goes out."""

from __future__ import annotations

from dataclasses import dataclass

from wheelmark.scan import Report, Severity, Verdict

MAX_REASON_CHARS = 500
_SHOWN_RULES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """What the operator lets through by itself. `version` goes into the journal beside each decision."""

    version: str = "1"
    hold_suspicious: bool = False  # else a suspicious file is published, and the desk lists it
    hold_on_rescan: bool = False  # else a listed file that newer rules call malicious stays, and the desk lists it


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing stands against the next snapshot listing the file."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A moderator decides."""

    reason: str


def decide(report: Report, policy: ReviewPolicy, *, sha256: str) -> Release | Hold:
    """Say whether the file with this hash goes on.

    A scan that did not look at everything, or that looked at other bytes, is never clean.
    """
    if report.verdict is Verdict.INCOMPLETE:
        return Hold(f"scan incomplete: {report.incomplete_reason or 'no reason given'}"[:MAX_REASON_CHARS])
    if report.sha256 != sha256:
        message = f"scan incomplete: expected bytes with sha256 {sha256}, the scanner read {report.sha256 or 'none'}"
        return Hold(message[:MAX_REASON_CHARS])
    if report.verdict is Verdict.MALICIOUS:
        return Hold(f"malicious: {_rules(report)}"[:MAX_REASON_CHARS])
    if report.verdict is Verdict.SUSPICIOUS:
        reason = f"suspicious: {_rules(report)}"[:MAX_REASON_CHARS]
        return Hold(reason) if policy.hold_suspicious else Release(reason)
    return Release("nothing found")


def _rules(report: Report) -> str:
    """The rules that found something, worst first, each once."""
    order = list(Severity)
    worst = sorted(report.findings, key=lambda finding: -order.index(finding.severity))
    names = list(dict.fromkeys(finding.rule for finding in worst))
    more = len(names) - _SHOWN_RULES
    return ", ".join(names[:_SHOWN_RULES]) + (f" and {more} more" if more > 0 else "") or "score alone"
