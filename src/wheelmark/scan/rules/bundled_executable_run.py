"""An executable inside a distribution that claims to be pure Python, started by its code."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples

_MIN_NAME = 4


def check(facts: Facts) -> Iterator[Evidence]:
    if not facts.is_pure:
        return
    natives = {member.path.rpartition("/")[2]: member.path for member in facts.members if member.kind == "native"}
    for call in facts.calls_of(Act.START_PROCESS, Act.NATIVE):
        text = call.text
        for name, path in natives.items():
            if len(name) >= _MIN_NAME and name in text:
                severity = graded(call.context, automatic=Severity.HIGH, entry=Severity.LOW, on_call=Severity.INFO)
                if severity is not None:
                    yield Evidence.of_call(call, severity, f"{path}: {shown(call)}")


RULE = Rule(
    id="bundled-executable-run",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.EXECUTION,
    message="A distribution for any platform brings an executable along and starts it without being asked.",
    reference="https://attack.mitre.org/techniques/T1204/002/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.wheel(
                {
                    "widget/__init__.py": """
                        import os
                        import subprocess

                        subprocess.Popen([os.path.join(os.path.dirname(__file__), "updater.exe")])
                    """,
                    "widget/updater.exe": "MZ imitation: no program\n",
                }
            ),
        ),
        benign=(
            Sample.wheel(
                {
                    "widget/__init__.py": "VERSION = 1\n",
                    "widget/updater.exe": "MZ imitation: no program\n",
                }
            ),
        ),
    ),
)
