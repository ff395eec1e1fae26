"""Built-in and standard functions that only compute, over constants and within bounds."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence

from wheelmark.scan.decoding import ENCODINGS_THAT_DECODE, MAX_TEXT_BYTES, Budget, decode_with_codec
from wheelmark.scan.values import UNKNOWN

MAX_NUMBER_BYTES = 1024 * 1024  # of a number that is made of bytes or turned into them


def _to_text(arguments: Sequence[object], budget: Budget) -> object:
    if not arguments:
        return ""
    if len(arguments) >= 2 and isinstance(arguments[0], (bytes, bytearray)):
        return bytes(arguments[0]).decode(str(arguments[1]), "replace")
    value = arguments[0]
    return (
        str(value)
        if isinstance(value, (str, float)) or (isinstance(value, int) and value.bit_length() < 4096)
        else UNKNOWN
    )


def _to_bytes(arguments: Sequence[object], budget: Budget) -> object:
    if not arguments:
        return b""
    value = arguments[0]
    if isinstance(value, str):
        return value.encode(str(arguments[1]) if len(arguments) > 1 else "utf-8", "replace")
    if isinstance(value, (bytes, bytearray, list, tuple)):
        return bytes(value)
    return UNKNOWN


def _to_list(arguments: Sequence[object], budget: Budget) -> object:
    if not arguments:
        return []
    value = arguments[0]
    if isinstance(value, (str, bytes, bytearray, list, tuple)) and budget.allows_items(len(value)):
        return list(value)
    return UNKNOWN


def _reversed(arguments: Sequence[object], budget: Budget) -> object:
    value = _to_list(arguments, budget)
    return value[::-1] if isinstance(value, list) else UNKNOWN


def _ranged(arguments: Sequence[object], budget: Budget) -> object:
    bounds_of_range = [each for each in arguments if isinstance(each, int)]
    if not 1 <= len(bounds_of_range) == len(arguments) <= 3:
        return UNKNOWN
    numbers = range(*bounds_of_range)
    # The bound comes before len(): a range can be longer than a machine word.
    if numbers and abs(numbers[-1] - numbers[0]) // abs(numbers.step) >= budget.max_items:
        return UNKNOWN
    return list(numbers) if budget.allows_items(len(numbers)) else UNKNOWN


def _to_int(arguments: Sequence[object], budget: Budget) -> object:
    value = arguments[0] if arguments else 0
    if isinstance(value, (str, bytes)) and len(value) <= 4096:
        base = arguments[1] if len(arguments) > 1 else 10
        return int(value, base) if isinstance(base, int) else UNKNOWN
    return int(value) if isinstance(value, (int, float)) else UNKNOWN


def _chr(arguments: Sequence[object], budget: Budget) -> object:
    code = arguments[0]
    return chr(code) if isinstance(code, int) else UNKNOWN


def _ord(arguments: Sequence[object], budget: Budget) -> object:
    character = arguments[0]
    return ord(character) if isinstance(character, (str, bytes)) else UNKNOWN


def _len(arguments: Sequence[object], budget: Budget) -> object:
    value = arguments[0]
    return len(value) if isinstance(value, (str, bytes, list, tuple, dict)) else UNKNOWN


def _path_joined(arguments: Sequence[object], budget: Budget) -> object:
    return "/".join(str(each) for each in arguments) if all(isinstance(each, str) for each in arguments) else UNKNOWN


def _codec_encoded(arguments: Sequence[object], budget: Budget) -> object:
    value, codec = arguments[0], str(arguments[1]) if len(arguments) > 1 else "utf-8"
    if codec.lower() in ENCODINGS_THAT_DECODE:
        return decode_with_codec(value, codec, budget)
    return codecs.encode(value, codec) if isinstance(value, str) and len(value) <= MAX_TEXT_BYTES else UNKNOWN


def _sequence_of(value: object, budget: Budget) -> list[object] | None:
    if isinstance(value, (str, bytes, bytearray, list, tuple, dict)) and budget.allows_items(len(value)):
        return list(value)
    return None


def _zipped(arguments: Sequence[object], budget: Budget) -> object:
    columns = [_sequence_of(each, budget) for each in arguments]
    if not columns or any(each is None for each in columns):
        return UNKNOWN
    return [tuple(row) for row in zip(*(each for each in columns if each is not None), strict=False)]


def _enumerated(arguments: Sequence[object], budget: Budget) -> object:
    items, start = _sequence_of(arguments[0], budget), arguments[1] if len(arguments) > 1 else 0
    if items is None or not isinstance(start, int):
        return UNKNOWN
    return [(position + start, each) for position, each in enumerate(items)]


def _sorted(arguments: Sequence[object], budget: Budget) -> object:
    items = _sequence_of(arguments[0], budget)
    return UNKNOWN if items is None else sorted(items)  # type: ignore[type-var]  # a mixture raises TypeError


def _summed(arguments: Sequence[object], budget: Budget) -> object:
    items = _sequence_of(arguments[0], budget)
    numbers = [each for each in items or () if isinstance(each, int)]
    return sum(numbers) if items is not None and len(numbers) == len(items) else UNKNOWN


def _extreme(choose: Callable[[list[object]], object]) -> Callable[[Sequence[object], Budget], object]:
    def compute(arguments: Sequence[object], budget: Budget) -> object:
        items = _sequence_of(arguments[0], budget) if len(arguments) == 1 else list(arguments)
        return UNKNOWN if not items else choose(items)

    return compute


def _number(compute: Callable[[int], object]) -> Callable[[Sequence[object], Budget], object]:
    def checked(arguments: Sequence[object], budget: Budget) -> object:
        value = arguments[0]
        # Text of a large number takes quadratic time.
        return compute(value) if isinstance(value, int) and value.bit_length() < 65_536 else UNKNOWN

    return checked


def _to_bool(arguments: Sequence[object], budget: Budget) -> object:
    return bool(arguments[0]) if arguments else False


def _to_dict(arguments: Sequence[object], budget: Budget) -> object:
    if not arguments:
        return {}
    value = arguments[0]
    if isinstance(value, dict):
        return dict(value)
    items = _sequence_of(value, budget)
    return UNKNOWN if items is None else dict(items)  # type: ignore[arg-type]  # others raise TypeError or ValueError


def _divided(arguments: Sequence[object], budget: Budget) -> object:
    left, right = arguments
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() < 65_536:
        return divmod(left, right)
    return UNKNOWN


def _number_of_bytes(arguments: Sequence[object], budget: Budget) -> object:
    raw, order = arguments[0], arguments[1] if len(arguments) > 1 else "big"
    if not isinstance(raw, (bytes, bytearray)) or len(raw) > MAX_NUMBER_BYTES or order not in ("big", "little"):
        return UNKNOWN
    return int.from_bytes(raw, "big" if order == "big" else "little")


def _character_table(arguments: Sequence[object], budget: Budget) -> object:
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        return str.maketrans(arguments[0])
    texts = [each for each in arguments if isinstance(each, str)]
    if len(texts) != len(arguments) or not 2 <= len(texts) <= 3 or len(texts[0]) > budget.max_items:
        return UNKNOWN
    return str.maketrans(texts[0], texts[1], *texts[2:])


def _byte_table(arguments: Sequence[object], budget: Budget) -> object:
    source, target = arguments
    if isinstance(source, bytes) and isinstance(target, bytes):
        return bytes.maketrans(source, target)
    return UNKNOWN


def _base_name(arguments: Sequence[object], budget: Budget) -> object:
    path = arguments[0]
    return path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) else UNKNOWN


PURE_FUNCTIONS: dict[str, Callable[[Sequence[object], Budget], object]] = {
    "str": _to_text,
    "bytes": _to_bytes,
    "bytearray": _to_bytes,
    "list": _to_list,
    "tuple": _to_list,
    "reversed": _reversed,
    "range": _ranged,
    "int": _to_int,
    "chr": _chr,
    "unichr": _chr,
    "ord": _ord,
    "len": _len,
    "os.path.join": _path_joined,
    "codecs.encode": _codec_encoded,
    "ascii": _to_text,
    "iter": _to_list,
    "zip": _zipped,
    "enumerate": _enumerated,
    "sorted": _sorted,
    "sum": _summed,
    "min": _extreme(min),  # type: ignore[arg-type]  # a mixture raises TypeError
    "max": _extreme(max),  # type: ignore[arg-type]
    "abs": _number(abs),
    "hex": _number(hex),
    "bin": _number(bin),
    "oct": _number(oct),
    "bool": _to_bool,
    "dict": _to_dict,
    "divmod": _divided,
    "int.from_bytes": _number_of_bytes,
    "str.maketrans": _character_table,
    "string.maketrans": _character_table,
    "bytes.maketrans": _byte_table,
    "bytearray.maketrans": _byte_table,
    "os.path.basename": _base_name,
}
