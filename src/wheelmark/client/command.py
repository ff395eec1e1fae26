"""`wheelmark pip`, `wheelmark uv` and `wheelmark proxy`.

Exit status: the installer's own when nothing was withheld from it; 3 when something was refused; 1 when the index
could not be reached or read. Imports that take long (python-tuf) happen while the installer is already starting.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from wheelmark.client.address import IndexAddress
from wheelmark.client.anchor import RootChoice, trusted_root
from wheelmark.client.fetching import HttpFetcher
from wheelmark.client.incidents import Incident, Incidents
from wheelmark.client.installers import PIP, UV, Installer, argument_faults, child_environment
from wheelmark.client.patience import limits_from
from wheelmark.client.proxy import VerifyingProxy
from wheelmark.errors import Refused, Untrusted, WheelmarkError

if TYPE_CHECKING:
    from wheelmark.client.verifier import Verifier

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
STOP_SECONDS = 10.0  # for an installer to end after it was interrupted

_HELP = """\
own options come before those of {name}; everything from the first other word on belongs to {name}:
  wheelmark {name} --index https://index.example.org/simple/ {example}

{name} sees one source, a verifying proxy on this machine. Options that name another source, direct addresses and
version control are refused; what a requirements file or a build asks of the network fails. Caches are not used.

exit status: that of {name}, or 3 when something was refused, or 1 when the index could not be reached"""


Main = Callable[[Sequence[str]], int]


def main_pip(argv: Sequence[str]) -> int:
    """Run pip against the verified index; return the exit status."""
    return _reporting(lambda: _run_installer(PIP, argv, "install demo"))


def main_uv(argv: Sequence[str]) -> int:
    """Run uv against the verified index; return the exit status."""
    return _reporting(lambda: _run_installer(UV, argv, "pip install demo"))


def main_proxy(argv: Sequence[str]) -> int:
    """Serve the verified index on this machine until interrupted; return the exit status."""
    return _reporting(lambda: _run_proxy(argv))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    index: str
    root: RootChoice
    directory: Path
    port: int


def _run_installer(installer: Installer, argv: Sequence[str], example: str) -> int:
    own, arguments = _split(argv)
    options = _options(_parser(installer.name, example), own)
    if faults := argument_faults(installer, arguments, fixed_port=options.port != 0):
        raise Refused(faults)
    program = _program(installer)
    incidents = Incidents()
    with VerifyingProxy(_verifier_opener(options), incidents, port=options.port, strict=True) as proxy:
        environment = child_environment(installer, os.environ, proxy.url, python_prefix=sys.prefix)
        child = subprocess.Popen([*program, *arguments], env=environment)
        incidents.notify = lambda _: _stop(child)
        threading.Thread(target=_warm_up, args=(proxy,), daemon=True).start()
        status = _wait(child)
    worst = incidents.worst()
    if worst is None:
        return status
    print(worst.line(), file=sys.stderr)
    return EXIT_REFUSED if worst.refused else EXIT_FAILED


def _run_proxy(argv: Sequence[str]) -> int:
    parser = _parser("proxy", "")
    options = _options(parser, argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    incidents = Incidents(lambda incident: print(incident.line(), file=sys.stderr, flush=True))
    with VerifyingProxy(_verifier_opener(options), incidents, port=options.port) as proxy:
        proxy.verifier().page("wheelmark-proxy-start")  # a wrong root or address shows now, not at the first install
        print(f"verifying {options.index}", file=sys.stderr)
        print(f"PIP_INDEX_URL={proxy.url}simple/ UV_DEFAULT_INDEX={proxy.url}simple/", flush=True)
        stop.wait()
    worst = incidents.worst()
    return EXIT_REFUSED if worst is not None and worst.refused else 0


def _verifier_opener(options: _Options) -> Callable[[], Verifier]:
    """Settles the root now, where a person can be asked; the rest is left for when it is needed."""
    address = IndexAddress.parse(options.index)
    directory = options.directory / "indexes" / hashlib.sha256(address.simple_url.encode()).hexdigest()[:32]
    fetcher = HttpFetcher(limits_from(os.environ))
    ask = _ask if sys.stdin.isatty() and sys.stderr.isatty() else None
    root = trusted_root(options.root, address, directory, fetcher=fetcher, ask=ask)

    def open_verifier() -> Verifier:
        from wheelmark.client.verifier import Verifier

        return Verifier(address.simple_url, root, directory, fetcher=fetcher, notify=_notice)

    return open_verifier


def _notice(text: str) -> None:
    """What a person should know though nothing is refused."""
    print(f"wheelmark: notice: {' '.join(text.split())}", file=sys.stderr, flush=True)


def _warm_up(proxy: VerifyingProxy) -> None:
    try:
        proxy.verifier()
    except WheelmarkError as error:
        proxy.incidents.add(error)


def _wait(child: subprocess.Popen[bytes]) -> int:
    """The child's exit status as a shell would give it. Ctrl-C reaches the child too, and ends it, not us."""
    while True:
        try:
            status = child.wait()
        except KeyboardInterrupt:
            continue
        return status if status >= 0 else 128 - status


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Interrupts the installer: it downloads everything before it installs anything, so nothing is installed."""
    child.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
    killer = threading.Timer(STOP_SECONDS, child.kill)
    killer.daemon = True
    killer.start()


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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"wheelmark: {message}", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


_VALUE_OPTIONS = {
    "--index": "address of the index's Simple API (WHEELMARK_INDEX)",
    "--root": "file with the root metadata to trust (WHEELMARK_ROOT)",
    "--root-fingerprint": "sha256 of the index's 1.root.json, in hex",
    "--state": "folder for what must be remembered between runs (WHEELMARK_STATE)",
    "--port": "port of the proxy on this machine; by default any free one",
}
_FLAG_OPTIONS = {"--trust-on-first-use": "trust whatever root the index offers at the first contact"}


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our options, and from the first other word on the installer's. `-h` at the front is ours."""
    position = 0
    while position < len(argv):
        name, equals, _ = argv[position].partition("=")
        if name in _VALUE_OPTIONS:
            position += 1 if equals else 2
        elif name in _FLAG_OPTIONS or (position == 0 and name in {"-h", "--help"}):
            position += 1
        else:
            break
    return list(argv[:position]), list(argv[position:])


