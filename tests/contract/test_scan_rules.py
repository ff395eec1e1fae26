"""What every enabled scanner rule must keep: a malicious sample that it finds, a benign one that it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.scan import SAMPLES, sample_paths, scan_sample, the_ruleset
from wheelmark.scan import Rule, RuleState, Verdict

ENABLED = [rule for rule in the_ruleset().rules if rule.state is RuleState.ENABLED]


def cases(kind: str) -> list[object]:
    return [
        pytest.param(rule, path, id=f"{rule.id}-{path.name}")
        for rule in ENABLED
        for path in sample_paths(rule.id, kind)
    ]


@pytest.mark.parametrize("rule", ENABLED, ids=lambda rule: rule.id)
def test_each_enabled_rule_has_samples_of_both_kinds(rule: Rule) -> None:
    assert sample_paths(rule.id, "malicious"), f"expected a malicious sample in {SAMPLES / rule.id}"
    assert sample_paths(rule.id, "benign"), f"expected a benign sample in {SAMPLES / rule.id}"


@pytest.mark.parametrize(("rule", "path"), cases("malicious"))
def test_malicious_sample_gives_the_finding_of_its_rule(rule: Rule, path: Path) -> None:
    report = scan_sample(path)
    found = [finding for finding in report.findings if finding.rule == rule.id]
    assert found, f"expected a finding of {rule.id}, got {report.findings}"
    assert all(finding.evidence and finding.message for finding in found)
    assert report.incomplete_reason is None


@pytest.mark.parametrize(("rule", "path"), cases("benign"))
def test_benign_sample_gives_no_finding_of_its_rule(rule: Rule, path: Path) -> None:
    report = scan_sample(path)
    assert [finding for finding in report.findings if finding.rule == rule.id] == []
    assert report.verdict is Verdict.BENIGN


def test_each_sample_folder_belongs_to_a_rule() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == {rule.id for rule in the_ruleset().rules}


def test_no_sample_can_be_imported() -> None:
    assert [path for path in SAMPLES.rglob("*") if path.is_file() and path.suffix != ".txt"] == []


@pytest.mark.parametrize("rule", the_ruleset().rules, ids=lambda rule: rule.id)
def test_each_rule_says_what_and_where_to_read(rule: Rule) -> None:
    assert rule.message.endswith(".")
    assert rule.reference.startswith("https://")
    assert rule.version >= 1
