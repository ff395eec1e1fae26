"""From findings and the model to one score and one verdict.

Rules decide by themselves at both ends: a critical finding of a rule that was measured to be precise is malicious, and
where nothing was found that could make a case, the file is benign. In between, the model weighs everything together.
"""

from __future__ import annotations

from collections.abc import Iterable

from wheelmark.scan.model import SCORE_UNITS, Model
from wheelmark.scan.report import Finding, Severity, Verdict

# How sure one finding makes us, as the part of the remaining doubt that it takes away.
_WEIGHTS = {Severity.INFO: 0.0, Severity.LOW: 0.08, Severity.MEDIUM: 0.30, Severity.HIGH: 0.65, Severity.CRITICAL: 0.95}

SUSPICIOUS_AT = 0.5  # of the findings of rules that the model does not know, by `score_of`


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


def decisive(findings: Iterable[Finding], model: Model) -> list[Finding]:
    """The findings that each suffice for a verdict: critical, of a rule that was not measured to be imprecise.

    A rule that the model was not trained with, such as a plug-in's, has whoever installed it as its warrant.
    """
    return [
        finding for finding in findings if finding.severity is Severity.CRITICAL and finding.rule not in model.imprecise
    ]


def joined_score(findings: Iterable[Finding], worst: tuple[str, int] | None, model: Model) -> float:
    """The score of the model, of the findings that decide, or of rules that the model does not know: the greatest.

    `worst` is the model's worst case with its margin (`Model.worst`).
    """
    everything = list(findings)
    weighed = 0.0 if worst is None else model.score(worst[1])
    deciding = decisive(everything, model)
    if deciding:
        return max(weighed, score_of(deciding), model.malicious)
    return max(weighed, _of_unknown(score_of(each for each in everything if each.rule not in model.rules), model))


def observed_score(findings: Iterable[Finding], model: Model) -> float:
    """The score of what was observed of code that ran: of that the model knows nothing, as of rules of plug-ins."""
    everything = list(findings)
    deciding = decisive(everything, model)
    if deciding:
        return max(score_of(deciding), model.malicious)
    return _of_unknown(score_of(everything), model)


def _of_unknown(score: float, model: Model) -> float:
    """What lesser findings of unknown rules amount to on the model's scale: they make suspicious, never malicious."""
    step = 1 / SCORE_UNITS
    if score >= SUSPICIOUS_AT:
        return min(max(score, model.suspicious), model.malicious - step)
    return min(score, model.suspicious - step)


def verdict_of(score: float, model: Model, *, complete: bool) -> Verdict:
    """The verdict of a score. Malicious stands even if the scan did not see everything; nothing else does."""
    if score >= model.malicious:
        return Verdict.MALICIOUS
    if not complete:
        return Verdict.INCOMPLETE
    return Verdict.SUSPICIOUS if score >= model.suspicious else Verdict.BENIGN
