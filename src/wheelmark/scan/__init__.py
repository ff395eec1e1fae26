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
from wheelmark.scan.rules._common import graded, shown, told
from wheelmark.scan.ruleset import RuleSet, all_rules, load_ruleset
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Origin, Taint

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
    "Origin",
    "Reason",
    "Report",
    "Rule",
    "RuleSet",
    "RuleState",
    "Sample",
    "Samples",
    "ScanBounds",
    "Severity",
    "Step",
    "StepKind",
    "Tactic",
    "Taint",
    "Verdict",
    "WorkerLimits",
    "all_rules",
    "examine",
    "graded",
    "incomplete",
    "judge",
    "load_model",
    "load_ruleset",
    "report_on",
    "scan_file",
    "scan_stream",
    "shipped_model",
    "shown",
    "told",
]
