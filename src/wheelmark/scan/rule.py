"""What a rule is: an identity, a judgement about one kind of evidence, and where to read about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from wheelmark.scan.facts import Call, Facts
from wheelmark.scan.flow import flow_of, printable
from wheelmark.scan.report import Context, Finding, Severity, Step, Tactic
from wheelmark.scan.samples import Samples
from wheelmark.scan.values import Origin

MAX_EVIDENCE = 300
MAX_MESSAGE = 400


class RuleState(StrEnum):
    """Whether a rule's findings count."""

    ENABLED = "enabled"
    EVALUATION = "evaluation"  # runs and is reported as info: its precision is being measured
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One place where a rule's predicate holds. The rule turns it into a finding."""

    severity: Severity
    member: str
    line: int
    context: Context
    text: str
    message: str = ""  # instead of the rule's own, when there is more to say
    flow: tuple[Step, ...] = ()

    @classmethod
    def of_call(
        cls, call: Call, severity: Severity, text: str, message: str = "", *, origins: Iterable[Origin] | None = None
    ) -> Evidence:
        """Evidence at a call, with the way of what reaches it: of everything, or of what has these origins."""
        return cls(
            severity=severity,
            member=call.member,
            line=call.line,
            context=call.context,
            text=text,
            message=message,
            flow=flow_of(call, origins),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `check` is a pure function of the facts; `yara`, where given, makes `facts.hits` of the same name."""

    id: str  # lower case, words joined by hyphens; never renamed
    version: int  # rises with every change of what it finds
    severity: Severity  # the most that it can say
    tactic: Tactic
    message: str
    reference: str
    check: Callable[[Facts], Iterable[Evidence]]
    state: RuleState = RuleState.ENABLED
    yara: str = ""
    samples: Samples = field(default=Samples(), compare=False)
    kept_because: str = ""  # for readers: why it is kept though hardly any known malware shows it, and who described it
    origin: str = ""  # where the rule was loaded from; set by the loader, part of the version of the rule set

    def findings(self, facts: Facts, limit: int) -> list[Finding]:
        """What the rule says of a distribution: the gravest first, at most `limit`."""
        found: dict[tuple[str, int], Finding] = {}
        for evidence in self.check(facts):
            finding = self._finding(evidence)
            known = found.get((finding.member, finding.line))
            if known is None or known.severity.rank < finding.severity.rank:
                found[finding.member, finding.line] = finding
        ordered = sorted(found.values(), key=lambda finding: (-finding.severity.rank, finding.member, finding.line))
        return ordered[:limit]

    def _finding(self, evidence: Evidence) -> Finding:
        severity = evidence.severity if evidence.severity.rank <= self.severity.rank else self.severity
        return Finding(
            rule=self.id,
            severity=Severity.INFO if self.state is RuleState.EVALUATION else severity,
            member=evidence.member,
            line=evidence.line,
            message=(evidence.message or self.message)[:MAX_MESSAGE],
            evidence=printable(evidence.text, MAX_EVIDENCE),
            tactic=self.tactic,
            context=evidence.context,
            flow=evidence.flow,
        )
