"""The publisher process."""

from __future__ import annotations

import threading

import structlog
from django.db import Error as DatabaseError
from django.db import connection

from wheelmark.errors import WheelmarkError
from wheelmark.server.config import Config
from wheelmark.server.logs import configure_logs
from wheelmark.server.processes.stopping import stop_on_signals

KEYS_SECONDS = 5.0
"""How often a machine that cannot sign looks whether it can by now."""

log = structlog.get_logger(__name__)


def run_publisher(config: Config) -> int:
    """Publish, or stand by, until SIGTERM; returns the exit status."""
    from wheelmark.server.publishing.publisher import run

    configure_logs(config.log_format, process="publisher")
    stop = stop_on_signals()
    if config.on_postgresql:
        wait_for_keys(config, stop)
    run(stop)
    return 0


def wait_for_keys(config: Config, stop: threading.Event) -> None:
    """Wait until this machine can sign, or `stop` is set.

    Of many machines some have no keys, and should not. With the lock in its hands, such a machine would keep those
    that have them from signing.
    """
    from wheelmark.server.publishing.publisher import open_publisher
    from wheelmark.server.publishing.signing_log import SigningLog
    from wheelmark.server.stores import current_store

    said = ""
    while not stop.is_set():
        try:
            open_publisher(config, current_store(), SigningLog(config.signing_log_path))
        except (WheelmarkError, DatabaseError) as error:
            if str(error) != said:
                said = str(error)
                log.warning("this machine cannot sign, and does not stand by", error=said)
            connection.close_if_unusable_or_obsolete()
            stop.wait(KEYS_SECONDS)
        else:
            return
