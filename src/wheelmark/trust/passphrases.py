"""Where passphrases and PINs come from. A source has a name that may be shown; its value never is.

| source              | what is read                                                                        |
|---------------------|-------------------------------------------------------------------------------------|
| `prompt:`           | typed at a terminal, unseen                                                         |
| `fd:N`              | a file descriptor that the caller has opened: `fd:3`, with `3< file` in the shell   |
| `file:PATH`         | a file                                                                              |
| `credential:NAME`   | a credential that systemd hands to a service (`LoadCredential=`, `$CREDENTIALS_DIRECTORY`) |
| `command:WORDS…`    | the standard output of a program, started without a shell: `command:pass show index` |

Not among them: an argument and the value of an environment variable, which every user of the machine, or every child
of the process, can read. One newline at the end is not part of the value.
"""

from __future__ import annotations

import argparse
import functools
import getpass
import os
import selectors
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from wheelmark.errors import Refused, Unavailable

Passphrase = Callable[[], bytes]

MAX_PASSPHRASE_BYTES: Final = 4_096
COMMAND_SECONDS: Final = 60.0
"""Long enough for a person to type into the window that the command opens."""

_KINDS: Final = ("prompt", "fd", "file", "credential", "command")


def passphrase_from(
    source: str, *, what: str = "passphrase", confirm: bool = False, environ: Mapping[str, str] = os.environ
) -> Passphrase:
    """What reads this source when it is called. `what` is asked for at a prompt; `confirm` asks twice (new keys).

    Raises:
        Refused: it is no source (`passphrase-source`). It is not shown, for it may be the passphrase itself.
    """
    kind, colon, rest = source.partition(":")
    if not colon or kind not in _KINDS or (not rest and kind != "prompt"):
        known = "prompt:, fd:N, file:PATH, credential:NAME or command:WORDS"
        message = f"expected a place to read it from ({known}), got something else (not shown here)"
        raise Refused.because("passphrase-source", "passphrase", message)
    if kind == "prompt":
        return lambda: _prompt(what, confirm=confirm)
    if kind == "file":
        return lambda: _from_file(Path(rest), what)
    if kind == "credential":
        return lambda: _from_credential(rest, what, environ)
    if kind == "command":
        return lambda: _from_command(_words(rest), what)
    # A descriptor gives its bytes once only, and several keys may ask for them.
    return functools.cache(lambda: _from_descriptor(rest, what))


def add_passphrase_options(parser: argparse.ArgumentParser) -> None:
    """The options by which a command is told where passphrases come from."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--passphrase-from",
        metavar="SOURCE",
        help="where to read the passphrase: prompt: (default), fd:N, file:PATH, credential:NAME, command:WORDS",
    )
    choice.add_argument("--passphrase-fd", type=int, metavar="N", help="the same as --passphrase-from fd:N")


def passphrase_of(arguments: argparse.Namespace, *, what: str = "passphrase", confirm: bool = False) -> Passphrase:
    """The passphrase that the options of `add_passphrase_options` name; without any of them it is asked for."""
    source = arguments.passphrase_from or "prompt:"
    if arguments.passphrase_fd is not None:
        source = f"fd:{arguments.passphrase_fd}"
    return passphrase_from(source, what=what, confirm=confirm)


def _prompt(what: str, *, confirm: bool) -> bytes:
    if not sys.stdin.isatty():
        raise Unavailable(
            f"expected a terminal to ask for the {what} at, got none: "
            "name another source with --passphrase-from or --passphrase-fd",
            code="passphrase-terminal",
        )
    typed = getpass.getpass(f"{what}: ")
    if confirm and getpass.getpass(f"{what} again: ") != typed:
        raise Unavailable(f"expected the same {what} twice, got two: try again", code="passphrase-confirm")
    return _checked(typed.encode(), what, "the terminal")


def _from_file(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return _read(file, what, str(path))
    except OSError as error:
        raise _unreadable(what, str(path), error) from error


def _from_credential(name: str, what: str, environ: Mapping[str, str]) -> bytes:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        message = f"expected systemd's $CREDENTIALS_DIRECTORY for the {what}, got none: add LoadCredential={name}:…"
        raise Unavailable(message, code="passphrase-unreadable")
    if "/" in name:
        raise Refused.because("passphrase-source", "credential", "expected the name of a credential, got a path")
    return _from_file(Path(folder) / name, what)


def _from_descriptor(number: str, what: str) -> bytes:
    if not number.isascii() or not number.isdigit():
        raise Refused.because("passphrase-source", "fd", "expected the number of an open file descriptor")
    try:
        with os.fdopen(os.dup(int(number)), "rb") as file:
            return _read(file, what, f"file descriptor {number}")
    except (OSError, OverflowError) as error:
        raise _unreadable(what, f"file descriptor {number}", error) from error


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise Refused.because("passphrase-source", "command", f"expected words as in a shell, got {error}") from error


def _from_command(words: list[str], what: str, *, seconds: float = COMMAND_SECONDS) -> bytes:
    """What a program prints. It keeps our terminal and our standard error: it may have to ask a person."""
    if not words:
        raise Refused.because("passphrase-source", "command", "expected a program, got none")
    where = f"the command {words[0]}"
    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
    except (OSError, ValueError) as error:
        raise _unreadable(what, where, error) from error
    with process:
        try:
            assert process.stdout is not None  # noqa: S101  # it was asked for
            value = _read_until(process.stdout, time.monotonic() + seconds)
            status = process.wait(timeout=seconds) if value is not None and len(value) <= MAX_PASSPHRASE_BYTES else 0
        except subprocess.TimeoutExpired:
            value = None
        finally:
            process.kill()
    if value is None:
        message = f"{where} gave no {what} within {seconds:g} s"
        raise Unavailable(message, code="passphrase-unreadable")
    if status:
        message = f"{where}, which gives the {what}, ended with status {status}"
        raise Unavailable(message, code="passphrase-unreadable")
    return _checked(value, what, where)


def _read_until(stream: IO[bytes], deadline: float) -> bytes | None:
    """Everything up to one byte more than a passphrase may have; None when the time is over."""
    value = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while len(value) <= MAX_PASSPHRASE_BYTES:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            chunk = os.read(stream.fileno(), MAX_PASSPHRASE_BYTES + 1 - len(value))
            if not chunk:
                break
            value += chunk
    return value


def _read(file: IO[bytes], what: str, where: str) -> bytes:
    return _checked(file.read(MAX_PASSPHRASE_BYTES + 3), what, where)


def _checked(value: bytes, what: str, where: str) -> bytes:
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise Unavailable(f"expected the {what} from {where}, got nothing", code="passphrase-empty")
    if len(value) > MAX_PASSPHRASE_BYTES:
        message = f"expected the {what} from {where} to have at most {MAX_PASSPHRASE_BYTES:,} bytes, got more"
        raise Unavailable(message, code="passphrase-long")
    return value


def _unreadable(what: str, where: str, error: Exception) -> Unavailable:
    said = getattr(error, "strerror", None) or str(error)
    return Unavailable(f"the {what} cannot be read from {where}: {said}", code="passphrase-unreadable")
