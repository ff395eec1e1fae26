"""Reports as SARIF 2.1.0, the form that code hosts and editors show findings from."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from wheelmark.scan.report import Finding, Report, Severity, Verdict
from wheelmark.scan.rule import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "warning",
    Severity.CRITICAL: "error",
}


def to_sarif(reports: Iterable[Report], rules: Iterable[Rule], tool_version: str) -> bytes:
    """One SARIF log of one run over all reports. Source: OASIS SARIF 2.1.0."""
    everything = list(reports)
    ordered = list(rules)
    positions = {rule.id: position for position, rule in enumerate(ordered)}
    notifications = [
        {
            "level": "error",
            "message": {"text": f"{report.file}: scan incomplete: {report.incomplete_reason or 'no reason given'}"},
        }
        for report in everything
        if report.verdict is Verdict.INCOMPLETE or report.incomplete_reason is not None
    ]
    run = {
        "tool": {
            "driver": {
                "name": "wheelmark",
                "semanticVersion": tool_version,
                "informationUri": "https://pypi.org/project/wheelmark/",
                "rules": [_rule(rule) for rule in ordered],
            }
        },
        "invocations": [{"executionSuccessful": not notifications, "toolExecutionNotifications": notifications}],
        "results": [_result(report, finding, positions) for report in everything for finding in report.findings],
    }
    return orjson.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, option=orjson.OPT_INDENT_2)


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.message},
        "helpUri": rule.reference,
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["security", rule.tactic.value], "precision": "high", "version": rule.version},
    }


def _result(report: Report, finding: Finding, positions: dict[str, int]) -> dict[str, object]:
    place: dict[str, object] = {"artifactLocation": {"uri": _uri(f"{report.file}/{finding.member}")}}
    if finding.line > 0:
        place["region"] = {"startLine": finding.line, "snippet": {"text": finding.evidence}}
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message} {finding.evidence}"},
        "locations": [{"physicalLocation": place}],
        "properties": {"severity": finding.severity.value, "verdict": report.verdict.value, "sha256": report.sha256},
    }
    if finding.rule in positions:
        result["ruleIndex"] = positions[finding.rule]
    return result


def _uri(path: str) -> str:
    """A path as a relative URI reference: everything but unreserved characters and slashes is percent-encoded."""
    kept = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"
    return "".join(
        each if each in kept else "".join(f"%{byte:02X}" for byte in each.encode("utf-8", "replace")) for each in path
    )
