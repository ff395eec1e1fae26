"""Characters that make source read as something else than it is."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples


def check(facts: Facts) -> Iterator[Evidence]:
    for oddity in facts.oddities:
        if oddity.kind == "styled-name":
            severity = graded(oddity.context, automatic=Severity.HIGH, entry=Severity.MEDIUM, on_call=Severity.MEDIUM)
        elif oddity.kind == "invisible-text":
            severity = graded(oddity.context, automatic=Severity.MEDIUM, on_call=Severity.LOW)
        elif oddity.kind == "bidi":
            # Libraries for right-to-left text have these in their tables.
            severity = graded(oddity.context, automatic=Severity.INFO, entry=Severity.INFO, on_call=Severity.INFO)
        else:
            continue
        if severity is not None:
            yield Evidence(
                severity=severity,
                member=oddity.member,
                line=oddity.line,
                context=oddity.context,
                text=f"{oddity.kind}: {oddity.text}",
            )


RULE = Rule(
    id="unseen-characters",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.DEFENSE_EVASION,
    message="The source has characters that make it read as something else than it is.",
    reference="https://trojansource.codes/",
    check=check,
    samples=Samples(
        malicious=(
            # The name of the call is spelled with mathematical letters, which Python reads as plain ones.
            Sample.imported('\U0001d5be\U0001d5d1\U0001d5be\U0001d5bc("print(1)")\n'),
        ),
        benign=(
            Sample.imported("""
                GREETING = "שלום"
                α = 0.5


                def über(x):
                    return x * α
            """),
        ),
    ),
)
