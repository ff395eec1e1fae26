"""Distributions that are too large to be read as one program: each module alone, most of them once."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from support.scan import a_wheel, the_ruleset
from wheelmark.scan import ScanBounds, gather, source
from wheelmark.scan.contents import read_contents
from wheelmark.scan.engine import ARCHIVE_BOUNDS
from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Context
from wheelmark.scan.samples import WHEEL_NAME

SEND = "import requests\n\ndef report(what):\n    requests.post('https://stats.example.invalid/', data=what)\n"


@pytest.fixture(autouse=True)
def _nothing_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MAX_LINKED_BYTES", -1)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources whose trees were made, in order."""
    seen: list[str] = []
    real = source.parse_source

    def parse(raw: bytes) -> object:
        seen.append(raw.decode())
        return real(raw)

    monkeypatch.setattr(gather, "parse_source", parse)
    return seen


def _facts(members: Mapping[str, str]) -> Facts:
    bounds = ScanBounds()
    stream = io.BytesIO(a_wheel(members))
    contents = read_contents(stream, filename=WHEEL_NAME, bounds=bounds, archive_bounds=ARCHIVE_BOUNDS)
    return gather.gather(contents, filename=WHEEL_NAME, bounds=bounds, patterns=the_ruleset().patterns)


def _contexts(facts: Facts) -> set[Context]:
    return {call.context for call in facts.calls if call.act is Act.SEND}


@pytest.mark.parametrize("order", [("caller", "middle"), ("middle", "caller")])
def test_call_at_import_is_followed_into_a_module_that_is_read_once(order: tuple[str, str], parsed: list[str]) -> None:
    texts = {"caller": "import os\nfrom .middle import report\nreport(1)\n", "middle": SEND}
    facts = _facts({f"widget/{name}.py": texts[name] for name in order})
    assert _contexts(facts) == {Context.IMPORT}
    assert parsed.count(SEND) == 1


def test_quiet_module_that_calls_at_import_what_another_does(parsed: list[str]) -> None:
    quiet = "from .middle import report\nreport('hello')\n"
    facts = _facts({"widget/__init__.py": quiet, "widget/middle.py": SEND})
    assert _contexts(facts) == {Context.IMPORT}
    assert quiet in parsed


def test_function_of_a_quiet_module_that_is_called_at_import_is_followed() -> None:
    members = {
        "widget/__init__.py": "from .between import go\ngo()\n",
        "widget/between.py": "from .middle import report\n\ndef go():\n    report('hello')\n",
        "widget/middle.py": SEND,
    }
    assert _contexts(_facts(members)) == {Context.IMPORT}


def test_quiet_module_without_imports_has_no_tree_and_is_known_to_parse(parsed: list[str]) -> None:
    table = "VALUES = {'a': 1}\n"
    facts = _facts({"widget/__init__.py": table, "widget/broken.py": "VALUES = {\n"})
    assert table not in parsed
    assert {member.path: member.parsed for member in facts.members if member.kind == "python"} == {
        "widget/__init__.py": True,
        "widget/broken.py": False,
    }


def test_what_a_function_of_a_quiet_module_imports_is_read() -> None:
    members = {
        "widget/__init__.py": "def later():\n    from tests import helper\n",
        "tests/helper.py": "import os\nos.system('ls')\n",
    }
    assert any(call.act is Act.START_PROCESS for call in _facts(members).calls)


def test_function_that_nothing_calls_by_itself_is_walked_with_the_first_that_it_is_given() -> None:
    text = (
        "import requests\n\ndef run(act):\n    act('https://stats.example.invalid/')\n\n"
        "def first():\n    run(requests.put)\n\ndef second():\n    run(requests.post)\n"
    )
    called = _facts({"widget/__init__.py": text + "\nfirst()\nsecond()\n"})
    assert {call.name for call in called.calls} == {"requests.put", "requests.post"}
    assert [call.name for call in _facts({"widget/__init__.py": text}).calls] == ["requests.put"]
