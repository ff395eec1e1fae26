"""One scan, in this process: bytes in, report out."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import BinaryIO

from wheelmark.dist import Bounds
from wheelmark.scan.bounds import MIB, ScanBounds
from wheelmark.scan.contents import read_contents
from wheelmark.scan.facts import Facts
from wheelmark.scan.flow import shown_layers
from wheelmark.scan.gather import gather
from wheelmark.scan.report import Finding, Report, Verdict
from wheelmark.scan.ruleset import RuleSet
from wheelmark.scan.verdict import score_of, verdict_of

MAX_FINDINGS_OF_RULE = 25
MAX_REASON = 500

# Tighter than what an upload may be: members are only read in part, but every compressed byte is gone through.
ARCHIVE_BOUNDS = Bounds(max_member_bytes=2048 * MIB, max_total_bytes=4096 * MIB)


def scan_file(path: Path, *, filename: str | None = None, ruleset: RuleSet, bounds: ScanBounds) -> Report:
    """Scan one distribution.

    Everything but `elapsed_ms` depends only on the bytes, the file name, the rule set and the bounds. Untrusted bytes
    are parsed in this process: whoever does not control them calls this through `IsolatedScanner`.

    Raises: OSError when the file cannot be read.
    """
    with path.open("rb") as stream:
        return scan_stream(stream, filename=filename or path.name, ruleset=ruleset, bounds=bounds)


def scan_stream(stream: BinaryIO, *, filename: str, ruleset: RuleSet, bounds: ScanBounds) -> Report:
    """Scan one distribution that is open for reading and can seek. As `scan_file`."""
    started = time.perf_counter()
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO lacks readinto in typeshed
    stream.seek(0)
    contents = read_contents(stream, filename=filename, bounds=bounds, archive_bounds=ARCHIVE_BOUNDS)
    facts = gather(contents, filename=filename, bounds=bounds, patterns=ruleset.patterns)
    findings = judge(facts, ruleset, max_findings=bounds.max_findings)
    reason = "; ".join(facts.gaps)[:MAX_REASON] or None
    return Report(
        file=filename,
        sha256=sha256,
        verdict=verdict_of(findings, complete=reason is None),
        score=score_of(findings),
        findings=findings,
        elapsed_ms=round((time.perf_counter() - started) * 1000, 1),
        ruleset=ruleset.version,
        incomplete_reason=reason,
        layers=shown_layers(facts.layers),
    )


def judge(facts: Facts, ruleset: RuleSet, *, max_findings: int) -> tuple[Finding, ...]:
    """What the rules say of the facts, the gravest first."""
    findings: list[Finding] = []
    for rule in ruleset.rules:
        findings.extend(rule.findings(facts, MAX_FINDINGS_OF_RULE))
    findings.sort(key=lambda finding: (-finding.severity.rank, finding.rule, finding.member, finding.line))
    return tuple(findings[:max_findings])


def incomplete(filename: str, sha256: str, ruleset: str, reason: str, elapsed_ms: float) -> Report:
    """The report of a scan that did not come to an end."""
    return Report(
        file=filename,
        sha256=sha256,
        verdict=Verdict.INCOMPLETE,
        score=0.0,
        findings=(),
        elapsed_ms=elapsed_ms,
        ruleset=ruleset,
        incomplete_reason=reason[:MAX_REASON],
    )
