"""The rules that a scan applies: the built-in ones and those of installed plug-ins, under one version."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

from wheelmark.scan import rules as builtin
from wheelmark.scan.model import Model, load_model, shipped_model
from wheelmark.scan.patterns import Patterns
from wheelmark.scan.rule import Rule, RuleState

ENTRY_POINT_GROUP = "wheelmark.rules"
ENGINE_VERSION = 2  # rises when facts or verdicts change without any rule's change
TAKEN_TOGETHER = "taken-together"  # the id of what no rule says by itself: the model's own finding
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in the order of their ids, their compiled patterns, the model that weighs what they find, and a version.

    The version says which rules and which model these are.
    """

    rules: tuple[Rule, ...]
    model: Model = field(default_factory=shipped_model)
    version: str = field(init=False)
    patterns: Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = [rule.id for rule in self.rules]
        for identifier in ids:
            if _ID.fullmatch(identifier) is None or identifier == TAKEN_TOGETHER:
                raise RuntimeError(f"expected a rule id of words joined by hyphens, got {identifier!r}")
        if len(set(ids)) != len(ids):
            repeated = sorted({identifier for identifier in ids if ids.count(identifier) > 1})
            raise RuntimeError(f"expected each rule id once, got {repeated} again")
        if not any(rule.state is RuleState.ENABLED for rule in self.rules):
            # With no rules everything would be clean.
            raise RuntimeError("expected at least one enabled rule, got none")
        ordered = tuple(
            sorted((rule for rule in self.rules if rule.state is not RuleState.DISABLED), key=lambda rule: rule.id)
        )
        object.__setattr__(self, "rules", ordered)
        names = [f"{rule.id} {rule.version} {rule.state}" for rule in ordered]
        digest = hashlib.sha256("\n".join([*names, self.model.version]).encode()).hexdigest()[:12]
        object.__setattr__(self, "version", f"{ENGINE_VERSION}.{len(ordered)}-{digest}")
        object.__setattr__(self, "patterns", Patterns([(rule.id, rule.yara) for rule in ordered if rule.yara]))


def builtin_rules() -> tuple[Rule, ...]:
    """The rules of `wheelmark.scan.rules`: each module there has one, named `RULE`."""
    found = []
    for module in pkgutil.iter_modules(builtin.__path__):
        if not module.name.startswith("_"):
            rule: Rule = importlib.import_module(f"{builtin.__name__}.{module.name}").RULE
            found.append(rule)
    return tuple(found)


def plugin_rules() -> tuple[Rule, ...]:
    """The rules of installed plug-ins: each entry point of the group is a rule or an iterable of rules.

    Raises: RuntimeError when a plug-in offers something else. A rule that cannot be loaded must not be missed silently.
    """
    found: list[Rule] = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        offered = entry.load()
        for rule in offered if isinstance(offered, Iterable) else (offered,):
            if not isinstance(rule, Rule):
                raise RuntimeError(f"expected rules from the plug-in {entry.name}, got {rule!r}")
            found.append(rule)
    return tuple(found)


def load_ruleset(model: Path | None = None) -> RuleSet:
    """The built-in rules and those of all plug-ins; `model` is the file of another model than the shipped one."""
    return RuleSet((*builtin_rules(), *plugin_rules()), shipped_model() if model is None else load_model(model))
