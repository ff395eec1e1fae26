"""Reports as SARIF 2.1.0, the form that code hosts and editors show findings from.

Source: OASIS SARIF 2.1.0 with Errata 01; what code hosts want beyond it is in the properties that they read.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Mapping, Sequence

import orjson

from wheelmark.scan.engine import TOGETHER_MESSAGE
from wheelmark.scan.report import Finding, Report, Severity, StepKind, Verdict
from wheelmark.scan.rule import Rule, RuleState
from wheelmark.scan.ruleset import TAKEN_TOGETHER

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
INFORMATION_URI = "https://pypi.org/project/wheelmark/"
FINGERPRINT = "wheelmarkFinding/v1"
_LEVELS = {
    Severity.INFO: "none",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "warning",
    Severity.CRITICAL: "error",
}
# What code hosts sort by; their words for these are note, low, medium, high and critical.
_SECURITY_SEVERITY = {
    Severity.INFO: "0.0",
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")

Place = tuple[str, str, int]  # file of a report, member, line
Json = dict[str, object]


def to_sarif(
    reports: Iterable[Report], rules: Iterable[Rule], tool_version: str, snippets: Mapping[Place, str] | None = None
) -> bytes:
    """One SARIF log of one run over all reports. `snippets` has the source lines that are known, by place."""
    everything = list(reports)
    descriptors = {rule.id: _descriptor(rule) for rule in rules}
    for report in everything:
        for finding in report.findings:
            descriptors.setdefault(finding.rule, _descriptor_of_finding(finding))
    positions = {identifier: position for position, identifier in enumerate(descriptors)}
    notifications = [
        {
            "level": "error",
            "descriptor": {"id": "incomplete"},
            "message": {"text": f"{report.file}: scan incomplete: {report.incomplete_reason or 'no reason given'}"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(report.file)}}}],
        }
        for report in everything
        if report.verdict is Verdict.INCOMPLETE or report.incomplete_reason is not None
    ]
    known = snippets or {}
    run = {
        "tool": {
            "driver": {
                "name": "wheelmark",
                "semanticVersion": tool_version,
                "informationUri": INFORMATION_URI,
                "rules": list(descriptors.values()),
                "notifications": [
                    {"id": "incomplete", "shortDescription": {"text": "Something was not looked at: it is not clean."}}
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not notifications, "toolExecutionNotifications": notifications}],
        "artifacts": [_artifact(report) for report in everything],
        "results": [result for report in everything for result in _results(report, positions, known)],
    }
    return orjson.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, option=orjson.OPT_INDENT_2)


def _descriptor(rule: Rule) -> Json:
    text = (
        f"{rule.message}\n\nTactic: {rule.tactic}. How much a finding counts depends on when the code runs: at "
        "installation, start-up and import most, in a function that somebody has to call least. "
        f"Read more: {rule.reference}"
    )
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.message},
        "fullDescription": {"text": text},
        "help": {"text": text, "markdown": text.replace(rule.reference, f"[{rule.reference}]({rule.reference})")},
        "helpUri": rule.reference,
        "defaultConfiguration": {"level": _LEVELS[rule.severity], "enabled": rule.state is not RuleState.DISABLED},
        "properties": {
            "tags": ["security", rule.tactic.value],
            "precision": "high" if rule.state is RuleState.ENABLED else "low",
            "security-severity": _SECURITY_SEVERITY[rule.severity],
            "version": rule.version,
            "state": rule.state.value,
            "origin": rule.origin,
        },
    }


def _descriptor_of_finding(finding: Finding) -> Json:
    """What can be said of a rule that no rule set has: of the model, and of observations."""
    text = TOGETHER_MESSAGE if finding.rule == TAKEN_TOGETHER else finding.message
    return {
        "id": finding.rule,
        "name": "".join(word.capitalize() for word in finding.rule.split("-")),
        "shortDescription": {"text": text},
        "help": {"text": text},
        "properties": {
            "tags": ["security", *([finding.tactic.value] if finding.tactic is not None else [])],
            "security-severity": _SECURITY_SEVERITY[finding.severity],
        },
    }


def _artifact(report: Report) -> Json:
    properties: Json = {
        "verdict": report.verdict.value,
        "score": report.score,
        "ruleset": report.ruleset,
        "model": report.model,
    }
    if report.dynamic is not None:
        properties["dynamic"] = report.dynamic.to_mapping()
    artifact: Json = {
        "location": {"uri": _uri(report.file)},
        "roles": ["analysisTarget"],
        "properties": properties,
    }
    if report.sha256:
        artifact["hashes"] = {"sha-256": report.sha256}
    return artifact


def _results(report: Report, positions: Mapping[str, int], snippets: Mapping[Place, str]) -> list[Json]:
    """The findings of one report, the same finding repeated in one member told apart by a counter."""
    seen: dict[str, int] = {}
    results = []
    for finding in report.findings:
        identity = "\n".join((finding.rule, finding.member, finding.evidence))
        seen[identity] = seen.get(identity, 0) + 1
        fingerprint = hashlib.sha256(f"{identity}\n{seen[identity]}".encode("utf-8", "replace")).hexdigest()
        results.append(_result(report, finding, positions, snippets, fingerprint))
    return results


def _result(
    report: Report, finding: Finding, positions: Mapping[str, int], snippets: Mapping[Place, str], fingerprint: str
) -> Json:
    result: Json = {
        "ruleId": finding.rule,
        "ruleIndex": positions[finding.rule],
        "kind": "informational" if finding.severity is Severity.INFO else "fail",
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message} Seen: {finding.evidence}" if finding.evidence else finding.message},
        "locations": [_location(report, finding.member, finding.line, snippets)],
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "properties": {
            "severity": finding.severity.value,
            "security-severity": _SECURITY_SEVERITY[finding.severity],
            "context": None if finding.context is None else finding.context.value,
            "verdict": report.verdict.value,
            "sha256": report.sha256,
        },
    }
    if len(finding.flow) > 1:
        result["codeFlows"] = [_code_flow(report, finding, snippets)]
    return result


def _code_flow(report: Report, finding: Finding, snippets: Mapping[Place, str]) -> Json:
    steps: Sequence[Json] = [
        {
            "location": _location(report, step.member, step.line, snippets) | {"message": {"text": step.what}},
            "kinds": [step.kind.value],
            "importance": "important" if step.kind is StepKind.TRANSFORM else "essential",
            "executionOrder": number,
        }
        for number, step in enumerate(finding.flow, 1)
    ]
    return {"threadFlows": [{"locations": steps}]}


def _location(report: Report, member: str, line: int, snippets: Mapping[Place, str]) -> Json:
    place: Json = {"artifactLocation": {"uri": _uri(posixpath.join(report.file, member))}}
    if line > 0:
        region: Json = {"startLine": line}
        text = snippets.get((report.file, member, line))
        if text is not None:
            region["snippet"] = {"text": text}
        place["region"] = region
    return {"physicalLocation": place}


def _uri(path: str) -> str:
    """A path as a URI: absolute ones as `file:`; all but unreserved characters and slashes is percent-encoded."""
    normal = posixpath.normpath(path)
    encoded = "".join(
        each if each in _PLAIN else "".join(f"%{byte:02X}" for byte in each.encode("utf-8", "replace"))
        for each in normal
    )
    return f"file://{encoded}" if encoded.startswith("/") else encoded
