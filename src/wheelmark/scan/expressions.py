"""Evaluates expressions to what is known of them: constants folded, names resolved, origins carried along."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from wheelmark.scan.calculation import NotComputable
from wheelmark.scan.folding import fold_binary, fold_method, fold_subscript, fold_unary, is_decoding_method
from wheelmark.scan.names import MAX_NAME, NameReader
from wheelmark.scan.scopes import Frame, Site, StepsExceeded
from wheelmark.scan.spelling import is_reversal, is_spelled, splits_scheme
from wheelmark.scan.values import (
    GAP,
    MAX_TEXT,
    NO_ORIGINS,
    NOTHING,
    UNKNOWN,
    Origin,
    Taint,
    Value,
    joined_origins,
    next_order,
    words,
)

MAX_ITEMS = 1024  # elements that are kept of a display that is not constant
_MUTATORS = words("append extend update add insert setdefault write appendleft writestr attach add_file add_embed")
_CONSTANT_CONTAINERS = (str, bytes, bytearray, list, tuple, dict)


class ExpressionReader(NameReader):
    """The expression half of reading a module; `ModuleReader` adds the statements."""

    def evaluate(self, node: ast.expr, frame: Frame) -> Value:
        """What is known of one expression."""
        meter = self.meter
        meter.steps += 1
        if meter.steps > meter.max_steps:
            raise StepsExceeded
        if isinstance(node, ast.Name):  # two of five expressions
            found = frame.names.get(node.id)
            if found is not None:
                return found
        handler = _EXPRESSIONS.get(type(node))
        return NOTHING if handler is None else handler(self, node, frame)

    # Expressions

    def _constant(self, node: ast.Constant, frame: Frame) -> Value:
        return Value(node.value)

    def _name(self, node: ast.Name, frame: Frame) -> Value:
        return self.lookup(node.id, frame)

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        receiver = self.evaluate(node.value, frame)
        found = self.attribute_of(receiver, node.attr, frame.at(node))
        if found.name.startswith("@"):
            function = self.functions.get(found.name)
            if function is not None and function.is_property:
                return self.call_function(function, list(found.items[:1]), {}, frame)
        return found

    def _binary(self, node: ast.BinOp, frame: Frame) -> Value:
        # A long concatenation is a deep tree to the left: walk it down first, not recursively.
        chain: list[ast.BinOp] = []
        leftmost: ast.expr = node
        while isinstance(leftmost, ast.BinOp):
            chain.append(leftmost)
            leftmost = leftmost.left
        left = self.evaluate(leftmost, frame)
        for each in reversed(chain):
            left = self._combined(each, left, self.evaluate(each.right, frame), frame)
        return left

    def _combined(self, node: ast.BinOp, left: Value, right: Value, frame: Frame) -> Value:
        kind = type(node.op)
        origins = left.origins | right.origins
        if left.known and right.known:
            folded = fold_binary(kind, left.constant, right.constant)
            if folded is not UNKNOWN:
                if kind is ast.Add and splits_scheme(left.constant, folded):
                    origins = origins | {Origin(Taint.DECODED, frame.at(node), "pieces", next_order(origins))}
                return Value(folded, origins=origins)
        if kind is ast.Add:
            items = (*self.items_of(left), *self.items_of(right))
            if items:
                return Value(origins=origins, items=items[:256])
            return Value(origins=origins, partial=_partial(left.text or GAP, right.text or GAP))
        if kind is ast.Mod and isinstance(left.constant, str):
            return Value(origins=origins, partial=_filled(left.constant, right))
        if kind is ast.Div:  # pathlib
            return Value(
                name=left.name if left.name.startswith("pathlib.") else "",
                origins=origins,
                partial=_partial(left.text or GAP, "/" + (right.text or GAP)),
            )
        if kind is ast.BitXor:
            return Value(origins=origins | {Origin(Taint.DECODED, frame.at(node), "xor", next_order(origins))})
        return Value(origins=origins) if origins else NOTHING

    def _unary(self, node: ast.UnaryOp, frame: Frame) -> Value:
        operand = self.evaluate(node.operand, frame)
        return Value(fold_unary(type(node.op), operand.constant)) if operand.known else Value(origins=operand.origins)

    def _bool(self, node: ast.BoolOp, frame: Frame) -> Value:
        values = [self.evaluate(each, frame) for each in node.values]
        return self._either(values)

    def _if_else(self, node: ast.IfExp, frame: Frame) -> Value:
        self.evaluate(node.test, frame)
        return self._either([self.evaluate(node.body, frame), self.evaluate(node.orelse, frame)])

    @staticmethod
    def _either(values: list[Value]) -> Value:
        best = next((value for value in values if value.name), None) or next(
            (value for value in values if value.text), NOTHING
        )
        for value in values:
            if value is not best and value.name.startswith("@") and best.name.startswith("@"):
                best = best.or_else(value)
        return best.with_origins(joined_origins(values))

    def _compare(self, node: ast.Compare, frame: Frame) -> Value:
        self.evaluate(node.left, frame)
        for each in node.comparators:
            self.evaluate(each, frame)
        return NOTHING

    def _joined(self, node: ast.JoinedStr, frame: Frame) -> Value:
        parts = [self.evaluate(each, frame) for each in node.values]
        origins = joined_origins(parts)
        if all(part.known for part in parts):
            return Value("".join(part.text for part in parts), origins=origins)
        return Value(origins=origins, partial="".join(part.text or GAP for part in parts)[:MAX_TEXT])

    def _formatted(self, node: ast.FormattedValue, frame: Frame) -> Value:
        value = self.evaluate(node.value, frame)
        plain = node.format_spec is None and node.conversion == -1 and isinstance(value.constant, (str, int))
        return value if plain else Value(origins=value.origins, partial=value.text)

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
        values: list[Value] = []
        for element in node.elts:
            value = self.evaluate(element.value if isinstance(element, ast.Starred) else element, frame)
            values.extend(self.items_of(value) or [value] if isinstance(element, ast.Starred) else [value])
        if all(value.known for value in values):
            constants = [value.constant for value in values]
            return Value(tuple(constants) if isinstance(node, ast.Tuple) else constants, origins=joined_origins(values))
        return Value(items=tuple(values[:1024]), origins=joined_origins(values))

    def _dict(self, node: ast.Dict, frame: Frame) -> Value:
        keys = [NOTHING if key is None else self.evaluate(key, frame) for key in node.keys]
        values = [self.evaluate(value, frame) for value in node.values]
        origins = joined_origins([*keys, *values])
        if all(key.known and isinstance(key.constant, (str, int, bytes)) for key in keys) and all(
            value.known for value in values
        ):
            return Value(
                {key.constant: value.constant for key, value in zip(keys, values, strict=True)}, origins=origins
            )
        items = tuple(each for pair in zip(keys, values, strict=True) for each in pair)[:1024]
        return Value(name="{}", items=items, origins=origins)

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Value:
        container = self.evaluate(node.value, frame)
        index = self.evaluate(node.slice, frame)
        if container.known and index.known:
            folded = fold_subscript(container.constant, index.constant)
            if folded is not UNKNOWN:
                origins = container.origins
                if is_reversal(container.constant, index.constant):
                    origins = origins | {Origin(Taint.DECODED, frame.at(node), "[::-1]", next_order(origins))}
                return Value(folded, origins=origins)
        name = container.name
        if name == "os.environ":
            return self.environment_variable(index, frame.at(node))
        if isinstance(index.constant, str) and name:
            reached = self.by_key(container, index, frame)
            if reached is not None:
                return reached
        if name == "{}" and index.known:
            for key, value in zip(container.items[::2], container.items[1::2], strict=False):
                if key.known and key.constant == index.constant:
                    return value
        if (
            container.items
            and name != "{}"
            and isinstance(index.constant, int)
            and -len(container.items) <= index.constant < len(container.items)
        ):
            return container.items[index.constant]
        return Value(
            name=f"{name}[]" if name and len(name) < MAX_NAME else "", origins=container.origins, partial=container.text
        )

    def _slice(self, node: ast.Slice, frame: Frame) -> Value:
        parts = [
            Value(None) if part is None else self.evaluate(part, frame) for part in (node.lower, node.upper, node.step)
        ]
        if all(part.constant is None or isinstance(part.constant, int) for part in parts):
            return Value(slice(*(part.constant for part in parts)))
        return NOTHING

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, frame: Frame) -> Value:
        computed = self._comprehended(node, frame)
        if computed is not None:
            return computed
        inner = frame.under(names={}, closure=self.closure_of(frame), branches=0)
        first = node.generators[0]
        iterable = self.evaluate(first.iter, frame)
        constant = iterable.constant
        if (
            len(node.generators) == 1
            and not first.ifs
            and isinstance(constant, _CONSTANT_CONTAINERS)
            and self.meter.budget.allows_items(len(constant))
        ):
            return self._computed(node.elt, first.target, constant, iterable.origins, inner)
        self.assign(first.target, self.element_of(iterable), inner)
        for condition in first.ifs:
            self.evaluate(condition, inner)
        for generator in node.generators[1:]:
            self.assign(generator.target, self.element_of(self.evaluate(generator.iter, inner)), inner)
            for condition in generator.ifs:
                self.evaluate(condition, inner)
        element = self.evaluate(node.elt, inner)
        return Value(items=(element,), origins=iterable.origins | element.origins)

    def _comprehended(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame
    ) -> Value | None:
        """What a comprehension gives that only computes; None when it is not computed."""
        if not self.decodes(node, frame.layer):
            return None
        try:
            result = self.computer(frame).value_of(node)
        except NotComputable:
            return None
        used = [self.lookup(each.id, frame).origins for each in ast.walk(node) if isinstance(each, ast.Name)]
        origins = NO_ORIGINS.union(*used)
        return Value(result, origins=origins | {Origin(Taint.DECODED, frame.at(node), "loop", next_order(origins))})

    def _computed(
        self, element: ast.expr, target: ast.expr, constant: object, origins: frozenset[Origin], inner: Frame
    ) -> Value:
        results: list[object] = []
        found = origins
        for each in constant:  # type: ignore[attr-defined]  # a container by the caller's check
            self.assign(target, Value(each), inner)
            value = self.evaluate(element, inner)
            found = found | value.origins
            if not value.known:
                return Value(items=(value,), origins=found)
            results.append(value.constant)
        return Value(results, origins=found)

    def _dict_comprehension(self, node: ast.DictComp, frame: Frame) -> Value:
        computed = self._comprehended(node, frame)
        if computed is not None:
            return computed
        inner = frame.under(names={}, closure=self.closure_of(frame), branches=0)
        origins = NO_ORIGINS
        for generator in node.generators:
            iterable = self.evaluate(generator.iter, inner)
            self.assign(generator.target, self.element_of(iterable), inner)
            for condition in generator.ifs:
                self.evaluate(condition, inner)
            origins = origins | iterable.origins
        values = [self.evaluate(node.key, inner), self.evaluate(node.value, inner)]
        return Value(items=tuple(values), origins=origins | joined_origins(values))

    def _lambda(self, node: ast.Lambda, frame: Frame) -> Value:
        return Value(name=self.new_function(node, "<lambda>", frame).key)

    def _walrus(self, node: ast.NamedExpr, frame: Frame) -> Value:
        value = self.evaluate(node.value, frame)
        self.assign(node.target, value, frame)
        return value

    def _inner(self, node: ast.Await | ast.Starred | ast.YieldFrom, frame: Frame) -> Value:
        return self.evaluate(node.value, frame)

    def _yield(self, node: ast.Yield, frame: Frame) -> Value:
        if node.value is not None:
            frame.returns.append(self.evaluate(node.value, frame))
        return NOTHING

    # Calls

    def _call(self, node: ast.Call, frame: Frame) -> Value:
        method, receiver = "", NOTHING
        if isinstance(node.func, ast.Attribute):
            method = node.func.attr
            receiver = self.evaluate(node.func.value, frame)
            function = self.attribute_of(receiver, method, frame.at(node))
        else:
            function = self.evaluate(node.func, frame)
        arguments: list[Value] = []
        for argument in node.args:
            value = self.evaluate(argument, frame)
            if isinstance(argument, ast.Starred):
                arguments.extend(self.items_of(value))
            else:
                arguments.append(value)
        keywords = {keyword.arg or "**": self.evaluate(keyword.value, frame) for keyword in node.keywords}
        site = Site(arguments, keywords, frame.at(node), frame, function.hidden, receiver)
        if method and receiver.constant is not UNKNOWN:
            result = self._method_of_constant(method, site)
        else:
            result = self.apply(function, site, method)
        if method in _MUTATORS and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            self._mutate(node.func.value.id, site)
        return result

    def _mutate(self, name: str, site: Site) -> None:
        """`parts.append(x)`: the variable now holds, and comes from, what was put in."""
        receiver, frame = site.receiver, site.frame
        if isinstance(receiver.constant, list):
            if len(site.arguments) == 1 and site.arguments[0].known and not frame.branches:
                grown = [*receiver.constant, site.arguments[0].constant]
                value = Value(grown, origins=receiver.origins | site.arguments[0].origins)
            else:
                items = (*self.items_of(receiver), *site.arguments)[-MAX_ITEMS:]
                value = Value(items=items, origins=receiver.origins | joined_origins(site.arguments))
            self.assign_name(name, value, frame)
        elif name in frame.names:
            frame.names[name] = receiver.with_origins(joined_origins(site.arguments))

    def _method_of_constant(self, method: str, site: Site) -> Value:
        receiver, arguments = site.receiver, site.arguments
        origins = receiver.origins | joined_origins(site.values)
        constants = [argument.constant for argument in arguments]
        hides = method == "to_bytes" and isinstance(receiver.constant, int) and receiver.constant.bit_length() > 64
        if hides or is_decoding_method(method, constants):
            codec = repr(constants[0]) if constants and isinstance(constants[0], str) else ""
            decoder = Origin(Taint.DECODED, site.line, f".{method}({codec})", next_order(origins))
            origins = origins | {decoder}
        if method == "join" and constants and is_spelled(receiver.constant, constants[0]):
            origins = origins | {Origin(Taint.DECODED, site.line, ".join()", next_order(origins))}
        if not site.keywords and all(argument.known for argument in arguments):
            folded = fold_method(receiver.constant, method, constants, self.meter.budget)
            if folded is not UNKNOWN:
                return Value(folded, origins=origins)
        if method == "join" and arguments and isinstance(receiver.constant, str):
            parts = [item.text or GAP for item in self.items_of(arguments[0])] or [arguments[0].text or GAP]
            return Value(origins=origins, partial=receiver.constant.join(parts)[:MAX_TEXT])
        if method == "format" and isinstance(receiver.constant, str):
            known = [receiver.constant, *(value.text for value in site.values)]
            return Value(origins=origins, partial=" ".join(known)[:MAX_TEXT])
        return Value(origins=origins, partial=receiver.text if isinstance(receiver.constant, (str, bytes)) else "")


def _partial(left: str, right: str) -> str:
    return (left + right)[:MAX_TEXT]


def _filled(template: str, value: Value) -> str:
    """A %-template with what is known of its values put after it: good enough to read, not to compute."""
    parts = [item.text or GAP for item in value.items] or [value.text or GAP]
    for part in parts:
        head, mark, tail = template.partition("%s")
        template = head + part + tail if mark else template
    return template[:MAX_TEXT]


# Each handler takes the one type of node it stands beside.
_EXPRESSIONS: dict[type[ast.expr], Callable[[ExpressionReader, Any, Frame], Value]] = {
    ast.Constant: ExpressionReader._constant,
    ast.Name: ExpressionReader._name,
    ast.Attribute: ExpressionReader._attribute,
    ast.BinOp: ExpressionReader._binary,
    ast.UnaryOp: ExpressionReader._unary,
    ast.BoolOp: ExpressionReader._bool,
    ast.IfExp: ExpressionReader._if_else,
    ast.Compare: ExpressionReader._compare,
    ast.JoinedStr: ExpressionReader._joined,
    ast.FormattedValue: ExpressionReader._formatted,
    ast.List: ExpressionReader._sequence,
    ast.Tuple: ExpressionReader._sequence,
    ast.Set: ExpressionReader._sequence,
    ast.Dict: ExpressionReader._dict,
    ast.Subscript: ExpressionReader._subscript,
    ast.Slice: ExpressionReader._slice,
    ast.ListComp: ExpressionReader._comprehension,
    ast.SetComp: ExpressionReader._comprehension,
    ast.GeneratorExp: ExpressionReader._comprehension,
    ast.DictComp: ExpressionReader._dict_comprehension,
    ast.Lambda: ExpressionReader._lambda,
    ast.NamedExpr: ExpressionReader._walrus,
    ast.Await: ExpressionReader._inner,
    ast.Starred: ExpressionReader._inner,
    ast.YieldFrom: ExpressionReader._inner,
    ast.Yield: ExpressionReader._yield,
    ast.Call: ExpressionReader._call,
}
