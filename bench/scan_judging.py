"""Our scanner over many samples: the verdict of each model that may judge one, what it rests on, what it costs.

A scan runs as `wheelmark scan` runs it: in a confined process with the same limits, which serves many files. Beside the
shipped model, models that have not seen a sample's group judge it from the same facts, so one walk serves all of them.
"""

from __future__ import annotations

import gc
import io
import multiprocessing
import re
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, local

from process_memory import own_peak_bytes
from scan_samples import GitBlobs, Sample, read_sample
from wheelmark.scan import (
    Finding,
    Reason,
    Report,
    RuleSet,
    ScanBounds,
    Verdict,
    WorkerLimits,
    examine,
    load_ruleset,
    report_on,
)
from wheelmark.scan.child import RECURSION_LIMIT
from wheelmark.scan.confinement import allow_cpu, confine, give_memory_back
from wheelmark.scan.contents import read_contents
from wheelmark.scan.engine import ARCHIVE_BOUNDS
from wheelmark.scan.source import load_salvage

SHIPPED, UNSEEN, EARLIER = "shipped", "unseen", "earlier"  # who gives an opinion
MAX_CAUSES = 4
# Generous on purpose: a family counts as empty only if its code cannot do anything at all with a process, the network,
# files, encodings, the environment or code made at run time. It does not ask our own facts, which would excuse misses.
_ABLE = re.compile(
    rb"\b(exec|eval|compile|__import__|importlib|runpy|globals|getattr|setattr|subprocess|popen\w*|system|spawn\w*"
    rb"|startfile|socket|urllib\d?|urlopen|requests|httpx|aiohttp|http\.client|httplib|ftplib|smtplib|telnetlib|paramiko"
    rb"|base64|b64\w+|binascii|marshal|pickle|dill|zlib|lzma|bz2|fernet|decrypt\w*|decode|ctypes|cffi|winreg|_winreg"
    rb"|environ|getenv|getpass|gethostname|uname|platform|shutil|rmtree|unlink|remove|write|write_\w+|chmod|powershell"
    rb"|curl|wget|pynput|keyboard|clipboard|pyperclip|imagegrab|sqlite3|webbrowser|discord|telebot|cmdclass|pip)\b",
    re.IGNORECASE,
)
_SCRIPTS = (
    ".pth",
    ".start",
    ".sh",
    ".ps1",
    ".bat",
    ".cmd",
    ".js",
    ".vbs",
    ".ipynb",
    ".pyc",
    ".pyd",
    ".so",
    ".dll",
    ".exe",
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one model makes of one sample."""

    verdict: Verdict
    score: float

    @property
    def malicious(self) -> bool:
        """True at the verdict `malicious`."""
        return self.verdict is Verdict.MALICIOUS

    @property
    def suspicious_or_worse(self) -> bool:
        """True at `suspicious` and `malicious`."""
        return self.verdict in (Verdict.SUSPICIOUS, Verdict.MALICIOUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One sample, judged. Of a malicious one nothing is kept but names of rules and features, and numbers."""

    sample: Sample
    opinions: Mapping[str, Opinion]  # by SHIPPED, UNSEEN, EARLIER; the latter two only where such a model was given
    rules: Mapping[str, str] = field(default_factory=dict)  # id -> gravest severity
    techniques: tuple[str, ...] = ()  # kinds of features seen, without when they run
    causes: tuple[str, ...] = ()  # of benign samples: the gravest findings and reasons, with their places
    incomplete_reason: str | None = None
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    able: bool = True  # False: its code does nothing that could be a payload

    def by(self, who: str) -> Opinion:
        """The opinion of one model, and where none of that kind was given, of the shipped one."""
        return self.opinions.get(who) or self.opinions[SHIPPED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The models that judge beside the shipped one."""

    unseen: Mapping[int, Path]  # fold -> a model that saw nothing of that fold
    earlier: Path | None = None  # a model of samples up to a year
    earlier_unseen: Mapping[int, Path] | None = None  # the same, and nothing of that fold

    def for_sample(self, sample: Sample) -> dict[str, Path]:
        """Who may judge this sample without having been trained with it. Samples that no training knows need nobody."""
        found: dict[str, Path] = {}
        if sample.fold in self.unseen:
            found[UNSEEN] = self.unseen[sample.fold]
        if sample.malicious and self.earlier is not None:
            found[EARLIER] = self.earlier
        if not sample.malicious and self.earlier_unseen and sample.fold in self.earlier_unseen:
            found[EARLIER] = self.earlier_unseen[sample.fold]
        return found


def judge_all(samples: Sequence[Sample], *, mirror: Path, models: Models, jobs: int = 1) -> Iterator[Judged]:
    """Each sample judged, in the order given. A scan that kills its process is `incomplete`."""
    mine = local()
    lock = Lock()
    scanners: list[_Scanner] = []
    with GitBlobs(mirror) as blobs, ThreadPoolExecutor(jobs) as threads:

        def one(sample: Sample) -> Judged:
            with lock:
                raw = read_sample(sample, blobs)
                if not hasattr(mine, "scanner"):
                    mine.scanner = _Scanner()
                    scanners.append(mine.scanner)
            scanner: _Scanner = mine.scanner
            return scanner.judge(sample, raw, models.for_sample(sample))

        try:
            yield from threads.map(one, samples)
        finally:
            for scanner in scanners:
                scanner.close()


class _Scanner:
    """One confined process, started anew when a scan has ended it."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def judge(self, sample: Sample, raw: bytes, models: Mapping[str, Path]) -> Judged:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_get_ready)
        try:
            return self._pool.submit(_judge, sample, raw, models).result()
        except BrokenProcessPool:
            self.close()
            return _incomplete(sample, models, "the scanning process ended: out of memory or of time")

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


_rulesets: dict[Path | None, RuleSet] = {}  # in the confined process; None: with the shipped model


def _get_ready() -> None:
    _rulesets[None] = load_ruleset()
    load_salvage()
    sys.setrecursionlimit(RECURSION_LIMIT)
    confine(WorkerLimits())
    gc.freeze()
    gc.disable()


def _judge(sample: Sample, raw: bytes, models: Mapping[str, Path]) -> Judged:
    for path in models.values():
        if path not in _rulesets:
            _rulesets[path] = load_ruleset(path)
    allow_cpu(WorkerLimits().cpu_seconds)
    give_memory_back()  # as the scanner's own child does between scans
    _forget_peak()
    started = _cpu_seconds()
    try:
        seen = examine(io.BytesIO(raw), filename=sample.filename, ruleset=_rulesets[None], bounds=ScanBounds())
        report = report_on(seen, _rulesets[None])
    except Exception as error:  # noqa: BLE001 - as in the scanner's own child: a failure is an incomplete scan
        return _incomplete(sample, models, f"the scanner failed: {type(error).__name__}")
    gc.collect()
    cpu_seconds = _cpu_seconds() - started
    peak_bytes = own_peak_bytes()
    opinions = {SHIPPED: Opinion(report.verdict, report.score)}
    allow_cpu(WorkerLimits().cpu_seconds)
    for who, path in models.items():
        other = report_on(seen, _rulesets[path])
        opinions[who] = Opinion(other.verdict, other.score)
        if other.verdict != Verdict.BENIGN and report.verdict == Verdict.BENIGN:
            report = other  # the causes of an alarm are those of whoever raised it
    return Judged(
        sample=sample,
        opinions=opinions,
        rules=_gravest(seen.findings),
        techniques=_techniques(seen.features.values),
        causes=() if sample.malicious else _causes(report),
        incomplete_reason=report.incomplete_reason,
        cpu_seconds=cpu_seconds,
        peak_bytes=peak_bytes,
        able=not sample.malicious or is_able(raw, sample.filename),
    )


def _incomplete(sample: Sample, models: Mapping[str, Path], reason: str) -> Judged:
    nothing = Opinion(Verdict.INCOMPLETE, 0.0)
    limits = WorkerLimits()
    return Judged(
        sample=sample,
        opinions=dict.fromkeys((SHIPPED, *models), nothing),
        incomplete_reason=reason,
        cpu_seconds=float(limits.cpu_seconds),
        peak_bytes=limits.address_space,
    )


def is_able(raw: bytes, filename: str) -> bool:
    """False when nothing in an archive could be a payload: no native code, no script, and Python that does nothing."""
    contents = read_contents(io.BytesIO(raw), filename=filename, bounds=ScanBounds(), archive_bounds=ARCHIVE_BOUNDS)
    if contents.natives or contents.gaps or any(path.lower().endswith(_SCRIPTS) for path in contents.sizes):
        return True
    return any(_ABLE.search(source) for source in contents.sources.values())


def _gravest(findings: Sequence[Finding]) -> dict[str, str]:
    gravest: dict[str, Finding] = {}
    for finding in findings:
        known = gravest.get(finding.rule)
        if known is None or finding.severity.rank > known.severity.rank:
            gravest[finding.rule] = finding
    return {rule: finding.severity.value for rule, finding in sorted(gravest.items())}


def _techniques(features: Mapping[str, int]) -> tuple[str, ...]:
    """The features without their last word, which says when the code runs."""
    return tuple(sorted({name.rpartition("/")[0] or name for name in features if not name.startswith("rule/")}))


def _causes(report: Report) -> tuple[str, ...]:
    found = [f"{each.rule} ({each.severity}) {_at(each)}" for each in report.findings[:MAX_CAUSES]]
    found += [f"{each.what} {_at(each)}" for each in report.reasons[:MAX_CAUSES]]
    return tuple(found)


def _at(where: Finding | Reason) -> str:
    return f"at {where.member}:{where.line}" if where.member else "as a whole"


def _cpu_seconds() -> float:
    # Not time.process_time(): under a limit on CPU time, Linux advances that clock by ticks of several milliseconds.
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _forget_peak() -> None:
    # 5 resets the peak of resident memory (proc(5)), so that each file has its own and not its predecessors'.
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # elsewhere: the peak of all files so far
