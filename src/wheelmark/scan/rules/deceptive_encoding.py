"""A source whose encoding makes other code of it than its bytes show."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples


def check(facts: Facts) -> Iterator[Evidence]:
    for oddity in facts.oddities:
        if oddity.kind != "odd-encoding":
            continue
        severity = graded(oddity.context, automatic=Severity.HIGH, entry=Severity.MEDIUM, on_call=Severity.MEDIUM)
        if severity is not None:
            yield Evidence(
                severity=severity,
                member=oddity.member,
                line=oddity.line,
                context=oddity.context,
                text=f"the source declares the encoding {oddity.text}",
            )


RULE = Rule(
    id="deceptive-encoding",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.DEFENSE_EVASION,
    message="The source declares an encoding under which Python runs other code than an editor or a search would show.",
    reference="https://attack.mitre.org/techniques/T1027/",
    check=check,
    samples=Samples(
        malicious=(
            # "print(1)" in UTF-7, as base64 between two signs.
            Sample.imported("# -*- coding: utf-7 -*-\n+AHAAcgBpAG4AdAAoADEAKQ-\n"),
            # The line break that ends the comment is written as an escape.
            Sample.imported("# coding: unicode_escape\n# a comment \\x0aprint(1)\n"),
        ),
        benign=(
            Sample.wheel(
                {
                    "widget/__init__.py": "# -*- coding: latin-1 -*-\nNAME = 'caf\u00e9'\n".encode("latin-1"),
                    "widget/other.py": "# -*- coding: shift_jis -*-\nNAME = '\u8336'\n".encode("shift_jis"),
                }
            ),
        ),
    ),
    kept_because=(
        "No family of the development samples shows it. It is kept because it hides any code from every reader, as "
        "PEP 672 describes under Source Encoding (https://peps.python.org/pep-0672/#source-encoding)."
    ),
)
