"""Rules out of a folder of the operator: each file is one rule, in Python or in YARA.

A Python rule is code: whoever can write into the folder can run code wherever the scanner runs. What cannot be loaded
stops the scan; no file that looks like a rule is ever passed over.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import yara_x

from wheelmark.errors import Fault, Refused
from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule, RuleState
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples

RULE_SUFFIXES = (".py", ".yar", ".yara")
MAX_RULE_BYTES = 1024 * 1024
_MODULE_PREFIX = "wheelmark_folder_rule_"

Choice = TypeVar("Choice", bound=StrEnum)


class NoRule(ValueError):
    """A file is no rule; the message says what was expected of it."""


def folder_rules(folder: Path) -> tuple[Rule, ...]:
    """The rules of a folder, in the order of their file names; files that begin with `_` or `.` are none.

    The bytes of each file are part of its rule's `origin`, and so of the version of the rule set.

    Raises: Refused when the folder cannot be read or has no rule, and with every file that is no rule.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if _looks_like_rule(path))
    except OSError as error:
        raise Refused.because("rule-folder", str(folder), f"expected a folder of rules, got: {error}") from error
    if not paths:
        raise Refused.because("rule-folder", str(folder), f"expected rules (*{', *'.join(RULE_SUFFIXES)}), got none")
    rules: list[Rule] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            rules.append(load_rule(path))
        except Refused as error:
            faults.extend(error.faults)
    if faults:
        raise Refused(faults)
    return tuple(rules)


def load_rule(path: Path) -> Rule:
    """The rule in one file, `RULE` of a Python file or what the `meta` of a YARA file says.

    Raises: Refused when there is no rule in it, or one under another name than the file's.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Refused.because("rule-load", str(path), f"expected a readable file, got: {error}") from error
    if len(raw) > MAX_RULE_BYTES:
        raise Refused.because("rule-load", str(path), f"expected at most {MAX_RULE_BYTES} bytes, got {len(raw)}")
    sha256 = hashlib.sha256(raw).hexdigest()
    try:
        rule = _python_rule(path, raw, sha256) if path.suffix == ".py" else yara_rule(raw.decode("utf-8"))
    except Exception as error:
        # A rule file may fail in any way; each of them means that this rule would not look.
        why = str(error) if isinstance(error, NoRule) else f"expected a rule that loads, got {_told(error)}"
        raise Refused.because("rule-load", str(path), why) from error
    expected = path.stem.replace("_", "-")
    if rule.id != expected:
        raise Refused.because("rule-name", str(path), f"expected the rule {expected} in this file, got {rule.id}")
    return replace(rule, origin=f"{path.name} sha256:{sha256}")


def yara_rule(source: str) -> Rule:
    """A rule whose pattern is all there is to it. Exactly one of the YARA rules has an `id` in its `meta`.

    Raises: NoRule with what is missing; yara_x.CompileError.
    """
    compiler = yara_x.Compiler()
    compiler.enable_includes(False)  # the bytes of one file are all there is, so that the version can speak of them
    compiler.add_source(source)
    metas = [meta for meta in map(_meta, compiler.build()) if "id" in meta]
    if len(metas) != 1:
        raise NoRule(f"expected one YARA rule with an id in its meta, got {len(metas)}")
    meta = metas[0]
    severity = _choice(Severity, _one(meta, "severity"))
    on_call = _choice(Severity, _one(meta, "on_call", Severity.LOW.value))
    version = _one(meta, "version")
    if not isinstance(version, int):
        raise NoRule(f"expected a number as version, got {version!r}")
    identifier = str(_one(meta, "id"))
    return Rule(
        id=identifier,
        version=version,
        severity=severity,
        tactic=_choice(Tactic, _one(meta, "tactic")),
        message=str(_one(meta, "message")),
        reference=str(_one(meta, "reference")),
        state=_choice(RuleState, _one(meta, "state", RuleState.ENABLED.value)),
        check=_check_of_hits(identifier, severity, on_call),
        yara=source,
        samples=Samples(
            malicious=tuple(Sample.imported(str(text)) for text in meta.get("malicious", ())),
            benign=tuple(Sample.imported(str(text)) for text in meta.get("benign", ())),
        ),
        kept_because=str(_one(meta, "kept_because", "")),
    )


def _looks_like_rule(path: Path) -> bool:
    return path.suffix in RULE_SUFFIXES and not path.name.startswith(("_", "."))


def _python_rule(path: Path, raw: bytes, sha256: str) -> Rule:
    """Run a rule file. What is run is what was hashed: no cached byte code, no second look at the file."""
    module = types.ModuleType(f"{_MODULE_PREFIX}{sha256[:16]}")
    module.__file__ = str(path)
    code = compile(raw, str(path), "exec", dont_inherit=True)
    sys.modules[module.__name__] = module  # dataclasses and pickling look modules up by name
    linecache.checkcache(str(path))
    exec(code, module.__dict__)  # noqa: S102 - the operator's own rule, which is code by nature
    rule = getattr(module, "RULE", None)
    if not isinstance(rule, Rule):
        raise NoRule(f"expected RULE = Rule(…), got {rule!r}")
    return rule


def _meta(rule: yara_x.Rule) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for name, value in rule.metadata:
        # Text with an escape comes as bytes.
        found.setdefault(name, []).append(value.decode("utf-8") if isinstance(value, bytes) else value)
    return found


def _one(meta: Mapping[str, list[object]], name: str, default: object = None) -> object:
    values = meta.get(name, [] if default is None else [default])
    if len(values) != 1:
        raise NoRule(f"expected {name} once in the meta, got it {len(values)} times")
    return values[0]


def _choice(kind: type[Choice], value: object) -> Choice:
    """A word as the value it stands for; a tactic also by its number or its name alone."""
    for each in kind:
        if str(value).lower() in {each.value.lower(), *each.value.lower().split(" ", 1)}:
            return each
    raise NoRule(f"expected one of {', '.join(each.value for each in kind)}, got {value!r}")


def _check_of_hits(identifier: str, severity: Severity, on_call: Severity) -> Callable[[Facts], Iterator[Evidence]]:
    def check(facts: Facts) -> Iterator[Evidence]:
        for hit in facts.hits:
            if hit.rule != identifier:
                continue
            weight = graded(hit.context, automatic=severity, entry=on_call, on_call=on_call)
            if weight is not None:
                yield Evidence(severity=weight, member=hit.member, line=hit.line, context=hit.context, text=hit.text)

    return check


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
