"""What a file does: bounded walk, facts, rules, findings, verdict. A pure function of bytes, rule set and version."""

from wheelmark.scan.bounds import ScanBounds, WorkerLimits
from wheelmark.scan.engine import Examination, examine, incomplete, judge, report_on, scan_file, scan_stream
from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.isolated import IsolatedScanner
from wheelmark.scan.model import Model, load_model, shipped_model
from wheelmark.scan.report import (
    Context,
    DecodedLayer,
    Finding,
    Reason,
    Report,
    Severity,
    Step,
    StepKind,
    Tactic,
    Verdict,
)
from wheelmark.scan.rule import Evidence, Rule, RuleState
from wheelmark.scan.ruleset import RuleSet, load_ruleset

__all__ = [
    "Act",
    "Call",
    "Context",
    "DecodedLayer",
    "Evidence",
    "Examination",
    "Facts",
    "Finding",
    "IsolatedScanner",
    "Model",
    "Reason",
    "Report",
    "Rule",
    "RuleSet",
    "RuleState",
    "ScanBounds",
    "Severity",
    "Step",
    "StepKind",
    "Tactic",
    "Verdict",
    "WorkerLimits",
    "examine",
    "incomplete",
    "judge",
    "load_model",
    "load_ruleset",
    "report_on",
    "scan_file",
    "scan_stream",
    "shipped_model",
]
