"""The built-in functions that a computation calls with functions or endless sequences, beside the pure ones."""

from __future__ import annotations

import ast
from collections.abc import Callable

from wheelmark.scan.calculation import MAX_EXPRESSION, Calculation, Endless, NotComputable, Reference
from wheelmark.scan.folding import fold_function


def _evaluated(computed: Calculation, arguments: list[object]) -> object:
    source = arguments[0]
    if not isinstance(source, (str, bytes)) or len(source) > MAX_EXPRESSION:
        raise NotComputable
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotComputable from error
    return computed.value(tree.body)


def _mapped(computed: Calculation, arguments: list[object]) -> object:
    function, *sequences = arguments
    columns = [list(computed.iterated(each)) for each in sequences]
    return [computed.called(function, list(each), {}) for each in zip(*columns, strict=False)]


def _filtered(computed: Calculation, arguments: list[object]) -> object:
    function, sequence = arguments
    kept = computed.iterated(sequence)
    return [each for each in kept if (each if function is None else computed.called(function, [each], {}))]


def _zipped(computed: Calculation, arguments: list[object]) -> object:
    finite = [list(computed.iterated(each)) for each in arguments if not isinstance(each, Endless)]
    length = min((len(each) for each in finite), default=0)
    columns = [
        [each.items[position % len(each.items)] for position in range(length)]
        if isinstance(each, Endless)
        else list(computed.iterated(each))
        for each in arguments
    ]
    return [tuple(row) for row in zip(*columns, strict=False)]


def _enumerated(computed: Calculation, arguments: list[object]) -> object:
    start = arguments[1] if len(arguments) > 1 else 0
    if not isinstance(start, int):
        raise NotComputable
    return [(position + start, each) for position, each in enumerate(computed.iterated(arguments[0]))]


def _cycled(computed: Calculation, arguments: list[object]) -> object:
    return Endless(list(computed.iterated(arguments[0])))


def _reduced(computed: Calculation, arguments: list[object]) -> object:
    function, sequence, *rest = arguments
    items = list(computed.iterated(sequence))
    if not rest and not items:
        raise NotComputable
    value = rest[0] if rest else items.pop(0)
    for each in items:
        value = computed.called(function, [value, each], {})
    return value


def _made_bytearray(computed: Calculation, arguments: list[object]) -> object:
    value = fold_function("bytes", arguments, computed.budget)
    if not isinstance(value, bytes):
        raise NotComputable
    return bytearray(value)


def _is_instance(computed: Calculation, arguments: list[object]) -> object:
    value, kind = arguments
    kinds = {"str": str, "bytes": bytes, "int": int, "list": list, "tuple": tuple, "dict": dict}
    if not isinstance(kind, Reference) or kind.name not in kinds:
        raise NotComputable
    return isinstance(value, kinds[kind.name])


SPECIAL: dict[str, Callable[[Calculation, list[object]], object]] = {
    "eval": _evaluated,
    "map": _mapped,
    "filter": _filtered,
    "zip": _zipped,
    "enumerate": _enumerated,
    "itertools.cycle": _cycled,
    "functools.reduce": _reduced,
    "bytearray": _made_bytearray,
    "isinstance": _is_instance,
}
