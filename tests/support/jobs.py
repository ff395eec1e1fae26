"""Jobs as a test sees them, whichever backend the database has: what waits, what failed, and running them here."""

from __future__ import annotations

import asyncio

from django.db import connection

from wheelmark.server.jobs import worker_app
from wheelmark.server.processes.worker import run_next

ON_POSTGRESQL = connection.vendor == "postgresql"


def waiting_jobs() -> list[list[object]]:
    """The arguments of every job that waits for a worker, oldest first."""
    if ON_POSTGRESQL:
        from procrastinate.contrib.django.models import ProcrastinateJob

        waiting = ProcrastinateJob.objects.filter(status="todo").order_by("pk")
        return [job.args["args"] for job in waiting]
    from django_tasks_db.models import DBTaskResult

    ready = DBTaskResult.objects.filter(status="READY").order_by("enqueued_at")
    return [job.args_kwargs["args"] for job in ready]


def failed_jobs() -> int:
    """How many jobs raised. On PostgreSQL such a job is kept to be tried again."""
    if ON_POSTGRESQL:
        from procrastinate.contrib.django.models import ProcrastinateJob

        return ProcrastinateJob.objects.filter(status__in=["todo", "failed"], attempts__gt=0).count()
    from django_tasks_db.models import DBTaskResult

    return DBTaskResult.objects.filter(status="FAILED").count()


def drop_jobs() -> None:
    """Forget every job, as a restored backup would. Procrastinate's tables are not among those that Django empties."""
    if ON_POSTGRESQL:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM procrastinate_jobs")
        return
    from django_tasks_db.models import DBTaskResult

    DBTaskResult.objects.all().delete()


def run_jobs() -> None:
    """Run what is due, with the backend's own worker."""
    if ON_POSTGRESQL:
        asyncio.run(_run_procrastinate())
        return
    while run_next("test"):
        pass


async def _run_procrastinate() -> None:
    app = worker_app()
    async with app.open_async():
        await app.run_worker_async(
            wait=False, listen_notify=False, install_signal_handlers=False, delete_jobs="successful"
        )
