"""Words that spam lures with, by category: a plain list in a file, and how many different ones a text has."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

MAX_LURE_CHARS = 50_000
"""What is looked at of a text; spam says what it wants at once."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Lure:
    """A category, and the different words of it that a text has."""

    category: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """Which category a phrase belongs to. Phrases are words joined by one blank."""

    phrases: Mapping[str, str]
    parts: Mapping[str, str]  # of scripts that write without blanks: found anywhere in the text
    most_words: int


def lures_of(text: str) -> list[Lure]:
    """The categories that a text has words of, the richest first."""
    vocabulary = _vocabulary()
    lowered = text[:MAX_LURE_CHARS].lower()
    words = _WORD.findall(lowered)
    found: dict[str, set[str]] = {}
    for position in range(len(words)):
        phrase = ""
        for word in words[position : position + vocabulary.most_words]:
            phrase = f"{phrase} {word}" if phrase else word
            category = vocabulary.phrases.get(phrase)
            if category is not None:
                found.setdefault(category, set()).add(phrase)
    if not lowered.isascii():
        for part, category in vocabulary.parts.items():
            if part in lowered:
                found.setdefault(category, set()).add(part)
    lures = [Lure(category, _longest(words)) for category, words in found.items()]
    return sorted(lures, key=lambda lure: (-len(lure.words), lure.category))


def _longest(words: set[str]) -> tuple[str, ...]:
    """The words that are no part of another one: who writes a long phrase lures once."""
    return tuple(sorted(word for word in words if not any(word != other and word in other for other in words)))


@cache
def _vocabulary() -> _Vocabulary:
    raw = (files("wheelmark.scan.context") / "data" / "lures.toml").read_text(encoding="utf-8")
    phrases: dict[str, str] = {}
    parts: dict[str, str] = {}
    for category, table in tomllib.loads(raw).items():
        for word in table["words"]:
            if _writes_blanks(word):
                phrases[" ".join(_WORD.findall(word.lower()))] = category
            else:
                parts[word.lower()] = category
    return _Vocabulary(phrases, parts, max(phrase.count(" ") + 1 for phrase in phrases))


def _writes_blanks(word: str) -> bool:
    # Latin, Greek, Cyrillic and their like lie below; Thai, Chinese, Japanese and Korean above.
    return all(ord(character) < 0x0E00 for character in word) or any(0x1E00 <= ord(each) < 0x2000 for each in word)
