"""What the reader of a module knows while it reads: scopes, functions, classes, and where the facts go."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from wheelmark.scan.bounds import ScanBounds
from wheelmark.scan.decoding import Budget
from wheelmark.scan.facts import Call, Layer
from wheelmark.scan.paths import WrittenPaths
from wheelmark.scan.report import Context
from wheelmark.scan.values import Value

MAX_CALLS = 20_000  # of one member; a table of calls longer than that repeats itself


class StepsExceeded(Exception):
    """The distribution has more code than the bounds allow to evaluate."""


@dataclass(slots=True)
class Meter:
    """What one scan may still spend; shared by all members of a distribution."""

    bounds: ScanBounds
    budget: Budget
    steps: int = 0

    @classmethod
    def for_scan(cls, bounds: ScanBounds) -> Meter:
        """A fresh meter."""
        return cls(bounds, Budget(bounds.max_decoded_bytes, bounds.max_folded_items))


@dataclass(slots=True)
class Frame:
    """One scope while it is evaluated."""

    names: dict[str, Value]
    context: Context
    scope: str = ""
    closure: tuple[dict[str, Value], ...] = ()
    globals_declared: set[str] = field(default_factory=set)
    returns: list[Value] = field(default_factory=list)
    layer: int = 0  # depth of executed text
    line: int = 0  # of the outermost call that executes text; 0 in code as written
    depth: int = 0  # of calls from helper to helper
    branches: int = 0  # > 0 inside a branch, where an assignment may not happen

    def under(self, **changes: object) -> Frame:
        """The same names seen under another context or layer."""
        return replace(self, **changes)  # type: ignore[arg-type]  # fields of Frame

    def at(self, node: ast.AST) -> int:
        """The line a fact about `node` belongs to: of the file as written."""
        return self.line or getattr(node, "lineno", 0)


@dataclass(slots=True)
class Function:
    """A function or lambda of the module."""

    key: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    qualname: str
    closure: tuple[dict[str, Value], ...]
    defaults: tuple[Value, ...]
    layer: int
    line: int
    owner: str = ""  # key of the class, for a method
    evaluations: int = 0
    results: dict[object, Value] = field(default_factory=dict)


@dataclass(slots=True)
class ClassRecord:
    """A class of the module: its methods and what is known of its attributes."""

    key: str
    name: str
    bases: tuple[str, ...]
    methods: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Harvest:
    """The facts of one member, as they are found."""

    member: str
    calls: dict[tuple[object, ...], Call] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    imports: dict[str, Context] = field(default_factory=dict)
    local_calls: dict[str, Context] = field(default_factory=dict)  # dotted name -> when it is called
    paths: WrittenPaths = field(default_factory=WrittenPaths)

    def note_local(self, name: str, context: Context) -> None:
        """Remember a call at once of what another module of the distribution may define."""
        self.local_calls.setdefault(name, context)

    def add(self, call: Call) -> None:
        """Keep a call; the same call found again keeps the richer of the two."""
        key = (call.name, call.line, call.context, call.layer, call.scope)
        known = self.calls.get(key)
        if known is not None:
            if len(known.origins) >= len(call.origins) and len(known.text) >= len(call.text):
                return
        elif len(self.calls) >= MAX_CALLS:
            return
        self.calls[key] = call


ReadMember = Callable[[str], bytes | None]  # a path as the code writes it -> the bytes of that member
