"""`wheelmark scan rules` and `wheelmark scan test-rules`: which rules there are, and whether they keep the contract."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import orjson

from wheelmark.scan.contract import breaches
from wheelmark.scan.flow import printable
from wheelmark.scan.options import EXIT_CLEAN, EXIT_FOUND, EXIT_INCOMPLETE, add_jobs, add_rules, rules_folders
from wheelmark.scan.parallel import Target, distributions_in, scan_all
from wheelmark.scan.report import Report, Verdict
from wheelmark.scan.rule import Rule
from wheelmark.scan.rule_folder import folder_rules
from wheelmark.scan.ruleset import RuleSet, all_rules

MAX_EVIDENCE_SHOWN = 100  # characters
MAX_REASON_SHOWN = 1_000


def main_rules(argv: Sequence[str]) -> int:
    """List every rule there is; returns the exit status. Raises: as `all_rules`."""
    parser = argparse.ArgumentParser(
        prog="wheelmark scan rules",
        description="List the rules that a scan applies: built in, of installed distributions, of folders.",
        epilog="A folder that is called `rules` is scanned with `wheelmark scan ./rules`.",
    )
    add_rules(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(list(argv))
    rules = sorted(all_rules(rules_folders(options)), key=lambda rule: rule.id)
    version = RuleSet(tuple(rules)).version
    if options.json:
        for rule in rules:
            sys.stdout.buffer.write(orjson.dumps(described(rule)) + b"\n")
        return EXIT_CLEAN
    rows = [("id", "version", "severity", "tactic", "state", "origin")]
    rows += [(rule.id, str(rule.version), rule.severity, rule.tactic, rule.state, rule.origin[:60]) for rule in rules]
    _print_table(rows, sys.stdout)
    little = [rule for rule in rules if rule.kept_because]
    if little:
        print("\nKept though hardly any known malware shows them:")
    for rule in little:
        print(f"\n{rule.id}: {printable(rule.kept_because, MAX_REASON_SHOWN)}")
    print(f"\n{len(rules)} rules, rule set {version}")
    return EXIT_CLEAN


def described(rule: Rule) -> dict[str, object]:
    """A rule as it is listed: all that it is but its code and samples."""
    return {
        "id": rule.id,
        "version": rule.version,
        "severity": rule.severity.value,
        "tactic": rule.tactic.value,
        "state": rule.state.value,
        "message": rule.message,
        "reference": rule.reference,
        "origin": rule.origin,
        "kept_because": rule.kept_because,
    }


def main_test(argv: Sequence[str]) -> int:
    """Run the contract; returns 0 when it holds, 1 when a rule breaks it, 2 when something could not be looked at.

    Raises: WheelmarkError and RuntimeError when rules cannot be loaded.
    """
    parser = argparse.ArgumentParser(
        prog="wheelmark scan test-rules",
        description="See that rules find their malicious samples and leave their benign ones alone.",
        epilog="Exit status: 0 the contract holds; 1 a rule breaks it; 2 a rule or a distribution could not be read.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="a folder of rules (default: the rules that are installed)"
    )
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="also say what the rules find in distributions that you trust: each is a false alarm",
    )
    add_jobs(parser)
    options = parser.parse_args(list(argv))
    folders = [options.folder] if options.folder is not None else []
    everything = all_rules(folders)
    tested = everything if options.folder is None else folder_rules(options.folder)
    ruleset = RuleSet(everything)
    broken = 0
    for rule in tested:
        told = breaches(rule, ruleset)
        broken += bool(told)
        samples = f"{len(rule.samples.malicious)} malicious, {len(rule.samples.benign)} benign samples"
        print(f"{'BROKEN' if told else 'holds ':<7} {rule.id} {rule.version} ({rule.state.value}; {samples})")
        for breach in told:
            print(f"        {printable(breach)}")
    print(f"\n{len(tested)} rules, {broken} break the contract")
    status = EXIT_FOUND if broken else EXIT_CLEAN
    if options.against:
        reports = list(scan_all(_targets(options.against), jobs=options.jobs, rules=folders))
        tell_findings(reports, tested, sys.stdout)
        if any(report.verdict is Verdict.INCOMPLETE for report in reports) or not reports:
            return EXIT_INCOMPLETE
    return status


def tell_findings(reports: Sequence[Report], rules: Sequence[Rule], stream: TextIO) -> None:
    """What each rule found in distributions, by name; and what was not read, so that no gap passes for silence."""
    print(f"\nIn {len(reports)} distributions:", file=stream)
    for rule in rules:
        found = [(report, finding) for report in reports for finding in report.findings if finding.rule == rule.id]
        files = len({report.file for report, _ in found})
        print(f"  {rule.id}: {len(found)} findings in {files} distributions", file=stream)
        for report, finding in found:
            file, member = printable(Path(report.file).name), printable(finding.member)
            place = f"{file}  {member}:{finding.line}"
            print(f"    {finding.severity.value:<9}{place}  {finding.evidence[:MAX_EVIDENCE_SHOWN]}", file=stream)
    for report in reports:
        if report.incomplete_reason is not None:
            reason = printable(report.incomplete_reason)
            print(f"  not looked at in full: {printable(Path(report.file).name)}: {reason}", file=stream)


def _targets(folders: Sequence[Path]) -> list[Target]:
    return [Target.of(path) for folder in folders for path in distributions_in(folder)]


def _print_table(rows: Sequence[tuple[str, ...]], stream: TextIO) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=stream)
