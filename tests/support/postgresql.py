"""A real PostgreSQL for the tests of `make services`: a cluster of its own in a folder that goes away."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDERS = "/usr/lib/postgresql"
_UNPRIVILEGED = "postgres"


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Start a server on a free port; gives the address of an empty database, as `WHEELMARK_DATABASE` takes it."""
    programs, folder = _programs(), Path(tempfile.mkdtemp(prefix="wheelmark-postgresql-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = _UNPRIVILEGED if os.geteuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    cluster, log = str(folder / "cluster"), str(folder / "log")
    try:
        run("initdb", "-D", cluster, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        # Without a log of its own the server would keep our pipe open.
        run("pg_ctl", "-D", cluster, "-o", options, "-l", log, "-w", "start")
        try:
            run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "wheelmark")
            yield f"postgresql://postgres@127.0.0.1:{port}/wheelmark"
        finally:
            run("pg_ctl", "-D", cluster, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path(_FOLDERS).glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    if (program := shutil.which("initdb")) is not None:
        return Path(program).parent
    user = pwd.getpwuid(os.geteuid()).pw_name
    raise RuntimeError(f"these tests need PostgreSQL's server programs (Debian: postgresql), {user} found none")
