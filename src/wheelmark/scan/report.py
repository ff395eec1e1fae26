"""What a scan says: findings, a verdict, a score, and the JSON that carries them between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson

from wheelmark.scan.facts_summary import NOTHING_KNOWN, FactsSummary


class Verdict(StrEnum):
    """What the findings amount to. `INCOMPLETE` is never clean: something was not looked at."""

    BENIGN = "benign"
    SUSPICIOUS = "suspicious"
    MALICIOUS = "malicious"
    INCOMPLETE = "incomplete"


class Severity(StrEnum):
    """How much one finding says by itself; ordered from `INFO` to `CRITICAL` by `rank`."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Context(StrEnum):
    """When a piece of code runs, from "the moment of installation" to "never by itself"."""

    INSTALL = "install"  # setup.py, build hooks and in-tree backends, commands of cmdclass
    STARTUP = "startup"  # every start of the interpreter: .pth, .start, sitecustomize
    IMPORT = "import"  # a module's body and what it calls
    ENTRY = "entry"  # a console script, or the body under `if __name__ == "__main__"`
    ON_CALL = "call"  # a function that somebody has to call
    UNREACHED = "unreached"  # tests, documentation and examples that nothing imports

    @property
    def automatic(self) -> bool:
        """True where the code runs although nobody asked for what it does."""
        return self in _AUTOMATIC


_AUTOMATIC = frozenset({Context.INSTALL, Context.STARTUP, Context.IMPORT})


class Tactic(StrEnum):
    """The MITRE ATT&CK tactic that a rule gives evidence of."""

    EXECUTION = "TA0002 Execution"
    PERSISTENCE = "TA0003 Persistence"
    DEFENSE_EVASION = "TA0005 Defense Evasion"
    CREDENTIAL_ACCESS = "TA0006 Credential Access"
    COLLECTION = "TA0009 Collection"
    EXFILTRATION = "TA0010 Exfiltration"
    COMMAND_AND_CONTROL = "TA0011 Command and Control"
    IMPACT = "TA0040 Impact"


