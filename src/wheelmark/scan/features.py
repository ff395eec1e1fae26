"""Features: what the model weighs, as whole numbers by name, each with the place where it shows.

Every member is weighed alone, together with what the distribution says of itself, and the worst one counts: harmless
files beside a payload change nothing. A feature is 0 where there is nothing to see. A name is a path such as
`flow/secret/send over the network/import`: its first word says what kind of thing it is, its last one when code runs.
"""

from __future__ import annotations

import re
from bisect import bisect_right
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
_TOP_LEVEL = re.compile(rb"^(?![\s#)\]}'\"])[^\n]*", re.MULTILINE)
_OPENS_SCOPE = re.compile(rb"(?:async\s+)?def\b|class\b|@|if\s+__name__")
_EVERYDAY = tuple(f"act/{act}/" for act in sorted(_COMMON))
EVIDENCE = ("rule/", "act/", "flow/", "hidden/", "signal/", "decoded/", "oddity/")  # kinds that can make a case


@dataclass(frozen=True, slots=True)
class Seen:
    """The value of one feature, and the line where it shows best."""

    value: int
    line: int = 0


@dataclass(slots=True)
class Features:
    """The features of one distribution that are not 0: of each member, and of the whole."""

    members: dict[str, dict[str, Seen]] = field(default_factory=dict)
    whole: dict[str, Seen] = field(default_factory=dict)

    def note(self, member: str, name: str, value: int, line: int = 0) -> None:
        """Keep the greatest value of a feature of a member; of equal ones, the first."""
        _note(self.members.setdefault(member, {}), name, value, line)

    def note_whole(self, name: str, value: int) -> None:
        """Keep a feature of the whole distribution."""
        _note(self.whole, name, value, 0)

    @property
    def values(self) -> dict[str, int]:
        """The greatest value of each feature in any member."""
        found: dict[str, int] = {}
        for seen in (self.whole, *self.members.values()):
            for name, each in seen.items():
                found[name] = max(each.value, found.get(name, 0))
        return found

    def case(self, member: str) -> dict[str, Seen]:
        """What is weighed of one member: what it shows, and what the whole distribution shows."""
        return {**self.whole, **self.members.get(member, {})}

    @property
    def cases(self) -> dict[str, dict[str, int]]:
        """The values to weigh, of each member that shows anything that could make a case."""
        return {
            member: {name: each.value for name, each in self.case(member).items()}
            for member, seen in self.members.items()
            if is_evident(seen)
        }


def is_evident(seen: Iterable[str]) -> bool:
    """True when any of these features could make a case. That files are read, written or deleted cannot."""
    return any(name.startswith(EVIDENCE) and not name.startswith(_EVERYDAY) for name in seen)


def _note(seen: dict[str, Seen], name: str, value: int, line: int) -> None:
    known = seen.get(name)
    if value > 0 and (known is None or value > known.value):
        seen[name] = Seen(value, line)


def features_of(
    facts: Facts, findings: Iterable[Finding], *, sources: Mapping[str, bytes], sides: Mapping[str, bytes]
) -> Features:
    """The features of a distribution: its facts, the findings of all rules, its Python files, its small other files."""
    features = Features()
    _rules(features, findings)
    _acts(features, facts)
    _layers(features, facts)
    _signals(features, facts, sources)
    _texts(features, facts, sources)
    for name, value in circumstances_of(facts.filename, [member.path for member in facts.members], sides):
        features.note_whole(f"about/{name}", value)
    return features


def _rules(features: Features, findings: Iterable[Finding]) -> None:
    high: dict[str, set[str]] = {}
    for finding in findings:
        when = "asked" if finding.context is None or not finding.context.automatic else "self"
        features.note(finding.member, f"rule/{finding.rule}/{when}", finding.severity.rank + 1, finding.line)
        if finding.severity.rank >= Severity.HIGH.rank:
            found = high.setdefault(finding.member, set())
            found.add(finding.rule)
            features.note(finding.member, "rules/high", len(found), finding.line)


def _acts(features: Features, facts: Facts) -> None:
    together: dict[tuple[str, str], set[Act]] = {}
    for call in facts.calls:
        when = _WHEN[call.context]
        if when == "unreached":
            continue
        _act(features, call, when)
        if call.act not in _COMMON:
            acts = together.setdefault((call.member, when), set())
            acts.add(call.act)
            features.note(call.member, f"together/{when}", len(acts), call.line)


def _act(features: Features, call: Call, when: str) -> None:
    features.note(call.member, f"act/{call.act}/{when}", 1, call.line)
    if call.hidden:
        features.note(call.member, f"hidden/{call.act}/{when}", 1, call.line)
    if call.layer:
        features.note(call.member, f"layer/{when}", call.layer, call.line)
    for origin in call.origins:
        features.note(call.member, f"flow/{origin.taint}/{call.act}/{when}", 1, call.line)


def _layers(features: Features, facts: Facts) -> None:
    for layer in facts.layers:
        if layer.decoded and layer.context is not Context.UNREACHED:
            features.note(layer.member, f"decoded/{_WHEN[layer.context]}", layer.depth, layer.line)


def _signals(features: Features, facts: Facts, sources: Mapping[str, bytes]) -> None:
    scopes: dict[str, _Scopes] = {}
    together: dict[tuple[str, str], set[str]] = {}
    for hit in facts.hits:
        if not hit.rule.startswith(PREFIX):
            continue
        name, when = hit.rule.removeprefix(PREFIX), "decoded" if hit.layer else _WHEN[hit.context]
        if when == "import":
            if hit.member not in scopes:
                scopes[hit.member] = _Scopes(sources.get(hit.member, b""))
            when = "asked" if scopes[hit.member].inside(hit.line) else when
        features.note(hit.member, f"signal/{name}/{when}", 1, hit.line)
        found = together.setdefault((hit.member, when), set())
        found.add(name)
        features.note(hit.member, f"signals/{when}", len(found), hit.line)


class _Scopes:
    """Which lines of a source lie inside a function, a class or the part for the main program."""

    def __init__(self, raw: bytes) -> None:
        self._starts: list[int] = []
        self._opens: list[bool] = []
        line, position = 1, 0
        for match in _TOP_LEVEL.finditer(raw):
            line += raw.count(b"\n", position, match.start())
            position = match.start()
            self._starts.append(line)
            self._opens.append(_OPENS_SCOPE.match(match[0]) is not None)

    def inside(self, line: int) -> bool:
        position = bisect_right(self._starts, line) - 1
        return position >= 0 and self._opens[position]


def _texts(features: Features, facts: Facts, sources: Mapping[str, bytes]) -> None:
    contexts = {member.path: member.context for member in facts.members}
    for oddity in facts.oddities:
        features.note(oddity.member, f"oddity/{oddity.kind}/{_WHEN[oddity.context]}", 1, oddity.line)
    for path, seen in features.members.items():
        raw = sources.get(path)
        if raw is None or not is_evident(seen):
            continue
        when = _WHEN[contexts.get(path, Context.UNREACHED)]
        features.note(path, f"runs/{when}", 1)
        for name, value in statistics_of(raw):
            features.note(path, name, value)
        watched = {(first or second).decode() for first, second in _IMPORT.findall(raw)} & _WATCHED
        features.note(path, "text/imports", len(watched))
        if when == "install":
            for module in sorted(watched):
                features.note(path, f"import/{module}", 1)
