"""What the commands of the scanner share: exit statuses, and options that mean the same everywhere."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

EXIT_CLEAN = 0
EXIT_FOUND = 1
EXIT_INCOMPLETE = 2
MAX_JOBS = 64
RULES_VARIABLE = "WHEELMARK_RULES"


def add_rules(parser: argparse.ArgumentParser) -> None:
    """`--rules DIR`, as often as wanted."""
    parser.add_argument(
        "--rules",
        type=Path,
        action="append",
        metavar="DIR",
        help=f"a folder of further rules, whose files are code that you trust (default: {RULES_VARIABLE})",
    )


def rules_folders(options: argparse.Namespace) -> list[Path]:
    """The folders of further rules: those of the options, or else those of the environment."""
    given: list[Path] | None = options.rules
    if given is not None:
        return given
    return [Path(folder) for folder in os.environ.get(RULES_VARIABLE, "").split(os.pathsep) if folder]


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """`--jobs N`."""
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=os.cpu_count() or 1,
        metavar="N",
        help="files scanned at the same time (default: one for each CPU)",
    )


def _jobs(text: str) -> int:
    count = int(text)
    if not 1 <= count <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MAX_JOBS}, got {count}")
    return count
