"""Facts: what a distribution's code does, where and when, before any judgement. Rules read nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wheelmark.scan.executables import Executable
from wheelmark.scan.report import Context
from wheelmark.scan.values import Origin, Taint, Value, joined_origins


class Act(StrEnum):
    """What a call does, as far as rules care."""

    RUN_CODE = "run code"  # exec, eval, and what makes a function of a code object
    LOAD_CODE = "load code"  # marshal.loads, pickle.loads
    START_PROCESS = "start a process"
    SEND = "send over the network"  # any outgoing request or message
    DOWNLOAD = "download to a file"
    CONNECT = "open a socket"
    REDIRECT = "redirect a file descriptor"
    WRITE = "write a file"
    READ = "read a file"
    NATIVE = "call native code"
    REGISTER = "write the registry"
    DELETE = "delete files"
    INSTALL = "install a distribution"
    COPY = "write to the clipboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call whose name was resolved, with what is known of its arguments."""

    name: str
    act: Act
    member: str
    line: int
    context: Context
    scope: str  # qualified name of the function it stands in, "" for the module's body
    arguments: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]
    layer: int  # how many layers of decoded or executed text it lies under; 0 = as written
    hidden: str  # how its name was kept out of sight, "" when it was written plainly
    receiver: Value

    @property
    def values(self) -> tuple[Value, ...]:
        """All arguments, by position and by keyword."""
        return (*self.arguments, *(value for _, value in self.keywords))

    @property
    def origins(self) -> frozenset[Origin]:
        """Where any argument came from."""
        return joined_origins(self.values)

    @property
    def text(self) -> str:
        """The readable parts of all arguments."""
        return " ".join(part for part in (value.text for value in self.values) if part)

    def origins_of(self, *taints: Taint) -> list[Origin]:
        """The origins of these kinds, in order."""
        return sorted(origin for origin in self.origins if origin.taint in taints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Text that the code makes and executes, seen through."""

    member: str
    line: int
    context: Context
    depth: int
    text: str
    decoded: bool  # it came out of a decoder and was not simply written there
    decoders: tuple[str, ...] = ()  # what it came out of, in the order in which they were applied


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternHit:
    """One match of a YARA-X rule in a member or a layer."""

    rule: str
    member: str
    line: int
    context: Context
    text: str
    layer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """Something about the text of a member rather than its meaning: hidden columns, invisible characters."""

    kind: str
    member: str
    line: int
    context: Context
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of the distribution."""

    path: str
    size: int
    context: Context  # when its body runs, for Python; `UNREACHED` for what is no code
    kind: str  # "python", "pth", "start", "script" (in another language), "compiled", "native", "other"
    parsed: bool = True  # False: not even in part


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the rules may know of one distribution."""

    filename: str
    is_wheel: bool
    is_pure: bool  # a wheel for any platform, or an sdist
    members: tuple[Member, ...]
    calls: tuple[Call, ...] = ()
    layers: tuple[Layer, ...] = ()
    hits: tuple[PatternHit, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    executables: Mapping[str, Executable] = field(default_factory=dict)  # path -> what an executable shows of itself
    gaps: tuple[str, ...] = ()  # what was not looked at, and why: any gap makes the scan incomplete
    _by_act: dict[Act, list[Call]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def calls_of(self, *acts: Act) -> Iterator[Call]:
        """The calls that do one of these things, in the order of the file."""
        if not self._by_act:
            for call in self.calls:
                self._by_act.setdefault(call.act, []).append(call)
        for act in acts:
            yield from self._by_act.get(act, ())
