"""`make bench`: every measurement, in one run, as a table; results are saved with commit and machine.

    python bench/run.py                  all
    python bench/run.py latency burst    some
    python bench/run.py --quick          a tenth of the work: to see that it runs, not to quote

Figures of speed are ratios beside a peer that is measured in the same run; the rest are bounds from the requirements.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from figures import Figure

HERE = Path(__file__).resolve().parent
# The builders and the running index of the tests.
sys.path.append(str(HERE.parent / "tests"))

Benchmark = Callable[[bool], list[Figure]]

BENCHMARKS: dict[str, str] = {
    "trust": "bench_trust:figures",
    "scale": "bench_scale:figures",
    "sustained": "bench_sustained:figures",
    "start": "bench_index:start_and_rest",
    "latency": "bench_index:latency",
    "burst": "bench_index:burst",
    "large": "bench_index:large_file",
    "slow": "bench_index:slow_clients",
    "kill": "bench_index:killed_at_random",
    "delivery": "bench_delivery:figures",
    "client": "bench_client:figures",
    "mutations": "bench_mutations:figures",
    "scan": "bench_scan:figures",
}


def main() -> int:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"expected some of {', '.join(BENCHMARKS)}, got {', '.join(sorted(unknown))}")
    results: dict[str, list[Figure]] = {}
    for name in arguments.names or BENCHMARKS:
        module, _, function = BENCHMARKS[name].partition(":")
        print(f"\n== {name}", flush=True)
        run: Benchmark = getattr(importlib.import_module(module), function)
        results[name] = run(arguments.quick)
        for figure in results[name]:
            mark = {True: "holds", False: "MISSED", None: ""}[figure.holds]
            print(f"  {figure.name:<66} {figure.value:>16}   {figure.bound:<14} {mark}", flush=True)
    path = save(results, quick=arguments.quick)
    missed = sum(figure.holds is False for figures in results.values() for figure in figures)
    print(f"\n{missed} bounds missed; saved to {path}")
    return 1 if missed else 0


def save(results: dict[str, list[Figure]], *, quick: bool) -> Path:
    """Write the figures with what they were measured on."""
    git = ["git", "-C", str(HERE.parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    now = datetime.now(UTC)
    folder = HERE / "results" / "local"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y%m%dT%H%M%S}.json"
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    figures = {name: [asdict(figure) for figure in listed] for name, listed in results.items()}
    path.write_text(
        json.dumps({"commit": commit, "at": now.isoformat(), "quick": quick, **machine, "figures": figures}, indent=1)
    )
    return path.relative_to(HERE.parent)


if __name__ == "__main__":
    sys.exit(main())
