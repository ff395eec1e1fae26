"""A command that is kept out of sight until it is run."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS):
        if call.layer or not call.arguments:
            continue
        command = call.arguments[0]
        # Only what was computed stood in the file; what a server or a user sends encoded is another subject.
        parts = [value for value in (command, *command.items) if value.known and value.has(Taint.DECODED)]
        text = " ".join(value.text for value in parts)
        if not any(character.isalpha() for character in text):
            continue
        severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=Severity.HIGH)
        if severity is not None:
            decoders = [origin for value in parts for origin in sorted(value.origins) if origin.taint is Taint.DECODED]
            yield Evidence.of_call(call, severity, f"{call.name} of {text[:160]}, out of {told(decoders)}")


RULE = Rule(
    id="hidden-command",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.DEFENSE_EVASION,
    message="A program is started by a command that the file keeps encoded, reversed or spelled letter by letter.",
    reference="https://attack.mitre.org/techniques/T1027/010/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import base64
                import subprocess


                def _plain(text):
                    return base64.b64decode(text).decode()


                def begin():
                    subprocess.run([_plain("c2xlZXA="), _plain("MTAw")])
            """),
            Sample.installed("""
                import os
                from setuptools import setup

                os.system("001 peels ohce"[::-1])
                setup(name="widget", version="1")
            """),
        ),
        benign=(
            Sample.imported("""
                import base64
                import subprocess


                def show(encoded):
                    return subprocess.run(["less"], input=base64.b64decode(encoded), check=True)


                def branch():
                    return subprocess.check_output(["git", "branch"]).decode("utf-8").strip()
            """),
        ),
    ),
)
