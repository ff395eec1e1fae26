"""What the commands are told: which indexes, trusted how, in which order. From arguments, variables or a file.

The file is the user's own (`indexes.toml` in the configuration folder, or `--config FILE`), never one that lies in a
project: what has been checked out must not choose whom to trust.

    [[index]]                                  # the first has the highest priority
    url = "https://index.example.org/simple/"
    root = "index.root.json"                   # beside this file; or root-fingerprint = "…"
    namespaces = ["acme"]                      # acme and acme-… are asked of this index only
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from wheelmark.client.anchor import RootChoice
from wheelmark.errors import Fault, Refused, Unavailable

EXIT_USAGE = 2
CONFIG_NAME = "indexes.toml"
MAX_CONFIG_BYTES = 256 * 1024
MAX_INDEXES = 32

# These belong to the `--index` before them; what comes before the first `--index` belongs to the first.
_INDEX_OPTIONS = {
    "--index": "address of an index's Simple API (WHEELMARK_INDEX); repeated: several, in order of priority",
    "--root": "file with the root metadata to trust for that index (WHEELMARK_ROOT)",
    "--root-fingerprint": "sha256 of that index's 1.root.json, in hex",
    "--namespace": "a prefix of project names that are asked of that index only; may be repeated",
}
_VALUE_OPTIONS = {
    "--config": f"file with indexes, roots and namespaces (WHEELMARK_CONFIG); else {CONFIG_NAME} in the user's folder",
    "--state": "folder for what must be remembered between runs (WHEELMARK_STATE)",
    "--port": "port of the proxy on this machine; by default any free one",
}
_FLAG_OPTIONS = {"--trust-on-first-use": "trust whatever root an index offers at the first contact"}
TUNNEL_OPTION = "--tunnel"
_TUNNEL_HELP = "a host that may be reached as it is, unverified, at port 443 or the one given; may be repeated"


class Tunnel(NamedTuple):
    """Whom the child may reach as it is."""

    host: str  # in lower case
    port: int

    @classmethod
    def parse(cls, text: str) -> Tunnel:
        """From `HOST` or `HOST:PORT`, an IPv6 address in brackets."""
        fault = argparse.ArgumentTypeError(f"expected HOST or HOST:PORT, got {text[:100]!r}")
        try:
            parts = urlsplit(f"//{text}")
            port = 443 if parts.port is None else parts.port
        except ValueError as error:
            raise fault from error
        if not parts.hostname or parts.netloc != text or "@" in text or text.endswith(":") or not port:
            raise fault
        return cls(parts.hostname.lower(), port)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexChoice:
    """One index as the user named it."""

    url: str
    root: RootChoice
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All that our own options say."""

    indexes: tuple[IndexChoice, ...]  # at least one, the highest priority first
    directory: Path
    port: int
    tunnels: tuple[Tunnel, ...] = ()


