"""The web process: Granian in front of our WSGI callable."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
from typing import Any

from django.conf import settings

from wheelmark.server.config import Config
from wheelmark.server.logs import configure_logs
from wheelmark.server.processes.kernel import die_with, name_process, share_heaps

BACKLOG = 1024
MAX_CONNECTIONS = 4096
"""Connections that are open at once: many more than threads, since a kept-alive connection needs no thread."""

DRAIN_SECONDS = 5
"""Time for requests in flight when the server stops; shorter than the supervisor's grace."""

IDLE_THREAD_SECONDS = 30
HEAPS = 4
HEADER_SECONDS = 20


def run_web(config: Config) -> int:
    """Serve until SIGTERM; returns the exit status."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    # Granian runs its server in a process of its own. Forked, it shares our imported code; spawned, it would import
    # everything again.
    multiprocessing.set_start_method("fork", force=True)
    share_heaps(HEAPS)
    server = Granian(
        "wheelmark.server.wsgi:application",
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=config.web_threads,
        blocking_threads_idle_timeout=IDLE_THREAD_SECONDS,
        backlog=BACKLOG,
        backpressure=MAX_CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        websockets=False,
        workers_kill_timeout=DRAIN_SECONDS,
        log_enabled=False,
    )
    parent = os.getpid()
    server.serve(target_loader=lambda: _load(parent), wrap_loader=False)
    return 0


def _load(parent: int) -> Any:
    """The WSGI callable, made in the process that will call it."""
    from wheelmark.server.wsgi import create_application

    die_with(parent)
    name_process("wm-http")
    config: Config = settings.CONFIG
    configure_logs(config.log_format, process="web")
    front = create_application(config)
    front.start()
    # The read path answers from now on; the pages take half a second more to import, and need not be waited for.
    threading.Thread(target=importlib.import_module, args=("wheelmark.server.urls",), daemon=True).start()
    return front
