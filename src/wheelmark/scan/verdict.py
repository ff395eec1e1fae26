"""From findings to one score and one verdict."""

from __future__ import annotations

from collections.abc import Iterable

from wheelmark.scan.report import Finding, Severity, Verdict

# How sure one finding makes us, as the part of the remaining doubt that it takes away.
_WEIGHTS = {Severity.INFO: 0.0, Severity.LOW: 0.08, Severity.MEDIUM: 0.30, Severity.HIGH: 0.65, Severity.CRITICAL: 0.95}
MALICIOUS_AT = 0.9
SUSPICIOUS_AT = 0.5


def score_of(findings: Iterable[Finding]) -> float:
    """A score from 0 to 1. Each rule counts once, by its gravest finding, so that padding neither helps nor hurts."""
    gravest: dict[str, Severity] = {}
    for finding in findings:
        known = gravest.get(finding.rule)
        if known is None or finding.severity.rank > known.rank:
            gravest[finding.rule] = finding.severity
    doubt = 1.0
    for severity in gravest.values():
        doubt *= 1.0 - _WEIGHTS[severity]
    return round(1.0 - doubt, 4)


def verdict_of(findings: Iterable[Finding], *, complete: bool) -> Verdict:
    """The verdict. Malicious needs at least one critical finding: many small ones only make a file suspicious.

    A malicious finding stands even if the scan did not see everything; nothing else does.
    """
    everything = list(findings)
    score = score_of(everything)
    if score >= MALICIOUS_AT and any(finding.severity is Severity.CRITICAL for finding in everything):
        return Verdict.MALICIOUS
    if not complete:
        return Verdict.INCOMPLETE
    return Verdict.SUSPICIOUS if score >= SUSPICIOUS_AT else Verdict.BENIGN
