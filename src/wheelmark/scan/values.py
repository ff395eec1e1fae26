"""What is known of one expression without running it: a constant, a dotted name, where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_TEXT = 4096
MAX_OTHERS = 4
MAX_ORDER = 9  # a loop that decodes a thousand times shall not make a thousand origins
GAP = "\N{HORIZONTAL ELLIPSIS}"  # stands for the unknown part of a partly known text


class Taint(StrEnum):
    """The kinds of origin that rules care about."""

    NETWORK = "network"  # the body of a network response
    DECODED = "decoded"  # the output of a decoder, decompressor or decipherer
    SECRET = "secret"  # noqa: S105 - no password; the environment, a credential file, a browser's store
    HOST = "host"  # who and where this machine is: name, user, address
    FILE = "file"  # the contents of a file of unknown content
    DROPPED = "dropped"  # a path that was written from the network or from a decoder
    OUTPUT = "output"  # what a program printed that was started
    CAPTURE = "capture"  # what somebody typed, copied, saw or said
    KEY = "key"  # an argument that is called like a private key or a seed phrase


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """One place a value came from."""

    taint: Taint
    line: int
    what: str  # the dotted name or path that gave it
    order: int = 0  # for what was done to a value: how many such steps came before, at most `MAX_ORDER`


class Unknown:
    """The type of `UNKNOWN`: no constant is known. None is a constant, hence not the marker."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()
NO_ORIGINS: frozenset[Origin] = frozenset()

Constant = object  # str, bytes, int, float, bool, None, or list, tuple and dict of such


class Value:
    """What is known of one expression. Treated as immutable; a plain slotted class because millions are made.

    `name` is the resolved dotted name (`os.system`), with `()` after each call on the way to it
    (`socket.socket().connect`). `partial` is text with gaps where only parts are known. `items` holds the elements
    of a display (list, tuple, dict values) when not all are constant.
    """

    __slots__ = ("constant", "hidden", "items", "name", "origins", "others", "partial")

    def __init__(
        self,
        constant: object = UNKNOWN,
        *,
        name: str = "",
        origins: frozenset[Origin] = NO_ORIGINS,
        partial: str = "",
        items: tuple[Value, ...] = (),
        hidden: str = "",
        others: tuple[Value, ...] = (),
    ) -> None:
        self.constant = constant
        self.name = name
        self.origins = origins
        self.partial = partial
        self.items = items
        self.hidden = hidden  # how the name was kept out of sight ("" when it was written plainly)
        self.others = others  # the functions that it may be instead, by the branches that were taken

    def __repr__(self) -> str:
        return f"Value({self.constant!r}, name={self.name!r}, origins={sorted(self.origins)!r})"

    @property
    def known(self) -> bool:
        """True when the constant is known."""
        return self.constant is not UNKNOWN

    @property
    def text(self) -> str:
        """What can be read of the value, with gaps, at most `MAX_TEXT` characters."""
        if self.constant is not UNKNOWN:
            return constant_text(self.constant)
        if self.partial:
            return self.partial
        if self.items:
            return " ".join(item.text or GAP for item in self.items[:64])[:MAX_TEXT]
        return ""

    def has(self, *taints: Taint) -> bool:
        """True when any origin is of one of these kinds."""
        return any(origin.taint in taints for origin in self.origins)

    def with_origins(self, origins: frozenset[Origin]) -> Value:
        """The same value that also comes from these origins."""
        if not origins or origins <= self.origins:
            return self
        return Value(
            self.constant,
            name=self.name,
            origins=self.origins | origins,
            partial=self.partial,
            items=self.items,
            hidden=self.hidden,
            others=self.others,
        )

    def or_else(self, other: Value) -> Value:
        """The same function, which may be another one instead."""
        alone = Value(name=other.name, origins=other.origins, items=other.items)
        found = {each.name: each for each in (alone, *other.others, *self.others) if each.name != self.name}
        return Value(
            self.constant,
            name=self.name,
            origins=self.origins | other.origins,
            partial=self.partial,
            items=self.items,
            hidden=self.hidden,
            others=tuple(found.values())[:MAX_OTHERS],
        )


NOTHING = Value()


def words(text: str) -> frozenset[str]:
    """A set of words that reads as a line of text."""
    return frozenset(text.split())


def constant_text(constant: object) -> str:
    """A constant as one readable text: the string itself, bytes as Latin-1, a sequence's elements joined by blanks."""
    if isinstance(constant, str):
        return constant[:MAX_TEXT]
    if isinstance(constant, (bytes, bytearray)):
        return bytes(constant[:MAX_TEXT]).decode("latin-1")
    if isinstance(constant, (list, tuple)):
        return " ".join(constant_text(each) for each in constant[:64])[:MAX_TEXT]
    if isinstance(constant, dict):
        pairs = list(constant.items())[:64]
        return " ".join(f"{constant_text(key)} {constant_text(each)}" for key, each in pairs)[:MAX_TEXT]
    if isinstance(constant, (bool, int, float)) and not _is_huge(constant):
        return str(constant)
    return ""


def _is_huge(number: float) -> bool:
    # str() of an int beyond the interpreter's digit limit raises, and below it is quadratic.
    return isinstance(number, int) and number.bit_length() > 4096


def next_order(origins: frozenset[Origin]) -> int:
    """The `order` of a step that is done to a value with these origins."""
    done = [origin.order for origin in origins if origin.taint in (Taint.DECODED, Taint.DROPPED)]
    return min(max(done) + 1, MAX_ORDER) if done else 0


def joined_origins(values: tuple[Value, ...] | list[Value]) -> frozenset[Origin]:
    """All origins of several values."""
    found: frozenset[Origin] = NO_ORIGINS
    for value in values:
        if value.origins:
            found = found | value.origins
    return found
