"""Code that comes out of a decoder and is run."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint

_RUNS = frozenset({"exec", "eval", "types.FunctionType", "execfile"})
# Turning one character into its number and back is arithmetic, not yet concealment.
_WEAK_DECODERS = frozenset({"chr", "xor"})


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.RUN_CODE):
        decoders = call.origins_of(Taint.DECODED)
        if call.name not in _RUNS or not decoders or not call.arguments or not call.arguments[0].has(Taint.DECODED):
            continue
        severity = _severity(call, all(origin.what in _WEAK_DECODERS for origin in decoders))
        if severity is not None:
            text = call.arguments[0].text or call.text
            yield Evidence.of_call(
                call,
                severity,
                f"{call.name} of {told(decoders)}: {text}" if text else f"{call.name} of {told(decoders)}",
            )


def _severity(call: Call, weak: bool) -> Severity | None:
    if call.arguments[0].known:
        # The text stands in the file and was hidden there: there is no honest reason for that.
        return graded(call.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=Severity.HIGH)
    if weak:
        return graded(call.context, automatic=Severity.HIGH, entry=Severity.LOW, on_call=Severity.LOW)
    automatic = Severity.HIGH if call.context is Context.IMPORT and call.name == "eval" else Severity.CRITICAL
    return graded(call.context, automatic=automatic, entry=Severity.LOW, on_call=Severity.LOW)


RULE = Rule(
    id="decoded-code-executed",
    version=2,
    severity=Severity.CRITICAL,
    tactic=Tactic.DEFENSE_EVASION,
    message="Text that comes out of a decoder is executed as code: what it does was meant not to be read.",
    reference="https://attack.mitre.org/techniques/T1140/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.installed("""
                from base64 import b64decode as unwrap
                from setuptools import setup

                exec(unwrap("cHJpbnQoImltaXRhdGlvbiIp"))
                setup(name="widget", version="1")
            """),
        ),
        benign=(
            Sample.imported('''
                """Decodes a picture, and runs nothing of it."""

                import base64

                PIXEL = base64.b64decode("cHJpbnQoImltaXRhdGlvbiIp")


                def evaluate(expression):
                    return eval(expression, {"__builtins__": {}})
            '''),
        ),
    ),
)
