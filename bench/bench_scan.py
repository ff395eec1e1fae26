"""The scanner against real samples: recall by family, false alarms by name, technique, cost, and GuardDog beside it.

    python bench/run.py scan                                        as part of all benchmarks
    python bench/bench_scan.py --keep DIR [--guarddog N]            with all options; writes a page and JSON
    python bench/bench_scan.py --keep DIR --list PATH               other malicious samples, by the shipped model

The samples are not part of the project: `bench/scan_samples.py` says what to name. The protocol, what each figure means
and the last published figures: `docs/reference/scanner-figures.md`.

A family or project is judged by a model that was trained without it (`bench/scan_models.py`); the shipped model's
figures stand beside. Where no training environment is there, only the latter do, and no goal is judged by them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from figures import Figure
from scan_guarddog import GuardDog, PeerVerdict, peer_verdicts
from scan_judging import Judged, Models, judge_all
from scan_memory import neediest, peak_of_own_process
from scan_models import TrainingMissing, models_for
from scan_page import document, markdown
from scan_samples import (
    BENIGN_KINDS,
    Places,
    Sample,
    SamplesMissing,
    add_options,
    benign_samples,
    drawn,
    malicious_samples,
)
from scan_statistics import percentile
from scan_summary import Results, goals, peer_key
from wheelmark.scan import load_ruleset

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".venv-guarddog"
KEEP = "WHEELMARK_BENCH_KEEP"
QUICK_SAMPLES = 40  # of each kind, with --quick
COMMAND_FILES = 12  # benign files that the command itself scans, to see that it says the same, and what its start costs


def figures(quick: bool) -> list[Figure]:
    """What `bench/run.py scan` prints; one line that says what is missing where the samples are not on this machine.

    A page and all values are saved beside the other results.
    """
    try:
        return run(_parser().parse_args(["--each", str(QUICK_SAMPLES)] if quick else []))
    except SamplesMissing as missing:
        return [Figure(f"NOT MEASURED, no samples here: {missing}", "-")]


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure what the options ask for, save it, and return the figures that have goals. Raises: SamplesMissing."""
    places = Places.named(lists=options.lists, mirror=options.mirror, corpus=options.corpus)
    samples = _samples(options, places)
    models, note = _models(options, places)
    judged = []
    for number, each in enumerate(judge_all(samples, mirror=places.mirror, models=models, jobs=options.jobs), 1):
        judged.append(each)
        if number % 200 == 0:
            print(f"  {number} of {len(samples)} scanned", file=sys.stderr, flush=True)
    peers, peer_version = _peers(options, places, samples)
    results = Results(
        judged=judged,
        peers=peers,
        out_of_fold=bool(models.unseen) or options.list is not None,
        temporal=models.earlier is not None,
        own_peak_bytes=peak_of_own_process(neediest(judged), mirror=places.mirror),
    )
    command, command_note = _as_command(judged)
    about = _about(options, note, peer_version, command_note)
    _save(results, about)
    return [*goals(results), *command]


def _samples(options: argparse.Namespace, places: Places) -> list[Sample]:
    listed = options.list or places.lists / "dev-malicious.tsv"
    found = drawn(malicious_samples(listed), options.each)
    # With another list the shipped model judges what it has not seen; benign files it has.
    for kind in () if options.list else options.kinds:
        found += drawn(benign_samples(places, kinds=(kind,)), options.each)
    return found


def _models(options: argparse.Namespace, places: Places) -> tuple[Models, str]:
    if options.list:
        return Models(unseen={}), "shipped only: it has not been trained with this list"
    if options.keep is None:
        return Models(unseen={}), f"shipped only: neither --keep nor {KEEP} names a folder for others"
    try:
        found = models_for(places, options.keep, trainer=options.trainer, earlier_alarms=options.earlier_alarms)
        return found, "one a fold, one of earlier samples"
    except TrainingMissing as missing:
        print(f"  no out-of-fold figures: {missing}", file=sys.stderr, flush=True)
        return Models(unseen={}), f"shipped only: {missing}"


