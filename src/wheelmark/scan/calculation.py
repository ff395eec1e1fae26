"""Computes expressions over constants that a decoder written in Python is made of, in bounded steps.

Only operations of `folding` and plain sequence methods exist. Whatever else occurs ends the computation without a
result. `computing` adds the statements.
"""

from __future__ import annotations

import ast
import operator
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from wheelmark.scan.decoding import Budget
from wheelmark.scan.folding import fold_binary, fold_function, fold_method, fold_subscript, fold_unary
from wheelmark.scan.values import UNKNOWN, Value, words

MAX_STEPS = 2_000_000  # of one scan, all computations together
MAX_RUN_STEPS = 1_000_000  # of one computation
MAX_DEPTH = 12  # of calls from function to function
MAX_EXPRESSION = 100_000  # characters of text that is evaluated
ERRORS = (TypeError, ValueError, IndexError, KeyError, OverflowError, ZeroDivisionError, AttributeError)

CONSTANTS = (str, bytes, bytearray, int, float, list, tuple, dict)  # the types of what is computed

_MUTATORS = words("append extend insert pop reverse sort remove clear update setdefault")
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


class NotComputable(Exception):
    """Something occurred that is not computed here, or the steps have run out."""


@dataclass(slots=True)
class Reference:
    """A function or module that is known by its dotted name."""

    name: str


@dataclass(slots=True)
class Local:
    """A function that the computed code defines."""

    node: ast.FunctionDef | ast.Lambda
    names: dict[str, object]


@dataclass(slots=True)
class StepBudget:
    """The steps that the computations of one scan may still take."""

    left: int = MAX_STEPS


@dataclass(slots=True)
class Endless:
    """`itertools.cycle` of a sequence: only `zip` brings it to an end."""

    items: list[object]


