"""The lists that checks compare with: well-known names as shipped, and what the operator adds in one TOML file."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from wheelmark.dist import normalize
from wheelmark.errors import Fault, Refused
from wheelmark.scan.context.popular import PopularNames
from wheelmark.scan.rule import RuleState

MAX_LIST_BYTES = 4_000_000
_TABLES = frozenset({"popular", "internal", "checks"})


@dataclass(frozen=True, slots=True)
class InternalNames:
    """Names that only certain accounts of this index may use."""

    patterns: tuple[str, ...]  # normalized names; `*` stands for anything
    accounts: frozenset[str]

    def pattern_of(self, name: str) -> str | None:
        """The first pattern that a normalized name fits."""
        return next((pattern for pattern in self.patterns if fnmatchcase(name, pattern)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """All lists, and a version that changes with them."""

    popular: PopularNames
    internal: tuple[InternalNames, ...] = ()
    states: Mapping[str, RuleState] = field(default_factory=dict)  # of checks, where the operator chose
    version: str = ""


@cache
def shipped_lists() -> Lists:
    """The lists that come with Wheelmark."""
    folder = files("wheelmark.scan.context") / "data"
    names, modules = (folder / "popular.txt").read_bytes(), (folder / "modules.toml").read_bytes()
    tables = tomllib.loads(modules.decode())
    return Lists(
        popular=PopularNames(
            tuple(line for line in names.decode().splitlines() if line and not line.startswith("#")),
            {module.lower(): project for module, project in tables["modules"].items()},
            frozenset(tables["shared"]["names"]),
        ),
        version=_version(names, modules),
    )


def read_lists(text: bytes, *, path: str = "lists") -> Lists:
    """The shipped lists with the operator's.

    ```toml
    [popular]
    names = ["acme-client"]     # before the shipped ones
    shipped = true              # false: only these
    [[internal]]
    names = ["acme-*"]
    accounts = ["build-bot"]
    [checks]
    throw-away = "evaluation"
    ```

    Raises:
        Refused: the file is no such TOML; every fault is named.
    """
    shipped = shipped_lists()
    if len(text) > MAX_LIST_BYTES:
        raise Refused.because("lists-size", path, f"expected at most {MAX_LIST_BYTES} bytes, got {len(text)}")
    try:
        document = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused.because("lists-syntax", path, f"expected TOML, got: {error}") from error
    faults = [
        Fault("lists-unknown", table, f"expected one of {', '.join(sorted(_TABLES))}")
        for table in sorted(set(document) - _TABLES)
    ]
    popular = _table(document.get("popular", {}), "popular", {"names", "shipped"}, faults)
    names = _names(popular.get("names", []), "popular.names", faults, patterns=False)
    uses_shipped = popular.get("shipped", True)
    if not isinstance(uses_shipped, bool):
        faults.append(Fault("lists-value", "popular.shipped", f"expected true or false, got {uses_shipped!r}"))
    internal = [_internal(entry, faults) for entry in _entries(document.get("internal", []), faults)]
    states = _states(document.get("checks", {}), faults)
    if faults:
        raise Refused(faults)
    base = shipped.popular if uses_shipped else PopularNames((), shipped.popular.modules, shipped.popular.shared)
    return Lists(
        popular=base.extended(names) if names or not uses_shipped else base,
        internal=tuple(internal),
        states=states,
        version=_version(shipped.version.encode(), text),
    )


def _entries(value: object, faults: list[Fault]) -> list[object]:
    if isinstance(value, list):
        return value
    faults.append(Fault("lists-value", "internal", f"expected tables [[internal]], got {value!r}"))
    return []


def _table(value: object, name: str, known: set[str], faults: list[Fault]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        faults.append(Fault("lists-value", name, f"expected a table, got {value!r}"))
        return {}
    for key in sorted(set(value) - known):
        faults.append(Fault("lists-unknown", f"{name}.{key}", f"expected one of {', '.join(sorted(known))}"))
    return value


def _internal(value: object, faults: list[Fault]) -> InternalNames:
    table = _table(value, "internal", {"names", "accounts"}, faults)
    patterns = _names(table.get("names", []), "internal.names", faults, patterns=True)
    accounts = table.get("accounts", [])
    if not isinstance(accounts, list) or not all(isinstance(account, str) for account in accounts):
        faults.append(Fault("lists-value", "internal.accounts", f"expected a list of account names, got {accounts!r}"))
        accounts = []
    if not patterns:
        faults.append(Fault("lists-value", "internal.names", "expected at least one name or pattern, got none"))
    return InternalNames(tuple(patterns), frozenset(accounts))


def _names(value: object, field_name: str, faults: list[Fault], *, patterns: bool) -> list[str]:
    if not isinstance(value, list):
        faults.append(Fault("lists-value", field_name, f"expected a list of names, got {value!r}"))
        return []
    found = []
    for name in value:
        try:
            # Normalized around the stars: `Acme.*` stands for `acme-*`.
            plain = str(name).replace("*", "0" if patterns else "*")
            normalize(plain)
            found.append(
                "*".join(_normal_part(part) for part in str(name).split("*")) if patterns else normalize(plain)
            )
        except Refused:
            faults.append(Fault("lists-value", field_name, f"expected names of projects, got {name!r}"))
    return found


def _normal_part(part: str) -> str:
    return "-".join(part.lower().replace("_", "-").replace(".", "-").split("-"))


def _states(value: object, faults: list[Fault]) -> dict[str, RuleState]:
    if not isinstance(value, dict):
        faults.append(Fault("lists-value", "checks", f"expected a table, got {value!r}"))
        return {}
    states: dict[str, RuleState] = {}
    for check, state in value.items():
        try:
            states[check] = RuleState(state)
        except ValueError:
            known = ", ".join(RuleState)
            faults.append(Fault("lists-value", f"checks.{check}", f"expected one of {known}; got {state!r}"))
    return states


def _version(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]
