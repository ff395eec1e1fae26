"""A dangerous function that is reached under a computed name."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples

_ROUNDABOUT = (
    *("getattr", "globals", "locals", "vars", "sys.modules", "builtins", "__builtins__"),
    *("operator.attrgetter", "operator.methodcaller"),
)
_ACTS = (Act.RUN_CODE, Act.START_PROCESS, Act.LOAD_CODE, Act.SEND, Act.CONNECT)


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(*_ACTS):
        severity = _severity(call)
        if severity is not None:
            yield Evidence.of_call(call, severity, f"{call.hidden} is {call.name}({call.text[:150]})")


def _severity(call: Call) -> Severity | None:
    if call.hidden.startswith("__import__"):
        # `__import__("os").system(…)` written plainly is a habit of one-liners.
        return graded(call.context, automatic=Severity.MEDIUM, on_call=Severity.INFO, entry=Severity.INFO)
    if call.hidden.startswith(_ROUNDABOUT) or "[" in call.hidden:
        if call.name in {"exec"} and call.hidden.startswith("getattr") and "builtins" not in call.hidden:
            # Code for two versions of the language takes `exec` from the builtins module this way.
            return graded(call.context, automatic=Severity.MEDIUM, on_call=Severity.INFO, entry=Severity.INFO)
        return graded(call.context, automatic=Severity.HIGH, on_call=Severity.LOW, entry=Severity.LOW)
    return None


RULE = Rule(
    id="hidden-call",
    version=2,
    severity=Severity.HIGH,
    tactic=Tactic.DEFENSE_EVASION,
    message="What runs code, starts a process or talks to the network is called under a name put together at run time.",
    reference="https://attack.mitre.org/techniques/T1027/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import os

                getattr(os, "sys" + "tem")("echo imitation")
            """),
            Sample.imported("""
                setattr(__builtins__, "_____", exec)
                _____("print(1)")
            """),
        ),
        benign=(
            Sample.imported("""
                import importlib
                import os

                separator = getattr(os, "sep")
                plugin = importlib.import_module("json")
                plugin.loads("{}")
            """),
        ),
    ),
)
