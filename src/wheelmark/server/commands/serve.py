"""`wheelmark serve`: the whole index on one machine, with one command."""

from __future__ import annotations

import argparse
import gc
import os
import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmark import __version__
from wheelmark.errors import Unavailable
from wheelmark.server.config import Config, load_config, settings_table

if TYPE_CHECKING:
    from wheelmark.server.founding import FirstStart

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared with, never bound to by default)


def main(argv: Sequence[str]) -> int:
    """Run the index until it is told to stop; returns the exit status.

    Raises:
        WheelmarkError: it cannot start, and nothing was changed; the message says what to do.
    """
    arguments = _parser().parse_args(list(argv))
    config = read_config(arguments.data, host=arguments.host, port=arguments.port)
    from wheelmark.server.processes.family import import_shared, in_child, lock_folder, reserve_port

    gc.disable()  # nothing that an import makes is garbage; children collect theirs
    reserved, port = reserve_port(config.host, config.port)
    with lock_folder(config.data), reserved:
        os.environ["WHEELMARK_PORT"] = str(port)
        config = read_config(arguments.data, host=arguments.host)
        first_start = not (config.secrets_folder / "django").exists()
        if not first_start:
            _bootstrap(config)
        # On the first start the secrets, which Django's settings read, do not exist before this step. Later starts
        # find nothing to do, and we import meanwhile.
        prepared = in_child(lambda: _prepare(config))
        if first_start:
            if status := prepared():
                return status
            _bootstrap(config)
        import_shared()
        if not first_start and (status := prepared()):
            return status
        return _supervise(config)


def read_config(data: Path | None, **overrides: object) -> Config:
    """The settings of this start.

    Raises:
        Refused: a setting is unknown or has the wrong form.
        Unavailable: the settings file cannot be read (`config-unreadable`).
    """
    try:
        return load_config(os.environ, data=data, **overrides)
    except OSError as error:
        raise Unavailable(
            f"the settings {error.filename} cannot be read ({error.strerror}): make them readable for this user",
            code="config-unreadable",
        ) from error


def _bootstrap(config: Config) -> None:
    from wheelmark.server.bootstrap import bootstrap

    bootstrap(config.data, host=config.host, port=config.port)


def _prepare(config: Config) -> None:
    """Make everything that is not there yet: folders, secrets, database, keys, the first signed metadata."""
    _bootstrap(config)
    from django.utils import timezone

    from wheelmark.server.founding import found, prepare_folders
    from wheelmark.server.review.context.examiner import check_lists
    from wheelmark.server.review.tasks import check_rules, forget_leases
    from wheelmark.server.stores import current_store

    check_lists(config)
    check_rules(config)
    prepare_folders(config)
    first = found(config, current_store(), now=timezone.now())
    if not config.on_postgresql:
        forget_leases()  # the lock on the data folder says that no worker lives
    if first is not None:
        print(welcome(config, first), flush=True)


def _supervise(config: Config) -> int:
    from wheelmark.server.logs import configure_logs
    from wheelmark.server.processes.family import children_of
    from wheelmark.server.processes.supervisor import Supervisor

    configure_logs(config.log_format, process="supervisor")
    children = children_of(config, web=True, workers=config.scan_workers, publisher=True)
    status = Supervisor(children, tick=_Announcement(config)).run()
    if not config.on_postgresql:
        from wheelmark.server.backup import truncate_wal

        truncate_wal(config.database_file)  # only now: the children's connections end with them
    return status


class _Announcement:
    """Says once, when it is true, that the index answers."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._said = False

    def __call__(self) -> None:
        if self._said:
            return
        address = (ANY_ADDRESS.get(self._config.host, self._config.host), self._config.port)
        try:
            socket.create_connection(address, timeout=0.2).close()
        except OSError:
            return
        self._said = True
        print(f"Wheelmark {__version__} answers at {self._config.base_url}  (Ctrl-C stops it)", flush=True)


def welcome(config: Config, first: FirstStart) -> str:
    """What the operator of a new index must know, once."""
    url, data = config.base_url, shlex.quote(str(config.data))
    lines = [
        f"This is a new index. Everything it has lies in {config.data}.",
        "",
    ]
    if first.admin_password is not None:
        lines += [
            f"Administrator   {first.admin_name}",
            f"Password        {first.admin_password}      (shown this once; log in at {url}/account/login/)",
        ]
    lines += [
        f"Root            sha256 {first.root_sha256}",
        "",
        "A token, the first upload, the first verified install:",
        f"  wheelmark admin token create --user {first.admin_name or 'NAME'} --data {data} --json",
        f"  twine upload --repository-url {url}/legacy/ --username __token__ dist/*",
        f"  wheelmark pip --index {url}/simple/ --root-fingerprint {first.root_sha256} install NAME",
        "",
        "Before others rely on this index:",
        f"  - Root is signed by one key alone, in {first.offline_folder}: move that folder to a medium",
        "    that you keep offline, and delete it here",
    ]
    if config.host in LOOPBACK:
        lines.append("  - It listens on this machine only. Put a reverse proxy with TLS in front, and set")
        lines.append("    WHEELMARK_PUBLIC_URL=https://…")
    lines.append(
        "  - Back it up: the database by `pg_dump`, then its store and this folder"
        if config.on_postgresql
        else f"  - Back it up: wheelmark admin backup FILE --data {data}, which says what else to keep"
    )
    lines.append("  - All settings: wheelmark serve --help; state: wheelmark trust status")
    return "\n".join([*lines, ""])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wheelmark serve",
        description="Start the index: web server, scan workers and publisher, in one data folder.",
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data(parser)
    parser.add_argument("--host", help="address to listen on (WHEELMARK_HOST)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (WHEELMARK_PORT)")
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option that `serve` and `worker` share."""
    parser.add_argument("--data", type=Path, help="the data folder (WHEELMARK_DATA)")


def settings_help() -> str:
    """Every setting, for the end of the help."""
    rows = settings_table()
    width = max(len(name) for name, _, _ in rows)
    lines = ["settings, as variables or (in lower case, without the prefix) as lines of DATA/wheelmark.toml:"]
    for name, default, text in rows:
        shown = f"  [{default}]" if default else ""
        lines.append(f"  {name:<{width}}  {text}{shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
