"""A file that was downloaded or decoded, written and then started."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, told
from wheelmark.scan.values import Taint


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS, Act.RUN_CODE):
        paths = call.origins_of(Taint.DROPPED)
        if not paths:
            continue
        # A script of one's own text, written and started, is roundabout, but shows what it does.
        own = all(origin.what.startswith("own text") for origin in paths)
        most, least = (Severity.HIGH, Severity.LOW) if own else (Severity.CRITICAL, Severity.MEDIUM)
        severity = graded(call.context, automatic=most, entry=least, on_call=least)
        if severity is not None:
            yield Evidence.of_call(call, severity, f"{call.name}({call.text[:120]}) after {told(paths)}")


RULE = Rule(
    id="dropped-file-run",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXECUTION,
    message="A file is downloaded or decoded, written to disk and started.",
    reference="https://attack.mitre.org/techniques/T1204/002/",
    check=check,
)
