"""`wheelmark scan`: many files in parallel, each in a confined process; text, JSON lines or SARIF."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from wheelmark import __version__
from wheelmark.scan.console import Printer, progress_of
from wheelmark.scan.engine import incomplete
from wheelmark.scan.isolated import IsolatedScanner
from wheelmark.scan.report import Report, Verdict

EXIT_CLEAN = 0
EXIT_FOUND = 1
EXIT_INCOMPLETE = 2
MAX_JOBS = 64
DISTRIBUTION_SUFFIXES = (".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar", ".egg")
_REACHED = {
    "suspicious": frozenset({Verdict.SUSPICIOUS, Verdict.MALICIOUS}),
    "malicious": frozenset({Verdict.MALICIOUS}),
}


def main(argv: Sequence[str]) -> int:
    """Scan what was named; return 0 when all is well, 1 when something reached `--fail-on`, 2 when one was not seen."""
    options = _parser().parse_args(argv)
    paths = [found for path in options.paths for found in distributions_in(path)]
    if not paths:
        print(
            "wheelmark: expected distributions to scan, got none (folders are searched for wheels and sdists)",
            file=sys.stderr,
        )
        return EXIT_INCOMPLETE
    reports: list[Report] = []
    printer = Printer(sys.stdout)
    with progress_of(len(paths), sys.stderr) as advance:
        for report in scan_all(paths, jobs=options.jobs):
            advance(report.file)
            if options.format == "json":
                sys.stdout.buffer.write(report.to_json() + b"\n")
                sys.stdout.buffer.flush()
            elif options.format == "text":
                printer.show(report)
            reports.append(report)
    if options.format == "sarif":
        from wheelmark.scan.ruleset import load_ruleset
        from wheelmark.scan.sarif import to_sarif

        sys.stdout.buffer.write(to_sarif(reports, load_ruleset().rules, __version__) + b"\n")
    elif options.format == "text":
        printer.summarize(reports)
    return exit_status(reports, options.fail_on)


def exit_status(reports: Iterable[Report], fail_on: str) -> int:
    """What the command ends with. A finding weighs more than a gap: it calls for action now."""
    everything = list(reports)
    if any(report.verdict in _REACHED[fail_on] for report in everything):
        return EXIT_FOUND
    if any(report.verdict is Verdict.INCOMPLETE for report in everything):
        return EXIT_INCOMPLETE
    return EXIT_CLEAN


def distributions_in(path: Path) -> list[Path]:
    """The files to scan for one argument: itself, even when missing, or what a folder holds."""
    if not path.is_dir():
        return [path]
    return sorted(
        found for found in path.rglob("*") if found.name.lower().endswith(DISTRIBUTION_SUFFIXES) and found.is_file()
    )


def scan_all(paths: Sequence[Path], *, jobs: int) -> Iterator[Report]:
    """The reports in the order of the paths, `jobs` at a time. `file` is the path as it was given."""
    count = max(1, min(jobs, len(paths), MAX_JOBS))
    scanners: SimpleQueue[IsolatedScanner] = SimpleQueue()
    everything = [IsolatedScanner() for _ in range(count)]
    for scanner in everything:
        scanners.put(scanner)

    def scan(path: Path) -> Report:
        scanner = scanners.get()
        try:
            if not path.is_file():
                return incomplete(str(path), "", "", "unreadable: no such file", 0.0)
            return replace(scanner.scan(path), file=str(path))
        finally:
            scanners.put(scanner)

    try:
        with ThreadPoolExecutor(count) as pool:
            yield from pool.map(scan, paths)
    finally:
        for scanner in everything:
            scanner.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wheelmark scan",
        description="Say what distributions do, and whether they are malicious. Nothing of them is executed.",
        epilog="Exit status: 0 all scanned, nothing reached --fail-on; 1 something did; 2 one was incomplete.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a wheel, an sdist, or a folder with many")
    parser.add_argument(
        "--format",
        choices=("text", "json", "sarif"),
        default="text",
        help="text for people, or JSON lines, or SARIF 2.1.0",
    )
    parser.add_argument(
        "--fail-on",
        choices=tuple(_REACHED),
        default="malicious",
        help="the least verdict that fails (default: malicious)",
    )
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=os.cpu_count() or 1,
        metavar="N",
        help="files scanned at the same time (default: one for each CPU)",
    )
    return parser


def _jobs(text: str) -> int:
    count = int(text)
    if not 1 <= count <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MAX_JOBS}, got {count}")
    return count
