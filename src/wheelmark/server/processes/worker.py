"""The worker process: runs jobs, and finds files that no job will ever look at."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection, connections
from django.utils import timezone

from wheelmark.server.changes import DatabaseChanges
from wheelmark.server.config import Config
from wheelmark.server.jobs import sweep, worker_app
from wheelmark.server.logs import configure_logs
from wheelmark.server.processes.stopping import stop_on_signals
from wheelmark.server.review.lease import abandon
from wheelmark.server.review.tasks import reconcile
from wheelmark.server.threads import ThreadGroup

if TYPE_CHECKING:
    import procrastinate

    from wheelmark.server.review.rescans import Rescans

POLL_SECONDS = 0.05
"""How long an embedded job waits at most for an idle worker."""

RECONCILE_SECONDS = 2.0
IDLE = timedelta(seconds=5)
"""A validated file younger than this still has its job, or the transaction that writes it."""

RESCAN_SECONDS = 30.0
"""Pause between looks for files that an older rule set scanned; the first look comes after one, too."""

SWEEP_SECONDS = 3600.0
KEEP_JOBS = timedelta(days=1)
FINISH_SECONDS = 4.0
"""Time for a scan that is running when the worker is told to stop; then its lease is given back."""

HEARTBEAT_SECONDS = 2.0
STALLED_SECONDS = 8.0
"""A Procrastinate worker that was not heard for so long is dead, and its jobs go to others."""

LOOK_SECONDS = 1.0
"""NOTIFY wakes a worker at once, unless it arrives while the worker finds the queue empty; then it looks again."""

ERROR_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


def run_worker(config: Config) -> int:
    """Run jobs until SIGTERM; returns the exit status."""
    configure_logs(config.log_format, process="worker")
    stop = stop_on_signals(then=_leave_soon)
    if config.on_postgresql:
        asyncio.run(_run_procrastinate(stop, rescan=config.rescan))
    else:
        run_embedded(stop, rescan=config.rescan)
    return 0


def _leave_soon() -> None:
    """See that the process ends even if a scan does not: its file goes back, without counting as one that killed us."""

    def leave() -> None:
        abandon(now=timezone.now())
        os._exit(0)

    timer = threading.Timer(FINISH_SECONDS, leave)
    timer.daemon = True
    timer.start()


class Upkeep:
    """What a worker does beside jobs, each thing at its own pace. The first reconciling is at once."""

    def __init__(self, *, rescan: bool) -> None:
        self._reconcile_at = self._sweep_at = time.monotonic()
        self._rescan_at = self._sweep_at + RESCAN_SECONDS if rescan else float("inf")
        self._idle = timedelta(0)
        self._rescans: Rescans | None = None

    def __call__(self) -> bool:
        """Do what is due; say whether anything was."""
        now, worked = time.monotonic(), False
        if now >= self._reconcile_at:
            worked = True
            self._reconcile_at = now + RECONCILE_SECONDS
            reconcile(now=timezone.now(), idle=self._idle)
            self._idle = IDLE
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            sweep(started_before=timezone.now() - KEEP_JOBS)
        if now >= self._rescan_at:
            self._rescan_at = now + RESCAN_SECONDS
            worked = self._looked_for_rescans() or worked
        return worked

    def _looked_for_rescans(self) -> bool:
        # Imported late: it brings the scanner, and an index at rest that has nothing to rescan does without it.
        from wheelmark.server.review.rescans import Rescans

        if self._rescans is None:
            self._rescans = Rescans()
        return self._rescans.look(now=timezone.now())


def run_embedded(stop: threading.Event, *, rescan: bool = False) -> None:
    """Run jobs of `django_tasks_db`. Its own worker polls each second, under a lock that keeps writers out."""
    upkeep, changes, worker = Upkeep(rescan=rescan), DatabaseChanges(), f"{socket.gethostname()}:{os.getpid()}"
    worked = True
    while not stop.is_set():
        try:
            # After each round of upkeep we look in any case: its own jobs, and those whose time has come, change
            # nothing that another connection did.
            due, changed = upkeep(), changes()
            worked = (due or changed or worked) and run_next(worker)
        except DatabaseError as error:
            log.error("jobs-wait-for-the-database", error=str(error))
            connection.close()
            worked = True  # or what we were about to look at is never looked at
            stop.wait(ERROR_PAUSE_SECONDS)
            continue
        if not worked:
            stop.wait(POLL_SECONDS)


def run_next(worker: str) -> bool:
    """Run the next waiting job; False when there is none. A job that fails is marked so, and says why in the log."""
    from django_tasks_db.models import DBTaskResult
    from django_tasks_db.utils import exclusive_transaction

    ready = DBTaskResult.objects.ready()
    if not ready.exists():  # a read takes no lock; most looks end here
        return False
    with exclusive_transaction():
        job = ready.get_locked()
        if job is None:
            return False
        job.claim(worker[:64])
    try:
        returned = job.task.call(*job.args_kwargs["args"], **job.args_kwargs["kwargs"])
    except Exception as error:
        log.exception("job-failed", job=job.task_path, arguments=job.args_kwargs)
        job.set_failed(error)
    else:
        job.set_successful(returned)
    return True


async def _run_procrastinate(stop: threading.Event, *, rescan: bool) -> None:
    """Run jobs of Procrastinate: woken by NOTIFY, and taking over those of workers that died."""
    app = worker_app()
    async with app.open_async():
        work = asyncio.create_task(
            app.run_worker_async(
                name=f"{socket.gethostname()}:{os.getpid()}",
                concurrency=1,
                install_signal_handlers=False,
                fetch_job_polling_interval=LOOK_SECONDS,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
                delete_jobs="successful",
                shutdown_graceful_timeout=FINISH_SECONDS,
            )
        )
        others = asyncio.create_task(_keep_up(app, stop, rescan=rescan))
        done, _ = await asyncio.wait({work, others}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        others.cancel()
        await asyncio.gather(work, others, return_exceptions=True)
        for finished in done:
            if not finished.cancelled() and (error := finished.exception()) is not None:
                raise error


async def _keep_up(app: procrastinate.App, stop: threading.Event, *, rescan: bool) -> None:
    """Reconcile and take over, until told to stop."""
    from procrastinate.exceptions import ConnectorException

    upkeep, thread = Upkeep(rescan=rescan), ThreadGroup(1, name="upkeep", at_end=connections.close_all)

    def keep_up() -> None:
        close_old_connections()
        upkeep()

    try:
        while not stop.is_set():
            try:
                await asyncio.wrap_future(thread.submit(keep_up))
                for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
                    log.warning("job-taken-over", job=job.id)
                    await app.job_manager.retry_job(job)
            except (DatabaseError, ConnectorException) as error:
                log.error("jobs-wait-for-the-database", error=str(error))
            await asyncio.to_thread(stop.wait, RECONCILE_SECONDS)
    finally:
        thread.close()
