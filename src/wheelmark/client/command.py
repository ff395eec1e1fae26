"""`wheelmark run`, `wheelmark pip` and `wheelmark uv`: a child that sees only the verified indexes.

Exit status: the child's own when nothing was withheld from it; 3 when something was refused; 1 when an index could
not be reached or read. Imports that take long (python-tuf, urllib3) happen while the child is already starting.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from wheelmark.client.environment import WayOut, child_environment, is_near, uv_project, uv_proxy_fault
from wheelmark.client.forward import ForwardProxy, Gate
from wheelmark.client.incidents import Incidents
from wheelmark.client.indexes import EXIT_FAILED, EXIT_REFUSED, VerifiedIndex, reporting, verified_indexes
from wheelmark.client.installers import PIP, UV, Installer, argument_faults
from wheelmark.client.options import Options, options, parser, split
from wheelmark.client.sources import Sources
from wheelmark.errors import Refused, WheelmarkError

STOP_SECONDS = 10.0  # for a child to end after it was interrupted

_FENCED = """\
own options come before those of {name}; everything from the first other word on belongs to {name}:
  wheelmark {name} --index https://index.example.org/simple/ {example}

"""
_CLOSED = """\
The index is asked under its own addresses, through a verifying proxy that is named to the child as HTTP_PROXY and
HTTPS_PROXY; lock files hold the index's addresses. Whatever else is asked of the network is refused, and ends the
run. Caches are not used.

exit status: that of the child, or 3 when something was refused, or 1 when the index could not be reached"""
_INSTALLER_HELP = _FENCED + _CLOSED
_RUN_HELP = (
    "everything after -- is the command:\n"
    "  wheelmark run --index https://index.example.org/simple/ -- poetry install\n\n" + _CLOSED
)

Main = Callable[[Sequence[str]], int]


def main_run(argv: Sequence[str]) -> int:
    """Run any command so that it sees only the verified indexes; return the exit status."""
    return reporting(lambda: _run_any(argv))


def main_pip(argv: Sequence[str]) -> int:
    """Run pip against the verified indexes; return the exit status."""
    return reporting(lambda: _run_installer(PIP, argv, "install demo"))


def main_uv(argv: Sequence[str]) -> int:
    """Run uv against the verified indexes; return the exit status."""
    return reporting(lambda: _run_installer(UV, argv, "pip install demo"))


def _run_any(argv: Sequence[str]) -> int:
    own, command = split(argv)
    made = parser("run", "wheelmark run [options] -- command arguments", _RUN_HELP, tunnels=True)
    given = options(made, own)
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        made.error("expected a command after --, got none")
    program = shutil.which(command[0])
    if program is None:
        raise Refused.because("no-program", command[0][:200], "expected a program on the PATH, got none")
    return _run_child(verified_indexes(given), given, [program, *command[1:]], {})


def _run_installer(installer: Installer, argv: Sequence[str], example: str) -> int:
    own, arguments = split(argv)
    usage = f"wheelmark {installer.name} [options] {installer.name} arguments"
    epilog = _INSTALLER_HELP.format(name=installer.name, example=example)
    given = options(parser(installer.name, usage, epilog, tunnels=False), own)
    indexes = verified_indexes(given)
    prefixes = [url for index in indexes for url in (index.address.simple_url, index.files_url)]
    if faults := argument_faults(installer, arguments, own=prefixes):
        raise Refused(faults)
    extra = {}
    virtual = os.environ.get("VIRTUAL_ENV")
    if installer is PIP and virtual and virtual != sys.prefix and "PIP_PYTHON" not in os.environ:
        extra["PIP_PYTHON"] = virtual  # who activated an environment means that one, not ours
    return _run_child(indexes, given, [*_program(installer), *arguments], extra)


def _run_child(
    indexes: Sequence[VerifiedIndex],
    given: Options,
    command: Sequence[str],
    extra: dict[str, str],
) -> int:
    folder_of_project = _project_folder(command)
    if fault := uv_proxy_fault(folder_of_project, os.environ):
        raise Refused([fault])
    from wheelmark.client.authority import LocalAuthority  # `wheelmark proxy` does without

    gates = [Gate.to(index.address, index.source) for index in indexes]
    secure_hosts = [gate.origin.host for gate in gates if gate.origin.scheme == "https"]
    authority = LocalAuthority(secure_hosts, now=datetime.now(UTC))
    incidents = Incidents()
    with (
        tempfile.TemporaryDirectory(prefix="wheelmark-run-", ignore_cleanup_errors=True) as folder,
        ForwardProxy(gates, incidents, authority, port=given.port, tunnels=given.tunnels) as proxy,
    ):
        way = WayOut(
            proxy_url=proxy.url,
            certificates=_write_certificates(Path(folder), authority.certificate_pem, also_others=bool(given.tunnels)),
            scratch=Path(folder),
            index_urls=[index.choice.url for index in indexes],
            uv_project=uv_project(folder_of_project),
            scratch_is_near=is_near(Path(folder), os.environ),
        )
        environment = child_environment(os.environ, way) | extra
        child = subprocess.Popen(command, env=environment)
        incidents.notify = lambda _: _stop(child)
        threading.Thread(target=_warm_up, args=(proxy.sources, incidents), daemon=True).start()
        with _passed_on(child):
            status = _wait(child)
    worst = incidents.worst()
    if worst is None:
        return status
    print(worst.line(), file=sys.stderr)
    return EXIT_REFUSED if worst.refused else EXIT_FAILED


def _warm_up(sources: Sources, incidents: Incidents) -> None:
    try:
        for source in sources.all:
            source.verifier()
    except WheelmarkError as error:
        incidents.add(error)


def _write_certificates(folder: Path, own: bytes, *, also_others: bool) -> Path:
    """One PEM file, alone in a folder; with the system's authorities only where a tunnel needs them."""
    certificates = folder / "certificates"
    certificates.mkdir()
    path = certificates / "wheelmark.pem"
    others = ""
    if also_others:
        import ssl

        trusted = ssl.create_default_context().get_ca_certs(binary_form=True)
        others = "".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in trusted)
    path.write_bytes(own + others.encode())
    return path


def _wait(child: subprocess.Popen[bytes]) -> int:
    """The child's exit status as a shell would give it. Ctrl-C reaches the child too, and ends it, not us."""
    while True:
        try:
            status = child.wait()
        except KeyboardInterrupt:
            continue
        return status if status >= 0 else 128 - status


@contextmanager
def _passed_on(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Inside the block, what would end us ends the child, and we end after it, with its status."""

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    numbers = [signal.SIGTERM] + ([signal.SIGHUP] if os.name == "posix" else [])
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Interrupts the child, and ends it when it goes on. pip and uv download all before they install anything."""
    child.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
    killer = threading.Timer(STOP_SECONDS, child.kill)
    killer.daemon = True
    killer.start()


def _project_folder(command: Sequence[str]) -> Path:
    """Where the child looks for its project, as far as its arguments say so in uv's way."""
    folder = Path.cwd()
    for option in ("--directory", "--project"):
        for position, argument in enumerate(command):
            name, equals, value = argument.partition("=")
            if name == option and (equals or position + 1 < len(command)):
                folder /= value if equals else command[position + 1]
    return folder


def _program(installer: Installer) -> list[str]:
    if installer is PIP and importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    beside = Path(sys.executable).with_name(installer.name)
    found = str(beside) if installer is UV and beside.exists() else shutil.which(installer.name)
    if found is None:
        raise Refused.because("no-installer", installer.name, f"expected {installer.name} on the PATH, got none")
    return [found]