class Parser(argparse.ArgumentParser):
    """Ends with one line and status 2 when the arguments cannot be read."""

    def error(self, message: str) -> NoReturn:
        print(f"wheelmark: {message}", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our options, and from the first other word on the other program's. `-h` at the front is ours."""
    position = 0
    while position < len(argv):
        name, equals, _ = argv[position].partition("=")
        if name in _INDEX_OPTIONS or name in _VALUE_OPTIONS or name == TUNNEL_OPTION:
            position += 1 if equals else 2
        elif name in _FLAG_OPTIONS or (position == 0 and name in {"-h", "--help"}):
            position += 1
        else:
            break
    return list(argv[:position]), list(argv[position:])


def parser(name: str, usage: str, epilog: str, *, tunnels: bool) -> Parser:
    """A parser of our own options for one command."""
    made = Parser(
        prog=f"wheelmark {name}",
        usage=usage,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for option, text in _INDEX_OPTIONS.items():
        made.add_argument(option, help=text, action=_Ordered, dest="ordered", metavar=option[2:].upper(), default=[])
    for option, text in _VALUE_OPTIONS.items():
        made.add_argument(option, help=text)
    for option, text in _FLAG_OPTIONS.items():
        made.add_argument(option, help=text, action="store_true")
    if tunnels:
        made.add_argument(
            TUNNEL_OPTION, help=_TUNNEL_HELP, action="append", default=[], type=Tunnel.parse, metavar="HOST[:PORT]"
        )
    return made


class _Ordered(argparse.Action):
    """Keeps the order of options across their names: `--root` means the index before it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.ordered = [*namespace.ordered, (option_string, values)]


def options(
    made: argparse.ArgumentParser, argv: Sequence[str], environment: Mapping[str, str] | None = None
) -> Options:
    """What arguments, variables and the file say together; arguments win over variables, those over the file.

    Raises:
        Refused: two roots for one index, or a file that breaks its form.
        Unavailable: the file that was named cannot be read.
    """
    environment = os.environ if environment is None else environment
    given = made.parse_args(argv)
    port = given.port or "0"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        made.error(f"expected a port from 1 to 65535, got {port[:20]!r}")
    indexes = _indexes(made, given, environment)
    if len(indexes) > MAX_INDEXES:
        made.error(f"expected at most {MAX_INDEXES} indexes, got {len(indexes)}")
    return Options(
        indexes=indexes,
        directory=_state_directory(given.state, environment),
        port=int(port),
        tunnels=tuple(getattr(given, "tunnel", ())),
    )


def _indexes(
    made: argparse.ArgumentParser, given: argparse.Namespace, environment: Mapping[str, str]
) -> tuple[IndexChoice, ...]:
    ordered: list[tuple[str, str]] = given.ordered
    if any(option == "--index" for option, _ in ordered):
        return _from_arguments(ordered, given, environment)
    if index := environment.get("WHEELMARK_INDEX"):
        return _from_arguments([("--index", index), *ordered], given, environment)
    named = given.config or environment.get("WHEELMARK_CONFIG")
    path = Path(named) if named else _user_config()
    if named or path.exists():
        if ordered:
            made.error(f"expected {ordered[0][0]} only together with --index, got it for {path}")
        return read_indexes(path, trust_on_first_use=given.trust_on_first_use)
    return made.error(
        f"expected the address of the index in --index or WHEELMARK_INDEX, or indexes in {path}, got none"
    )


def _from_arguments(
    ordered: Sequence[tuple[str, str]], given: argparse.Namespace, environment: Mapping[str, str]
) -> tuple[IndexChoice, ...]:
    groups: list[dict[str, list[str]]] = [{}]
    for option, value in ordered:
        if option == "--index" and "--index" in groups[-1]:
            groups.append({})
        groups[-1].setdefault(option, []).append(value)
    single = len(groups) == 1
    choices, faults = [], []
    for group in groups:
        url = group["--index"][0]
        faults += [
            Fault("index-root", option.lstrip("-"), f"expected one for {url[:200]!r}, got {len(group[option])}")
            for option in ("--root", "--root-fingerprint")
            if len(group.get(option, ())) > 1
        ]
        root, fingerprint = group.get("--root", [None])[0], group.get("--root-fingerprint", [None])[0]
        if root is None and fingerprint is None and single:
            # A fingerprint on the command line says more than a root file left in the environment.
            root = environment.get("WHEELMARK_ROOT") or None
        choice = RootChoice(
            file=Path(root) if root else None, fingerprint=fingerprint, trust_on_first_use=given.trust_on_first_use
        )
        choices.append(IndexChoice(url=url, root=choice, namespaces=tuple(group.get("--namespace", ()))))
    if faults:
        raise Refused(faults)
    return tuple(choices)


def read_indexes(path: Path, *, trust_on_first_use: bool = False) -> tuple[IndexChoice, ...]:
    """The indexes of a configuration file, in its order.

    Raises:
        Refused: not TOML, or another form than this module's first lines show; all faults at once.
        Unavailable: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise Unavailable(f"cannot read the configuration: {error}", code="config-file") from error
    try:
        read = tomllib.loads(raw[: MAX_CONFIG_BYTES + 1].decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused.because("config", str(path), f"expected TOML, got: {error}") from error
    entries = read.get("index")
    if len(raw) > MAX_CONFIG_BYTES or set(read) != {"index"} or not isinstance(entries, list) or not entries:
        raise Refused.because("config", str(path), f"expected only [[index]] tables, got {sorted(read)[:5]}")
    faults: list[Fault] = []
    choices = [
        _entry(entry, path, f"index {number}", trust_on_first_use, faults) for number, entry in enumerate(entries, 1)
    ]
    if faults:
        raise Refused(faults)
    return tuple(choices)


def _entry(entry: object, path: Path, where: str, trust_on_first_use: bool, faults: list[Fault]) -> IndexChoice:
    table = entry if isinstance(entry, dict) else {}
    unknown = sorted(set(table) - {"url", "root", "root-fingerprint", "namespaces"})
    if unknown:
        faults.append(Fault("config", where, f"expected url, root, root-fingerprint, namespaces, got {unknown[0]!r}"))
    texts = {name: table.get(name) for name in ("url", "root", "root-fingerprint")}
    faults += [
        Fault("config", f"{where} {name}", f"expected a text, got {value!r}"[:300])
        for name, value in texts.items()
        if not (isinstance(value, str) or (value is None and name != "url"))
    ]
    namespaces = table.get("namespaces", [])
    if not isinstance(namespaces, list) or not all(isinstance(prefix, str) for prefix in namespaces):
        faults.append(Fault("config", f"{where} namespaces", "expected a list of texts"))
        namespaces = []
    root = texts["root"]
    return IndexChoice(
        url=str(texts["url"]),
        root=RootChoice(
            file=path.parent / str(root) if root else None,
            fingerprint=texts["root-fingerprint"],
            trust_on_first_use=trust_on_first_use,
        ),
        namespaces=tuple(namespaces),
    )


def _state_directory(given: str | None, environment: Mapping[str, str]) -> Path:
    """Not the cache folder: who empties that would lose the memory against rollback, and the remembered root."""
    if chosen := given or environment.get("WHEELMARK_STATE"):
        return Path(chosen)
    from platformdirs import user_state_path

    return user_state_path("wheelmark", appauthor=False)


def _user_config() -> Path:
    from platformdirs import user_config_path

    return user_config_path("wheelmark", appauthor=False) / CONFIG_NAME
