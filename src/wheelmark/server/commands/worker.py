"""`wheelmark worker`: scans and other jobs on this machine, for an index on PostgreSQL and a shared store."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from wheelmark.errors import Refused
from wheelmark.server.commands.serve import add_data, read_config, settings_help
from wheelmark.server.config import Config


def main(argv: Sequence[str]) -> int:
    """Run workers until told to stop; returns the exit status.

    Raises:
        WheelmarkError: they cannot start; the message says what to do.
    """
    parser = argparse.ArgumentParser(
        prog="wheelmark worker",
        description="Run scans and other jobs of an index whose database is PostgreSQL. Needs no keys.",
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data(parser)
    parser.add_argument("--publish", action="store_true", help="also stand by as publisher; this needs the online keys")
    arguments = parser.parse_args(list(argv))
    config = read_config(arguments.data)
    if not config.on_postgresql:
        raise Refused.because(
            "worker-needs-postgresql",
            "WHEELMARK_DATABASE",
            "expected the PostgreSQL database of an index, got none: `wheelmark serve` runs its own workers "
            "(WHEELMARK_SCAN_WORKERS says how many)",
        )
    from wheelmark.server.bootstrap import bootstrap
    from wheelmark.server.logs import configure_logs
    from wheelmark.server.processes import Supervisor
    from wheelmark.server.processes.family import children_of, import_shared, in_child

    bootstrap(config.data)
    import_shared()
    if status := in_child(lambda: _check(config))():
        return status
    configure_logs(config.log_format, process="supervisor")
    children = children_of(config, web=False, workers=config.scan_workers, publisher=arguments.publish)
    return Supervisor(children).run()


def _check(config: Config) -> None:
    """See that there is an index, and that what this machine needs for it is here."""
    from wheelmark.server.publishing.rows import load_state
    from wheelmark.server.review.context.examiner import check_lists
    from wheelmark.server.review.tasks import check_rules
    from wheelmark.server.stores import current_store

    for folder in (config.data, config.data / "incoming"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_lists(config)
    check_rules(config)
    load_state()
    current_store()
