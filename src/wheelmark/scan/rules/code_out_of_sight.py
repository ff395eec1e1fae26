"""Code far to the right of what an editor shows."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples


def check(facts: Facts) -> Iterator[Evidence]:
    for oddity in facts.oddities:
        if oddity.kind != "far-right":
            continue
        severity = graded(oddity.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=Severity.HIGH)
        if severity is not None:
            yield Evidence(
                severity=severity, member=oddity.member, line=oddity.line, context=oddity.context, text=oddity.text
            )


RULE = Rule(
    id="code-out-of-sight",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.DEFENSE_EVASION,
    message="Code stands behind a long run of blanks, where no editor shows it.",
    reference="https://attack.mitre.org/techniques/T1027/",
    check=check,
    samples=Samples(
        malicious=(Sample.imported(f"VERSION = 1;{' ' * 300}import os; os.getcwd()\n"),),
        benign=(
            Sample.imported(
                f"TABLE = [{' ' * 200}1, 2, 3]\nLONG = 1{' ' * 200}# import of old names ends here\n",
            ),
        ),
    ),
)
