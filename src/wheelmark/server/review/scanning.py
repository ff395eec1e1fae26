"""Scans one file: lease, bytes, scanner, decision. May run twice, and be cut short anywhere, without harm."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import orjson
import structlog
from django.db import transaction

from wheelmark.errors import Unavailable, WheelmarkError
from wheelmark.scan import Report, Verdict
from wheelmark.server.projects.journal import INDEX
from wheelmark.server.projects.lifecycle import transition
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key
from wheelmark.server.review.context.examiner import Examination, Examiner, keep_examination
from wheelmark.server.review.lease import MAX_ATTEMPTS, Lease, give_back, renewed, take
from wheelmark.server.review.models import Scan
from wheelmark.server.review.rules import MAX_REASON_CHARS, Hold, Release, ReviewPolicy, decide
from wheelmark.store import Missing, StoreReader

STORE_PAUSE = timedelta(seconds=5)
"""When the store is away, a file waits so long before it is tried again."""

log = structlog.get_logger(__name__)


class FileScanner(Protocol):
    """What looks at the bytes: `wheelmark.scan.IsolatedScanner`, or a double."""

    def scan(self, path: Path, filename: str) -> Report:
        """The report on the file at `path`. Never raises for what the file contains."""

    def ruleset(self) -> str:
        """The version of the rules that it applies."""


class Stored(Protocol):
    """What must be known of a file to scan what the store has of it: a lease or a row."""

    @property
    def filename(self) -> str:
        """Its name, from which its form follows."""

    @property
    def sha256(self) -> str:
        """Of its bytes."""

    @property
    def size(self) -> int:
        """In bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """All that a scan needs from outside, kept for the life of a worker."""

    store: StoreReader
    scanner: FileScanner
    examiner: Examiner
    policy: ReviewPolicy
    worker: str  # host and process, for the report
    temporary: Path  # folder for copies of files that lie in no local store
    clock: Callable[[], datetime]


def scan_one(file_id: int, bench: Bench) -> Release | Hold | None:
    """Scan one validated file and write down what follows; None when there was nothing to do.

    Raises:
        Unavailable: the store is away. The file stays validated, and the reconciler brings it back.
    """
    lease = take(file_id, now=bench.clock())
    if lease is None:
        return None
    if lease.exhausted:
        return conclude(lease, _never_ended(lease), None, bench)
    with renewed(lease, bench.clock):
        try:
            report = report_on_stored(lease, bench)
            examination = bench.examiner.examine(lease.file_id, report)
        except Unavailable:
            give_back(lease, now=bench.clock(), pause=STORE_PAUSE)
            raise
    return conclude(lease, report, examination, bench)


def conclude(lease: Lease, report: Report, examination: Examination | None, bench: Bench) -> Release | Hold | None:
    """Write the reports and move the file on, in one transaction; None when the file is no longer ours to move.

    `examination`: None for a file that no worker survived; it is held anyway.
    """
    context = None if examination is None else examination.report
    decision = decide(report, bench.policy, sha256=lease.sha256, context=context)
    with transaction.atomic():
        file = File.objects.select_for_update().filter(pk=lease.file_id, scan_attempts=lease.attempt).first()
        if file is None:
            log.warning("scan-lease-lost", file=lease.filename, sha256=lease.sha256)
            return None
        scan = keep(file, report, bench)
        if examination is not None:
            keep_examination(scan, examination, now=bench.clock())
        # An owner may have removed the file meanwhile: the evidence is kept, the state is theirs.
        moved = file.state == FileState.VALIDATED
        if moved:
            transition(
                file.pk,
                FileState.SCANNED if isinstance(decision, Release) else FileState.HELD,
                actor=INDEX,
                now=bench.clock(),
                reason=decision.reason if isinstance(decision, Hold) else "",
                scan=scan.pk,
                verdict=report.verdict.value,
                context=context.level.value if context else "",
                policy=bench.policy.version,
            )
    log.info(
        "file-scanned",
        file=lease.filename,
        sha256=lease.sha256,
        verdict=report.verdict.value,
        rules=sorted({finding.rule for finding in report.findings}),
        ruleset=report.ruleset,
        context=context.level.value if context else "",
        checks=sorted({finding.check for finding in context.findings}) if context else [],
        checkset=context.checkset if context else "",
        policy=bench.policy.version,
        decision=type(decision).__name__.lower(),
        reason=decision.reason,
        elapsed_ms=round(report.elapsed_ms, 1),
        context_ms=context.elapsed_ms if context else 0.0,
    )
    return decision if moved else None


def keep(file: File, report: Report, bench: Bench) -> Scan:
    """Write a report down, whole: what is read years later must not need the scanner of today."""
    document = orjson.loads(report.to_json(with_context=True))
    return Scan.objects.create(
        file=file,
        at=bench.clock(),
        verdict=report.verdict.value,
        score=report.score,
        ruleset=report.ruleset[:100],
        elapsed_ms=report.elapsed_ms,
        worker=bench.worker[:100],
        incomplete_reason=(report.incomplete_reason or "")[:MAX_REASON_CHARS],
        findings=document["findings"],
        model=str(document.get("model", ""))[:100],
        reasons=document.get("reasons", []),
        layers=document.get("layers", []),
        facts=document.get("facts", {}),
    )


def report_on_stored(file: Stored, bench: Bench) -> Report:
    """Scan the bytes that the store has of a file.

    Raises:
        Unavailable: the store is away.
    """
    try:
        with _local(file, bench) as path:
            return bench.scanner.scan(path, file.filename)
    except Missing:
        return _incomplete(file, "expected the uploaded bytes in the store, got none")
    except _WrongBytes as error:
        return _incomplete(file, str(error))


@contextmanager
def _local(file: Stored, bench: Bench) -> Iterator[Path]:
    """The file's bytes as a real file. The scanner reports the hash of what it reads, and `decide` compares it."""
    key = file_key(file.sha256)
    if (path := bench.store.local_path(key)) is not None:
        yield path
        return
    with tempfile.NamedTemporaryFile(dir=bench.temporary, prefix="scan-") as copy:
        digest, size = hashlib.sha256(), 0
        for chunk in bench.store.read(key):
            size += len(chunk)
            if size > file.size:
                raise _WrongBytes(f"expected {file.size} bytes in the store, got more")
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        if digest.hexdigest() != file.sha256:
            raise _WrongBytes(f"expected bytes with sha256 {file.sha256} in the store, got {digest.hexdigest()}")
        yield Path(copy.name)


class _WrongBytes(WheelmarkError):
    """What the store gave is not what was uploaded."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="scan-wrong-bytes")


def _never_ended(lease: Lease) -> Report:
    return _incomplete(lease, f"{MAX_ATTEMPTS} workers died while they scanned it")


def _incomplete(file: Stored, reason: str) -> Report:
    return Report(
        file=file.filename,
        sha256=file.sha256,
        verdict=Verdict.INCOMPLETE,
        score=0.0,
        findings=(),
        elapsed_ms=0.0,
        ruleset="none",
        incomplete_reason=reason,
    )
