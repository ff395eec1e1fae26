"""The context checks that an index applies: the built-in ones and those of installed plug-ins, under one version."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points

from wheelmark.errors import Fault, Refused
from wheelmark.scan.context import checks as builtin
from wheelmark.scan.context.check import Check
from wheelmark.scan.rule import RuleState

ENTRY_POINT_GROUP = "wheelmark.context_checks"
_ENGINE_VERSION = 1  # rises when levels or the loaded values change without any check's change
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class CheckSet:
    """Checks in the order of their ids, and a version that says which checks and lists these are."""

    checks: tuple[Check, ...]
    lists_version: str = ""
    version: str = field(init=False)

    def __post_init__(self) -> None:
        ids = [check.id for check in self.checks]
        for identifier in ids:
            if _ID.fullmatch(identifier) is None:
                raise RuntimeError(f"expected an id of words joined by hyphens, got {identifier!r}")
        if len(set(ids)) != len(ids):
            repeated = sorted({identifier for identifier in ids if ids.count(identifier) > 1})
            raise RuntimeError(f"expected each check once, got {repeated} again")
        ordered = tuple(
            sorted((check for check in self.checks if check.state is not RuleState.DISABLED), key=lambda each: each.id)
        )
        object.__setattr__(self, "checks", ordered)
        names = "\n".join([*(f"{check.id} {check.version} {check.state}" for check in ordered), self.lists_version])
        digest = hashlib.sha256(names.encode()).hexdigest()[:12]
        object.__setattr__(self, "version", f"{_ENGINE_VERSION}.{len(ordered)}-{digest}")


def builtin_checks() -> tuple[Check, ...]:
    """The checks of `wheelmark.scan.context.checks`: each module there has one, named `CHECK`."""
    found = []
    for module in pkgutil.iter_modules(builtin.__path__):
        if not module.name.startswith("_"):
            check: Check = importlib.import_module(f"{builtin.__name__}.{module.name}").CHECK
            found.append(check)
    return tuple(found)


def plugin_checks() -> tuple[Check, ...]:
    """The checks of installed plug-ins: each entry point of the group is a check or an iterable of checks.

    Raises: RuntimeError when a plug-in offers something else: no check may be missed silently.
    """
    found: list[Check] = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        offered = entry.load()
        for check in offered if isinstance(offered, Iterable) else (offered,):
            if not isinstance(check, Check):
                raise RuntimeError(f"expected context checks from the plug-in {entry.name}, got {check!r}")
            found.append(check)
    return tuple(found)


def load_checks(states: Mapping[str, RuleState] | None = None, *, lists_version: str = "") -> CheckSet:
    """The built-in checks and those of all plug-ins, with the states that the operator gives some of them.

    Raises: Refused when a state is given for a check that there is not: a misspelled id must not go unnoticed.
    """
    checks = (*builtin_checks(), *plugin_checks())
    wanted = dict(states or {})
    unknown = sorted(set(wanted) - {check.id for check in checks})
    if unknown:
        known = ", ".join(sorted(check.id for check in checks))
        raise Refused([Fault("lists-unknown", f"checks.{each}", f"expected one of {known}") for each in unknown])
    return CheckSet(tuple(replace(check, state=wanted.get(check.id, check.state)) for check in checks), lists_version)
