"""The essentials of SARIF 2.1.0: what a log must have and may have, as far as ours use the format.

Source: OASIS SARIF 2.1.0 with Errata 01. The JSON schema allows no further properties, hence the closed lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

URI = re.compile(r"(?:file://)?(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+")
LEVELS = {"none", "note", "warning", "error"}
DRIVER = {"name", "semanticVersion", "informationUri", "rules", "notifications"}
DESCRIPTOR = {
    *("id", "name", "shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration", "properties"),
}
RESULT = {
    *("ruleId", "ruleIndex", "kind", "level", "message", "locations", "codeFlows", "partialFingerprints", "properties"),
}


def check_log(log: Json) -> None:
    """Fail the test where a log is not SARIF 2.1.0."""
    only(log, {"$schema", "version", "runs"})
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    only(run, {"tool", "columnKind", "invocations", "artifacts", "results"})
    assert run["columnKind"] == "unicodeCodePoints"
    driver = run["tool"]["driver"]
    only(run["tool"], {"driver"})
    only(driver, DRIVER)
    for descriptor in [*driver["rules"], *driver["notifications"]]:
        check_descriptor(descriptor)
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for invocation in run["invocations"]:
        only(invocation, {"executionSuccessful", "toolExecutionNotifications"})
        for notification in invocation["toolExecutionNotifications"]:
            only(notification, {"level", "descriptor", "message", "locations"})
            assert notification["level"] in LEVELS
            check_message(notification["message"])
            for location in notification["locations"]:
                check_location(location)
    for artifact in run["artifacts"]:
        only(artifact, {"location", "roles", "hashes", "properties"})
        assert URI.fullmatch(artifact["location"]["uri"])
        assert set(artifact.get("hashes", {"sha-256": ""})) == {"sha-256"}
    for result in run["results"]:
        check_result(result, ids)
    prints = [(where(result), result["ruleId"], *result["partialFingerprints"].values()) for result in run["results"]]
    assert len(set(prints)) == len(prints), "two results that no later run can tell apart"


def check_descriptor(descriptor: Json) -> None:
    only(descriptor, DESCRIPTOR)
    assert descriptor["id"]
    check_message(descriptor["shortDescription"])
    for name in ("fullDescription", "help"):
        if name in descriptor:
            check_message(descriptor[name])
    configuration = descriptor.get("defaultConfiguration", {})
    only(configuration, {"level", "enabled"})
    assert configuration.get("level", "none") in LEVELS
    assert descriptor.get("helpUri", "https://").startswith("https://")
    assert len(descriptor.get("properties", {}).get("tags", [])) == len(
        set(descriptor.get("properties", {}).get("tags", []))
    )


def check_result(result: Json, ids: Sequence[str]) -> None:
    only(result, RESULT)
    assert ids[result["ruleIndex"]] == result["ruleId"]
    assert result["level"] in LEVELS
    assert result["kind"] in {"fail", "informational"}
    # § 3.27.10: what is no failure has no level.
    assert (result["kind"] == "fail") == (result["level"] != "none")
    check_message(result["message"])
    assert len(result["locations"]) == 1
    check_location(result["locations"][0])
    assert all(isinstance(value, str) and value for value in result["partialFingerprints"].values())
    for flow in result.get("codeFlows", ()):
        only(flow, {"threadFlows"})
        for thread in flow["threadFlows"]:
            only(thread, {"locations"})
            assert [step["executionOrder"] for step in thread["locations"]] == [*range(1, len(thread["locations"]) + 1)]
            for step in thread["locations"]:
                only(step, {"location", "kinds", "importance", "executionOrder"})
                assert step["importance"] in {"important", "essential", "unimportant"}
                check_location(step["location"])
                check_message(step["location"]["message"])


def check_location(location: Json) -> None:
    only(location, {"physicalLocation", "message"})
    physical = location["physicalLocation"]
    only(physical, {"artifactLocation", "region"})
    only(physical["artifactLocation"], {"uri"})
    assert URI.fullmatch(physical["artifactLocation"]["uri"]), physical
    if "region" in physical:
        only(physical["region"], {"startLine", "snippet"})
        assert physical["region"]["startLine"] >= 1
        check_message(physical["region"].get("snippet", {"text": "x"}), may_be_empty=True)


def check_message(message: Json, *, may_be_empty: bool = False) -> None:
    only(message, {"text", "markdown"})
    assert isinstance(message["text"], str)
    assert message["text"] or may_be_empty


def where(result: Json) -> str:
    """The URI of a result's place."""
    return str(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


def only(document: Json, names: set[str]) -> None:
    """Fail the test where an object has a property that SARIF does not know there."""
    assert set(document) <= names, set(document) - names
