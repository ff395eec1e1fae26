"""The contract of rules, run for every rule: built in, of an installed plug-in, of an operator's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.scan import PYTHON_RULE, a_rule_folder, scan_import
from wheelmark.scan import Evidence, Facts, Rule, RuleSet, RuleState, Sample, Samples, Severity, all_rules
from wheelmark.scan.contract import breaches
from wheelmark.scan.ruleset import BUILT_IN, plugin_rules

BUILT_IN_RULES = all_rules()
RULESET = RuleSet(BUILT_IN_RULES)
FEW_FAMILIES = Path(__file__).parents[1] / "data" / "rules-of-few-families.json"


@pytest.mark.parametrize("rule", BUILT_IN_RULES, ids=lambda rule: rule.id)
def test_built_in_rule_keeps_the_contract(rule: Rule) -> None:
    assert breaches(rule, RULESET) == []
    assert rule.origin == BUILT_IN


def test_rule_that_at_most_one_family_shows_says_why_it_is_kept_and_no_other() -> None:
    """The list has the families of the development samples that show each; `make bench` counts them."""
    families = json.loads(FEW_FAMILIES.read_text(encoding="utf-8"))
    assert {rule.id for rule in BUILT_IN_RULES if rule.kept_because} == set(families)
    for rule in BUILT_IN_RULES:
        if rule.id in families:
            assert rule.kept_because.startswith({0: "No family ", 1: "One family "}[families[rule.id]]), rule.id


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rule, ...]]:
    """The rules of an installed distribution that offers one by entry point."""
    (tmp_path / "acme_imitation_rules.py").write_text(PYTHON_RULE)
    described = tmp_path / "acme_rules-1.2.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.2\n")
    (described / "entry_points.txt").write_text("[wheelmark.rules]\nacme = acme_imitation_rules:RULE\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield plugin_rules()


def test_rule_of_a_plugin_keeps_the_contract(plugin: tuple[Rule, ...]) -> None:
    (rule,) = plugin
    assert rule.origin == "acme-rules 1.2"
    assert breaches(rule, RuleSet((*BUILT_IN_RULES, rule))) == []


@pytest.mark.parametrize("identifier", ["deletes-at-import", "marker-word"])
def test_rule_of_a_folder_keeps_the_contract(tmp_path: Path, identifier: str) -> None:
    ruleset = RuleSet(all_rules([a_rule_folder(tmp_path)]))
    (rule,) = [rule for rule in ruleset.rules if rule.id == identifier]
    assert breaches(rule, ruleset) == []


@pytest.mark.parametrize("state", [RuleState.EVALUATION, RuleState.DISABLED])
def test_rule_that_does_not_count_yet_is_held_to_the_contract_too(state: RuleState) -> None:
    rule = replace(BUILT_IN_RULES[0], state=state, samples=Samples(benign=BUILT_IN_RULES[0].samples.malicious))
    told = breaches(rule, RuleSet((*BUILT_IN_RULES[1:], rule)))
    assert any(breach.startswith("benign 1: expected no finding") for breach in told)


FINDS_ALL = [Evidence(severity=Severity.LOW, member="m", line=1, context=None, text="seen")]  # type: ignore[arg-type]


def fails(facts: Facts) -> list[Evidence]:
    raise KeyError("imitation")


@pytest.mark.parametrize(
    ("changes", "breach"),
    [
        ({"samples": Samples()}, "expected a malicious sample, got none"),
        ({"samples": Samples(malicious=(Sample.imported("pass"),))}, "expected a benign sample, got none"),
        ({"check": lambda facts: []}, "malicious 1: expected a finding of autostart-written, got findings of no rule"),
        ({"check": lambda facts: FINDS_ALL}, "expected no evidence in a distribution of nothing, got some"),
        ({"check": lambda facts: FINDS_ALL}, "benign 1: expected no finding, got low at m:1: seen"),
        ({"check": fails}, "expected the check to work on a distribution of nothing, got KeyError: 'imitation'"),
        ({"check": fails}, "malicious 1: expected the scan to work, got KeyError: 'imitation'"),
        ({"version": 0}, "expected a version from 1, got 0"),
        ({"message": "no sentence"}, "expected a message of whole sentences"),
        (
            {"kept_because": "It may come."},
            "expected kept_because as whole sentences with an https",
        ),
        ({"kept_because": "see https://a.example.invalid/"}, "expected kept_because as whole sentences with an https"),
        ({"reference": "see the wiki"}, "expected a reference that begins with https://, got 'see the wiki'"),
    ],
)
def test_each_way_to_break_the_contract_is_told(changes: dict[str, object], breach: str) -> None:
    rule = replace(next(rule for rule in BUILT_IN_RULES if rule.id == "autostart-written"), **changes)  # type: ignore[arg-type]
    told = breaches(rule, RuleSet((*(each for each in BUILT_IN_RULES if each.id != rule.id), rule)))
    assert any(each.startswith(breach) for each in told), told


def test_benign_sample_that_another_rule_condemns_is_told() -> None:
    rule = next(rule for rule in BUILT_IN_RULES if rule.id == "autostart-written")
    others = next(rule for rule in BUILT_IN_RULES if rule.id == "secrets-sent").samples.malicious
    rule = replace(rule, samples=Samples(malicious=rule.samples.malicious, benign=others))
    (told,) = breaches(rule, RULESET)
    assert told.startswith("benign 1: expected a verdict below malicious, got malicious by ")
    assert "secrets-sent" in told


def test_samples_are_text_to_our_own_scanner() -> None:
    """The samples stand in shipped modules: none of them may make those look malicious."""
    folder = Path(__file__).parents[2] / "src" / "wheelmark" / "scan" / "rules"
    for path in folder.glob("*.py"):
        report = scan_import(path.read_text(encoding="utf-8"))
        assert [f for f in report.findings if f.severity.rank > Severity.INFO.rank] == [], path.name
