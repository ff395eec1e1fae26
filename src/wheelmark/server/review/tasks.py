"""The scan as a job, and the reconciler that finds files which no job will ever look at.

Intake and the review desk import this module to ask for a scan, so the scanner itself is imported when one runs: the
web process never pays for it.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django_tasks import task

from wheelmark.errors import Unavailable
from wheelmark.server.config import Config
from wheelmark.server.jobs import waiting_first_arguments
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.stores import current_store

if TYPE_CHECKING:
    from wheelmark.server.review.scanning import Bench

BATCH = 100
"""Files that one round of the reconciler looks at, oldest first."""

log = structlog.get_logger(__name__)


@task()
def scan_file(file_id: int) -> None:
    """Scan one file, if it still wants it."""
    from wheelmark.server.review.scanning import scan_one

    try:
        scan_one(file_id, bench())
    except Unavailable as error:
        # Not a failed job: the file stays validated, and the reconciler brings it back when the store does.
        log.warning("scan-put-off", file_id=file_id, error=str(error))


def enqueue_scan(file_id: int) -> None:
    """Ask for a scan of a validated file, inside the caller's transaction: the job exists when the commit does."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a scan is asked for in the transaction that makes the file validated")
    File.objects.filter(pk=file_id).update(scan_attempts=0, scan_lease_until=None)
    scan_file.enqueue(file_id)


def reconcile(*, now: datetime, idle: timedelta) -> int:
    """Ask again for the scan of files that have been validated for `idle`, have no live lease and no waiting job.

    The files' own state says what is to be done, so it does not matter how a job was lost: with a killed worker,
    in a restored backup, or by hand. Returns how many there were.
    """
    free = Q(scan_lease_until=None) | Q(scan_lease_until__lt=now)
    found = File.objects.filter(free, state=FileState.VALIDATED, state_changed_at__lte=now - idle)
    file_ids = list(found.order_by("uploaded_at").values_list("pk", flat=True)[:BATCH])
    if not file_ids:
        return 0
    with transaction.atomic():
        lost = sorted(set(file_ids) - waiting_first_arguments(scan_file, file_ids))
        for file_id in lost:
            scan_file.enqueue(file_id)
    if lost:
        log.info("scans-asked-for-again", files=len(lost))
    return len(lost)


def forget_leases() -> None:
    """End every lease at once. Only for a start at which it is certain that no worker lives."""
    File.objects.filter(state=FileState.VALIDATED).update(scan_lease_until=None)


def check_rules(config: Config) -> None:
    """See at the start that the operator's own rules can be loaded, in a process of the scanner's.

    Raises: Unavailable with the rule that cannot be; otherwise every upload would wait for a scan that never starts.
    """
    if not config.rules_folders:
        return
    from wheelmark.scan import IsolatedScanner

    with IsolatedScanner(rules=config.rules_folders) as scanner:
        scanner.ruleset()


@cache
def bench() -> Bench:
    """What this process scans with: made at the first scan, kept until the process ends."""
    from wheelmark.scan import IsolatedScanner, WorkerLimits
    from wheelmark.server.review.context.examiner import make_examiner
    from wheelmark.server.review.rules import ReviewPolicy
    from wheelmark.server.review.scanning import Bench

    config: Config = settings.CONFIG
    temporary = config.data / "incoming"
    temporary.mkdir(parents=True, exist_ok=True)
    store = current_store()
    return Bench(
        store=store,
        examiner=make_examiner(store, config, clock=timezone.now),
        scanner=IsolatedScanner(
            WorkerLimits(
                address_space=config.scan_memory,
                cpu_seconds=max(1, round(config.scan_seconds)),
                wall_seconds=config.scan_seconds,
            ),
            rules=config.rules_folders,
        ),
        policy=ReviewPolicy(
            hold_suspicious=config.hold_suspicious,
            hold_on_context=config.hold_on_context,
            hold_on_rescan=config.hold_on_rescan,
        ),
        worker=f"{socket.gethostname()}:{os.getpid()}",
        temporary=temporary,
        clock=timezone.now,
    )
