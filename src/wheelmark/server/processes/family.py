"""Which processes an index runs on this machine, and what must be true before they start."""

from __future__ import annotations

import errno
import fcntl
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from wheelmark.errors import Refused, Unavailable
from wheelmark.server.config import Config
from wheelmark.server.processes.kernel import die_with
from wheelmark.server.processes.supervisor import Child

LOCK_NAME = "serve.lock"
PATIENCE_SECONDS = 3.0
"""The children of a supervisor that was killed a moment ago take so long to follow it, at most."""

_PAUSE_SECONDS = 0.05

# What more than one child uses. The pages are the web process's alone, and scanning the workers': see there.
_SHARED_MODULES = (
    "granian",
    "wheelmark.server.wsgi",
    "wheelmark.server.publishing.publisher",
    "wheelmark.server.processes.worker",
    "wheelmark.server.processes.web",
    "wheelmark.server.processes.publisher",
)


def import_shared() -> None:
    """Import what children use, once, before they are forked: they share the memory and start at once."""
    from django.db import connections

    for name in _SHARED_MODULES:
        importlib.import_module(name)
    if any(connection.connection is not None for connection in connections.all()):
        raise RuntimeError("a database connection was opened before the fork; children would share it")


def lock_folder(folder: Path) -> IO[str]:
    """Take the data folder for this family of processes. Children inherit the lock: it is free when the last ended.

    Raises:
        Unavailable: another index runs on it (`data-in-use`), or it cannot be written (`data-folder`).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / LOCK_NAME).open("a")
    except OSError as error:
        raise Unavailable(
            f"the data folder {folder} cannot be written ({error.strerror}): "
            "make it writable for this user, or name another with --data",
            code="data-folder",
        ) from error
    if not _patiently(lambda: _locked(lock)):
        lock.close()
        raise Unavailable(
            f"another `wheelmark serve` runs on {folder}: stop it first, or name another folder with --data",
            code="data-in-use",
        )
    return lock


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def reserve_port(host: str, port: int) -> tuple[socket.socket, int]:
    """Keep a port for our web process, which may die and come back: bound, but not listening. 0 takes a free one.

    Raises:
        Refused: the address is not one of this machine (`host`).
        Unavailable: somebody else has the port (`port-taken`), or this user may not (`port-forbidden`).
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Refused.because("host", "host", f"expected an address of this machine, got {host!r} ({error})") from error
    if not _patiently(lambda: _free(family, kind, address)):
        raise Unavailable(
            f"port {port} on {host} is taken by another program: stop it, or choose another port with --port",
            code="port-taken",
        )
    reserved = socket.socket(family, kind)
    # With this option on both, our web process can bind the same port; it is set only after the port was found free.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(address)
    return reserved, reserved.getsockname()[1]


def _free(family: int, kind: int, address: tuple[object, ...]) -> bool:
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError as error:
            raise Unavailable(
                f"this user may not listen on port {address[1]}: choose one above 1023 with --port",
                code="port-forbidden",
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise Refused.because("host", "host", f"expected an address of this machine, got {address[0]!r}") from error
    return True


def _patiently(attempt: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not attempt():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def children_of(config: Config, *, web: bool, workers: int, publisher: bool) -> tuple[Child, ...]:
    """The children for these settings."""
    from wheelmark.server.processes.publisher import run_publisher
    from wheelmark.server.processes.web import run_web
    from wheelmark.server.processes.worker import run_worker

    return (
        *([Child("publisher", lambda: run_publisher(config))] if publisher else []),
        *([Child("web", lambda: run_web(config))] if web else []),
        *(Child(f"worker-{number}", lambda: run_worker(config)) for number in range(1, workers + 1)),
    )


def in_child(step: Callable[[], None]) -> Callable[[], int]:
    """Run one step in a forked process; what is returned waits for it, and gives its exit status.

    What the step imports, opens and allocates goes away with it, and the supervisor stays small and able to fork.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            die_with(parent)
            status = _guarded(step)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def wait() -> int:
        while True:
            try:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            except KeyboardInterrupt:
                os.kill(pid, signal.SIGTERM)

    return wait


def _guarded(step: Callable[[], None]) -> int:
    from django.db import Error as DatabaseError

    from wheelmark.errors import WheelmarkError

    try:
        step()
    except WheelmarkError as error:
        print(f"wheelmark: {error}", file=sys.stderr)
        return 1
    except DatabaseError as error:
        sentence = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        print(
            f"wheelmark: the database does not answer ({sentence}): "
            "see that it runs, that this user may use it, and that no other program holds it; then start again",
            file=sys.stderr,
        )
        return 1
    return 0
