"""What several rules share: how a context weighs, and what commands look like."""

from __future__ import annotations

import re

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity
from wheelmark.scan.values import Origin

SHELL_DOWNLOAD = re.compile(
    r"(?i)\b(curl|wget|iwr|invoke-webrequest|invoke-restmethod|irm|downloadstring|downloadfile|start-bitstransfer|bitsadmin|certutil(\.exe)?\s+-urlcache|mshta)\b"
)
URL = re.compile(r"(?i)\b(https?|ftp)://[^\s'\"<>)]+")
EXECUTABLE_NAME = re.compile(r"(?i)\.(exe|dll|scr|bat|cmd|ps1|vbs|msi|sh|elf|bin|hta|pyw|py|jar)\b")


# Where anybody leaves a file or a text without giving a name, and machines that have none.
_DROP = re.compile(
    r"(?i)https?://((?!127\.|0\.|10\.|192\.168\.)\d{1,3}(\.\d{1,3}){3}|([\w-]+\.)*(pastebin\.com|paste\.ee|hastebin\.com|rentry\.co|"
    r"paste\.rs|ghostbin\.com|discordapp\.(com|net)|transfer\.sh|file\.io|anonfiles?\.com|gofile\.io|temp\.sh|catbox\.moe|"
    r"dropbox(usercontent)?\.com|filebin\.net|ngrok\.io|ngrok-free\.app|loca\.lt|trycloudflare\.com|repl\.co|glitch\.me|"
    r"000webhostapp\.com|onrender\.com|herokuapp\.com))([:/]|$)"
)


def fetched_from_drop(facts: Facts) -> frozenset[tuple[str, int]]:
    """The places, by member and line, that fetch from a file drop, a paste, a tunnel or a bare number."""
    calls = facts.calls_of(Act.SEND, Act.DOWNLOAD, Act.START_PROCESS)
    return frozenset((call.member, call.line) for call in calls if _DROP.search(call.text))


def graded(
    context: Context, *, automatic: Severity, entry: Severity = Severity.LOW, on_call: Severity = Severity.LOW
) -> Severity | None:
    """The severity for a context; None where nothing reaches the code."""
    if context.automatic:
        return automatic
    if context is Context.UNREACHED:
        return None
    return entry if context is Context.ENTRY else on_call


def told(origins: list[Origin]) -> str:
    """Where a value came from, in a few words."""
    return ", ".join(f"{origin.what} (line {origin.line})" for origin in origins[:3])


def shown(call: Call) -> str:
    """A call as one readable line."""
    return f"{call.name}({call.text[:200]})"
