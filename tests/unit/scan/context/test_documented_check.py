"""The check that the guide writes works, and its samples are what it says."""

from __future__ import annotations

import re
from pathlib import Path

from wheelmark.scan import RuleState
from wheelmark.scan.context import Check, read_lists, read_sample

GUIDE = Path(__file__).parents[4] / "docs" / "how-to" / "write-a-context-check.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_documented_check_finds_its_sample_and_leaves_the_other_alone() -> None:
    [source] = blocks("python")
    names: dict[str, object] = {}
    exec(compile(source, str(GUIDE), "exec"), names)
    check = names["CHECK"]
    assert isinstance(check, Check)
    _, found, left_alone = blocks("toml")
    [finding] = check.findings(read_sample(found))
    assert (finding.counts, finding.evidence) == (False, "Homepage: http://harbour.example.net")
    assert check.findings(read_sample(left_alone)) == []


def test_documented_lists_are_lists() -> None:
    lists = read_lists(blocks("toml")[0].encode())
    assert lists.popular.names[:2] == ("harbour-pilot", "harbour-client")
    assert lists.internal[0].pattern_of("pier-core") == "pier-core"
    assert lists.states == {"spam": RuleState.EVALUATION}
