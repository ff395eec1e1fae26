"""Protection that is switched off: antivirus, firewall, consent, script inspection, logs, and what could undo harm."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import shown
from wheelmark.scan.samples import Sample, Samples

# What only somebody who has something to hide does to a machine that is not his own.
_HIDES = re.compile(
    r"(?i)Set-MpPreference\b.*-Disable|Add-MpPreference\b.*-Exclusion|DisableRealtimeMonitoring|DisableAntiSpyware|"
    r"\b(sc|net)(\.exe)?\s+(stop|delete|config)\s+\"?(WinDefend|wscsvc|SecurityHealthService|Sense)\b|MpCmdRun(\.exe)?\"?\s+-RemoveDefinitions|"
    r"Amsi(ScanBuffer|InitFailed|Utils)|\bEnableLUA\b|ConsentPromptBehaviorAdmin|DisableTaskMgr|DisableRegistryTools|"
    r"wevtutil(\.exe)?\s+cl\b|Clear-EventLog|vssadmin(\.exe)?\s+delete\s+shadows|wbadmin\s+delete|recoveryenabled\s+no|"
    r"taskkill\b[^&|]*\b(MsMpEng|avastui|avgui|avp|mbam|bdagent|ekrn|wireshark|httpdebugger\w*|processhacker|procmon)\b|"
    r"\bEtwEventWrite\b"
)
# What administrators do as well.
_OPENS = re.compile(
    r"(?i)netsh\s+(advfirewall\s+set\s+\w+\s+state\s+off|firewall\s+set\s+opmode\s+disable)|\bufw\s+disable\b|\bsetenforce\s+0\b|"
    r"systemctl\s+(stop|disable)\s+(firewalld|ufw|apparmor|auditd)|\biptables\s+-F\b|spctl\s+--master-disable|"
    r"Set-ExecutionPolicy\s+(Bypass|Unrestricted)\b.*-Force"
)


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS, Act.REGISTER, Act.NATIVE):
        severity = _severity(call)
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


def _severity(call: Call) -> Severity | None:
    if call.context is Context.UNREACHED:
        return None
    text = f"{call.name} {call.text}"
    if _HIDES.search(text):
        return Severity.CRITICAL if call.context.automatic else Severity.HIGH
    if call.act is Act.START_PROCESS and _OPENS.search(text):
        return Severity.HIGH if call.context.automatic else Severity.LOW
    return None


RULE = Rule(
    id="defences-disabled",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.DEFENSE_EVASION,
    message="Antivirus, firewall, consent, script inspection, logs or backups are switched off or wiped.",
    reference="https://attack.mitre.org/techniques/T1562/001/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import subprocess

                subprocess.run(["powershell", "-Command", "Add-MpPreference -ExclusionPath C:\\\\imitation"])
            """),
            Sample.imported("""
                import os

                def _quiet():
                    os.system("netsh advfirewall set allprofiles state off")


                _quiet()
            """),
        ),
        benign=(
            Sample.imported('''
                import subprocess


                def firewall_state():
                    """Ask, and change nothing."""
                    return subprocess.check_output(["netsh", "advfirewall", "show", "allprofiles", "state"])


                def preferences():
                    return subprocess.check_output(["powershell", "-Command", "Get-MpPreference"])
            '''),
        ),
    ),
)
