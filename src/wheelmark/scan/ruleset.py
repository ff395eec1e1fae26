"""The rules that a scan applies: built in, of installed plug-ins, of folders, under one version."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path

from wheelmark.scan import rules as builtin
from wheelmark.scan import signals
from wheelmark.scan.model import Model, load_model, shipped_model
from wheelmark.scan.patterns import Patterns
from wheelmark.scan.rule import Rule, RuleState
from wheelmark.scan.rule_folder import folder_rules

ENTRY_POINT_GROUP = "wheelmark.rules"
ENGINE_VERSION = 4  # rises when facts or verdicts change without any rule's change
TAKEN_TOGETHER = "taken-together"  # the id of what no rule says by itself: the model's own finding
BUILT_IN = "built-in"
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
            check_id(identifier)
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
        identities = [_identity(rule) for rule in ordered]
        digest = hashlib.sha256("\n".join([*identities, self.model.version, signals.SOURCE]).encode()).hexdigest()[:12]
        object.__setattr__(self, "version", f"{ENGINE_VERSION}.{len(ordered)}-{digest}")
        object.__setattr__(
            self, "patterns", Patterns([(rule.id, rule.yara) for rule in ordered if rule.yara], signals.SOURCE)
        )


def check_id(identifier: str) -> None:
    """Raises: RuntimeError when this cannot be the id of a rule."""
    if _ID.fullmatch(identifier) is None or identifier == TAKEN_TOGETHER:
        raise RuntimeError(f"expected a rule id of words in lower case joined by hyphens, got {identifier!r}")


def builtin_rules() -> tuple[Rule, ...]:
    """The rules of `wheelmark.scan.rules`: each module there has one, named `RULE`."""
    found = []
    for module in pkgutil.iter_modules(builtin.__path__):
        if not module.name.startswith("_"):
            rule: Rule = importlib.import_module(f"{builtin.__name__}.{module.name}").RULE
            found.append(replace(rule, origin=BUILT_IN))
    return tuple(found)


def plugin_rules() -> tuple[Rule, ...]:
    """The rules of installed plug-ins: each entry point of the group is a rule or an iterable of rules.

    The name and version of the distribution that brings a rule are part of its `origin`.

    Raises: RuntimeError when a plug-in offers something else. A rule that cannot be loaded must not be missed silently.
    """
    found: list[Rule] = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        offered = entry.load()
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value
        for rule in offered if isinstance(offered, Iterable) else (offered,):
            if not isinstance(rule, Rule):
                raise RuntimeError(f"expected rules from the plug-in {entry.name}, got {rule!r}")
            found.append(replace(rule, origin=origin))
    return tuple(found)


def all_rules(folders: Sequence[Path] = ()) -> tuple[Rule, ...]:
    """Every rule there is, the disabled ones too: built in, of plug-ins, and of these folders.

    Raises: Refused and RuntimeError, as `folder_rules` and `plugin_rules` do.
    """
    return (*builtin_rules(), *plugin_rules(), *(rule for folder in folders for rule in folder_rules(folder)))


def load_ruleset(model: Path | None = None, folders: Sequence[Path] = ()) -> RuleSet:
    """The rule set of everything that `all_rules` gives; `model` is the file of another model than the shipped one."""
    return RuleSet(all_rules(folders), shipped_model() if model is None else load_model(model))


def _identity(rule: Rule) -> str:
    """What makes a rule this one: for what we did not write ourselves, also where it came from and its bytes."""
    identity = f"{rule.id} {rule.version} {rule.state}"
    return identity if rule.origin in {"", BUILT_IN} else f"{identity} {rule.origin}"