def _peers(
    options: argparse.Namespace, places: Places, samples: Sequence[Sample]
) -> tuple[dict[str, PeerVerdict], str]:
    """GuardDog on the same files, or on as many of each kind as were asked for."""
    chosen = [
        sample
        for kind in ("malicious", *BENIGN_KINDS)
        for sample in drawn([each for each in samples if each.kind == kind], options.guarddog)
    ]
    if not chosen:
        return {}, "not asked for"
    try:
        with GuardDog.installed(options.peer) as dog:
            kept = None if options.keep is None else options.keep / "guarddog.jsonl"
            found = {}
            for number, (sample, verdict) in enumerate(peer_verdicts(chosen, dog, mirror=places.mirror, kept=kept), 1):
                found[peer_key(sample)] = verdict
                if number % 100 == 0:
                    print(f"  {number} of {len(chosen)} by GuardDog", file=sys.stderr, flush=True)
            return found, f"{dog.version}, {len(chosen)} files, sandbox on, names frozen, no metadata rules"
    except FileNotFoundError as error:
        print(f"  no GuardDog beside us: {error}; `make bench` installs it", file=sys.stderr, flush=True)
        return {}, "not measured: it is not installed"


def _as_command(judged: Sequence[Judged]) -> tuple[list[Figure], str]:
    """The command's own verdicts on a few benign files, which must be ours, and its CPU seconds, start included."""
    chosen = [each for each in judged if each.sample.path is not None]
    chosen = chosen[:: max(1, len(chosen) // COMMAND_FILES)][:COMMAND_FILES]
    if not chosen:
        return [], "no benign file to try it with"
    seconds, differing = [], []
    for each in chosen:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "wheelmark.cli", "scan", "--format", "json", str(each.sample.path)]
        said = subprocess.run(command, capture_output=True, check=False).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        report = orjson.loads(said) if said else {}
        shipped = each.opinions["shipped"]
        if (report.get("verdict"), report.get("score")) != (shipped.verdict.value, shipped.score):
            differing.append(each.sample.filename)
    agreed = f"{len(chosen) - len(differing)} of {len(chosen)}"
    figure = Figure("`wheelmark scan` says the same", agreed, "all", not differing)
    return [figure], f"median {percentile(seconds, 0.5):.2f} CPU s for one file and process, start included"


def _about(options: argparse.Namespace, models: str, peer: str, command: str) -> dict[str, str]:
    git = ["git", "-C", str(HERE.parent), "describe", "--always", "--dirty"]
    ruleset = load_ruleset()
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip(),
        "rules and model": f"{ruleset.version}, model {ruleset.model.version}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.1f} runnable processes: CPU seconds count, not wall time",
        "malicious samples": Path(options.list).stem if options.list else "dev-malicious",
        "other models": models,
        "GuardDog": peer,
        "`wheelmark scan` as a command": command,
    }


def _save(results: Results, about: dict[str, str]) -> None:
    folder = HERE / "results" / "local"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"scan-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    (folder / f"{stem}.md").write_text(markdown(results, about=about), encoding="utf-8")
    (folder / f"{stem}.json").write_text(json.dumps(document(results, about=about), indent=1), encoding="utf-8")
    print(f"  {(folder / stem).relative_to(HERE.parent)}.md and .json", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    kept = os.environ.get(KEEP)
    parser.add_argument(
        "--list", type=Path, metavar="PATH", help="another list of malicious samples; shipped model only"
    )
    parser.add_argument(
        "--kinds", nargs="*", choices=BENIGN_KINDS, default=list(BENIGN_KINDS), help="of benign files; default: all"
    )
    parser.add_argument("--each", type=int, metavar="N", help="at most so many samples of each kind; default: all")
    parser.add_argument("--jobs", type=int, default=1, help="scanning processes; default: one, for undisturbed figures")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        default=None if kept is None else Path(kept),
        help=f"where trained models and GuardDog's verdicts are kept, outside the project; default: ${KEEP}",
    )
    parser.add_argument("--trainer", type=Path, metavar="PYTHON", help="an interpreter with the training's libraries")
    parser.add_argument(
        "--earlier-alarms", action="store_true", help="also the false alarms of models of earlier samples"
    )
    parser.add_argument("--peer", type=Path, metavar="DIR", default=PEERS, help="the environment that has GuardDog")
    parser.add_argument(
        "--guarddog", type=int, metavar="N", help="at most so many files of each kind, 0 for none; default: all"
    )
    return parser


def main() -> int:
    """Run the protocol alone."""
    # Ended from outside, it still deletes its working copies.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    missed = 0
    try:
        found = run(_parser().parse_args())
    except SamplesMissing as missing:
        print(f"scan: not measured: {missing}", file=sys.stderr)
        return 2
    for figure in found:
        missed += figure.holds is False
        mark = {True: "met", False: "MISSED", None: ""}[figure.holds]
        print(f"  {figure.name:<66} {figure.value:>34}   {figure.bound:<14} {mark}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
