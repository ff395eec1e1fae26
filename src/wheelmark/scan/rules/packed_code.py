"""Code that a packer made: the whole module is a blob and what unpacks it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint

YARA = r"""
rule packer {
    strings:
        $armored = /__pyarmor(_vax_[0-9]+)?__\(__name__, __file__, b['"]/
        $lambdas = /_\s*=\s*lambda\s+_{1,3}\s*:\s*__import__\(/
        $reversed = /exec\(\(_\)\(b['"]/
        $names = /[^\w]([OI0l]{24,})\s*[=(]/
        $escapes = /(\\x[0-9a-f]{2}){400,}/ nocase
    condition:
        any of them
}
"""
_MIN_DEPTH = 3
_NAME = re.compile(r"[OI0l]{24,}")


def check(facts: Facts) -> Iterator[Evidence]:
    runs: dict[str, list[Call]] = {}
    for call in facts.calls_of(Act.RUN_CODE):
        runs.setdefault(call.member, []).append(call)
    for layer in facts.layers:
        if layer.decoded and layer.depth >= _MIN_DEPTH and layer.context is not Context.UNREACHED:
            severity = Severity.CRITICAL if layer.context.automatic else Severity.HIGH
            text = f"{layer.depth} layers of decoding: {layer.text[:150]}"
            yield Evidence(severity=severity, member=layer.member, line=layer.line, context=layer.context, text=text)
    for hit in facts.hits:
        if hit.rule != RULE.id or hit.layer:
            continue
        grade = _severity(hit.text, hit.context, runs.get(hit.member, []))
        if grade is not None:
            yield Evidence(severity=grade, member=hit.member, line=hit.line, context=hit.context, text=hit.text)


def _severity(text: str, context: Context, runs: list[Call]) -> Severity | None:
    if "pyarmor" in text:
        # Some vendors protect their products with it. What cannot be read cannot be cleared either.
        return graded(context, automatic=Severity.HIGH, on_call=Severity.MEDIUM)
    automatic = [call for call in runs if call.context.automatic]
    if not automatic:
        return None
    if any(call.origins_of(Taint.DECODED) or call.hidden for call in automatic) or "lambda" in text or "exec" in text:
        return Severity.CRITICAL
    return Severity.HIGH if _NAME.search(text) else Severity.MEDIUM


RULE = Rule(
    id="packed-code",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.DEFENSE_EVASION,
    message="The module was made by a packer: a blob, unpacked in several layers and executed.",
    reference="https://attack.mitre.org/techniques/T1027/002/",
    check=check,
    yara=YARA,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import base64

                exec(base64.b64decode('aW1wb3J0IGJhc2U2NApleGVjKGJhc2U2NC5iNjRkZWNvZGUoJ2FXMXdiM0owSUdKaGMyVTJOQXBsZUdWaktHSmhjMlUyTkM1aU5qUmtaV052WkdVb0oyTklTbkJpYmxGdlNXMXNkR0ZZVW1oa1IyeDJZbWxKY0NjcEtRPT0nKSk='))
            """),
        ),
        benign=(
            Sample.imported(
                'TABLE = b"' + r"\x00\x01\x7f\x80" * 150 + '"\n\n\ndef first():\n    return TABLE[0]\n',
            ),
        ),
    ),
)
