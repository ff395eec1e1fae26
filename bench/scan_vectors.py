"""The features of every sample, taken by confined processes and kept in a cache outside the project.

The cache holds numbers and rule ids, no text of any sample. Its key is a digest of the scanner's own code and rules, so
whatever changes there takes everything anew.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import orjson

import wheelmark
from scan_samples import GitBlobs, Sample, read_sample
from wheelmark.scan import RuleSet, ScanBounds, Severity, WorkerLimits, examine, load_ruleset
from wheelmark.scan.confinement import allow_cpu, confine
from wheelmark.scan.source import load_salvage

CPU_SECONDS = 120  # for one sample
AHEAD = 16  # samples in flight: their bytes are in memory
# Modules of the scanner that come after the features, or only run it.
_AFTER_FEATURES = frozenset(
    {"child", "command", "console", "contract", "feature_words", "isolated", "members"}
    | {"model", "reasons", "report", "rule_commands", "sarif", "verdict"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """What training knows of one sample."""

    whole: dict[str, int]  # features of the distribution
    cases: list[dict[str, int]]  # features of each member that there is a case against
    critical: tuple[str, ...]  # rules with a critical finding
    complete: bool


def code_version() -> str:
    """A digest of everything that the features of a sample depend on: the scanner, its rules, the archive reader."""
    root = Path(wheelmark.__file__).parent
    digest = hashlib.sha256()
    for folder in ("dist", "scan"):
        for path in sorted((root / folder).rglob("*.*")):
            if path.suffix in {".py", ".yar"} and (folder == "dist" or path.stem not in _AFTER_FEATURES):
                digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def vectors_of(samples: Sequence[Sample], *, mirror: Path, cache: Path, jobs: int) -> Iterator[tuple[Sample, Vector]]:
    """Each sample with its vector, in the order given. What is not in the cache is scanned and then added to it."""
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{code_version()}.jsonl"
    known = _read(kept)
    waiting = [sample for sample in samples if _key(sample) not in known]
    with kept.open("ab") as lines:
        for sample, vector in _taken(waiting, mirror, jobs):
            known[_key(sample)] = vector
            lines.write(orjson.dumps({"key": _key(sample), **asdict(vector)}) + b"\n")
    for sample in samples:
        yield sample, known[_key(sample)]


def _key(sample: Sample) -> str:
    return f"{sample.blob or sample.sha256} {sample.filename}"


def _read(kept: Path) -> dict[str, Vector]:
    known: dict[str, Vector] = {}
    if kept.is_file():
        for line in kept.read_bytes().splitlines():
            document = orjson.loads(line)
            known[document["key"]] = Vector(
                whole=document["whole"],
                cases=document["cases"],
                critical=tuple(document["critical"]),
                complete=document["complete"],
            )
    return known


def _taken(samples: Iterable[Sample], mirror: Path, jobs: int) -> Iterator[tuple[Sample, Vector]]:
    with GitBlobs(mirror) as blobs, ProcessPoolExecutor(jobs, initializer=_get_ready) as pool:
        queue: list[tuple[Sample, Future[Vector]]] = []
        rest = iter(samples)
        while True:
            for sample in islice(rest, max(0, AHEAD - len(queue))):
                queue.append((sample, pool.submit(_take, read_sample(sample, blobs), sample.filename)))
            if not queue:
                return
            sample, future = queue.pop(0)
            yield sample, future.result()


_ready: list[RuleSet] = []  # one, in each worker


def _get_ready() -> None:
    _ready.append(load_ruleset())
    load_salvage()
    confine(WorkerLimits())


def _take(raw: bytes, filename: str) -> Vector:
    allow_cpu(CPU_SECONDS)
    seen = examine(io.BytesIO(raw), filename=filename, ruleset=_ready[0], bounds=ScanBounds())
    critical = {finding.rule for finding in seen.findings if finding.severity is Severity.CRITICAL}
    return Vector(
        whole={name: each.value for name, each in sorted(seen.features.whole.items())},
        cases=[
            {name: value for name, value in sorted(case.items()) if name not in seen.features.whole}
            for _, case in sorted(seen.features.cases.items())
        ],
        critical=tuple(sorted(critical)),
        complete=not seen.facts.gaps,
    )
