"""One scan, in this process: bytes in, report out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from wheelmark.dist import Bounds
from wheelmark.scan.bounds import MIB, ScanBounds
from wheelmark.scan.contents import read_contents
from wheelmark.scan.facts import Facts
from wheelmark.scan.features import Features, features_of
from wheelmark.scan.flow import printable, shown_layers
from wheelmark.scan.gather import gather
from wheelmark.scan.reasons import reasons_for
from wheelmark.scan.report import Finding, Reason, Report, Severity, Tactic, Verdict
from wheelmark.scan.rule import MAX_EVIDENCE
from wheelmark.scan.ruleset import TAKEN_TOGETHER, RuleSet
from wheelmark.scan.summary import summarize
from wheelmark.scan.verdict import decisive, joined_score, verdict_of

MAX_FINDINGS_OF_RULE = 25
MAX_REASON = 500
OUT_OF_MEMORY = "out of memory"  # the reason of a scan after which its process cannot be trusted to go on
TOGETHER_MESSAGE = (
    "No rule says it by itself; taken together, what the file does and how it is made is what malware is like."
)

# Tighter than what an upload may be: members are only read in part, but every compressed byte is gone through.
ARCHIVE_BOUNDS = Bounds(max_member_bytes=2048 * MIB, max_total_bytes=4096 * MIB)


def scan_file(path: Path, *, filename: str | None = None, ruleset: RuleSet, bounds: ScanBounds) -> Report:
    """Scan one distribution.

    Everything but `elapsed_ms` depends only on the bytes, the file name, the rule set and the bounds. Untrusted bytes
    are parsed in this process: whoever does not control them calls this through `IsolatedScanner`.

    Raises: OSError when the file cannot be read.
    """
    with path.open("rb") as stream:
        return scan_stream(stream, filename=filename or path.name, ruleset=ruleset, bounds=bounds)


def scan_stream(stream: BinaryIO, *, filename: str, ruleset: RuleSet, bounds: ScanBounds) -> Report:
    """Scan one distribution that is open for reading and can seek. As `scan_file`."""
    started = time.perf_counter()
    examination = examine(stream, filename=filename, ruleset=ruleset, bounds=bounds)
    report = report_on(examination, ruleset)
    return replace(report, elapsed_ms=round((time.perf_counter() - started) * 1000, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything that was seen in one distribution, before it is weighed."""

    filename: str
    sha256: str
    facts: Facts
    findings: tuple[Finding, ...]
    features: Features


def examine(stream: BinaryIO, *, filename: str, ruleset: RuleSet, bounds: ScanBounds) -> Examination:
    """Gather facts, apply the rules, take the features. Training and scanning share this."""
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO lacks readinto in typeshed
    stream.seek(0)
    contents = read_contents(stream, filename=filename, bounds=bounds, archive_bounds=ARCHIVE_BOUNDS)
    facts = gather(contents, filename=filename, bounds=bounds, patterns=ruleset.patterns)
    findings = judge(facts, ruleset, max_findings=bounds.max_findings)
    features = features_of(facts, findings, sources=contents.sources, sides=contents.sides)
    return Examination(filename=filename, sha256=sha256, facts=facts, findings=findings, features=features)


def report_on(examination: Examination, ruleset: RuleSet) -> Report:
    """What rules and model make of an examination. `elapsed_ms` is 0."""
    model, findings = ruleset.model, examination.findings
    gaps = "; ".join(examination.facts.gaps)[:MAX_REASON] or None
    worst = model.worst(examination.features.cases)
    score = joined_score(findings, worst, model)
    verdict = verdict_of(score, model, complete=gaps is None)
    reasons: tuple[Reason, ...] = ()
    threshold = model.malicious if score >= model.malicious else model.suspicious
    if score >= threshold and worst is not None:
        rules = {rule.id: rule for rule in ruleset.rules}
        reasons = reasons_for(model, examination.features, worst[0], threshold, rules)
        if reasons and not decisive(findings, model):
            findings = (_taken_together(reasons, verdict), *findings)
    return Report(
        file=examination.filename,
        sha256=examination.sha256,
        verdict=verdict,
        score=round(score, 4),
        findings=findings,
        elapsed_ms=0.0,
        ruleset=ruleset.version,
        incomplete_reason=gaps,
        model=model.version,
        reasons=reasons,
        layers=shown_layers(examination.facts.layers),
        facts=summarize(examination.facts),
    )


def _taken_together(reasons: Sequence[Reason], verdict: Verdict) -> Finding:
    """The model's own finding, where no rule decided: what it rests on, at the place of its weightiest reason."""
    first = next((reason for reason in reasons if reason.member), reasons[0])
    return Finding(
        rule=TAKEN_TOGETHER,
        severity=Severity.CRITICAL if verdict is Verdict.MALICIOUS else Severity.MEDIUM,
        member=first.member,
        line=first.line,
        message=TOGETHER_MESSAGE,
        evidence=printable("; ".join(reason.what for reason in reasons))[:MAX_EVIDENCE],
        tactic=Tactic.EXECUTION,
    )


def judge(facts: Facts, ruleset: RuleSet, *, max_findings: int) -> tuple[Finding, ...]:
    """What the rules say of the facts, the gravest first."""
    findings: list[Finding] = []
    for rule in ruleset.rules:
        findings.extend(rule.findings(facts, MAX_FINDINGS_OF_RULE))
    findings.sort(key=lambda finding: (-finding.severity.rank, finding.rule, finding.member, finding.line))
    return tuple(findings[:max_findings])


def incomplete(filename: str, sha256: str, ruleset: str, reason: str, elapsed_ms: float) -> Report:
    """The report of a scan that did not come to an end."""
    return Report(
        file=filename,
        sha256=sha256,
        verdict=Verdict.INCOMPLETE,
        score=0.0,
        findings=(),
        elapsed_ms=elapsed_ms,
        ruleset=ruleset,
        incomplete_reason=reason[:MAX_REASON],
    )
