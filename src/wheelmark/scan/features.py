"""Features: what the model weighs, as whole numbers by name, each with the place where it shows.

Every feature is 0 where there is nothing to see, and is a maximum or a presence, never an average: adding two hundred
harmless files to a distribution changes none of them. A name is a path, `flow/secret/send/import`; its first word says
what kind of thing it is, its last one, for what code does, when that code runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Finding, Severity
from wheelmark.scan.rule import Rule
from wheelmark.scan.values import Taint

# When code runs, as far as features tell it apart.
_WHEN = {
    Context.INSTALL: "install",
    Context.STARTUP: "install",
    Context.IMPORT: "import",
    Context.ENTRY: "asked",
    Context.ON_CALL: "asked",
    Context.UNREACHED: "unreached",
}
_WHEN_WORDS = {
    "install": "while it is installed or Python starts",
    "import": "as soon as it is imported",
    "asked": "when it is called",
    "unreached": "in tests or examples",
    "self": "by itself, unasked",
}
# Acts that by themselves mean nothing: every library reads and writes files.
_COMMON = frozenset({Act.READ, Act.WRITE, Act.DELETE})
_TAINT_WORDS = {
    Taint.NETWORK: "what came from the network",
    Taint.DECODED: "what came out of a decoder",
    Taint.SECRET: "secrets or the environment",
    Taint.HOST: "who and where the machine is",
    Taint.FILE: "the contents of a file",
    Taint.DROPPED: "a file that it wrote from elsewhere",
}
_ACT_WORDS = {
    Act.RUN_CODE: "is executed as code",
    Act.LOAD_CODE: "is loaded as compiled code or objects",
    Act.START_PROCESS: "goes into a process that is started",
    Act.SEND: "is sent over the network",
    Act.DOWNLOAD: "is part of a download",
    Act.CONNECT: "is part of a connection",
    Act.REDIRECT: "is part of a redirected descriptor",
    Act.WRITE: "is written to a file",
    Act.READ: "says what file is read",
    Act.NATIVE: "goes into native code",
    Act.REGISTER: "goes into the registry",
    Act.DELETE: "says what is deleted",
    Act.INSTALL: "is installed",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The value of one feature, and where it shows best."""

    value: int
    member: str = ""
    line: int = 0


@dataclass(slots=True)
class Features:
    """The features of one distribution that are not 0."""

    seen: dict[str, Seen] = field(default_factory=dict)

    def note(self, name: str, value: int, member: str = "", line: int = 0) -> None:
        """Keep the greatest value of a feature; of equal ones, the first."""
        known = self.seen.get(name)
        if value > 0 and (known is None or value > known.value):
            self.seen[name] = Seen(value, member, line)

    @property
    def values(self) -> dict[str, int]:
        """The values by name."""
        return {name: seen.value for name, seen in self.seen.items()}

    @property
    def any_evidence(self) -> bool:
        """True when anything was seen that code does or that a rule found; circumstances alone are no case."""
        return any(name.startswith(EVIDENCE) for name in self.seen)


EVIDENCE = ("rule/", "act/", "flow/", "hidden/", "signal/")  # kinds of features that can make a case


def features_of(facts: Facts, findings: Iterable[Finding]) -> Features:
    """The features of a distribution from its facts and the findings of all rules."""
    features = Features()
    _rules(features, findings)
    _acts(features, facts)
    _layers(features, facts)
    return features


def _rules(features: Features, findings: Iterable[Finding]) -> None:
    high: dict[str, Finding] = {}
    for finding in findings:
        when = "asked" if finding.context is None or not finding.context.automatic else "self"
        features.note(f"rule/{finding.rule}/{when}", finding.severity.rank + 1, finding.member, finding.line)
        if finding.severity.rank >= Severity.HIGH.rank:
            high.setdefault(finding.rule, finding)
    features.note("rules/high", len(high), *_place(next(iter(high.values()), None)))


def _acts(features: Features, facts: Facts) -> None:
    together: dict[tuple[str, str], set[Act]] = {}
    for call in facts.calls:
        when = _WHEN[call.context]
        if when == "unreached":
            continue
        features.note(f"act/{call.act}/{when}", 1, *_place(call))
        if call.hidden:
            features.note(f"hidden/{call.act}/{when}", 1, *_place(call))
        if call.layer:
            features.note(f"layer/{when}", call.layer, *_place(call))
        for origin in call.origins:
            features.note(f"flow/{origin.taint}/{call.act}/{when}", 1, *_place(call))
        if call.act not in _COMMON:
            acts = together.setdefault((call.member, when), set())
            acts.add(call.act)
            features.note(f"together/{when}", len(acts), *_place(call))


def _layers(features: Features, facts: Facts) -> None:
    for layer in facts.layers:
        if layer.decoded and layer.context is not Context.UNREACHED:
            features.note(f"decoded/{_WHEN[layer.context]}", layer.depth, layer.member, layer.line)


def _place(where: Call | Finding | None) -> tuple[str, int]:
    return ("", 0) if where is None else (where.member, where.line)


def describe(name: str, value: int, rules: Mapping[str, Rule]) -> str:
    """What a feature of this value says, as one clause for people."""
    kind, *rest = name.split("/")
    words = _DESCRIPTIONS.get(kind)
    if kind == "rule":
        rule = rules.get(rest[0])
        said = rest[0] if rule is None else rule.message.rstrip(".")
        return f"{said} ({rest[0]}, {list(Severity)[value - 1]}, {_WHEN_WORDS[rest[1]]})"
    if words is None:
        return name
    *about, when = rest or [""]
    text = " ".join([words, *(_about(kind, each) for each in about)]).format(value=value)
    return f"{text} {_WHEN_WORDS.get(when, when)}".strip()


def _about(kind: str, word: str) -> str:
    if kind == "flow":
        return _TAINT_WORDS[Taint(word)] if word in _TAINTS else _ACT_WORDS[Act(word)]
    return word


_TAINTS = frozenset(taint.value for taint in Taint)
_DESCRIPTIONS = {
    "rules": "{value} rules find something grave",
    "act": "it does this:",
    "hidden": "under a name put together at run time it does this:",
    "flow": "",
    "layer": "{value} layers of executed text have code that acts",
    "decoded": "{value} layers come out of decoders and are executed",
    "together": "one module does {value} kinds of things that matter",
}


def names_of_rules(rules: Iterable[Rule]) -> Iterator[str]:
    """The names of the features that the findings of these rules can have."""
    for rule in rules:
        yield f"rule/{rule.id}/self"
        yield f"rule/{rule.id}/asked"
