"""What several rules share: how a context weighs, and what commands look like."""

from __future__ import annotations

import re

from wheelmark.scan.facts import Call
from wheelmark.scan.report import Context, Severity
from wheelmark.scan.values import Origin

SHELL_DOWNLOAD = re.compile(
    r"(?i)\b(curl|wget|iwr|invoke-webrequest|invoke-restmethod|irm|downloadstring|downloadfile|start-bitstransfer|bitsadmin|certutil(\.exe)?\s+-urlcache|mshta)\b"
)
URL = re.compile(r"(?i)\b(https?|ftp)://[^\s'\"<>)]+")
EXECUTABLE_NAME = re.compile(r"(?i)\.(exe|dll|scr|bat|cmd|ps1|vbs|msi|sh|elf|bin|hta|pyw|py|jar)\b")


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