class StepKind(StrEnum):
    """The part that one step plays on the way of a value."""

    SOURCE = "source"  # where it came from: the environment, a file, the network
    TRANSFORM = "transform"  # what was done with it: decoded, written to a file
    SINK = "sink"  # the call that it reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step on the way of a value from where it came from to what was done with it."""

    kind: StepKind
    what: str  # the name of the function, or the path; bounded, printable
    member: str
    line: int  # 1-based; 0 when it speaks of the whole member


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedLayer:
    """Code that the code decodes and executes, as far as it is shown to people."""

    member: str
    line: int  # of the outermost call that executes it
    depth: int  # 1 for what the code as written decodes, 2 for what that decodes, and so on
    decoders: tuple[str, ...]  # in the order in which they were applied
    text: str  # an excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's evidence at one place."""

    rule: str
    severity: Severity
    member: str  # path inside the distribution
    line: int  # 1-based; 0 when the finding speaks of the whole member
    message: str  # one sentence for people
    evidence: str  # what was seen, bounded, printable
    tactic: Tactic | None = None  # None: read from the short form of the JSON
    context: Context | None = None
    flow: tuple[Step, ...] = ()  # from sources through transforms to the sink; empty where the rule knows of none


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that the model counts for its score, in words."""

    what: str  # one clause for people
    effect: float  # its share of the whole case, 0 to 1
    member: str = ""  # where to look; "" when it speaks of the whole distribution
    line: int = 0  # 1-based; 0 when it speaks of the whole member
    needed: bool = False  # one of a smallest set without which the verdict would have been milder


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicPart:
    """Says that a report has findings of a dynamic look, which depend on the machine, too."""

    python: str  # the version that ran it
    phases: tuple[Context, ...]  # what was run; empty when nothing was
    notes: tuple[str, ...] = ()  # what was not run, and why

    def to_mapping(self) -> dict[str, object]:
        """As it stands in a report's JSON."""
        return {"python": self.python, "phases": [phase.value for phase in self.phases], "notes": list(self.notes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one scan of one file says.

    Everything but `elapsed_ms` is a function of the bytes and the rule set, where there is no dynamic part.
    """

    file: str
    sha256: str
    verdict: Verdict
    score: float  # 0 (nothing found) to 1
    findings: tuple[Finding, ...]
    elapsed_ms: float
    ruleset: str  # version of the rule set, which includes the model's
    incomplete_reason: str | None = None
    layers: tuple[DecodedLayer, ...] = ()  # what decoded code says, a few of them, in excerpts
    model: str = ""  # version of the model; "" for a report of a time before there was one
    reasons: tuple[Reason, ...] = ()  # what the score rests on, the weightiest first; none for a benign file
    facts: FactsSummary = (
        NOTHING_KNOWN  # what the file holds and does, in short, for comparing it with the next release
    )
    dynamic: DynamicPart | None = None  # None: nothing of the file was run

    def to_json(self, *, with_context: bool = False) -> bytes:
        """One line of JSON without a newline; `incomplete_reason`, `reasons` and `dynamic` only when there are any.

        The names of the fields are fixed: scripts and other tools read them. `with_context` adds the `tactic`,
        `context` and `flow` of each finding, the decoded layers and the summary of the facts, so that `from_json` gives
        back the same report.
        """
        document: dict[str, object] = {
            "file": self.file,
            "sha256": self.sha256,
            "verdict": self.verdict.value,
            "score": self.score,
            "findings": [_finding_to_mapping(finding, with_context) for finding in self.findings],
            "elapsed_ms": self.elapsed_ms,
            "ruleset": self.ruleset,
            "model": self.model,
        }
        if self.reasons:
            document["reasons"] = [_reason_to_mapping(reason) for reason in self.reasons]
        if self.incomplete_reason is not None:
            document["incomplete_reason"] = self.incomplete_reason
        if self.dynamic is not None:
            document["dynamic"] = self.dynamic.to_mapping()
        if with_context:
            document["layers"] = [_layer_to_mapping(layer) for layer in self.layers]
            document["facts"] = self.facts.to_mapping()
        return orjson.dumps(document)

    @classmethod
    def from_json(cls, line: bytes) -> Report:
        """The report that `to_json` wrote, now or before there was a model. Raises: ValueError for anything else."""
        try:
            document = orjson.loads(line)
            reason = document.get("incomplete_reason")
            return cls(
                file=_text(document["file"]),
                sha256=_text(document["sha256"]),
                verdict=Verdict(document["verdict"]),
                score=float(document["score"]),
                findings=tuple(finding_from_mapping(each) for each in document["findings"]),
                elapsed_ms=float(document["elapsed_ms"]),
                ruleset=_text(document["ruleset"]),
                incomplete_reason=None if reason is None else _text(reason),
                layers=tuple(_layer_from_mapping(each) for each in document.get("layers", ())),
                model=_text(document.get("model", "")),
                reasons=tuple(_reason_from_mapping(each) for each in document.get("reasons", ())),
                facts=FactsSummary.from_mapping(document.get("facts", {})),
                dynamic=_dynamic_from_mapping(document.get("dynamic")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"expected a report as one JSON object, got {line[:80]!r}") from error


def _finding_to_mapping(finding: Finding, with_context: bool) -> dict[str, object]:
    document: dict[str, object] = {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "member": finding.member,
        "line": finding.line,
        "message": finding.message,
        "evidence": finding.evidence,
    }
    if with_context:
        document["tactic"] = finding.tactic
        document["context"] = finding.context
        document["flow"] = [
            {"kind": step.kind, "what": step.what, "member": step.member, "line": step.line} for step in finding.flow
        ]
    return document


def _reason_to_mapping(reason: Reason) -> dict[str, object]:
    return {
        "what": reason.what,
        "effect": reason.effect,
        "member": reason.member,
        "line": reason.line,
        "needed": reason.needed,
    }


def _reason_from_mapping(document: Mapping[str, object]) -> Reason:
    return Reason(
        what=_text(document["what"]),
        effect=_share(document["effect"]),
        member=_text(document["member"]),
        line=_number(document["line"]),
        needed=document["needed"] is True,
    )


def finding_from_mapping(document: Mapping[str, object]) -> Finding:
    """A finding as a report's JSON has it. Raises: KeyError, TypeError or ValueError for anything else."""
    tactic, context, flow = document.get("tactic"), document.get("context"), document.get("flow", ())
    if not isinstance(flow, (list, tuple)):
        raise TypeError(f"expected a list of steps, got {flow!r}")
    tactic, context = document.get("tactic"), document.get("context")
    return Finding(
        rule=_text(document["rule"]),
        severity=Severity(_text(document["severity"])),
        member=_text(document["member"]),
        line=_number(document["line"]),
        message=_text(document["message"]),
        evidence=_text(document["evidence"]),
        tactic=None if tactic is None else Tactic(_text(tactic)),
        context=None if context is None else Context(_text(context)),
        flow=tuple(_step_from_mapping(each) for each in flow),
    )


def _step_from_mapping(document: Mapping[str, object]) -> Step:
    return Step(
        kind=StepKind(_text(document["kind"])),
        what=_text(document["what"]),
        member=_text(document["member"]),
        line=_number(document["line"]),
    )


def _layer_to_mapping(layer: DecodedLayer) -> dict[str, object]:
    return {
        "member": layer.member,
        "line": layer.line,
        "depth": layer.depth,
        "decoders": list(layer.decoders),
        "text": layer.text,
    }


def _layer_from_mapping(document: Mapping[str, object]) -> DecodedLayer:
    decoders = document["decoders"]
    if not isinstance(decoders, list):
        raise TypeError(f"expected a list of decoders, got {decoders!r}")
    return DecodedLayer(
        member=_text(document["member"]),
        line=_number(document["line"]),
        depth=_number(document["depth"]),
        decoders=tuple(_text(each) for each in decoders),
        text=_text(document["text"]),
    )


def _dynamic_from_mapping(document: Mapping[str, object] | None) -> DynamicPart | None:
    if document is None:
        return None
    phases, notes = document["phases"], document["notes"]
    if not isinstance(phases, list) or not isinstance(notes, list):
        raise TypeError(f"expected lists of phases and notes, got {document!r}")
    return DynamicPart(
        python=_text(document["python"]),
        phases=tuple(Context(_text(each)) for each in phases),
        notes=tuple(_text(each) for each in notes),
    )


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _share(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"expected a share, got {value!r}")
    return float(value)
