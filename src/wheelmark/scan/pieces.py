"""The syntax tree of a large source, made piece by piece.

While a tree is made, CPython holds it twice: as its own nodes and as Python's objects. Of a module of six megabytes
that is 160 MiB, half of which are saved when it is parsed in pieces: at functions and classes at the left margin, and
within a large class at its methods.

A piece that begins or ends in the middle of a statement, of brackets or of a string does not parse; then nothing here
does, and the caller parses the whole. Where all pieces parse, their statements in a row are those of the whole.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from itertools import pairwise

PIECE_CHARACTERS = 256 * 1024
DIVIDED_CHARACTERS = 2 * PIECE_CHARACTERS  # what is larger is divided
_DEFINITION = r"(?:class|def|async[ \t]+def)\b"
_AT_MARGIN = re.compile(rf"^(?:@|{_DEFINITION})", re.MULTILINE)
_METHOD = re.compile(rf"^([ \t]+)(?:@|{_DEFINITION})", re.MULTILINE)

Parse = Callable[[str], ast.Module | None]


def parse_in_pieces(text: str, parse: Parse) -> ast.Module | None:
    """What `parse` makes of the whole text, by pieces of it; None where it cannot be divided, or does not parse."""
    if text.count("\r") != text.count("\r\n"):
        return None  # other line ends than those that are counted here
    body: list[ast.stmt] = []
    for start, end in _pieces(text, 0, len(text), _AT_MARGIN):
        lines = text.count("\n", 0, start)
        found = None
        if end - start > DIVIDED_CHARACTERS and text.startswith(("class", "@"), start):
            found = _class_in_pieces(text, start, end, parse)
        if found is None:
            tree = parse("\n" * lines + text[start:end])
            found = None if tree is None else tree.body
        if found is None:
            return None
        body.extend(found)
    return ast.Module(body, [])


def _pieces(text: str, start: int, end: int, begins: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Parts of a text that are as large as wanted, where it can be divided: never behind a decorator."""
    places, decorated = list[int](), False
    for match in begins.finditer(text, start, end):
        if not decorated and match.start() > start:
            places.append(match.start())
        decorated = match[0].endswith("@")
    bounds = [start]
    for place, following in pairwise([*places, end]):
        if place - bounds[-1] >= PIECE_CHARACTERS or following - place > DIVIDED_CHARACTERS:
            bounds.append(place)
    yield from pairwise([*bounds, end])


def _class_in_pieces(text: str, start: int, end: int, parse: Parse) -> list[ast.stmt] | None:
    """A class and what follows it: its first methods with its head, the others below a head that stands for it."""
    first = _METHOD.search(text, start, end)
    if first is None:
        return None
    begins = re.compile(rf"^{re.escape(first[1])}(?:@|{_DEFINITION})", re.MULTILINE)
    whole: ast.ClassDef | None = None
    following: list[ast.stmt] = []
    for piece_start, piece_end in _pieces(text, start, end, begins):
        lines = text.count("\n", 0, piece_start)
        head = "\n" * lines if whole is None else "\n" * (lines - 1) + "class _:\n"
        tree = parse(head + text[piece_start:piece_end])
        if tree is None or following:
            return None
        part, *following = tree.body
        if not isinstance(part, ast.ClassDef):
            return None
        if whole is None:
            whole = part
        else:
            whole.body.extend(part.body)
            whole.end_lineno, whole.end_col_offset = part.end_lineno, part.end_col_offset
    return None if whole is None else [whole, *following]
