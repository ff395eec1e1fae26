"""What can be counted about a text in any language: links, numbers to call, repetition, characters that mislead."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

from wheelmark.scan.context.sources import FORGES
from wheelmark.scan.context.upload import MAX_TEXT_CHARS

MAX_LINKS = 2_000

_LINK = re.compile(r"(?i)\bhttps?://[^\s<>()\[\]\"'`|]{3,1000}")
_WORD = re.compile(r"\w+")
# Freephone numbers of the North American plan, and any number that is offered with a messenger.
_FREEPHONE = re.compile(
    r"(?<![\w.-])(?:\+?1[\s.\-()]{0,3})?\(?8(?:00|33|44|55|66|77|88)\)?[\s.\-]{1,3}\d{3}[\s.\-]{0,3}\d{4}(?![\w.-])"
)
_MESSENGER = re.compile(r"(?i)\b(?:wa\.me/|api\.whatsapp\.com/|whats\s?app\b[^\n]{0,20}\+?\d[\d\s-]{7,}|t\.me/\+)")
SHORTENERS = frozenset(
    """
    bit.ly tinyurl.com goo.gl is.gd cutt.ly rb.gy shorturl.at t.ly ow.ly buff.ly adf.ly rebrand.ly s.id shorte.st
    linktr.ee heylink.me bit.do tiny.cc v.gd lnkd.in clck.ru
    """.split()  # noqa: SIM905  # a list of literals says no more
)
# Hosts that descriptions link to for what they are: code, badges, documentation, standards.
_TECHNICAL = re.compile(
    r"(?i)(^|\.)(shields\.io|badge\.fury\.io|readthedocs\.(io|org)|rtfd\.io|pypi\.org|python\.org|pythonhosted\.org|"
    r"github\.io|githubusercontent\.com|githubassets\.com|gitlab\.io|travis-ci\.(org|com)|circleci\.com|codecov\.io|"
    r"coveralls\.io|appveyor\.com|snyk\.io|codacy\.com|codeclimate\.com|anaconda\.org|conda\.io|zenodo\.org|doi\.org|"
    r"arxiv\.org|opensource\.org|apache\.org|gnu\.org|mozilla\.org|w3\.org|ietf\.org|docker\.com|wikipedia\.org|"
    r"microsoft\.com|google\.com|amazon\.com|googleapis\.com|amazonaws\.com|huggingface\.co|stackoverflow\.com|"
    r"example\.(com|org|net)|localhost)$"
)

# Letters of other scripts that look like Latin ones.
_LIKE_LATIN = frozenset("аеосрхуіјѕԁһԛԝАВЕКМНОРСТХУІЈЅ" + "οαενικυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
_ZERO_WIDTH = frozenset("\u200b\u2060\ufeff\u00ad\u180e\u200c\u200d")
_RTL = frozenset({"R", "AL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTraits:
    """Counts of one text."""

    chars: int
    words: int
    links: int
    foreign_hosts: tuple[str, ...]  # sorted; hosts of links that are no forge, badge or documentation
    shorteners: int
    phone_numbers: int
    messenger_invitations: int
    repetition: float  # part of all words that belongs to the most frequent pair of words; 0 for short texts

    @property
    def link_density(self) -> float:
        """Links for each hundred words."""
        return 100 * self.links / max(1, self.words)


def traits_of(text: str) -> TextTraits:
    """The counts of a text, of which at most `MAX_TEXT_CHARS` are looked at."""
    text = text[:MAX_TEXT_CHARS]
    links = _LINK.findall(text)[:MAX_LINKS]
    hosts = [host for link in links if (host := _host(link))]
    prose = _LINK.sub(" ", text)
    words = [word.lower() for word in _WORD.findall(prose)]
    return TextTraits(
        chars=len(text),
        words=len(words),
        links=len(links),
        foreign_hosts=tuple(sorted({host for host in hosts if host not in FORGES and not _TECHNICAL.search(host)})),
        shorteners=sum(host in SHORTENERS for host in hosts),
        phone_numbers=len(_FREEPHONE.findall(prose)),
        messenger_invitations=len(_MESSENGER.findall(text)),
        repetition=_repetition(words),
    )


def _host(link: str) -> str:
    try:
        return (urlsplit(link).hostname or "").lower().removeprefix("www.")
    except ValueError:
        return ""


def _repetition(words: list[str]) -> float:
    """How much of a text one pair of words makes up."""
    if len(words) < 40:
        return 0.0
    pairs = Counter(pair for pair in pairwise(words) if len(pair[0]) > 2 and len(pair[1]) > 2)
    most = pairs.most_common(1)
    return 2 * most[0][1] / len(words) if most else 0.0


@dataclass(frozen=True, slots=True)
class Misleading:
    """One stretch of text that reads as something else than it is."""

    kind: str  # "bidi control", "zero-width character", "mixed scripts"
    line: int  # 1-based
    text: str


def misleading(text: str, *, limit: int = 10) -> list[Misleading]:
    """Where a text misleads its reader: direction changed among left-to-right letters, characters that have no width
    inside a word, words that mix scripts with letters that look alike.

    Right-to-left languages, emoji, and Indic and Persian words need some of these characters, and are let alone.
    """
    if text.isascii():
        return []
    found: list[Misleading] = []
    for number, line in enumerate(text[:MAX_TEXT_CHARS].splitlines(), 1):
        if not line.isascii():
            found += [Misleading(kind, number, shown) for kind, shown in _in_line(line)]
            if len(found) >= limit:
                return found[:limit]
    return found


def _in_line(line: str) -> Iterable[tuple[str, str]]:
    if _BIDI_CONTROLS & set(line) and not any(unicodedata.bidirectional(character) in _RTL for character in line):
        yield "bidi control", line
    if _ZERO_WIDTH & set(line):
        for position in range(1, len(line) - 1):
            if line[position] in _ZERO_WIDTH and _is_hidden(line, position):
                yield "zero-width character", line[max(0, position - 20) : position + 20]
                break
    for word in _WORD.findall(line):
        if not word.isascii() and _is_mixed(word):
            yield "mixed scripts", word


def _is_hidden(line: str, position: int) -> bool:
    """Whether a character without width splits a Latin word; joiners belong into words of other scripts and emoji."""
    before, after = line[position - 1], line[position + 1]
    return before.isascii() and before.isalpha() and after.isascii() and after.isalpha()


def _is_mixed(word: str) -> bool:
    """Whether a word has Latin letters, and others that all look like Latin ones."""
    others = {character for character in word if not character.isascii() and character.isalpha()}
    latin = sum(character.isascii() and character.isalpha() for character in word)
    return latin >= 2 and bool(others) and others <= _LIKE_LATIN


__all__ = ["SHORTENERS", "Misleading", "TextTraits", "misleading", "traits_of"]
