"""Reads compiled code and pickles without loading them: which names they use, which text they hold.

The formats are read here, within bounds, and nothing is executed. Code of any Python from 2.7 on is understood as far
as its names and constants go; its instructions are not.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_BYTES = 4 * 1024 * 1024
MAX_OBJECTS = 100_000
MAX_DEPTH = 60
MAX_TEXTS = 5000
MAX_TEXT = 20_000  # characters of one text
MAX_OPCODES = 50_000  # of a pickle
_REFERENCE_FLAG = 0x80
# How many 32-bit numbers stand at the head of a code object, and whether it is laid out as since 3.11.
_LAYOUTS = ((5, True), (6, False), (5, False), (4, False))  # 3.11 and later, to 3.10, to 3.7, 2.7


@dataclass(slots=True)
class Compiled:
    """What compiled code or a pickle shows of itself."""

    names: list[str] = field(default_factory=list)  # of what it imports, calls and reads, in order
    texts: list[str] = field(default_factory=list)  # constants
    calls: list[tuple[str, str]] = field(default_factory=list)  # of a pickle: dotted name, readable arguments

    @property
    def text(self) -> str:
        """One readable text: names, then constants."""
        return "\n".join([f"names: {' '.join(self.names)}", *self.texts])

    def note_text(self, text: str) -> None:
        """Keep a constant."""
        if text and len(self.texts) < MAX_TEXTS:
            self.texts.append(text[:MAX_TEXT])

    def note_name(self, name: str) -> None:
        """Keep a name, once."""
        if name and name not in self.names and len(self.names) < MAX_TEXTS:
            self.names.append(name[:200])


class _Malformed(Exception):
    """The bytes are not what the reader takes them for."""


def read_code(raw: bytes) -> Compiled | None:
    """What a marshalled code object shows; None when the bytes are none. The head of a `.pyc` file is skipped."""
    if len(raw) > MAX_BYTES:
        return None
    for start in (0, 16, 12, 8):
        if raw[start : start + 1] not in (b"c", b"\xe3"):
            continue
        for numbers, is_new in _LAYOUTS:
            reader = _MarshalReader(raw, start, numbers, is_new)
            try:
                reader.read()
            except (_Malformed, struct.error, IndexError, RecursionError, UnicodeDecodeError, ValueError):
                continue
            return reader.found
    return None


class _MarshalReader:
    """One attempt to read marshalled code under the layout of one family of versions."""

    def __init__(self, raw: bytes, position: int, numbers: int, is_new: bool) -> None:
        self.raw = raw
        self.position = position
        self.numbers = numbers
        self.is_new = is_new
        self.references: list[object] = []
        self.interned: list[object] = []
        self.objects = 0
        self.found = Compiled()

    def read(self, depth: int = 0) -> object:
        """The next object; texts as str, code as None."""
        self.objects += 1
        if self.objects > MAX_OBJECTS or depth > MAX_DEPTH:
            raise _Malformed
        tag = self._byte()
        kind, is_kept = chr(tag & ~_REFERENCE_FLAG), bool(tag & _REFERENCE_FLAG)
        place = len(self.references)
        if is_kept:
            self.references.append(None)
        reader = _KINDS.get(kind)
        if reader is None:
            raise _Malformed
        value = reader(self, depth)
        if is_kept:
            self.references[place] = value
        return value

    def _take(self, size: int) -> bytes:
        if size < 0 or self.position + size > len(self.raw):
            raise _Malformed
        part = self.raw[self.position : self.position + size]
        self.position += size
        return part

    def _byte(self) -> int:
        return self._take(1)[0]

    def _long(self) -> int:
        number: int = struct.unpack("<i", self._take(4))[0]
        return number

    def _nothing(self, depth: int) -> object:
        return None

    def _int(self, depth: int) -> object:
        return self._long()

    def _int64(self, depth: int) -> object:
        return struct.unpack("<q", self._take(8))[0]

    def _big_int(self, depth: int) -> object:
        self._take(2 * abs(self._long()))
        return 0

    def _float(self, depth: int) -> object:
        self._take(self._byte())
        return 0.0

    def _binary_float(self, depth: int) -> object:
        self._take(8)
        return 0.0

    def _complex(self, depth: int) -> object:
        self._take(self._byte())
        self._take(self._byte())
        return 0.0

    def _binary_complex(self, depth: int) -> object:
        self._take(16)
        return 0.0

    def _bytes(self, depth: int) -> object:
        return self._take(self._long())

    def _interned(self, depth: int) -> object:
        value = self._take(self._long()).decode("utf-8", "replace")
        self.interned.append(value)
        return value

    def _interned_reference(self, depth: int) -> object:
        return self.interned[self._long()]

    def _unicode(self, depth: int) -> object:
        return self._take(self._long()).decode("utf-8", "replace")

    def _ascii(self, depth: int) -> object:
        return self._take(self._long()).decode("latin-1")

    def _short_ascii(self, depth: int) -> object:
        return self._take(self._byte()).decode("latin-1")

    def _reference(self, depth: int) -> object:
        return self.references[self._long()]

    def _small_tuple(self, depth: int) -> object:
        return tuple(self.read(depth + 1) for _ in range(self._byte()))

    def _tuple(self, depth: int) -> object:
        size = self._long()
        if size < 0 or size > MAX_OBJECTS:
            raise _Malformed
        return tuple(self.read(depth + 1) for _ in range(size))

    def _dict(self, depth: int) -> object:
        items: list[object] = []
        while self.raw[self.position] != ord("0"):
            items.append(self.read(depth + 1))
        self.position += 1
        return tuple(items)

    def _slice(self, depth: int) -> object:
        return tuple(self.read(depth + 1) for _ in range(3))

    def _code(self, depth: int) -> object:
        for _ in range(self.numbers):
            self._long()
        code = self.read(depth + 1)
        constants = self.read(depth + 1)
        names = self.read(depth + 1)
        if not isinstance(code, (bytes, str)) or not isinstance(constants, tuple) or not isinstance(names, tuple):
            raise _Malformed
        if self.is_new:
            self._new_tail(depth)
        else:
            self._old_tail(depth)
        for name in names:
            self.found.note_name(_text(name))
        self._note(constants)
        return None

    def _old_tail(self, depth: int) -> None:
        for _ in range(3):
            if not isinstance(self.read(depth + 1), tuple):  # names of variables
                raise _Malformed
        _text(self.read(depth + 1))  # file name
        _text(self.read(depth + 1))  # function name
        self._long()  # first line
        self.read(depth + 1)

    def _new_tail(self, depth: int) -> None:
        if not isinstance(self.read(depth + 1), tuple):
            raise _Malformed
        self.read(depth + 1)
        for _ in range(3):
            _text(self.read(depth + 1))  # file name, name, qualified name
        self._long()
        self.read(depth + 1)  # lines
        self.read(depth + 1)  # exceptions

    def _note(self, constants: tuple[object, ...]) -> None:
        for constant in constants:
            if isinstance(constant, tuple):
                self._note(constant)
            elif isinstance(constant, bytes):
                self.found.note_text(constant.decode("latin-1"))
            elif isinstance(constant, str):
                self.found.note_text(constant)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise _Malformed
    return value


_KINDS: dict[str, Callable[[_MarshalReader, int], object]] = {
    **dict.fromkeys("0NFTS.", _MarshalReader._nothing),
    "i": _MarshalReader._int,
    "I": _MarshalReader._int64,
    "l": _MarshalReader._big_int,
    "f": _MarshalReader._float,
    "g": _MarshalReader._binary_float,
    "x": _MarshalReader._complex,
    "y": _MarshalReader._binary_complex,
    "s": _MarshalReader._bytes,
    "t": _MarshalReader._interned,
    "R": _MarshalReader._interned_reference,
    "u": _MarshalReader._unicode,
    "a": _MarshalReader._ascii,
    "A": _MarshalReader._ascii,
    "z": _MarshalReader._short_ascii,
    "Z": _MarshalReader._short_ascii,
    "r": _MarshalReader._reference,
    ")": _MarshalReader._small_tuple,
    "(": _MarshalReader._tuple,
    "[": _MarshalReader._tuple,
    "<": _MarshalReader._tuple,
    ">": _MarshalReader._tuple,
    "{": _MarshalReader._dict,
    ":": _MarshalReader._slice,
    "c": _MarshalReader._code,
}


def read_pickle(raw: bytes) -> Compiled | None:
    """What loading a pickle would call, and with which texts; None when the bytes are no pickle."""
    if len(raw) > MAX_BYTES:
        return None
    found, strings, function = Compiled(), list[str](), ""
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(raw)):
            if number > MAX_OPCODES:
                break
            if opcode.name in {"GLOBAL", "INST"} and isinstance(argument, str):
                function = argument.replace(" ", ".")
                found.note_name(function)
                strings = []
            elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
                function = ".".join(strings[-2:])
                found.note_name(function)
                strings = []
            elif opcode.name in {"REDUCE", "OBJ", "NEWOBJ"} and function:
                found.calls.append((function, " ".join(strings)[:MAX_TEXT]))
            elif isinstance(argument, (str, bytes)):
                text = argument if isinstance(argument, str) else argument.decode("latin-1")
                strings.append(text)
                found.note_text(text)
    except Exception:  # noqa: BLE001 - what the standard library raises for malformed pickles is not specified
        return found if found.calls else None
    return found if found.names else None
