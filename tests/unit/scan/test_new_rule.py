"""The rule file that `wheelmark scan new-rule` writes works as it stands, and overwrites nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from wheelmark.errors import Refused
from wheelmark.scan import RuleSet, RuleState, all_rules
from wheelmark.scan.contract import breaches
from wheelmark.scan.new_rule import write_rule


@pytest.mark.parametrize("yara", [False, True])
def test_new_rule_keeps_the_contract_and_does_not_count_yet(tmp_path: Path, yara: bool) -> None:
    path = write_rule("our-own-rule", tmp_path / "rules", yara=yara)
    assert path.name == ("our_own_rule.yar" if yara else "our_own_rule.py")
    everything = all_rules([tmp_path / "rules"])
    rule = everything[-1]
    assert (rule.id, rule.state) == ("our-own-rule", RuleState.EVALUATION)
    assert breaches(rule, RuleSet(everything)) == []
    assert "@" not in path.read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = write_rule("our-own-rule", tmp_path, yara=False)
    path.write_text("mine")
    with pytest.raises(Refused, match="expected to write a new file, got: File exists"):
        write_rule("our-own-rule", tmp_path, yara=False)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("identifier", ["Our", "our_rule", "1-rule", "", "our rule", "../rule", "taken-together"])
def test_id_that_is_none_is_refused(tmp_path: Path, identifier: str) -> None:
    with pytest.raises(Refused, match="expected a rule id of words in lower case joined by hyphens"):
        write_rule(identifier, tmp_path, yara=False)
    assert list(tmp_path.iterdir()) == []
