"""Many files at a time, each in a confined process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from wheelmark.scan.engine import incomplete
from wheelmark.scan.isolated import IsolatedScanner
from wheelmark.scan.options import MAX_JOBS
from wheelmark.scan.report import Report

DISTRIBUTION_SUFFIXES = (".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar", ".egg")


@dataclass(frozen=True, slots=True)
class Target:
    """A file to scan, and what it is called: to people, and to the scanner, which tells wheels and sdists by names."""

    path: Path
    shown: str
    filename: str

    @classmethod
    def of(cls, path: Path) -> Target:
        """A file under its own name."""
        return cls(path, str(path), path.name)


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
            return replace(scanner.scan(target.path, target.filename), file=target.shown)
        finally:
            scanners.put(scanner)

    try:
        everything[0].ruleset()
        with ThreadPoolExecutor(len(everything)) as pool:
            yield from pool.map(scan, targets)
    finally:
        for scanner in everything:
            scanner.close()
