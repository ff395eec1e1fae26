"""Computes what a decoder written in Python gives: loops over constants, exclusive or, tables, in bounded steps.

The statements are interpreted here, over numbers, text, bytes and sequences of them; nothing of the file is run.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wheelmark.scan.calculation import (
    ERRORS,
    MAX_DEPTH,
    MAX_RUN_STEPS,
    Calculation,
    Local,
    NotComputable,
    Reference,
)
from wheelmark.scan.computed_calls import SPECIAL
from wheelmark.scan.folding import fold_subscript
from wheelmark.scan.values import words

_KEPT = "_decodes_text"  # on the node itself: it lives no longer
_NOT_COMPUTED = frozenset({ast.Yield, ast.YieldFrom, ast.Await, ast.With, ast.Raise, ast.ClassDef, ast.Global})
MAX_TREE_NODES = 400  # of a body that is looked at to see whether it decodes
# What a body that turns one text into another uses; a body without any of these is not worth computing.
_DECODING_CALLS = words(
    "chr ord unichr unhexlify fromhex a2b_hex b64decode b32decode b85decode a85decode decompress translate maketrans "
    "to_bytes from_bytes bytearray index"
)
_OTHER_LETTERS = re.compile(r"[^\x00-\x7f][^\n]*")  # they may make one of the words to the interpreter (NFKC)


class _Return(Exception):
    def __init__(self, value: object) -> None:
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Computer(Calculation):
    """One computation of statements."""

    special = SPECIAL

    def call(self, node: ast.AST, arguments: Sequence[object], keywords: Mapping[str, object]) -> object:
        """What a function gives for constants. Raises: NotComputable."""
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            raise NotComputable
        return self._bounded(lambda: self.result_of(node, self.bound(node, arguments, keywords)))

    def run(self, statements: Sequence[ast.stmt]) -> dict[str, object]:
        """The names that statements used and set, with what they are then. Raises: NotComputable."""

        def execute() -> dict[str, object]:
            try:
                self._execute(statements)
            except (_Return, _Break, _Continue) as error:
                raise NotComputable from error
            return self.names

        found: dict[str, object] = self._bounded(execute)
        return found

    def value_of(self, node: ast.expr) -> object:
        """What an expression gives. Raises: NotComputable."""
        return self._bounded(lambda: self.value(node))

    def _bounded(self, compute: Callable[[], Any]) -> Any:
        before = self.steps.left
        self.steps.left = min(before, MAX_RUN_STEPS)
        granted = self.steps.left
        try:
            return compute()
        except (*ERRORS, RecursionError, MemoryError) as error:
            raise NotComputable from error
        finally:
            self.steps.left = before - (granted - max(self.steps.left, 0))

    def result_of(self, node: ast.FunctionDef | ast.Lambda, names: dict[str, object]) -> object:
        """What a function gives when its body sees these names. Raises: NotComputable."""
        if self.depth >= MAX_DEPTH:
            raise NotComputable
        inner = Computer(self.lookup, self.function_of, self.budget, self.steps, self.depth + 1, names)
        try:
            if isinstance(node, ast.Lambda):
                return inner.value(node.body)
            inner._execute(node.body)
        except _Return as given:
            return given.value
        except (_Break, _Continue) as error:
            raise NotComputable from error
        return None

    def _execute(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.spend()
            handler = _STATEMENTS.get(type(statement))
            if handler is None:
                raise NotComputable
            handler(self, statement)

    def _assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.bind(target, value)

    def _assign_annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.bind(node.target, self.value(node.value))

    def _assign_augmented(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            old = self.named(node.target.id)
        elif isinstance(node.target, ast.Subscript):
            old = fold_subscript(self.value(node.target.value), self.value(node.target.slice))
        else:
            raise NotComputable
        self.bind(node.target, self.combined(type(node.op), old, self.value(node.value)))

    def _for(self, node: ast.For) -> None:
        for each in self.iterated(self.value(node.iter)):
            self.bind(node.target, each)
            try:
                self._execute(node.body)
            except _Continue:
                continue
            except _Break:
                return
        self._execute(node.orelse)

    def _while(self, node: ast.While) -> None:
        while self.value(node.test):
            try:
                self._execute(node.body)
            except _Continue:
                continue
            except _Break:
                return
        self._execute(node.orelse)

    def _if(self, node: ast.If) -> None:
        self._execute(node.body if self.value(node.test) else node.orelse)

    def _expression(self, node: ast.Expr) -> None:
        self.value(node.value)

    def _return(self, node: ast.Return) -> None:
        raise _Return(None if node.value is None else self.value(node.value))

    def _break(self, node: ast.Break) -> None:
        raise _Break

    def _continue(self, node: ast.Continue) -> None:
        raise _Continue

    def _pass(self, node: ast.Pass) -> None:
        pass

    def _define(self, node: ast.FunctionDef) -> None:
        self.names[node.name] = Local(node, self.names)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.names[alias.asname or alias.name.partition(".")[0]] = Reference(alias.name)

    def _import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.names[alias.asname or alias.name] = Reference(f"{node.module}.{alias.name}")


def decodes_text(node: ast.AST) -> bool:
    """True when a function or a loop looks as if it turned one text into another: it is small and counts in codes."""
    known: bool | None = getattr(node, _KEPT, None)  # a loop is looked at whenever its function is read
    if known is None:
        known = _looks_like_decoding(node)
        setattr(node, _KEPT, known)
    return known


class DecodingLines:
    """The lines of a source text with a word that `decodes_text` waits for.

    To look for words takes far less time than to walk the trees of all functions that have none of them.
    """

    def __init__(self, text: str) -> None:
        text = text.replace("\r\n", "\n").replace("\r", "\n")  # as the interpreter counts lines
        positions = [at for word in (*_DECODING_CALLS, "^") for at in _places_of(word, text)]
        if not text.isascii():
            positions += [match.start() for match in _OTHER_LETTERS.finditer(text)]
        lines, line, before = [], 1, 0
        for position in sorted(positions):
            line += text.count("\n", before, position)
            before = position
            lines.append(line)
        self._lines = lines

    def may_decode(self, node: ast.stmt | ast.expr) -> bool:
        """False when `decodes_text` would say so of this node, which must be of the same text."""
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
        after = bisect_left(self._lines, first)
        return after < len(self._lines) and (node.end_lineno is None or self._lines[after] <= node.end_lineno)


def _places_of(word: str, text: str) -> Iterator[int]:
    """Where the word stands by itself. A pattern for all words together takes three times as long."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if word == "^" or not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum()):
            yield at
        at = text.find(word, end)


