"""Jobs behind Django's Tasks API: the backend for PostgreSQL, and what both backends are asked beyond that API.

On the embedded default the backend is `django_tasks_db`. On PostgreSQL it is Procrastinate, which wakes workers by
NOTIFY, retries, and knows by heartbeats which worker is dead. Both write the job through Django's connection, so it
comes into being with the caller's commit and not at all when that fails.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks import TaskResult, TaskResultStatus
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.base import Task

if TYPE_CHECKING:
    import procrastinate

JOB_NAME = "wheelmark.run"
"""The one Procrastinate task: it runs the Django task that its arguments name."""

MAX_RETRIES = 5
RETRY_SECONDS = 2
"""Pause before the second try of a job that raised; it grows with each."""

MAX_WORKER_CONNECTIONS = 3
"""Of a worker's own; beside them it has one to listen, one for its upkeep, and one or two while a job runs."""


class ProcrastinateBackend(BaseTaskBackend):
    """Django's Tasks API over Procrastinate, in the transaction of the caller."""

    supports_defer = True
    supports_priority = True

    def enqueue(self, task: Task[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[Any]:
        """Write the job. Results are not kept: what a task has to say, it writes into the rows that it is about."""
        self.validate_task(task)
        from procrastinate.contrib.django import app

        job = register(app).configure(queue=task.queue_name, priority=task.priority, schedule_at=task.run_after)
        job_id = job.defer(task_path=task.module_path, args=list(args), kwargs=dict(kwargs))
        return TaskResult(
            task=task,
            id=str(job_id),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=list(args),
            kwargs=dict(kwargs),
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )


def register(app: procrastinate.App) -> procrastinate.tasks.Task[Any, Any, Any]:
    """The task of a Procrastinate app that runs Django tasks, made when it is not there yet."""
    from procrastinate import RetryStrategy

    if JOB_NAME not in app.tasks:
        retry = RetryStrategy(max_attempts=MAX_RETRIES, linear_wait=RETRY_SECONDS)
        app.task(name=JOB_NAME, retry=retry)(run_task)
    return app.tasks[JOB_NAME]


def worker_app() -> procrastinate.App:
    """An app for a worker, on asynchronous connections of its own.

    Jobs that a task asks for still go through Django's connection, into the task's transaction.
    """
    from procrastinate import PsycopgConnector
    from procrastinate.contrib.django import DjangoApp
    from procrastinate.contrib.django.utils import connector_params

    connector = PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=MAX_WORKER_CONNECTIONS)
    made = DjangoApp(connector=connector)
    register(made)
    return made


def run_task(task_path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Run the Django task at a dotted path.

    Raises:
        TypeError: the path names something else. Whoever writes into the job table must not choose what runs.
    """
    task = import_string(task_path)
    if not isinstance(task, Task):
        raise TypeError(f"expected the path of a task, got {task_path!r}")
    try:
        task.call(*args, **kwargs)
    finally:
        # The next job runs on whichever thread is free: a connection kept by each would only be one more.
        connections.close_all()


def waiting_first_arguments(task: Task[Any, Any], candidates: Collection[Any]) -> set[Any]:
    """Those of the candidates for which a job of this task waits, with the candidate as its first argument."""
    if not apps.is_installed("django_tasks_db"):
        from procrastinate.contrib.django.models import ProcrastinateJob

        jobs = ProcrastinateJob.objects.filter(status="todo", task_name=JOB_NAME, args__task_path=task.module_path)
        waiting = jobs.filter(args__args__0__in=list(candidates)).values_list("args", flat=True)
        return {arguments["args"][0] for arguments in waiting}
    from django_tasks_db.models import DBTaskResult

    rows = DBTaskResult.objects.filter(status=TaskResultStatus.READY, task_path=task.module_path)
    waiting = rows.filter(args_kwargs__args__0__in=list(candidates)).values_list("args_kwargs", flat=True)
    return {arguments["args"][0] for arguments in waiting}


def sweep(*, started_before: datetime) -> int:
    """Delete the rows of embedded jobs that ended, or whose worker died, and that began before this; say how many."""
    if not apps.is_installed("django_tasks_db"):
        return 0
    from django_tasks_db.models import DBTaskResult

    done = DBTaskResult.objects.exclude(status=TaskResultStatus.READY).filter(started_at__lt=started_before)
    deleted, _ = done.delete()
    return int(deleted)
