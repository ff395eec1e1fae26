"""What every rule must keep, whoever wrote it: it finds its malicious samples and leaves its benign ones alone."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from wheelmark.scan.bounds import ScanBounds
from wheelmark.scan.engine import scan_stream
from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Report, Verdict
from wheelmark.scan.rule import MAX_MESSAGE, Rule, RuleState
from wheelmark.scan.ruleset import RuleSet
from wheelmark.scan.samples import WHEEL_NAME, Sample, Samples

_SENTENCES_WITH_SOURCE = re.compile(r"[A-Z].*https://\S+\.\S+.*\.", re.DOTALL)
_NOTHING = Facts(filename=WHEEL_NAME, is_wheel=True, is_pure=True, members=())


def breaches(rule: Rule, ruleset: RuleSet, further: Samples = Samples()) -> list[str]:  # noqa: B008 - immutable
    """Each way in which a rule breaks the contract, as one sentence; none when it holds.

    The samples are scanned with the whole rule set. A rule in evaluation, or disabled, is judged as if it were enabled.
    `further` are samples that lie elsewhere than in the rule.
    """
    if rule.state is not RuleState.ENABLED:
        rule = replace(rule, state=RuleState.ENABLED)
        ruleset = RuleSet((*(each for each in ruleset.rules if each.id != rule.id), rule))
    samples = Samples(malicious=rule.samples.malicious + further.malicious, benign=rule.samples.benign + further.benign)
    found = _about_the_rule(rule)
    found += [f"expected a {kind} sample, got none" for kind in ("malicious", "benign") if not getattr(samples, kind)]
    for name, sample in samples.numbered():
        found += [f"{name}: {breach}" for breach in _about_sample(rule, name.startswith("malicious"), sample, ruleset)]
    return found


def scan_sample(sample: Sample, ruleset: RuleSet) -> Report:
    """The report on a sample. It is read in this process: a sample is its author's, not a stranger's."""
    stream = io.BytesIO(sample.packed())
    return scan_stream(stream, filename=sample.filename, ruleset=ruleset, bounds=ScanBounds())


def _about_the_rule(rule: Rule) -> list[str]:
    found = []
    if rule.version < 1:
        found.append(f"expected a version from 1, got {rule.version}")
    if not rule.message.endswith(".") or len(rule.message) > MAX_MESSAGE:
        found.append(f"expected a message of whole sentences of at most {MAX_MESSAGE} characters, got {rule.message!r}")
    if not rule.reference.startswith("https://"):
        found.append(f"expected a reference that begins with https://, got {rule.reference!r}")
    if rule.kept_because and not _SENTENCES_WITH_SOURCE.fullmatch(rule.kept_because):
        found.append(f"expected kept_because as whole sentences with an https:// address, got {rule.kept_because!r}")
    try:
        if list(rule.check(_NOTHING)):
            found.append("expected no evidence in a distribution of nothing, got some")
    except Exception as error:  # noqa: BLE001 - whatever a rule raises is a breach of the contract
        found.append(f"expected the check to work on a distribution of nothing, got {type(error).__name__}: {error}")
    return found


def _about_sample(rule: Rule, malicious: bool, sample: Sample, ruleset: RuleSet) -> list[str]:
    try:
        report = scan_sample(sample, ruleset)
    except Exception as error:  # noqa: BLE001 - as above
        return [f"expected the scan to work, got {type(error).__name__}: {error}"]
    found = []
    if report.incomplete_reason is not None:
        found.append(f"expected a complete scan, got: {report.incomplete_reason}")
    mine = [finding for finding in report.findings if finding.rule == rule.id]
    if malicious:
        if not mine:
            others = sorted({finding.rule for finding in report.findings})
            found.append(f"expected a finding of {rule.id}, got findings of {', '.join(others) or 'no rule'}")
        found += [
            f"expected evidence and a message, got {finding}"
            for finding in mine
            if not finding.evidence or not finding.message
        ]
        return found
    found += [
        f"expected no finding, got {finding.severity.value} at {finding.member}:{finding.line}: {finding.evidence}"
        for finding in mine
    ]
    # A sample of a few lines has neither a description nor much harmless code, and may well be suspicious to the model;
    # what must not be is that somebody is accused of it.
    if not mine and report.verdict not in (Verdict.BENIGN, Verdict.SUSPICIOUS):
        why = ", ".join(sorted({finding.rule for finding in report.findings}))
        found.append(f"expected a verdict below malicious, got {report.verdict.value} by {why or 'no rule'}")
    return found