def _parser(name: str, example: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"wheelmark {name}",
        usage=f"wheelmark {name} [options] {f'{name} arguments' if example else ''}".rstrip(),
        epilog=_HELP.format(name=name, example=example) if example else "set the printed variables for any tool",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for option, text in _VALUE_OPTIONS.items():
        parser.add_argument(option, help=text)
    for option, text in _FLAG_OPTIONS.items():
        parser.add_argument(option, help=text, action="store_true")
    return parser


def _options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> _Options:
    given = parser.parse_args(argv)
    index = given.index or os.environ.get("WHEELMARK_INDEX")
    if not index:
        parser.error("expected the address of the index in --index or WHEELMARK_INDEX, got none")
    # A fingerprint on the command line says more than a root file left in the environment.
    root = given.root or (None if given.root_fingerprint else os.environ.get("WHEELMARK_ROOT"))
    port = given.port or "0"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        parser.error(f"expected a port from 1 to 65535, got {port[:20]!r}")
    return _Options(
        index=index,
        root=RootChoice(
            file=Path(root) if root else None,
            fingerprint=given.root_fingerprint,
            trust_on_first_use=given.trust_on_first_use,
        ),
        directory=_state_directory(given.state),
        port=int(port),
    )


def _state_directory(given: str | None) -> Path:
    """Not the cache folder: who empties that would lose the memory against rollback, and the remembered root."""
    if chosen := given or os.environ.get("WHEELMARK_STATE"):
        return Path(chosen)
    from platformdirs import user_state_path

    return user_state_path("wheelmark", appauthor=False)


def _reporting(run: Callable[[], int]) -> int:
    """The exit status, with what stopped us before the installer ran said in the one line that scripts look for."""
    try:
        return run()
    except (Refused, Untrusted) as error:
        line = Incident(error).line() if isinstance(error, Untrusted) else f"wheelmark: refused: {error}"
        print(line, file=sys.stderr)
        return EXIT_REFUSED
    except WheelmarkError as error:
        print(Incident(error).line(), file=sys.stderr)
        return EXIT_FAILED
