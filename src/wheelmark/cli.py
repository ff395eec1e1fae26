"""`wheelmark …`: finds the command that was asked for and imports only its room.

Every command is a function `main(argv) -> exit status` in the room that it belongs to, imported when it is
called: `wheelmark pip` must not pay for Django, nor `wheelmark scan` for the network.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wheelmark import __version__
from wheelmark.errors import WheelmarkError

EXIT_FAILED = 1
EXIT_USAGE = 2


class Command(NamedTuple):
    """One word of the command line, where it is implemented, and its line in the help."""

    target: str
    summary: str


COMMANDS: dict[str, Command] = {
    "serve": Command("wheelmark.server.commands.serve:main", "start the index: web, scan workers, publisher"),
    "worker": Command("wheelmark.server.commands.worker:main", "scans and other jobs on this machine"),
    "scan": Command("wheelmark.scan.command:main", "say what a distribution does, and whether it is malicious"),
    "run": Command("wheelmark.client.command:main_run", "run any tool so that it sees only the verified index"),
    "pip": Command("wheelmark.client.command:main_pip", "run pip against the verified index"),
    "uv": Command("wheelmark.client.command:main_uv", "run uv against the verified index"),
    "proxy": Command("wheelmark.client.service:main", "a verifying index on this machine, for any tool"),
    "trust": Command("wheelmark.server.commands.trust:main", "keys, signatures and the state of the repository"),
    "admin": Command("wheelmark.server.commands.admin:main", "users, tokens, projects, held files, backup and restore"),
}


def usage() -> str:
    """The help text of the bare command."""
    lines = [
        f"wheelmark {__version__}: a Python package index that inspects every upload and signs what it serves",
        "",
        "usage: wheelmark COMMAND [arguments]      wheelmark COMMAND --help",
        "",
    ]
    lines += [f"  {name:<8}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0 if arguments else EXIT_USAGE
    if arguments[0] in {"-V", "--version", "version"}:
        print(f"wheelmark {__version__}")
        return 0
    command = COMMANDS.get(arguments[0])
    if command is None:
        print(f"wheelmark: no command {arguments[0]!r}\n\n{usage()}", file=sys.stderr)
        return EXIT_USAGE
    module, _, function = command.target.partition(":")
    run: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
    try:
        return run(arguments[1:])
    except WheelmarkError as error:
        print(f"wheelmark: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`| head`): leave quietly, and keep the interpreter from complaining on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