@dataclass(slots=True)
class Calculation:
    """The expressions of one computation.

    `lookup` gives what is known of a name that the computed code does not define itself, `function_of` the body of a
    function of the distribution.
    """

    special: ClassVar[Mapping[str, Callable[[Calculation, list[object]], object]]] = {}  # by dotted name

    lookup: Callable[[str], Value]
    function_of: Callable[[str], ast.FunctionDef | ast.Lambda | None]
    budget: Budget
    steps: StepBudget
    depth: int = 0
    names: dict[str, object] = field(default_factory=dict)

    @abstractmethod
    def result_of(self, node: ast.FunctionDef | ast.Lambda, names: dict[str, object]) -> object:
        """What a function gives when its body sees these names. Raises: NotComputable."""

    def bound(
        self, node: ast.FunctionDef | ast.Lambda, arguments: Sequence[object], keywords: Mapping[str, object]
    ) -> dict[str, object]:
        """The parameters of a function by name. Raises: NotComputable."""
        spec = node.args
        parameters = [each.arg for each in (*spec.posonlyargs, *spec.args)]
        if spec.vararg is not None or spec.kwarg is not None or len(arguments) > len(parameters):
            raise NotComputable
        names: dict[str, object] = {}
        for name, default in zip(reversed(parameters), reversed(spec.defaults), strict=False):
            names[name] = self.value(default)
        names.update(zip(parameters, map(own_copy, arguments), strict=False))
        names.update({name: own_copy(value) for name, value in keywords.items()})
        if any(name not in names for name in parameters):
            raise NotComputable
        return names

    def spend(self, count: int = 1) -> None:
        """Spend steps. Raises: NotComputable when they have run out."""
        self.steps.left -= count
        if self.steps.left < 0:
            raise NotComputable

    # Expressions

    def value(self, node: ast.expr) -> Any:
        """What an expression gives. Raises: NotComputable, or what the operation raises."""
        self.spend()
        handler = _EXPRESSIONS.get(type(node))
        if handler is None:
            raise NotComputable
        return handler(self, node)

    def _constant(self, node: ast.Constant) -> object:
        return node.value

    def _name(self, node: ast.Name) -> object:
        return self.named(node.id)

    def named(self, name: str) -> object:
        """What a name stands for. Raises: NotComputable."""
        if name in self.names:
            return self.names[name]
        known = self.lookup(name)
        if known.known:
            value = own_copy(known.constant)
            self.names[name] = value
            return value
        if known.name:
            return Reference(known.name)
        raise NotComputable

    def _binary(self, node: ast.BinOp) -> object:
        return self.combined(type(node.op), self.value(node.left), self.value(node.right))

    def combined(self, kind: type[ast.operator], left: object, right: object) -> object:
        if isinstance(left, bytearray) or isinstance(right, bytearray):
            left = bytes(left) if isinstance(left, bytearray) else left
            right = bytes(right) if isinstance(right, bytearray) else right
        return _known(fold_binary(kind, left, right))

    def _unary(self, node: ast.UnaryOp) -> object:
        operand = self.value(node.operand)
        return not operand if isinstance(node.op, ast.Not) else _known(fold_unary(type(node.op), operand))

    def _bool(self, node: ast.BoolOp) -> object:
        wanted = isinstance(node.op, ast.Or)
        value: object = None
        for each in node.values:
            value = self.value(each)
            if bool(value) is wanted:
                break
        return value

    def _compare(self, node: ast.Compare) -> object:
        left = self.value(node.left)
        for kind, each in zip(node.ops, node.comparators, strict=True):
            right = self.value(each)
            if not _COMPARISONS[type(kind)](left, right):
                return False
            left = right
        return True

    def _if_else(self, node: ast.IfExp) -> object:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _subscript(self, node: ast.Subscript) -> object:
        return _known(fold_subscript(self.value(node.value), self.value(node.slice)))

    def _slice(self, node: ast.Slice) -> object:
        parts = [None if part is None else self.value(part) for part in (node.lower, node.upper, node.step)]
        return slice(*parts)

    def _list(self, node: ast.List) -> object:
        return [self.value(each) for each in node.elts]

    def _tuple(self, node: ast.Tuple) -> object:
        return tuple(self.value(each) for each in node.elts)

    def _dict(self, node: ast.Dict) -> object:
        if any(key is None for key in node.keys):
            raise NotComputable
        return {
            self.value(key): self.value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }

    def _joined(self, node: ast.JoinedStr) -> object:
        return "".join(str(self.value(each)) for each in node.values)

    def _formatted(self, node: ast.FormattedValue) -> object:
        value = self.value(node.value)
        if node.format_spec is not None or not isinstance(value, (str, int)):
            raise NotComputable
        return str(value)

    def _comprehended(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> object:
        found: list[object] = []
        self._generate(node.generators, lambda: found.append(self.value(node.elt)))
        return found

    def _dict_comprehended(self, node: ast.DictComp) -> object:
        found: dict[object, object] = {}

        def add() -> None:
            found[self.value(node.key)] = self.value(node.value)

        self._generate(node.generators, add)
        return found

    def _generate(self, generators: Sequence[ast.comprehension], add: Callable[[], None]) -> None:
        if not generators:
            add()
            return
        first, *rest = generators
        for each in self.iterated(self.value(first.iter)):
            self.bind(first.target, each)
            if all(self.value(condition) for condition in first.ifs):
                self._generate(rest, add)

    def _lambda(self, node: ast.Lambda) -> object:
        return Local(node, self.names)

    def _attribute(self, node: ast.Attribute) -> object:
        owner = self.value(node.value)
        if isinstance(owner, Reference):
            return Reference(f"{owner.name}.{node.attr}")
        raise NotComputable

    def _call(self, node: ast.Call) -> object:
        keywords = {each.arg: self.value(each.value) for each in node.keywords if each.arg}
        if len(keywords) != len(node.keywords):
            raise NotComputable
        arguments: list[object] = []
        for each in node.args:
            value = self.value(each.value if isinstance(each, ast.Starred) else each)
            arguments.extend(self.iterated(value) if isinstance(each, ast.Starred) else [value])
        if isinstance(node.func, ast.Attribute):
            receiver = self.value(node.func.value)
            if isinstance(receiver, Reference):
                return self.called(Reference(f"{receiver.name}.{node.func.attr}"), arguments, keywords)
            return self._method(receiver, node.func.attr, arguments, keywords)
        return self.called(self.value(node.func), arguments, keywords)

    def _method(self, receiver: object, method: str, arguments: list[object], keywords: Mapping[str, object]) -> object:
        if isinstance(receiver, (list, dict, bytearray)) and method in _MUTATORS and hasattr(receiver, method):
            if keywords:
                raise NotComputable
            added = sum(len(each) for each in arguments if isinstance(each, (list, tuple, dict, str, bytes, bytearray)))
            if len(receiver) + added > self.budget.max_items:
                raise NotComputable
            self.spend((len(receiver) + added) // 64)
            return getattr(receiver, method)(*arguments)
        if keywords and set(keywords) != {"encoding"} and set(keywords) != {"errors"}:
            raise NotComputable
        given = [*arguments, *(value for name, value in keywords.items() if name == "encoding")]
        owner = bytes(receiver) if isinstance(receiver, bytearray) else receiver
        return _known(fold_method(owner, method, given, self.budget))

    def called(self, function: object, arguments: list[object], keywords: Mapping[str, object]) -> object:
        """What calling a function gives. Raises: NotComputable."""
        if isinstance(function, Local):
            return self.result_of(function.node, {**function.names, **self.bound(function.node, arguments, keywords)})
        if not isinstance(function, Reference):
            raise NotComputable
        name = function.name
        if name.startswith("@"):
            node = self.function_of(name)
            if node is None:
                raise NotComputable
            return self.result_of(node, self.bound(node, arguments, keywords))
        special = self.special.get(name)
        if special is not None:
            return special(self, arguments)
        if keywords and name not in {"int", "bytes", "str"}:
            raise NotComputable
        return _known(fold_function(name, [*arguments, *keywords.values()], self.budget))

    def bind(self, target: ast.expr, value: object) -> None:
        """Bind an assignment target. Raises: NotComputable."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = list(self.iterated(value))
            if len(values) != len(target.elts):
                raise NotComputable
            for element, each in zip(target.elts, values, strict=True):
                self.bind(element, each)
        elif isinstance(target, ast.Subscript):
            container = self.value(target.value)
            if not isinstance(container, (list, dict, bytearray)):
                raise NotComputable
            operator.setitem(container, self.value(target.slice), value)  # type: ignore[arg-type]  # or it raises
        else:
            raise NotComputable

    def iterated(self, value: object) -> Iterable[object]:
        """The elements of a sequence. Raises: NotComputable."""
        if isinstance(value, (str, bytes, bytearray, list, tuple, dict)):
            if not self.budget.allows_items(len(value)):
                raise NotComputable
            return list(value)
        raise NotComputable


def own_copy(value: object) -> object:
    """A copy of what can be changed: the constants of other scopes stay as they are."""
    if isinstance(value, list):
        return list(value)
    if isinstance(value, dict):
        return dict(value)
    return value


def _known(value: object) -> object:
    if value is UNKNOWN:
        raise NotComputable
    return value


_EXPRESSIONS: dict[type[ast.expr], Callable[[Calculation, Any], object]] = {
    ast.Constant: Calculation._constant,
    ast.Name: Calculation._name,
    ast.BinOp: Calculation._binary,
    ast.UnaryOp: Calculation._unary,
    ast.BoolOp: Calculation._bool,
    ast.Compare: Calculation._compare,
    ast.IfExp: Calculation._if_else,
    ast.Subscript: Calculation._subscript,
    ast.Slice: Calculation._slice,
    ast.List: Calculation._list,
    ast.Tuple: Calculation._tuple,
    ast.Set: Calculation._list,
    ast.Dict: Calculation._dict,
    ast.JoinedStr: Calculation._joined,
    ast.FormattedValue: Calculation._formatted,
    ast.ListComp: Calculation._comprehended,
    ast.GeneratorExp: Calculation._comprehended,
    ast.SetComp: Calculation._comprehended,
    ast.DictComp: Calculation._dict_comprehended,
    ast.Lambda: Calculation._lambda,
    ast.Attribute: Calculation._attribute,
    ast.Call: Calculation._call,
}
