"""Computes what a decoder written in Python gives: loops over constants, exclusive or, tables, in bounded steps.

The statements are interpreted here, over numbers, text, bytes and sequences of them; nothing of the file is run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
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

MAX_TREE_NODES = 400  # of a body that is looked at to see whether it decodes
# What a body that turns one text into another uses; a body without any of these is not worth computing.
_DECODING_CALLS = words(
    "chr ord unichr unhexlify fromhex a2b_hex b64decode b32decode b85decode a85decode decompress translate maketrans "
    "to_bytes from_bytes bytearray index"
)


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
    seen = 0
    waiting: list[ast.AST] = [node]
    found = False
    while waiting:
        each = waiting.pop()
        seen += 1
        if seen > MAX_TREE_NODES:
            return False
        if isinstance(each, (ast.Yield, ast.YieldFrom, ast.Await, ast.With, ast.Raise, ast.ClassDef, ast.Global)):
            return False
        if isinstance(each, ast.Call):
            found = found or _last_word(each.func) in _DECODING_CALLS
        elif isinstance(each, (ast.BinOp, ast.AugAssign)):
            found = found or isinstance(each.op, ast.BitXor)
        waiting.extend(ast.iter_child_nodes(each))
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
