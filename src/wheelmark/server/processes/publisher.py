"""The publisher process."""

from __future__ import annotations

from wheelmark.server.config import Config
from wheelmark.server.logs import configure_logs
from wheelmark.server.processes.stopping import stop_on_signals


def run_publisher(config: Config) -> int:
    """Publish, or stand by, until SIGTERM; returns the exit status."""
    from wheelmark.server.publishing.publisher import run

    configure_logs(config.log_format, process="publisher")
    run(stop_on_signals())
    return 0