def _has_statement_that_is_not_computed(node: ast.AST) -> bool:
    """A look at the statements only, which are few."""
    waiting: list[ast.AST] = [node]
    while waiting:
        inside = vars(waiting.pop())
        for field in ("body", "orelse", "finalbody"):
            for each in statements if type(statements := inside.get(field)) is list else ():
                if type(each) in _NOT_COMPUTED:
                    return True
                waiting.append(each)
    return False


def _looks_like_decoding(node: ast.AST) -> bool:
    if _has_statement_that_is_not_computed(node):
        return False
    seen, found = 0, False
    waiting: list[ast.AST] = [node]
    while waiting:
        each = waiting.pop()
        seen += 1
        if seen > MAX_TREE_NODES or type(each) in _NOT_COMPUTED:
            return False
        if isinstance(each, ast.Call):
            found = found or _last_word(each.func) in _DECODING_CALLS
        elif isinstance(each, (ast.BinOp, ast.AugAssign)):
            found = found or isinstance(each.op, ast.BitXor)
        # As `ast.iter_child_nodes`, which takes four times as long.
        for child in vars(each).values():
            if isinstance(child, ast.AST):
                waiting.append(child)
            elif type(child) is list:
                waiting += [one for one in child if isinstance(one, ast.AST)]
    return found


def _last_word(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""


# Each handler takes the one type of node it stands beside.
_STATEMENTS: dict[type[ast.stmt], Callable[[Computer, Any], None]] = {
    ast.Assign: Computer._assign,
    ast.AnnAssign: Computer._assign_annotated,
    ast.AugAssign: Computer._assign_augmented,
    ast.For: Computer._for,
    ast.While: Computer._while,
    ast.If: Computer._if,
    ast.Expr: Computer._expression,
    ast.Return: Computer._return,
    ast.Break: Computer._break,
    ast.Continue: Computer._continue,
    ast.Pass: Computer._pass,
    ast.FunctionDef: Computer._define,
    ast.Import: Computer._import,
    ast.ImportFrom: Computer._import_from,
}
