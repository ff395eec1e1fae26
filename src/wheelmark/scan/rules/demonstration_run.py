"""Programs that only show that code has run: a calculator, an editor, an empty shell, a mark left for its author."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import shown
from wheelmark.scan.samples import Sample, Samples

# The whole command, and nothing for the program to work on: an editor that opens a file may have a reason.
_DESKTOP = re.compile(
    r"(?i)^\s*((cmd(\.exe)?\s+/c\s+)?start\s+|open\s+-a\s+)?([a-z]:\\[\w\\ .-]{0,60}\\|/(usr/)?bin/)?"
    r"(calc|notepad|mspaint|xcalc|gnome-calculator|kcalc|calculator)(\.exe|\.app)?[\s&]*$"
)
_BARE_SHELL = re.compile(r"(?i)^\s*(/bin/|/usr/bin/)?(sh|bash|zsh|cmd(\.exe)?|powershell(\.exe)?)\s*$")
_MARK = re.compile(r"(?i)\b(touch\s+|(echo|id|whoami|hostname|date)\b[^|;&]{0,80}>{1,2}\s*)/tmp/[\w.-]+\s*$")
_SWITCHES = re.compile(r"(\s(True|False|None|-?\d+))+\s*$")  # options of the call, such as `shell=True`


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS):
        severity = _severity(call) if call.context.automatic else None
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


def _severity(call: Call) -> Severity | None:
    command = _SWITCHES.sub("", call.text)
    if _DESKTOP.search(command):
        return Severity.CRITICAL
    installing = call.context in (Context.INSTALL, Context.STARTUP)
    if not _fed(call) and _BARE_SHELL.search(command):
        return Severity.CRITICAL if installing else Severity.HIGH
    return Severity.HIGH if installing and _MARK.search(command) else None


def _fed(call: Call) -> bool:
    """True when a shell is given something to do by another way than its command line."""
    return len(call.arguments) > 1 or any(name in {"input", "stdin", "executable"} for name, _ in call.keywords)


RULE = Rule(
    id="demonstration-run",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXECUTION,
    message="Code that nobody called starts a program that is of no use to it, as a proof that it could.",
    reference="https://attack.mitre.org/techniques/T1059/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.installed("""
                import os
                from setuptools import setup

                os.system("calc.exe")
                setup(name="widget", version="1")
            """),
            Sample.imported("""
                import subprocess

                subprocess.Popen(["notepad"])
            """),
            Sample.installed("""
                import subprocess
                from setuptools import setup

                subprocess.call("/bin/sh", shell=True)
                setup(name="widget", version="1")
            """),
            Sample.installed("""
                import os
                from setuptools import setup

                setup(name="widget", version="1")
                os.system("touch /tmp/widget.txt")
            """),
        ),
        benign=(
            Sample.imported("""
                import subprocess


                def edit(path):
                    subprocess.run(["notepad", path], check=False)


                def shell():
                    subprocess.call("/bin/sh")
            """),
            Sample.installed("""
                import os
                import subprocess
                import sys
                from setuptools import setup

                subprocess.run(["sh", "configure.sh"], check=True)
                subprocess.run(["touch", "build/stamp"], check=True)
                subprocess.Popen(["sh"], stdin=subprocess.PIPE).communicate(b"make")
                os.execl("/bin/sh", "sh", "-c", "make")
                for script in sys.argv:
                    subprocess.run(["bash", script], check=True)
                    subprocess.run(["cmd", *script], check=True)
                    subprocess.run("bash " + script, shell=True)
                    subprocess.run(f"notepad {script}", shell=True)
                setup(name="widget", version="1")
            """),
            Sample.imported("""
                import subprocess

                VERSION = subprocess.run(["libcalc", "--version"], capture_output=True).stdout
                TABLE = subprocess.run(["python3", "-m", "calc"], capture_output=True).stdout
                SUMS = subprocess.run(["./calc"], capture_output=True).stdout
            """),
        ),
    ),
)
