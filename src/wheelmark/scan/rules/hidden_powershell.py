"""PowerShell with an encoded command or a hidden window."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples

_POWERSHELL = re.compile(r"(?i)\b(powershell|pwsh)(\.exe)?\b")
_ENCODED = re.compile(r"(?i)\s-(e|en|enc|enco|encod|encode|encoded|encodedc\w*)\s+[\w+/=]{16,}|frombase64string")
_HIDDEN = re.compile(r"(?i)-w(indowstyle|in|i)?\s+(hidden|h|1)\b|-w\s*hidden")


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS):
        text = call.text
        if not _POWERSHELL.search(text):
            continue
        if _ENCODED.search(text):
            severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.MEDIUM, on_call=Severity.MEDIUM)
        elif _HIDDEN.search(text):
            severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.MEDIUM, on_call=Severity.LOW)
        else:
            continue
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


RULE = Rule(
    id="hidden-powershell",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXECUTION,
    message="PowerShell is started with an encoded command or in a hidden window, so that nobody sees what it does.",
    reference="https://attack.mitre.org/techniques/T1059/001/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.installed("""
                import subprocess
                from setuptools import setup

                subprocess.Popen("powershell -WindowStyle Hidden -EncodedCommand cAByAGkAbgB0ACAAaABpAA==", shell=True)
                setup(name="widget", version="1")
            """),
        ),
        benign=(
            Sample.imported('''
                import subprocess


                def paste():
                    """The text of the clipboard on Windows."""
                    command = ["powershell", "-command", "Get-Clipboard"]
                    return subprocess.run(command, capture_output=True, text=True).stdout
            '''),
        ),
    ),
)
