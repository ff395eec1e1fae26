"""Scan reports as a scanner would give them, and a scanner that gives what the test wants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wheelmark.scan import Context, Finding, Report, Severity, Tactic, Verdict

SHA256 = "a" * 64


def a_finding(rule: str = "rule", severity: Severity = Severity.MEDIUM) -> Finding:
    """One finding of a rule."""
    return Finding(
        rule=rule,
        severity=severity,
        member="demo/__init__.py",
        line=1,
        message="what was found",
        evidence="print('a harmless imitation')",
        tactic=Tactic.EXECUTION,
        context=Context.IMPORT,
    )


def a_report(verdict: Verdict = Verdict.BENIGN, *findings: Finding, **fields: Any) -> Report:
    """A report with this verdict."""
    defaults: dict[str, Any] = {"file": "demo-1.0-py3-none-any.whl", "sha256": SHA256, "score": 0.0, "elapsed_ms": 1.0}
    return Report(verdict=verdict, findings=findings, **{**defaults, "ruleset": "test 1", **fields})


@dataclass
class ScannerDouble:
    """Reads the bytes, as the real one does, and gives the verdict it was told to; `during` runs in the middle."""

    verdict: Verdict = Verdict.BENIGN
    findings: tuple[Finding, ...] = ()
    incomplete_reason: str | None = None
    during: Callable[[], None] = field(default=lambda: None)
    scanned: list[bytes] = field(default_factory=list)
    version: str = "test 1"

    def scan(self, path: Path, filename: str) -> Report:
        """See `IsolatedScanner`."""
        content = path.read_bytes()
        self.scanned.append(content)
        self.during()
        return a_report(
            self.verdict,
            *self.findings,
            file=filename,
            sha256=hashlib.sha256(content).hexdigest(),
            incomplete_reason=self.incomplete_reason,
            ruleset=self.version,
        )

    def ruleset(self) -> str:
        """See `IsolatedScanner`."""
        return self.version
