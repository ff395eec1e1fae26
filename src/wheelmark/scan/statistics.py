"""Statistics of source text: what a member looks like before anybody reads it. One pass of fast searches a member.

Each figure is a whole number that rises with suspicion and is 0 for quiet text. They speak of one member, and the
features take the worst member, so that harmless files beside it dilute nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

MAX_TEXT = 400_000  # bytes of one member that are looked at: its beginning and its end
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,}")
_LITERAL = re.compile(rb"['\"]([^'\"\s\\]{40,})['\"]")
_ESCAPE = re.compile(rb"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[0-7]{3}")
_NUMBERS = re.compile(rb"[\[({]\s{0,40}(?:(?:0x)?[0-9a-fA-F]{1,4},\s{0,40}){40,}")
_TOP_LEVEL = re.compile(rb"^[^\s#'\"@)\]}][^\n]*", re.MULTILINE)
_STRUCTURE = re.compile(
    rb"(?:import|from|def|async\s+def|class|if\s+__name__|elif|else|return|__\w+__\s*=|setup\s*\(|setuptools\.setup\s*\()\b"
)
_PLAIN_ASSIGNMENT = re.compile(rb"[\w., \[\]'\":]+(?::\s*[\w\[\], .|]+)?=\s*(?!.*\()")
_CASE_CHANGE = re.compile(rb"[a-z][A-Z]")
_SAMPLE_NAMES = 800
_MIN_NAMES = 12
LONG_LINE = 400  # characters: below, lines are merely long


def statistics_of(raw: bytes) -> Iterator[tuple[str, int]]:
    """The figures of one source text that are not 0, by name."""
    text = raw if len(raw) <= MAX_TEXT else raw[: MAX_TEXT // 2] + raw[-MAX_TEXT // 2 :]
    for name, value in (
        ("longest-line", _longest_line(text)),
        ("longest-literal", _longest_literal(text)),
        ("escapes", _magnitude(len(_ESCAPE.findall(text)), 16)),
        ("number-lists", _magnitude(sum(len(match) for match in _NUMBERS.findall(text)), 160)),
        ("odd-names", _odd_names(text)),
        ("acts-at-once", _acts_at_once(text)),
    ):
        if value > 0:
            yield name, value


def _magnitude(count: int, unit: int) -> int:
    """How often `count` doubles `unit`: 0 below it, 1 from it on, 2 from its double on."""
    return (count // unit).bit_length()


def _longest_line(text: bytes) -> int:
    return _magnitude(max(map(len, text.split(b"\n"))), LONG_LINE)


def _longest_literal(text: bytes) -> int:
    """How long and how random the most random long literal is: its length in doublings of 80, if it has no order."""
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
    """Per cent of the different names of six letters or more that are no words: no vowels, or letters without sense."""
    names = [name for name in dict.fromkeys(_NAME.findall(text)) if len(name) >= 6][:_SAMPLE_NAMES]
    if len(names) < _MIN_NAMES:
        return 0
    return 100 * sum(map(_is_odd, names)) // len(names)


@lru_cache(maxsize=50_000)
def _is_odd(name: bytes) -> bool:
    letters = name.replace(b"_", b"")
    vowels = len(letters) - len(letters.translate(None, b"aeiouyAEIOUY"))
    digits = len(letters) - len(letters.translate(None, b"0123456789"))
    changes = len(_CASE_CHANGE.findall(letters))
    return vowels * 6 < len(letters) or digits * 3 > len(letters) or changes * 3 > len(letters)


def _acts_at_once(text: bytes) -> int:
    """How many statements at the left margin do something, rather than import, define or set a plain value."""
    count = 0
    for line in _TOP_LEVEL.findall(text):
        if _STRUCTURE.match(line) is None and _PLAIN_ASSIGNMENT.match(line) is None:
            count += 1
    return min(count, 50)
