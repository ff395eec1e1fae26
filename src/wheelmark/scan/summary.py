"""The facts of a scan in a few lines: kept with the report, and compared with those of the next release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.layout import lay_out
from wheelmark.scan.report import Context

MAX_LISTED = 60
"""Entries of each list; what does not fit is left out, in alphabetical order, so that equal files have equal lists."""
MAX_ENTRY_CHARS = 200

# Acts that nearly every distribution does somewhere: whether they are new says nothing.
_COMMON = frozenset({Act.READ, Act.WRITE, Act.DELETE})
_NETWORK = (Act.SEND, Act.DOWNLOAD, Act.CONNECT)
_HOST = re.compile(r"(?i)\b(?:https?|wss?|ftp)://(?:[^\s/@'\"]*@)?([a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsSummary:
    """What a distribution holds and does, in short. Sizes are bytes; lists are sorted and bounded."""

    acts: tuple[str, ...] = ()  # what its code does and when, as "start a process/import"
    hosts: tuple[str, ...] = ()  # whom its code names when it talks to the network
    modules: tuple[str, ...] = ()  # top-level names that can be imported; those of sdists without tests and build files
    startup_files: tuple[str, ...] = ()  # what the interpreter reads at each start: .pth, .start, sitecustomize
    natives: tuple[str, ...] = ()  # executables and libraries
    decoded_layers: int = 0  # pieces of code that come out of a decoder and are executed
    hidden_calls: int = 0  # calls whose name is kept out of sight
    unparsed: int = 0  # Python files that no parser can read
    python_files: int = 0
    python_bytes: int = 0
    total_bytes: int = 0  # unpacked

    def to_mapping(self) -> dict[str, object]:
        """For JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_mapping(cls, document: Mapping[str, object]) -> FactsSummary:
        """What `to_mapping` wrote; fields that are missing have their default, unknown ones are left out.

        Raises: ValueError when a field has another type.
        """
        values: dict[str, object] = {}
        for each in fields(cls):
            if each.name not in document:
                continue
            value = document[each.name]
            if isinstance(each.default, tuple):
                if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                    raise ValueError(f"expected {each.name} as a list of texts, got {value!r}")
                values[each.name] = tuple(value)
            elif isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"expected {each.name} as a whole number, got {value!r}")
            else:
                values[each.name] = value
        return cls(**values)  # type: ignore[arg-type]  # each was checked against the type of its default


NOTHING_KNOWN = FactsSummary()
"""Of a file that was not scanned to the end, or by an older scanner."""


def summarize(facts: Facts) -> FactsSummary:
    """The summary of a distribution's facts."""
    reached = [call for call in facts.calls if call.context is not Context.UNREACHED]
    python = [member for member in facts.members if member.kind == "python"]
    texts = [call.text for call in reached if call.act in _NETWORK]
    return FactsSummary(
        acts=_listed(f"{call.act}/{call.context}" for call in reached if call.act not in _COMMON),
        hosts=_listed(host.lower() for text in texts for host in _HOST.findall(text)),
        modules=_listed(_modules(facts)),
        startup_files=_listed(
            member.path
            for member in facts.members
            if member.kind in ("pth", "start") or (member.kind == "python" and member.context is Context.STARTUP)
        ),
        natives=_listed(member.path for member in facts.members if member.kind == "native"),
        decoded_layers=sum(layer.decoded and layer.context is not Context.UNREACHED for layer in facts.layers),
        hidden_calls=sum(bool(call.hidden) for call in reached),
        unparsed=sum(not member.parsed for member in python),
        python_files=len(python),
        python_bytes=sum(member.size for member in python),
        total_bytes=sum(member.size for member in facts.members),
    )


def _modules(facts: Facts) -> Iterable[str]:
    layout = lay_out(facts.filename, (member.path for member in facts.members), {})
    for module, path in layout.modules.items():
        if path in layout.apart or layout.contexts[path] is Context.INSTALL:
            continue
        if "." not in module:  # a folder without `__init__.py` is a namespace, which several distributions may fill
            yield module


def _listed(entries: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({entry[:MAX_ENTRY_CHARS] for entry in entries})[:MAX_LISTED])
