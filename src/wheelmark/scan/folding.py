"""Constant folding: what pure operations on constants give, within bounds, without running anything of the file.

Only operations of our own on strings, bytes, numbers and sequences of them are computed; a function of the file is
never called. What cannot or must not be computed folds to `UNKNOWN`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence

from wheelmark.scan.decoding import DECODER_FUNCTIONS, ENCODINGS_THAT_DECODE, MAX_TEXT_BYTES, Budget, decode_with_codec
from wheelmark.scan.pure import MAX_NUMBER_BYTES, PURE_FUNCTIONS
from wheelmark.scan.values import UNKNOWN, words

MAX_INT_BITS = 65_536
MAX_SHIFT = 4096
MAX_SPLIT_BYTES = 2 * 1024 * 1024  # of a text that is split: each part costs fifty bytes beside its own

_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Sub: operator.sub,
    ast.FloorDiv: operator.floordiv,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.RShift: operator.rshift,
    ast.Mod: operator.mod,
}

_PURE_ERRORS = (TypeError, ValueError, IndexError, KeyError, OverflowError, ZeroDivisionError, LookupError)

_TEXT_METHODS = words(
    "join replace split rsplit strip lstrip rstrip lower upper swapcase title capitalize encode decode format hex "
    "removeprefix removesuffix partition rpartition splitlines translate zfill ljust rjust center casefold index find"
)
_SEQUENCE_METHODS = frozenset({"copy", "index", "count", "keys", "values", "items", "get"})
_SPLITTING_METHODS = frozenset({"split", "rsplit", "splitlines"})
_WIDENING_METHODS = frozenset({"zfill", "ljust", "rjust", "center"})


def fold_binary(kind: type[ast.operator], left: object, right: object) -> object:
    """`left <kind> right` for two constants."""
    try:
        if kind is ast.Add:
            return _added(left, right)
        if kind is ast.Mult:
            return _multiplied(left, right)
        if kind is ast.Mod and isinstance(left, (str, bytes)):
            return _formatted(left, right)
        if kind is ast.LShift and isinstance(left, int) and isinstance(right, int) and 0 <= right <= MAX_SHIFT:
            return left << right
        if kind is ast.Pow and isinstance(left, int) and isinstance(right, int) and 0 <= right <= 64 and _small(left):
            return left**right
        if kind is ast.Div and isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return left / right
        compute = _ARITHMETIC.get(kind)
        if compute is not None and isinstance(left, int) and isinstance(right, int) and _small(left) and _small(right):
            return compute(left, right)
    except _PURE_ERRORS:
        return UNKNOWN
    return UNKNOWN


def fold_unary(kind: type[ast.unaryop], operand: object) -> object:
    """`<kind> operand` for a constant."""
    if not isinstance(operand, int):
        return (not operand) if kind is ast.Not and isinstance(operand, (str, bytes)) else UNKNOWN
    if kind is ast.USub:
        return -operand
    if kind is ast.Invert:
        return ~operand
    return (not operand) if kind is ast.Not else +operand


def fold_subscript(container: object, index: object) -> object:
    """`container[index]`, where a slice is a built-in `slice` of constants."""
    try:
        if isinstance(container, dict):
            return container.get(index, UNKNOWN)
        if isinstance(container, (str, bytes, bytearray, list, tuple)) and isinstance(index, (int, slice)):
            return container[index]
    except _PURE_ERRORS:
        return UNKNOWN
    return UNKNOWN


def fold_method(receiver: object, method: str, arguments: Sequence[object], budget: Budget) -> object:
    """`receiver.method(*arguments)` for constants; only text and sequence methods without effects."""
    try:
        if isinstance(receiver, (str, bytes, bytearray)) and method in _TEXT_METHODS:
            return _text_method(receiver, method, arguments, budget)
        if isinstance(receiver, int) and method == "to_bytes":
            return _number_as_bytes(receiver, arguments)
        if isinstance(receiver, (list, tuple, dict)) and method in _SEQUENCE_METHODS and hasattr(receiver, method):
            found = getattr(receiver, method)(*arguments)
            return list(found) if method in {"keys", "values", "items"} else found
    except _PURE_ERRORS:
        return UNKNOWN
    return UNKNOWN


def is_folded(name: str) -> bool:
    """True for a function that `fold_function` knows."""
    return name in DECODER_FUNCTIONS or name in PURE_FUNCTIONS


def fold_function(name: str, arguments: Sequence[object], budget: Budget) -> object:
    """`name(*arguments)` for the built-in and standard library functions that only compute."""
    try:
        decoder = DECODER_FUNCTIONS.get(name)
        if decoder is not None:
            return decoder(arguments, budget)
        pure = PURE_FUNCTIONS.get(name)
        if pure is not None:
            return pure(arguments, budget)
    except _PURE_ERRORS:
        return UNKNOWN
    return UNKNOWN


def is_decoding_method(method: str, arguments: Sequence[object]) -> bool:
    """True for `text.decode("rot13")` and its like; `.decode("utf-8")` only turns bytes into text."""
    if method == "translate":
        return True
    return method in {"decode", "encode"} and bool(arguments) and str(arguments[0]).lower() in ENCODINGS_THAT_DECODE


def _number_as_bytes(number: int, arguments: Sequence[object]) -> object:
    length, order = arguments[0] if arguments else 1, arguments[1] if len(arguments) > 1 else "big"
    if not isinstance(length, int) or not 0 <= length <= MAX_NUMBER_BYTES or order not in ("big", "little"):
        return UNKNOWN
    return number.to_bytes(length, "big" if order == "big" else "little")


def _small(number: int) -> bool:
    return number.bit_length() <= MAX_INT_BITS


def _added(left: object, right: object) -> object:
    for kind in (str, bytes, list, tuple):
        if isinstance(left, kind) and isinstance(right, kind):
            fits = len(left) + len(right) <= MAX_TEXT_BYTES
            return operator.add(left, right) if fits else UNKNOWN
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left + right if not isinstance(left, int) or _small(left) else UNKNOWN
    return UNKNOWN


def _multiplied(left: object, right: object) -> object:
    if isinstance(left, int) and isinstance(right, int):
        return left * right if _small(left) and _small(right) else UNKNOWN
    if isinstance(left, int):
        left, right = right, left
    if isinstance(left, (str, bytes, list, tuple)) and isinstance(right, int):
        return left * right if len(left) * max(right, 0) <= MAX_TEXT_BYTES // 8 else UNKNOWN
    return UNKNOWN


def _formatted(template: str | bytes, values: object) -> object:
    # `%*d` and `%99999999d` ask for any width: only plain conversions are computed.
    text = template.decode("latin-1") if isinstance(template, bytes) else template
    if any(mark in text for mark in ("%*", "%.")) or len(text) > MAX_TEXT_BYTES // 8:
        return UNKNOWN
    conversions = text.replace("%%", "").split("%")[1:]
    if any(not part or part[0] not in "sdxcrX" for part in conversions):
        return UNKNOWN
    if not _fits(len(text), len(conversions), values if isinstance(values, tuple) else (values,)):
        return UNKNOWN
    return template % values  # a wrong type raises TypeError, which folds to UNKNOWN


def _fits(template: int, places: int, values: Sequence[object]) -> bool:
    """Whether a template with so many places can be filled within bounds; of values only plain ones are shown."""
    longest = 0
    for value in values:
        if isinstance(value, (str, bytes)):
            longest = max(longest, len(value))
        elif value is not None and not isinstance(value, (int, float)):
            return False
    return template + places * longest <= MAX_TEXT_BYTES


def _text_method(receiver: str | bytes | bytearray, method: str, arguments: Sequence[object], budget: Budget) -> object:
    if method in {"decode", "encode"}:
        codec = str(arguments[0]) if arguments else "utf-8"
        if codec.lower() in ENCODINGS_THAT_DECODE:
            return decode_with_codec(receiver, codec, budget)
        if isinstance(receiver, str):
            return receiver.encode(codec, "replace") if method == "encode" else UNKNOWN
        return bytes(receiver).decode(codec, "replace") if method == "decode" else UNKNOWN
    if method == "join":
        return _joined(receiver, arguments)
    if method == "format":
        return _brace_formatted(receiver, arguments)
    if method in _WIDENING_METHODS and (not isinstance(arguments[0], int) or arguments[0] > 10_000):
        return UNKNOWN
    if method == "replace" and len(arguments) >= 2:
        return _replaced(receiver, arguments)
    if method == "translate" and not _translates_within_bounds(receiver, arguments):
        return UNKNOWN
    if method in _SPLITTING_METHODS and len(receiver) > MAX_SPLIT_BYTES:
        return UNKNOWN
    return getattr(receiver, method)(*arguments)


def _translates_within_bounds(receiver: str | bytes | bytearray, arguments: Sequence[object]) -> bool:
    table = arguments[0] if arguments else None
    if not isinstance(receiver, str) or not isinstance(table, (dict, list, tuple)):
        return True  # bytes become as many bytes or fewer, and a text as a table gives single characters
    texts = table.values() if isinstance(table, dict) else table
    longest = max((len(each) for each in texts if isinstance(each, str)), default=1)
    return len(receiver) * longest <= MAX_TEXT_BYTES


def _joined(separator: str | bytes | bytearray, arguments: Sequence[object]) -> object:
    if len(arguments) != 1 or not isinstance(arguments[0], (list, tuple, str)):
        return UNKNOWN
    parts = list(arguments[0])
    if sum(len(part) + len(separator) for part in parts) > MAX_TEXT_BYTES:
        return UNKNOWN
    return separator.join(parts)


def _brace_formatted(template: str | bytes | bytearray, arguments: Sequence[object]) -> object:
    # Attribute access and widths in a template are not computed: `{0.__class__}` and `{:>999999999}` are traps.
    if not isinstance(template, str):
        return UNKNOWN
    fields = [field.split("}")[0] for field in template.split("{")[1:]]
    if any(mark in field for field in fields for mark in ".:![") or not _fits(len(template), len(fields), arguments):
        return UNKNOWN
    return template.format(*arguments)


def _replaced(receiver: str | bytes | bytearray, arguments: Sequence[object]) -> object:
    old, new = arguments[0], arguments[1]
    if isinstance(receiver, str) and isinstance(old, str) and isinstance(new, str):
        growth = len(receiver) * max(len(new), 1) if not old or len(new) > len(old) else len(receiver)
        return receiver.replace(old, new) if growth <= MAX_TEXT_BYTES * 4 else UNKNOWN
    if isinstance(receiver, bytes) and isinstance(old, bytes) and isinstance(new, bytes):
        growth = len(receiver) * max(len(new), 1) if not old or len(new) > len(old) else len(receiver)
        return receiver.replace(old, new) if growth <= MAX_TEXT_BYTES * 4 else UNKNOWN
    return UNKNOWN
