"""`wheelmark run`, `wheelmark pip`, `wheelmark uv` and `wheelmark proxy`.

Exit status: the child's own when nothing was withheld from it; 3 when something was refused; 1 when an index could
not be reached or read. Imports that take long (python-tuf) happen while the child is already starting.
"""

from __future__ import annotations

import hashlib
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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from wheelmark.client.address import IndexAddress
from wheelmark.client.anchor import trusted_root
from wheelmark.client.counting import CountingFetcher
from wheelmark.client.environment import WayOut, child_environment, uv_project, uv_proxy_fault
from wheelmark.client.fetching import HttpFetcher
from wheelmark.client.forward import ForwardProxy, Gate
from wheelmark.client.incidents import Incident, Incidents
from wheelmark.client.installers import PIP, UV, Installer, argument_faults
from wheelmark.client.lean import without_signing_backends
from wheelmark.client.options import IndexChoice, Options, options, parser, split
from wheelmark.client.patience import limits_from
from wheelmark.client.proxy import VerifyingProxy
from wheelmark.client.sources import Source, Sources
from wheelmark.errors import Refused, Unavailable, Untrusted, WheelmarkError

if TYPE_CHECKING:
    from wheelmark.client.verifier import Verifier

EXIT_FAILED = 1
EXIT_REFUSED = 3
STOP_SECONDS = 10.0  # for a child to end after it was interrupted
KEEP_FRESH_SECONDS = 60.0  # between looks at the timestamp that nobody asked for
PROBE_NAME = "wheelmark-proxy-start"

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
_PROXY_HELP = "set the printed variables for any tool; /healthz and /metrics say how it is"

Main = Callable[[Sequence[str]], int]


def main_run(argv: Sequence[str]) -> int:
    """Run any command so that it sees only the verified indexes; return the exit status."""
    return _reporting(lambda: _run_any(argv))


def main_pip(argv: Sequence[str]) -> int:
    """Run pip against the verified indexes; return the exit status."""
    return _reporting(lambda: _run_installer(PIP, argv, "install demo"))


def main_uv(argv: Sequence[str]) -> int:
    """Run uv against the verified indexes; return the exit status."""
    return _reporting(lambda: _run_installer(UV, argv, "pip install demo"))


def main_proxy(argv: Sequence[str]) -> int:
    """Serve the verified indexes on this machine until interrupted; return the exit status."""
    return _reporting(lambda: _run_proxy(argv))


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
    return _run_child(_indexes(given), given, [program, *command[1:]], {})


def _run_installer(installer: Installer, argv: Sequence[str], example: str) -> int:
    own, arguments = split(argv)
    usage = f"wheelmark {installer.name} [options] {installer.name} arguments"
    epilog = _INSTALLER_HELP.format(name=installer.name, example=example)
    given = options(parser(installer.name, usage, epilog, tunnels=False), own)
    indexes = _indexes(given)
    prefixes = [url for index in indexes for url in (index.address.simple_url, index.files_url)]
    if faults := argument_faults(installer, arguments, own=prefixes):
        raise Refused(faults)
    extra = {}
    virtual = os.environ.get("VIRTUAL_ENV")
    if installer is PIP and virtual and virtual != sys.prefix and "PIP_PYTHON" not in os.environ:
        extra["PIP_PYTHON"] = virtual  # who activated an environment means that one, not ours
    return _run_child(indexes, given, [*_program(installer), *arguments], extra)


def _run_child(
    indexes: Sequence[_Index],
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


def _run_proxy(argv: Sequence[str]) -> int:
    given = options(parser("proxy", "wheelmark proxy [options]", _PROXY_HELP, tunnels=False), argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    incidents = Incidents(lambda incident: print(incident.line(), file=sys.stderr, flush=True))
    indexes = _indexes(given)
    sources = Sources([index.source for index in indexes])

    def refreshes() -> int:
        return sum(index.fetcher.refreshes for index in indexes)

    with VerifyingProxy(sources, incidents, port=given.port, refreshes=refreshes) as proxy:
        _look(sources, proxy)
        print(f"verifying {', '.join(index.choice.url for index in indexes)}", file=sys.stderr)
        print(f"PIP_INDEX_URL={proxy.url}simple/ UV_DEFAULT_INDEX={proxy.url}simple/", flush=True)
        while not stop.wait(KEEP_FRESH_SECONDS):
            try:
                _look(sources, proxy)
            except Untrusted as error:
                proxy.incidents.add(error)
                proxy.counters.incident(error)
    worst = incidents.worst()
    return EXIT_REFUSED if worst is not None and worst.refused else 0


def _look(sources: Sources, proxy: VerifyingProxy) -> None:
    """Ask every index for its newest timestamp: at the start, so that a wrong root or address shows now and not at
    the first install, and from time to time, so that the first request after a pause need not wait.

    An index that is away is said and counted, but is no reason to end: it comes back.

    Raises:
        Untrusted: it answers, and not as its root says.
    """
    try:
        sources.page(PROBE_NAME)
    except Unavailable as error:
        proxy.incidents.add(error)
        proxy.counters.incident(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    choice: IndexChoice
    address: IndexAddress
    source: Source
    fetcher: CountingFetcher

    @property
    def files_url(self) -> str:
        """Below which its files lie."""
        return urljoin(self.address.simple_url, "../files/")


def _indexes(given: Options) -> list[_Index]:
    """Settles the roots now, where a person can be asked; the rest is left for when it is needed."""
    made = [_index(choice, given.directory) for choice in given.indexes]
    if len({index.address for index in made}) < len(made):
        raise Refused.because("index-twice", "index", "expected every index once, got the same address twice")
    Sources([index.source for index in made])  # namespaces are read now, before anything runs
    return made


def _index(choice: IndexChoice, state: Path) -> _Index:
    address = IndexAddress.parse(choice.url)
    directory = state / "indexes" / hashlib.sha256(address.simple_url.encode()).hexdigest()[:32]
    fetcher = CountingFetcher(HttpFetcher(limits_from(os.environ)))
    ask = _ask if sys.stdin.isatty() and sys.stderr.isatty() else None
    root = trusted_root(choice.root, address, directory, fetcher=fetcher, ask=ask)

    def open_verifier() -> Verifier:
        with without_signing_backends():  # half of the start, where boto3 is installed
            from wheelmark.client.verifier import Verifier

        return Verifier(address.simple_url, root, directory, fetcher=fetcher, notify=_notice)

    return _Index(
        choice=choice,
        address=address,
        source=Source(open_verifier, namespaces=choice.namespaces),
        fetcher=fetcher,
    )


def _notice(text: str) -> None:
    """What a person should know though nothing is refused."""
    print(f"wheelmark: notice: {' '.join(text.split())}", file=sys.stderr, flush=True)


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


def _ask(index_url: str, fingerprint: str) -> bool:
    groups = " ".join(fingerprint[start : start + 8] for start in range(0, len(fingerprint), 8))
    print(
        f"first contact with {index_url}\nthe sha256 of its root is\n  {groups}\n"
        "Compare it with what the operators of the index give you by another way.",
        file=sys.stderr,
    )
    print("Is it the same? [yes/no] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def _reporting(run: Callable[[], int]) -> int:
    """The exit status, with what stopped us before the child ran said in the one line that scripts look for."""
    try:
        return run()
    except (Refused, Untrusted) as error:
        line = Incident(error).line() if isinstance(error, Untrusted) else f"wheelmark: refused: {error}"
        print(line, file=sys.stderr)
        return EXIT_REFUSED
    except WheelmarkError as error:
        print(Incident(error).line(), file=sys.stderr)
        return EXIT_FAILED
