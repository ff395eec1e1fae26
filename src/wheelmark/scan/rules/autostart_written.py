"""Something put where the system starts it by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples

_PLACE = re.compile(
    r"(?i)(Start Menu[\\/]+Programs[\\/]+Startup|CurrentVersion[\\/]+Run(Once)?\b|"
    r"/etc/(cron|systemd|init\.d|rc\.local|profile)|Library/LaunchAgents|"
    r"\.config/(autostart|systemd)|(^|[/~\s])\.(bashrc|zshrc|bash_profile|profile)\b)"
)
_COMMAND = re.compile(
    r"(?i)(schtasks(\.exe)?\s+/create|\bcrontab\s+-|reg(\.exe)?\s+add\s+.*CurrentVersion[\\/]+Run|systemctl\s+enable|launchctl\s+load)"
)


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.WRITE, Act.REGISTER, Act.START_PROCESS, Act.DOWNLOAD, Act.READ):
        if not _persists(call):
            continue
        severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.MEDIUM, on_call=Severity.LOW)
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


def _persists(call: Call) -> bool:
    if call.act is Act.START_PROCESS:
        return _COMMAND.search(call.text) is not None
    if call.act is Act.READ:
        # Opened for writing: the write itself may go through a name we lose.
        mode = call.arguments[1].text if len(call.arguments) > 1 else ""
        return (
            call.name == "open"
            and any(letter in mode for letter in "wa")
            and _PLACE.search(call.arguments[0].text) is not None
        )
    return _PLACE.search(f"{call.receiver.text} {call.text}") is not None


RULE = Rule(
    id="autostart-written",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.PERSISTENCE,
    message="Something is put where the system starts it by itself: autostart folder, Run key, cron, shell profile.",
    reference="https://attack.mitre.org/techniques/T1547/001/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported(r"""
                import os

                _place = os.path.expanduser("~/.config/autostart/sample.desktop")
                with open(_place, "w") as file:
                    file.write("[Desktop Entry]\nExec=true\n")
            """),
        ),
        benign=(
            Sample.imported('''
                import os


                def is_completed():
                    """True when the shell profile loads our completion."""
                    with open(os.path.expanduser("~/.bashrc")) as file:
                        return "sample-complete" in file.read()
            '''),
        ),
    ),
)
