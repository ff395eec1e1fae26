"""Statistics of source text: what a module looks like before anybody reads it. Fast searches, no parsing.

Figures under `text/` rise with suspicion and are 0 for quiet text. Figures under `style/` tell how code was written:
whether somebody meant others to read and use it. Both speak of one module; modules beside it change nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

MAX_TEXT = 400_000  # bytes of one module that are looked at: its beginning and its end
LONG_LINE = 400  # bytes: shorter lines are merely long
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{5,}")
_CASE_CHANGE = re.compile(rb"[a-z][A-Z]")
_SAMPLE_NAMES = 800
_MIN_NAMES = 12
_LITERAL = re.compile(rb"['\"]([^'\"\s\\]{40,})['\"]")
_ESCAPE = re.compile(rb"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[0-7]{3}")
_NUMBERS = re.compile(rb"[\[({]\s{0,40}(?:(?:0x)?[0-9a-fA-F]{1,4},\s{0,40}){40,}")
_TOP_LEVEL = re.compile(rb"\n([^\s#'\"@)\]}][^\n]*)")
_STRUCTURE = re.compile(
    rb"(?:import|from|def|async\s+def|class|if\s+__name__|elif|else|return|__\w+__\s*=|setup\s*\(|setuptools\.setup\s*\()\b"
)
_PLAIN_ASSIGNMENT = re.compile(rb"[\w., \[\]'\":]+(?::\s*[\w\[\], .|]+)?=\s*(?!.*\()")
# name -> what is counted, and how many of it make 1; each doubling adds 1
_COUNTED: tuple[tuple[str, re.Pattern[bytes], int], ...] = (
    ("style/self", re.compile(rb"self\.(?<!\wself\.)"), 1),
    ("style/exports", re.compile(rb"\n(?:__all__|_?log(?:ger)?\s*=)"), 1),
    ("text/silenced", re.compile(rb"except[^\n:]{0,40}:\s*(?:pass|return|continue)\b"), 1),
    ("text/semicolons", re.compile(rb";[ \t]*[A-Za-z_]"), 1),
    ("text/escapes", _ESCAPE, 16),
)


# The same for words at the beginning of a line, which one search finds together.
_BEGINNING = re.compile(rb"\n[ \t]*(#|(?:async )?def |class |from (?:\.|typing)|raise\b|return\b|\w+: [\w\[\], .|]+ =)")
_RETURN_HINT = re.compile(rb"\)[ \t]*->")
_HINTS = "style/hints"
_BEGINNINGS = {
    b"#": "style/comments",
    b"def ": "style/functions",
    b"async def ": "style/functions",
    b"class ": "style/classes",
    b"from .": "style/relative-imports",
    b"raise": "style/raises",
    b"return": "style/returns",
    b"from typing": _HINTS,
}


def statistics_of(raw: bytes) -> Iterator[tuple[str, int]]:
    """The figures of one module that are not 0, by name."""
    text = raw if len(raw) <= MAX_TEXT else raw[: MAX_TEXT // 2] + raw[-MAX_TEXT // 2 :]
    lines = b"\n" + text  # so that every line has a beginning that is found fast
    figures = [(name, _magnitude(len(pattern.findall(lines)), unit)) for name, pattern, unit in _COUNTED]
    beginnings = Counter(_BEGINNINGS.get(word, _HINTS) for word in _BEGINNING.findall(lines))
    beginnings[_HINTS] += len(_RETURN_HINT.findall(text))
    figures += [(name, _magnitude(count, 1)) for name, count in beginnings.items()]
    figures += [
        ("style/docstrings", _magnitude(text.count(b'"""') + text.count(b"'''"), 2)),
        ("style/lines", _magnitude(raw.count(b"\n") + 1, 1)),
        ("text/line", _magnitude(max(map(len, text.split(b"\n"))), LONG_LINE)),
        ("text/literal", _longest_literal(text)),
        ("text/numbers", _magnitude(sum(map(len, _NUMBERS.findall(text))), 160)),
        ("text/odd-names", _odd_names(text)),
        ("text/at-once", _at_once(lines)),
        ("text/foreign", _magnitude(len(text) - len(text.translate(None, _FOREIGN)), 16)),
    ]
    for name, value in figures:
        if value > 0:
            yield name, value


_FOREIGN = bytes(range(128, 256))


def _magnitude(count: int, unit: int) -> int:
    """How often `count` doubles `unit`: 0 below it, 1 from it on, 2 from its double on."""
    return (count // unit).bit_length()


def _longest_literal(text: bytes) -> int:
    """The length, in doublings of 80, of the longest literal that has no more order than encoded bytes have."""
    worst = 0
    for literal in _LITERAL.findall(text):
        if len(literal) >= 80 and entropy(literal[:4096]) >= 42:
            worst = max(worst, _magnitude(len(literal), 80))
    return worst


def entropy(text: bytes) -> int:
    """Shannon's entropy of the bytes, in tenths of a bit: English is about 42, base64 nearly 60, random bytes 80."""
    if not text:
        return 0
    total = len(text)
    return int(-sum(count / total * math.log2(count / total) for count in Counter(text).values()) * 10 + 1e-6)


def _odd_names(text: bytes) -> int:
    """Per cent of the different names of six letters or more that are no words."""
    names = list(dict.fromkeys(_NAME.findall(text)))[:_SAMPLE_NAMES]
    if len(names) < _MIN_NAMES:
        return 0
    return 100 * sum(map(_is_odd, names)) // len(names)


@lru_cache(maxsize=10_000)
def _is_odd(name: bytes) -> bool:
    letters = name.replace(b"_", b"")
    vowels = len(letters) - len(letters.translate(None, b"aeiouyAEIOUY"))
    digits = len(letters) - len(letters.translate(None, b"0123456789"))
    changes = len(_CASE_CHANGE.findall(letters))
    return vowels * 6 < len(letters) or digits * 3 > len(letters) or changes * 3 > len(letters)


def _at_once(lines: bytes) -> int:
    """How many statements at the left margin do something, rather than import, define or set a plain value."""
    count = 0
    for line in _TOP_LEVEL.findall(lines):
        if _STRUCTURE.match(line) is None and _PLAIN_ASSIGNMENT.match(line) is None:
            count += 1
    return min(count, 50)
