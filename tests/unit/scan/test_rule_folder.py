"""Rules out of an operator's folder: loaded whole or not at all, and known by their bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.scan import PYTHON_RULE, YARA_RULE, a_rule_folder, a_wheel, scan_wheel, the_ruleset
from wheelmark.errors import Refused, Unavailable
from wheelmark.scan import IsolatedScanner, RuleSet, RuleState, Sample, Severity, Verdict, load_ruleset
from wheelmark.scan.contract import scan_sample
from wheelmark.scan.rule_folder import folder_rules

DELETES = {"widget/__init__.py": "import os\nos.remove('notes.txt')\n"}


def test_folder_has_a_rule_for_each_file(tmp_path: Path) -> None:
    a_rule_folder(tmp_path)
    (tmp_path / "_drafts.py").write_text("this is no rule")
    (tmp_path / ".hidden.yar").write_text("nor is this")
    (tmp_path / "README.md").write_text("# Our rules")
    rules = folder_rules(tmp_path)
    assert [(rule.id, rule.version, rule.severity, rule.state) for rule in rules] == [
        ("deletes-at-import", 1, Severity.CRITICAL, RuleState.ENABLED),
        ("marker-word", 2, Severity.CRITICAL, RuleState.ENABLED),
    ]
    assert list(tmp_path.glob("**/__pycache__")) == []


def test_ruleset_version_changes_with_the_bytes_of_a_folder_rule(tmp_path: Path) -> None:
    versions = {load_ruleset().version}
    for text in (PYTHON_RULE, PYTHON_RULE + "# a remark\n"):
        versions.add(load_ruleset(folders=[a_rule_folder(tmp_path, deletes_at_import_py=text)]).version)
    assert len(versions) == 3


def test_ruleset_version_is_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    here, there = (load_ruleset(folders=[a_rule_folder(tmp_path / name)]).version for name in ("here", "there"))
    assert here == there


def changed(old: str, new: str) -> dict[str, str]:
    assert old in YARA_RULE
    return {"marker_word_yar": YARA_RULE.replace(old, new)}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"broken_py": "def ("}, "broken.py: expected a rule that loads, got SyntaxError"),
        ({"stops_py": "raise OSError('imitation')"}, "expected a rule that loads, got OSError: imitation"),
        ({"empty_py": "VERSION = 1"}, "expected RULE = Rule(…), got None"),
        ({"wrong_py": "RULE = 'a rule'"}, "expected RULE = Rule(…), got 'a rule'"),
        ({"another_name_py": PYTHON_RULE}, "expected the rule another-name in this file, got deletes-at-import"),
        ({"broken_yar": "rule x { condition: $a }"}, "expected a rule that loads, got CompileError"),
        ({"plain_yar": "rule x { condition: true }"}, "expected one YARA rule with an id in its meta, got 0"),
        (changed("version = 2", 'version = "two"'), "expected a number as version, got 'two'"),
        (changed('severity = "critical"', ""), "expected severity once in the meta, got it 0 times"),
        (changed('"critical"', '"dire"'), "expected one of info, low, medium, high, critical, got 'dire'"),
        (changed('tactic = "TA0005"', 'tactic = "TA0005" tactic = "TA0002"'), "expected tactic once in the meta"),
        (changed("rule marker", 'include "other.yar"\nrule marker'), "include statements not allowed"),
        ({"notes_md": "# no rules"}, "expected rules (*.py, *.yar, *.yara), got none"),
    ],
)
def test_folder_with_a_file_that_is_no_rule_is_refused(tmp_path: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(Refused) as caught:
        folder_rules(a_rule_folder(tmp_path, **files))
    assert told in str(caught.value)


def test_every_file_that_is_no_rule_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        folder_rules(a_rule_folder(tmp_path, one_py="1", two_py="2", deletes_at_import_py=PYTHON_RULE))
    assert [Path(fault.field).name for fault in caught.value.faults] == ["one.py", "two.py"]


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"expected a folder of rules, got: .*No such file"):
        folder_rules(tmp_path / "missing")


def test_rule_with_the_id_of_another_is_a_mistake(tmp_path: Path) -> None:
    text = PYTHON_RULE.replace("deletes-at-import", "secrets-sent")
    with pytest.raises(RuntimeError, match=r"expected each rule id once, got .*secrets-sent.* again"):
        load_ruleset(folders=[a_rule_folder(tmp_path, secrets_sent_py=text)])


@pytest.mark.parametrize("word", ["TA0005", "defense evasion", "TA0005 Defense Evasion"])
def test_tactic_is_known_by_number_and_by_name(tmp_path: Path, word: str) -> None:
    (rule,) = folder_rules(a_rule_folder(tmp_path, **changed('tactic = "TA0005"', f'tactic = "{word}"')))
    assert rule.tactic == "TA0005 Defense Evasion"


def test_pattern_counts_less_in_code_that_somebody_has_to_call(tmp_path: Path) -> None:
    (rule,) = folder_rules(a_rule_folder(tmp_path, marker_word_yar=YARA_RULE))
    ruleset = RuleSet((*the_ruleset().rules, rule))
    text = "WORD = 'xyzzy-imitation'\n"
    sample = Sample.wheel({"widget/__init__.py": "", "widget/__main__.py": text})
    found = [finding.severity for finding in scan_sample(sample, ruleset).findings if finding.rule == rule.id]
    assert found == [Severity.LOW]


def test_pattern_may_say_why_it_is_kept(tmp_path: Path) -> None:
    said = changed("version = 2", 'version = 2 kept_because = "It is described at https://a.example.invalid/."')
    (rule,) = folder_rules(a_rule_folder(tmp_path / "said", **said))
    assert rule.kept_because == "It is described at https://a.example.invalid/."
    (silent,) = folder_rules(a_rule_folder(tmp_path / "silent", marker_word_yar=YARA_RULE))
    assert silent.kept_because == ""


def test_confined_scanner_applies_rules_of_a_folder(tmp_path: Path) -> None:
    assert scan_wheel(DELETES).verdict is Verdict.BENIGN
    path = tmp_path / "widget-1-py3-none-any.whl"
    path.write_bytes(a_wheel(DELETES))
    folder = a_rule_folder(tmp_path / "rules")
    with IsolatedScanner(rules=[folder]) as scanner:
        report = scanner.scan(path)
    assert report.verdict is Verdict.MALICIOUS
    assert [finding.rule for finding in report.findings] == ["deletes-at-import"]
    assert report.ruleset == load_ruleset(folders=[folder]).version


def test_rule_that_cannot_be_loaded_stops_the_scanner_and_says_which(tmp_path: Path) -> None:
    folder = a_rule_folder(tmp_path / "rules", broken_py="def (")
    with IsolatedScanner(rules=[folder]) as scanner, pytest.raises(Unavailable, match=r"broken\.py: expected a rule"):
        scanner.ruleset()


def test_rule_that_fails_on_a_file_makes_the_scan_incomplete(tmp_path: Path) -> None:
    text = PYTHON_RULE.replace("for call in facts.calls_of(Act.DELETE):", "for call in 1 / len(facts.layers):")
    path = tmp_path / "widget-1-py3-none-any.whl"
    path.write_bytes(a_wheel(DELETES))
    with IsolatedScanner(rules=[a_rule_folder(tmp_path / "rules", deletes_at_import_py=text)]) as scanner:
        report = scanner.scan(path)
    assert report.verdict is Verdict.INCOMPLETE
    assert "ZeroDivisionError" in (report.incomplete_reason or "")
