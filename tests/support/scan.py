"""Builds distributions in memory for the scanner's tests, and rules of an imagined operator: all harmless."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from wheelmark.scan import Finding, Report, RuleSet, Sample, ScanBounds, load_ruleset, scan_stream
from wheelmark.scan.samples import SDIST_NAME, WHEEL_NAME

Members = Mapping[str, str | bytes]


def a_wheel(members: Members) -> bytes:
    """A wheel with these members."""
    return Sample.wheel(members).packed()


def an_sdist(members: Members) -> bytes:
    """An sdist with these members below its top folder."""
    return Sample.sdist(members).packed()


@cache
def the_ruleset() -> RuleSet:
    """The rules that are installed."""
    return load_ruleset()


def scan_wheel(members: Members, *, bounds: ScanBounds | None = None, filename: str = WHEEL_NAME) -> Report:
    """The report on a wheel with these members."""
    stream = io.BytesIO(a_wheel(members))
    return scan_stream(stream, filename=filename, ruleset=the_ruleset(), bounds=bounds or ScanBounds())


def scan_sdist(members: Members, *, bounds: ScanBounds | None = None) -> Report:
    """The report on an sdist with these members."""
    stream = io.BytesIO(an_sdist(members))
    return scan_stream(stream, filename=SDIST_NAME, ruleset=the_ruleset(), bounds=bounds or ScanBounds())


def scan_import(source: str) -> Report:
    """The report on a wheel whose package has this body."""
    return scan_wheel({"widget/__init__.py": source})


def rules_of(report: Report) -> set[str]:
    """The ids of the rules that found something worth more than a note."""
    return {finding.rule for finding in report.findings if finding.severity.rank > 0}


def finding_of(report: Report, rule: str) -> Finding:
    """The gravest finding of a rule; fails the test when there is none."""
    found = [finding for finding in report.findings if finding.rule == rule]
    assert found, f"expected a finding of {rule}, got {[finding.rule for finding in report.findings]}"
    return found[0]


PYTHON_RULE = """
from wheelmark.scan import Act, Evidence, Rule, Sample, Samples, Severity, Tactic


def check(facts):
    for call in facts.calls_of(Act.DELETE):
        if call.context.automatic:
            yield Evidence.of_call(call, Severity.CRITICAL, f"{call.name}({call.text})")


RULE = Rule(
    id="deletes-at-import",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.IMPACT,
    message="Files are deleted by code that nobody called.",
    reference="https://attack.mitre.org/techniques/T1485/",
    check=check,
    samples=Samples(
        malicious=(Sample.imported("import shutil\\nshutil.rmtree('build')\\n"),),
        benign=(Sample.imported("import shutil\\n\\n\\ndef clean():\\n    shutil.rmtree('build')\\n"),),
    ),
)
"""

YARA_RULE = r"""
rule marker {
  meta:
    id = "marker-word"
    version = 2
    severity = "critical"
    tactic = "TA0005"
    message = "The word of the imitation stands in the code."
    reference = "https://attack.mitre.org/techniques/T1027/"
    malicious = "WORD = 'xyzzy-imitation'\n"
    benign = "WORD = 'another'\n"
  strings:
    $word = "xyzzy-imitation"
  condition:
    $word
}
"""


def a_rule_folder(folder: Path, **files: str) -> Path:
    """A folder with a rule in Python and one in YARA, or with these files instead (`_py`, `_yar` for the suffix)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files or {"deletes_at_import_py": PYTHON_RULE, "marker_word_yar": YARA_RULE}).items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return folder
