"""What a command line says: the files that it fetches, the archives that it unpacks, the programs that it holds.

Nothing is run; the text is read by patterns, as far as shells and PowerShell are commonly written.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from wheelmark.scan.values import GAP

MAX_COMMAND = 100_000  # characters that are read of one command line
MAX_PARTS = 20

_ADDRESS = r"""(?:https?|ftp)://[^\s'"<>|&;)]+"""
_FETCHER = re.compile(r"(?i)\b(curl|wget|iwr|invoke-webrequest|downloadfile|start-bitstransfer|bitsadmin|certutil)\b")
_URL = re.compile(rf"(?i){_ADDRESS}")
_TARGETS = (
    re.compile(r"""(?i)\s(?:-o|--output|-O|--output-document|-OutFile|-Destination)[\s=]+["']?([^\s"'|&;]+)"""),
    re.compile(rf"""(?i)downloadfile\(\s*["']{_ADDRESS}["']\s*,\s*["']([^"']+)"""),
    re.compile(rf"""(?i)(?:-urlcache\b.*?|/transfer\b.*?){_ADDRESS}["']?\s+["']?([^\s"'|&;]+)"""),
    re.compile(r"""(?i)\s-\w*o["']?\s+["']?([^\s"'|&;]+)"""),
)
_COMPUTED = re.compile(rf"(?<=[\s'\"]){GAP}")  # an address of which nothing is known
_REMOTE_NAME = re.compile(r"(?i)\bcurl\b[^|;]*\s(?:-\w*O\w*|--remote-name\S*)|\bwget\b(?!.*\s-\w*O)")
_UNPACKED = re.compile(r"""(?i)\btar\b[^|&;]*\s["']*([^\s"']+)["']*\s+-C\s+["']*([^\s"']+)""")
_PYTHON = re.compile(
    r"""(?is)\bpython[\d.]*w?(?:\.exe)?["']?(?:\s+-(?!c\b)\S+(?:\s+[^\s"'-]\S*)?){0,6}\s+-c\s+(["'])(.*?)(?<!\\)\1"""
)
_ENCODED = re.compile(r"""(?i)\s[-/]e(?:nc?|nco\w*|c)?\s+["']?([A-Za-z0-9+/]{24,}={0,2})""")
_POWERSHELL = re.compile(r"(?i)\b(powershell|pwsh)(\.exe)?\b")
_PIPED = re.compile(
    r"""(?i)\becho\s+(?:-n\s+)?["']?([A-Za-z0-9+/]{16,}={0,2})["']?\s*\|\s*base64\s+(?:-d|-D|--decode)"""
)
_FROM_BASE64 = re.compile(r"""(?i)frombase64string\(\s*["']([A-Za-z0-9+/]{16,}={0,2})["']""")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a command line holds."""

    text: str
    decoder: str  # what it was encoded with, "" when it stands there plainly
    is_python: bool


def fetched_files(command: str) -> list[tuple[str, str]]:
    """The files that a command line fetches, as (address, path); a path is as written."""
    command = command[:MAX_COMMAND]
    if not _FETCHER.search(command):
        return []
    address = _URL.search(command) or _COMPUTED.search(command)
    if address is None:
        return []
    found: list[tuple[str, str]] = []
    for pattern in _TARGETS:
        found.extend((address[0], match[1]) for match in pattern.finditer(command))
        if found:
            return found[:MAX_PARTS]
    if _REMOTE_NAME.search(command):
        for match in _URL.finditer(command):
            name = match[0].partition("://")[2].partition("?")[0].rpartition("/")[2]
            if name:
                found.append((match[0], name))
    return found[:MAX_PARTS]


def unpacked_archives(command: str) -> list[tuple[str, str]]:
    """The archives that a command line unpacks, as (archive, folder)."""
    return [(match[1], match[2]) for match in _UNPACKED.finditer(command[:MAX_COMMAND])][:MAX_PARTS]


def programs(command: str) -> Iterator[Program]:
    """The programs that stand in a command line, decoded."""
    command = command[:MAX_COMMAND]
    for match in _PYTHON.finditer(command):
        yield Program(match[2].replace(f"\\{match[1]}", match[1]), "", is_python=True)
    if _POWERSHELL.search(command):
        for match in _ENCODED.finditer(command):
            text = _decoded(match[1], "utf-16-le")
            if text:
                yield Program(text, "PowerShell -EncodedCommand", is_python=False)
        for match in _FROM_BASE64.finditer(command):
            text = _decoded(match[1], "utf-16-le") or _decoded(match[1], "utf-8")
            if text:
                yield Program(text, "FromBase64String", is_python=False)
    for match in _PIPED.finditer(command):
        text = _decoded(match[1], "utf-8")
        if text:
            yield Program(text, "base64 -d", is_python=False)


def _decoded(encoded: str, encoding: str) -> str:
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        text = raw.decode(encoding)
    except (binascii.Error, ValueError):
        return ""
    readable = sum(character.isprintable() or character in "\r\n\t" for character in text)
    # UTF-16 read from anything else is a text of rare ideographs; a program is not.
    ascii_share = sum(character.isascii() for character in text)
    return text if text and readable >= 0.9 * len(text) and ascii_share >= 0.7 * len(text) else ""
