"""Features: what the model weighs, as whole numbers by name, each with the place where it shows.

Every feature is 0 where there is nothing to see, and is a maximum or a presence, never an average: adding two hundred
harmless files to a distribution changes none of them. A name is a path, `flow/secret/send/import`; its first word says
what kind of thing it is, its last one, for what code does, when that code runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wheelmark.scan.circumstances import circumstances_of
from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Finding, Severity
from wheelmark.scan.signals import PREFIX
from wheelmark.scan.statistics import statistics_of
from wheelmark.scan.values import words

# When code runs, as far as features tell it apart.
_WHEN = {
    Context.INSTALL: "install",
    Context.STARTUP: "install",
    Context.IMPORT: "import",
    Context.ENTRY: "asked",
    Context.ON_CALL: "asked",
    Context.UNREACHED: "unreached",
}
# Acts that by themselves mean nothing: every library reads and writes files.
_COMMON = frozenset({Act.READ, Act.WRITE, Act.DELETE})
# Modules that matter where a distribution is installed, and in numbers elsewhere.
_WATCHED = words(
    "socket requests urllib urllib2 urllib3 http httpx aiohttp ssl ftplib smtplib base64 binascii zlib marshal "
    "codecs subprocess platform getpass uuid winreg _winreg ctypes threading multiprocessing tempfile sqlite3 "
    "win32crypt Crypto Cryptodome cryptography pip shutil zipfile importlib builtins telebot discord pynput "
    "keyboard pyautogui PIL cv2 psutil wmi win32api win32gui win32con asyncio websocket websockets pty inspect "
    "signal random string dns paramiko web3 eth_account solana solders"
)
_IMPORT = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([A-Za-z_][\w]*)|;[ ]*import ([A-Za-z_]\w*)", re.MULTILINE)


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


def features_of(
    facts: Facts, findings: Iterable[Finding], *, sources: Mapping[str, bytes], sides: Mapping[str, bytes]
) -> Features:
    """The features of a distribution: its facts, the findings of all rules, its Python files, its small other files."""
    features = Features()
    _rules(features, findings)
    _acts(features, facts)
    _layers(features, facts)
    _signals(features, facts)
    _texts(features, facts, sources)
    for name, value in circumstances_of(facts.filename, [member.path for member in facts.members], sides):
        features.note(f"about/{name}", value)
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


def _signals(features: Features, facts: Facts) -> None:
    together: dict[tuple[str, str], set[str]] = {}
    for hit in facts.hits:
        if not hit.rule.startswith(PREFIX):
            continue
        name, when = hit.rule.removeprefix(PREFIX), "decoded" if hit.layer else _WHEN[hit.context]
        features.note(f"signal/{name}/{when}", 1, hit.member, hit.line)
        found = together.setdefault((hit.member, when), set())
        found.add(name)
        features.note(f"signals/{when}", len(found), hit.member, hit.line)


def _texts(features: Features, facts: Facts, sources: Mapping[str, bytes]) -> None:
    contexts = {member.path: member.context for member in facts.members}
    for oddity in facts.oddities:
        features.note(f"oddity/{oddity.kind}/{_WHEN[oddity.context]}", 1, oddity.member, oddity.line)
    for path, raw in sources.items():
        when = _WHEN[contexts.get(path, Context.UNREACHED)]
        if when == "unreached":
            continue
        for name, value in statistics_of(raw):
            features.note(f"text/{name}/{when}", value, path)
        watched = {(first or second).decode() for first, second in _IMPORT.findall(raw)} & _WATCHED
        features.note(f"imports/{when}", len(watched), path)
        if when == "install":
            for module in sorted(watched):
                features.note(f"import/{module}/install", 1, path)


def _place(where: Call | Finding | None) -> tuple[str, int]:
    return ("", 0) if where is None else (where.member, where.line)
