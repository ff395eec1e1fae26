"""Oddities of a source text that its syntax tree does not show: code out of sight, characters that are not seen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice

from wheelmark.scan.facts import Oddity
from wheelmark.scan.report import Context

HIDDEN_COLUMN = 160  # blanks within a line, after which nobody looks
MAX_ODDITIES = 20
_FAR_RIGHT = re.compile(
    rf"^(?P<shown>[^\n]*?\S)?(?P<gap>[ \t]{{{HIDDEN_COLUMN},}})(?P<code>[^\s#][^\n]*)$", re.MULTILINE
)
_LOOKS_LIKE_CODE = re.compile(r"\b(import|exec|eval|compile|lambda|__import__|getattr|os\.|subprocess|requests|open\()")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
# A name spelled with styled letters is normalised by Python (NFKC) and by no reader's search.
_STYLED_NAME = re.compile(r"(?<![\w])[\w]*[\U0001d400-\U0001d7ff\uff21-\uff5a\u2100-\u214f][\w]*\s*\(")
_STYLED_LETTER = re.compile("[\U0001d400-\U0001d7ff\uff21-\uff5a\u2100-\u214f]")
_INVISIBLE_RUN = re.compile("[\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\U000e0100-\U000e01ef\u3164\uffa0]{16,}")
_DANGEROUS = frozenset(
    {
        "exec",
        "eval",
        "compile",
        "__import__",
        "getattr",
        "globals",
        "system",
        "popen",
        "b64decode",
        "decompress",
        "open",
    }
)


def find_oddities(member: str, text: str, context: Context) -> Iterator[Oddity]:
    """The oddities of one source text, at most `MAX_ODDITIES`."""
    yield from islice(_all(member, text, context), MAX_ODDITIES)


def _all(member: str, text: str, context: Context) -> Iterator[Oddity]:
    if " " * HIDDEN_COLUMN in text or "\t" * 40 in text:
        yield from _far_right(member, text, context)
    if text.isascii():
        return
    for match in _BIDI.finditer(text):
        yield Oddity(
            kind="bidi", member=member, line=_line(text, match.start()), context=context, text=f"U+{ord(match[0]):04X}"
        )
    for match in _STYLED_NAME.finditer(text) if _STYLED_LETTER.search(text) else ():  # every word is tried
        plain = unicodedata.normalize("NFKC", match[0]).rstrip(" (")
        if plain in _DANGEROUS:
            yield Oddity(
                kind="styled-name",
                member=member,
                line=_line(text, match.start()),
                context=context,
                text=f"{match[0]} = {plain}",
            )
    for match in _INVISIBLE_RUN.finditer(text):
        yield Oddity(
            kind="invisible-text",
            member=member,
            line=_line(text, match.start()),
            context=context,
            text=f"{len(match[0])} invisible characters",
        )


def _far_right(member: str, text: str, context: Context) -> Iterator[Oddity]:
    for match in _FAR_RIGHT.finditer(text):
        shown = (match["shown"] or "").rstrip()
        # Data and comments are aligned far to the right now and then; a statement after a semicolon never is.
        if shown.lstrip().startswith("#") or not _LOOKS_LIKE_CODE.search(match["code"]):
            continue
        if shown.endswith(";") or match["code"].startswith(";") or not shown:
            yield Oddity(
                kind="far-right",
                member=member,
                line=_line(text, match.start("code")),
                context=context,
                text=match["code"][:200],
            )


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
