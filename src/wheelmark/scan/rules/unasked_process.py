"""Distributions installed, programs started and folders wiped by code that nobody called."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import shown
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint

_PIP = re.compile(r"(?i)\bpip3?\b.*\binstall\b|\binstall\b.*\bpip3?\b")
_WIPES = re.compile(
    r"(?i)(\brm\s+-[rf]{2,}\s+(--no-preserve-root\s+)?(/|~|\$HOME)(\s|$|\*)|\bformat\s+c:|del\s+/[sfq]\s.*c:\\|\b(shutdown|poweroff|halt|reboot)\b\s*(/s|-h|now|$))"
)

_PROGRAM_TEXT = re.compile(r"(?i)\bpython[\d.]*\b.*\s-c\s")


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS, Act.INSTALL):
        if not call.context.automatic:
            continue
        severity = _severity(call)
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


def _severity(call: Call) -> Severity | None:
    text = call.text
    if _WIPES.search(text):
        return Severity.CRITICAL
    if call.arguments and call.arguments[0].has(Taint.DECODED):
        # What was hidden in the file itself is graver than what comes in encoded while it runs.
        return Severity.CRITICAL if call.arguments[0].text else Severity.MEDIUM
    if call.act is Act.INSTALL or _PIP.search(text):
        return Severity.MEDIUM if call.context is Context.INSTALL else Severity.LOW
    if call.name == "os.startfile":
        return Severity.HIGH
    if call.context is Context.IMPORT and call.name == "subprocess.Popen" and _PROGRAM_TEXT.search(text):
        return Severity.HIGH
    if call.context is Context.STARTUP:
        return Severity.HIGH
    return None


RULE = Rule(
    id="unasked-process",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.IMPACT,
    message="Code that nobody called starts a process that it hides, installs something else, or destroys files.",
    reference="https://attack.mitre.org/techniques/T1059/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import base64
                import os

                os.system(base64.b64decode("ZWNobyBpbWl0YXRpb24=").decode())
            """),
            Sample.imported("""
                import subprocess

                subprocess.Popen(["python3", "-c", "import json"])
            """),
        ),
        benign=(
            Sample.imported("""
                import subprocess
                import sys


                def ensure(requirement):
                    subprocess.check_call([sys.executable, "-m", "pip", "install", requirement])
            """),
            Sample.wheel(
                {
                    "widget/worker.py": """
                        import base64
                        import subprocess
                        import sys


                        def serve():
                            for line in sys.stdin:
                                subprocess.run(base64.b64decode(line).split(), check=False)
                    """,
                }
            ),
        ),
    ),
)
