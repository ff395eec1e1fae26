"""Many files at a time, each in a confined process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from wheelmark.scan.engine import incomplete
from wheelmark.scan.isolated import IsolatedScanner, sayable
from wheelmark.scan.options import MAX_JOBS
from wheelmark.scan.report import Report

DISTRIBUTION_SUFFIXES = (".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar", ".egg")


@dataclass(frozen=True, slots=True)
class Target:
    """A file to scan, and what it is called: to people, and to the scanner, which tells wheels and sdists by names."""

    path: Path
    shown: str
    filename: str
    root: str = ""  # a folder that stands before all members and means nothing to people

    @classmethod
    def of(cls, path: Path) -> Target:
        """A file under its own name."""
        return cls(path, sayable(str(path)), path.name)


def distributions_in(path: Path) -> list[Path]:
    """The files to scan for one argument: itself, even when missing, or what a folder holds."""
    if not path.is_dir():
        return [path]
    return sorted(
        found for found in path.rglob("*") if found.name.lower().endswith(DISTRIBUTION_SUFFIXES) and found.is_file()
    )


def scan_all(targets: Sequence[Target], *, jobs: int, rules: Sequence[Path] = ()) -> Iterator[Report]:
    """The reports in the order of the targets, `jobs` at a time. `file` is what each target is called to people.

    Raises: Unavailable before the first report when no scanner starts, as with a rule that cannot be loaded.
    """
    if not targets:
        return
    scanners: SimpleQueue[IsolatedScanner] = SimpleQueue()
    everything = [IsolatedScanner(rules=rules) for _ in range(max(1, min(jobs, len(targets), MAX_JOBS)))]
    for scanner in everything:
        scanners.put(scanner)

    def scan(target: Target) -> Report:
        scanner = scanners.get()
        try:
            if not target.path.is_file():
                return incomplete(target.shown, "", "", "unreadable: no such file", 0.0)
            report = replace(scanner.scan(target.path, target.filename), file=target.shown)
            return without_root(report, target.root) if target.root else report
        finally:
            scanners.put(scanner)

    try:
        everything[0].ruleset()
        with ThreadPoolExecutor(len(everything)) as pool:
            yield from pool.map(scan, targets)
    finally:
        for scanner in everything:
            scanner.close()


def without_root(report: Report, root: str) -> Report:
    """The same report with the paths of a source tree as they are there. Doing it twice changes nothing."""
    return replace(
        report,
        findings=tuple(
            replace(
                finding,
                member=finding.member.removeprefix(root),
                flow=tuple(replace(step, member=step.member.removeprefix(root)) for step in finding.flow),
            )
            for finding in report.findings
        ),
        layers=tuple(replace(layer, member=layer.member.removeprefix(root)) for layer in report.layers),
        reasons=tuple(replace(reason, member=reason.member.removeprefix(root)) for reason in report.reasons),
    )
