"""The table of rules: whole, in form, and each rule shown by a test to refuse something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wheelmark.dist import RULES
from wheelmark.dist.faults import MAX_FAULTS, FaultLog, fault, quoted

ROOT = Path(__file__).parents[3]
TESTED_IN = ("tests/unit/dist", "tests/attacks", "tests/property")


@pytest.mark.parametrize("code", RULES)
def test_rule_has_a_kebab_case_code_a_field_and_a_source(code: str) -> None:
    rule = RULES[code]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    assert rule.code == code
    assert rule.rule.endswith(".")
    assert rule.field
    assert rule.source


def test_every_rule_is_used_and_tested() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src/wheelmark/dist").glob("*.py") if path.stem != "faults")
    tests = "".join(path.read_text() for folder in TESTED_IN for path in (ROOT / folder).glob("test_*.py"))
    in_own_module = {"too-many-faults"}
    assert [code for code in RULES if f'"{code}"' not in sources and code not in in_own_module] == []
    assert [code for code in RULES if f'"{code}"' not in tests] == []


def test_unknown_code_is_our_own_mistake() -> None:
    with pytest.raises(KeyError):
        fault("no-such-rule", "expected a rule, got none")


def test_log_keeps_order_drops_repetitions_and_counts_what_it_cannot_list() -> None:
    log = FaultLog()
    assert not log
    for index in [*range(MAX_FAULTS + 7), 0, 1]:
        log.add("zip-gap", str(index))
    found = log.found()
    assert [one.message for one in found[:-1]] == [str(index) for index in range(MAX_FAULTS)]
    assert (found[-1].code, "7 faults" in found[-1].message) == ("too-many-faults", True)


def test_quoted_text_is_short_ascii_without_controls() -> None:
    shown = quoted("\x1b[31m\u202e" + "ß" * 10_000)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) < 600
    assert quoted("a") == "'a'"
