"""From observations to findings: how much each kind says, by the phase in which it was seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wheelmark.scan.dynamic.observation import Kind, Observation
from wheelmark.scan.report import Context, Finding, Severity, Tactic
from wheelmark.scan.rule import MAX_EVIDENCE

PREFIX = "dynamic-"
_INFO, _LOW, _MEDIUM, _HIGH, _CRITICAL = Severity
_ORDER = (Context.INSTALL, Context.STARTUP, Context.IMPORT)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of observation means."""

    tactic: Tactic
    install: Severity
    startup: Severity
    importing: Severity
    message: str

    def severity(self, context: Context) -> Severity:
        """How much it says in one phase."""
        return {Context.INSTALL: self.install, Context.STARTUP: self.startup}.get(context, self.importing)


# A build starts compilers and tries what they made, and a library may ask for its newest version when imported; neither
# reads keys, makes itself start again, or attaches to others.
MEANINGS: dict[Kind, Meaning] = {
    Kind.CONTACT: Meaning(
        *(Tactic.COMMAND_AND_CONTROL, _CRITICAL, _CRITICAL, _HIGH),
        "Run in a sandbox, it tried to reach the network without being asked to.",
    ),
    Kind.TRANSFER: Meaning(
        *(Tactic.COMMAND_AND_CONTROL, _CRITICAL, _CRITICAL, _HIGH),
        "Run in a sandbox, it started a program that talks to the network.",
    ),
    Kind.LISTEN: Meaning(
        *(Tactic.COMMAND_AND_CONTROL, _HIGH, _HIGH, _HIGH), "Run in a sandbox, it waited for others to connect."
    ),
    Kind.DECOY_READ: Meaning(
        *(Tactic.CREDENTIAL_ACCESS, _CRITICAL, _CRITICAL, _CRITICAL),
        "Run in a sandbox, it opened made-up secrets that were laid out there.",
    ),
    Kind.DECOY_USED: Meaning(
        *(Tactic.EXFILTRATION, _CRITICAL, _CRITICAL, _CRITICAL),
        "Run in a sandbox, it passed on a made-up secret that was laid out there.",
    ),
    Kind.AUTOSTART: Meaning(
        *(Tactic.PERSISTENCE, _CRITICAL, _CRITICAL, _CRITICAL),
        "Run in a sandbox, it arranged to be started again by itself.",
    ),
    Kind.DROPPED_RUN: Meaning(
        *(Tactic.EXECUTION, _MEDIUM, _CRITICAL, _HIGH), "Run in a sandbox, it executed a file that it had just written."
    ),
    Kind.PROCESS: Meaning(
        *(Tactic.EXECUTION, _LOW, _HIGH, _LOW), "Run in a sandbox, it started other programs without being asked to."
    ),
    Kind.MANY_PROCESSES: Meaning(
        *(Tactic.IMPACT, _LOW, _HIGH, _HIGH), "Run in a sandbox, it started very many processes."
    ),
    Kind.LEFT_RUNNING: Meaning(
        *(Tactic.PERSISTENCE, _HIGH, _HIGH, _HIGH), "Run in a sandbox, it left a process running when it was done."
    ),
    Kind.SELF_DELETE: Meaning(
        *(Tactic.DEFENSE_EVASION, _HIGH, _HIGH, _HIGH), "Run in a sandbox, it removed its own files."
    ),
    Kind.HOME_WRITTEN: Meaning(
        *(Tactic.COLLECTION, _MEDIUM, _MEDIUM, _LOW), "Run in a sandbox, it wrote among the user's own files."
    ),
    Kind.INTERFERES: Meaning(
        *(Tactic.DEFENSE_EVASION, _HIGH, _HIGH, _HIGH),
        "Run in a sandbox, it meddled with processes that are not its own.",
    ),
    Kind.ESCAPE: Meaning(
        *(Tactic.DEFENSE_EVASION, _CRITICAL, _CRITICAL, _CRITICAL),
        "Run in a sandbox, it asked the kernel for what is only needed to get out of one, or to hide.",
    ),
    Kind.STOPPED: Meaning(
        *(Tactic.EXECUTION, _INFO, _INFO, _INFO),
        "Run in a sandbox, it stopped with an error: what it would have done after that was not seen.",
    ),
}


def findings_of(observations: Iterable[Observation], most: int) -> tuple[Finding, ...]:
    """One finding for each thing that was seen, the gravest first; what several phases show is told of the first."""
    told: set[tuple[Kind, str]] = set()
    findings = []
    for each in sorted(observations, key=lambda each: (_ORDER.index(each.context), each)):
        # An import starts the interpreter, too: what its start does is not seen anew.
        if (each.kind, each.what) in told:
            continue
        told.add((each.kind, each.what))
        meaning = MEANINGS[each.kind]
        findings.append(
            Finding(
                rule=f"{PREFIX}{each.kind.value}",
                severity=meaning.severity(each.context),
                member=each.member,
                line=0,
                message=meaning.message,
                evidence=f"{each.step}: {each.what}"[:MAX_EVIDENCE],
                tactic=meaning.tactic,
                context=each.context,
            )
        )
    findings.sort(key=lambda finding: (-finding.severity.rank, finding.rule, finding.member, finding.evidence))
    return tuple(findings[:most])
