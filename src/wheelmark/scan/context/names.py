"""How one project name resembles another. Names are normalized ones, so ASCII letters, digits and single hyphens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

MIN_CHARS = 5
"""Shorter names have too many neighbours of their own right."""
MAX_CHARS = 60
"""Nobody types a longer name by hand."""
MAX_WORDS = 4

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-"
_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
# What reads alike in common typefaces, or is written for one another on purpose: always folded the same way.
_SEQUENCES = (("rn", "m"), ("vv", "w"))
_CHARACTERS = str.maketrans("015", "ols")
_LOOKS_LIKE_I = str.maketrans("i", "l")


def squash(name: str) -> str:
    """The name without separators."""
    return name.replace("-", "")


def look(name: str) -> str:
    """What remains of a name when characters that look alike count as the same, and separators as nothing."""
    folded = squash(name).translate(_CHARACTERS)
    for sequence, single in _SEQUENCES:
        folded = folded.replace(sequence, single)
    return folded.translate(_LOOKS_LIKE_I)


def deletions(name: str) -> Iterator[str]:
    """The name with each one character left out."""
    seen = ""
    for position, character in enumerate(name):
        if character != seen:  # leaving out either of two equal neighbours gives the same
            yield name[:position] + name[position + 1 :]
        seen = character


def neighbours(name: str) -> set[str]:
    """Every name that is one insertion, deletion, replacement or transposition away. About 76 for each character."""
    heads = [(name[:position], name[position:]) for position in range(len(name) + 1)]
    found = {head + tail[1:] for head, tail in heads if tail}
    found |= {head + tail[1] + tail[0] + tail[2:] for head, tail in heads if len(tail) > 1}
    found |= {head + letter + tail[1:] for head, tail in heads if tail for letter in _ALPHABET}
    found |= {head + letter + tail for head, tail in heads for letter in _ALPHABET}
    found.discard(name)
    return {each for each in found if each and each[0] != "-" and each[-1] != "-" and "--" not in each}


def one_edit(name: str, target: str) -> str | None:
    """How `name` comes from `target` by one slip of the typing hand, in words; None when it takes more than one.

    Damerau's four edits, the likely ones told apart: letters swapped, doubled, halved, or of a neighbouring key.
    """
    if abs(len(name) - len(target)) > 1 or name == target:
        return None
    start = 0
    while start < min(len(name), len(target)) and name[start] == target[start]:
        start += 1
    mine, other = name[start:], target[start:]
    if len(name) > len(target):
        if mine[1:] != other:
            return None
        return "a letter twice" if start and mine[0] == name[start - 1] else "a character more"
    if len(name) < len(target):
        if mine != other[1:]:
            return None
        return "a double letter once" if start and other[0] == target[start - 1] else "a character less"
    if mine[1:] == other[1:]:
        return "a neighbouring key" if other[0] in _beside(mine[0]) else "another character"
    if len(mine) > 1 and mine[0] == other[1] and mine[1] == other[0] and mine[2:] == other[2:]:
        return "two letters swapped"
    return None


def _beside(key: str) -> str:
    """The keys beside, above and below one on a keyboard as English and most European languages have it."""
    for number, row in enumerate(_ROWS):
        at = row.find(key)
        if at >= 0:
            near = row[max(0, at - 1) : at] + row[at + 1 : at + 2]
            for other in _ROWS[max(0, number - 1) : number] + _ROWS[number + 1 : number + 2]:
                near += other[max(0, at - 1) : at + 2]
            return near
    return ""


def word_orders(name: str) -> set[str]:
    """The same words in every other order, with separators; empty for one word, and for very many."""
    words = name.split("-")
    if not 2 <= len(words) <= MAX_WORDS:
        return set()
    return {"-".join(order) for order in permutations(words)} - {name}


def is_plain_series(name: str, target: str) -> bool:
    """Whether two names differ in nothing but a number: `http2` and `http3`, `lab-1` and `lab-2`."""
    bare, other = (re.sub(r"[0-9]+", "", each) for each in (name, target))
    return squash(bare) == squash(other)


def core_of(name: str, affixes: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The name without one bounded word before or behind it, and that word: `requests-sdk` gives `requests`, `sdk`."""
    words = name.split("-")
    if len(words) > 1:
        if words[0] in affixes:
            yield "-".join(words[1:]), words[0]
        if words[-1] in affixes:
            yield "-".join(words[:-1]), words[-1]
    for affix in affixes:
        if len(affix) < 2 or len(name) - len(affix) < MIN_CHARS:
            continue
        if name.startswith(affix) and name[len(affix)] != "-":
            yield name[len(affix) :], affix
        if name.endswith(affix) and name[-len(affix) - 1] != "-":
            yield name[: -len(affix)], affix
