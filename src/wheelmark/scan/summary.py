"""Sums up the facts of a distribution: what it holds and does, in short."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.facts_summary import FactsSummary
from wheelmark.scan.layout import lay_out
from wheelmark.scan.report import Context

MAX_LISTED = 60
"""Entries of each list; what does not fit is left out, in alphabetical order, so that equal files have equal lists."""
MAX_ENTRY_CHARS = 200

# Acts that nearly every distribution does somewhere: whether they are new says nothing.
_COMMON = frozenset({Act.READ, Act.WRITE, Act.DELETE})
_NETWORK = (Act.SEND, Act.DOWNLOAD, Act.CONNECT)
_HOST = re.compile(r"(?i)\b(?:https?|wss?|ftp)://(?:[^\s/@'\"]*@)?([a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)")


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
