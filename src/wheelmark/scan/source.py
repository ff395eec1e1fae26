"""Python source to a syntax tree: `ast` where it parses, and what tree-sitter can save where it does not.

Broken files, Python 2, and syntax newer than this interpreter still show most of what they do.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from wheelmark.scan.pieces import DIVIDED_CHARACTERS, parse_in_pieces
from wheelmark.scan.source_encoding import decode_source

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_SALVAGE_STATEMENTS = 4000
MAX_SALVAGE_BYTES = 2 * 1024 * 1024
# `exec code in names` of Python 2, which the grammar takes for a broken attribute.
_EXEC_STATEMENT = re.compile(r"^([ \t]*)exec[ \t]+([^\s(=.,:)][^\n]*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A tree, the text it was made of, and how it came about."""

    tree: ast.Module | None  # None: not even a part of it parses
    text: str
    whole: bool  # False: the tree is what could be saved


def parse_source(raw: bytes) -> Parsed:
    """The tree of a source file, or of as much of it as can be saved."""
    text = decode_source(raw)
    tree = parse_in_pieces(text, _parse) if len(text) > DIVIDED_CHARACTERS else None
    tree = _parse(text) if tree is None else tree
    if tree is not None:
        return Parsed(tree, text, whole=True)
    # The interpreter stops at NUL bytes; people who hide code behind them count on that.
    cleaned = text.replace("\0", " ").replace("\f", " ")
    tree = _parse(cleaned)
    if tree is not None:
        return Parsed(tree, cleaned, whole=False)
    return Parsed(_salvaged(cleaned), cleaned, whole=False)


def parse_text(text: str) -> ast.Module | None:
    """The tree of text that is executed as code, or None when it is no Python."""
    stripped = text.lstrip("\ufeff \t\r\n")
    found = _parse(stripped)
    return found if found is not None else _parse(text)


def _parse(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in the scanned file are no concern of ours
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            # MemoryError is what the parser raises for too many nested brackets.
            return None


def _exec_call(statement: re.Match[str]) -> str:
    return f"{statement[1]}exec({statement[2].replace(' in ', ', ', 1)})"


def _salvaged(text: str) -> ast.Module | None:
    raw = _EXEC_STATEMENT.sub(_exec_call, text).encode("utf-8", "replace")
    if len(raw) > MAX_SALVAGE_BYTES:
        return None
    root = _parser().parse(raw).root_node
    edits = _Edits(raw)
    edits.visit(root)
    repaired = edits.text()
    tree = _parse(repaired)
    return tree if tree is not None else _by_statement(repaired)


def load_salvage() -> None:
    """Load tree-sitter now; otherwise the first broken file does."""
    _parser()


@lru_cache(maxsize=1)
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_python

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))


class _Edits:
    """Rewrites `print` statements as calls and blanks what is no syntax; lines keep their numbers."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.changes: list[tuple[int, int, bytes]] = []

    def visit(self, root: Node) -> None:
        """Collect the changes below `root`, without recursion: hostile sources nest deeply."""
        waiting = [root]
        while waiting:
            node = waiting.pop()
            kind = node.type
            if kind == "print_statement":
                self._as_call(node)
            elif kind == "ERROR" or (
                kind == "type_parameter"
                and node.parent is not None
                and node.parent.type in {"function_definition", "class_definition"}
            ):
                self._blank(node)
            elif kind == "type_alias_statement":
                self.changes.append((node.start_byte, node.end_byte, self._padded(b"pass", node)))
            else:
                waiting.extend(node.children)

    def _as_call(self, node: Node) -> None:
        inner = self.raw[node.start_byte + len(b"print") : node.end_byte].strip()
        if inner.startswith(b">>"):
            inner = inner.partition(b",")[2].strip()
        self.changes.append((node.start_byte, node.end_byte, b"print(" + inner.rstrip(b",") + b")"))

    def _blank(self, node: Node) -> None:
        self.changes.append((node.start_byte, node.end_byte, self._padded(b"", node)))

    def _padded(self, text: bytes, node: Node) -> bytes:
        return text + b"\n" * self.raw[node.start_byte : node.end_byte].count(b"\n")

    def text(self) -> str:
        """The source with all changes made."""
        parts: list[bytes] = []
        position = 0
        for start, end, replacement in sorted(self.changes):
            if start >= position:
                parts += [self.raw[position:start], replacement]
                position = end
        parts.append(self.raw[position:])
        return b"".join(parts).decode("utf-8", "replace")


def _by_statement(text: str) -> ast.Module | None:
    """The statements at the left margin that parse alone, with their line numbers."""
    body: list[ast.stmt] = []
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line and line[0] not in " \t#)]}\"'"]
    for position, start in enumerate(starts[:MAX_SALVAGE_STATEMENTS]):
        end = starts[position + 1] if position + 1 < len(starts) else len(lines)
        tree = _parse("\n".join(lines[start:end]))
        if tree is not None:
            for statement in tree.body:
                ast.increment_lineno(statement, start)
            body.extend(tree.body)
    return ast.Module(body, []) if body else None
