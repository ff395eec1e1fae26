"""The scanning process: reads requests from its standard input, one JSON line each, and answers with reports.

Started by `wheelmark.scan.isolated`, never by hand: the limits are its last argument, and before them may stand folders
of rules and the file of another model than the shipped one. Its first line says that it is ready, or why it cannot be.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import orjson

from wheelmark.scan.bounds import ScanBounds, WorkerLimits
from wheelmark.scan.confinement import allow_cpu, confine, give_memory_back
from wheelmark.scan.engine import OUT_OF_MEMORY, incomplete, scan_file
from wheelmark.scan.report import Report
from wheelmark.scan.ruleset import RuleSet, load_ruleset
from wheelmark.scan.source import load_salvage

RECURSION_LIMIT = 3000  # deep sources then end in RecursionError, well before the C stack does
EXIT_OUT_OF_MEMORY = 70
EXIT_NO_RULES = 78
MAX_FAILURE = 2000  # characters


def main() -> None:
    """Serve scans until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing else may write between the answers
    options = _parser().parse_args()
    limits = WorkerLimits(**orjson.loads(options.limits))
    try:
        ruleset = load_ruleset(options.model, options.rules)
    except Exception as error:  # noqa: BLE001 - a rule that cannot be loaded fails in any way; the caller hears which
        _answer(answers, orjson.dumps({"failed": f"{error}"[:MAX_FAILURE]}))
        sys.exit(EXIT_NO_RULES)
    load_salvage()  # what is imported late would be imported under the limits
    sys.setrecursionlimit(RECURSION_LIMIT)
    without_network = confine(limits)
    # Syntax trees have no cycles, and looking for them takes a fifth of the time: collect between scans instead.
    gc.freeze()
    gc.disable()
    _answer(answers, orjson.dumps({"ready": ruleset.version, "without_network": without_network}))
    for line in sys.stdin.buffer:
        allow_cpu(limits.cpu_seconds)
        request = orjson.loads(line)
        report, sound = _scanned(request, ruleset)
        _answer(answers, report.to_json(with_context=True))
        gc.collect()
        give_memory_back()
        if not sound:
            sys.exit(EXIT_OUT_OF_MEMORY)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wheelmark.scan.child")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rules", type=Path, action="append", default=[])
    parser.add_argument("limits")
    return parser


def _scanned(request: Mapping[str, str], ruleset: RuleSet) -> tuple[Report, bool]:
    """The report, and whether this process may go on after it."""
    name = request["name"]
    try:
        path = Path(os.fsdecode(request["path"].encode("latin-1")))
        return scan_file(path, filename=name, ruleset=ruleset, bounds=ScanBounds()), True
    except MemoryError:
        return incomplete(name, "", ruleset.version, OUT_OF_MEMORY, 0.0), False
    except OSError as error:
        return incomplete(name, "", ruleset.version, f"unreadable: {error.strerror or error}", 0.0), True
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes in us makes the scan incomplete, not the service
        return incomplete(name, "", ruleset.version, f"the scanner failed: {type(error).__name__}: {error}", 0.0), True


def _answer(answers: BinaryIO, line: bytes) -> None:
    rest = memoryview(line + b"\n")
    while rest:
        rest = rest[answers.write(rest) :]


if __name__ == "__main__":
    main()
