"""What the reader of a module knows while it reads: scopes, functions, classes, and where the facts go."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from wheelmark.scan.bounds import ScanBounds
from wheelmark.scan.calculation import StepBudget
from wheelmark.scan.decoding import Budget
from wheelmark.scan.facts import Call, Layer
from wheelmark.scan.paths import WrittenPaths
from wheelmark.scan.report import Context
from wheelmark.scan.values import NOTHING, Value
from wheelmark.scan.vocabulary import is_known

MAX_CALLS = 20_000  # of one member; a table of calls longer than that repeats itself


class StepsExceeded(Exception):
    """The distribution has more code than the bounds allow to evaluate."""


@dataclass(slots=True)
class Meter:
    """What one scan may still spend; shared by all members of a distribution."""

    bounds: ScanBounds
    budget: Budget
    max_steps: int  # of `bounds`; every expression looks at it
    steps: int = 0
    computing: StepBudget = field(default_factory=StepBudget)

    @classmethod
    def for_scan(cls, bounds: ScanBounds) -> Meter:
        """A fresh meter."""
        return cls(bounds, Budget(bounds.max_decoded_bytes, bounds.max_folded_items), bounds.max_steps)


@dataclass(slots=True)
class Frame:
    """One scope while it is evaluated."""

    names: dict[str, Value]
    context: Context
    scope: str = ""
    closure: tuple[dict[str, Value], ...] = ()
    globals_declared: frozenset[str] = frozenset()
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


class Home(Protocol):
    """What a function needs of the reader of its module."""

    def call_function(
        self, function: Function, arguments: Sequence[Value], keywords: Mapping[str, Value], frame: Frame
    ) -> Value:
        """What calling the function gives."""


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
    home: Home  # the reader of the module it stands in
    owner: str = ""  # key of the class, for a method
    is_property: bool = False
    evaluations: int = 0
    decodes: bool | None = None  # whether it looks like a decoder; None: nobody has looked
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
class Program:
    """What the modules of a distribution know of one another. Each module has one of its own when it is too large."""

    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ClassRecord] = field(default_factory=dict)
    exports: dict[str, dict[str, Value]] = field(default_factory=dict)  # dotted module name -> its names
    paths: WrittenPaths = field(default_factory=WrittenPaths)
    patched: set[str] = field(default_factory=set)  # methods of classes of keys that were replaced
    readers: int = 0  # makes the keys of functions and classes unique

    def exported(self, module: str, name: str) -> Value | None:
        """What a name of another module stands for; None when that module was not read, or nothing is known.

        None also for what the tables know: a copy of a well-known library does what the library does.
        """
        names = self.exports.get(module)
        found = None if names is None else names.get(name)
        if found is None or is_known(f"{module}.{name}"):
            return None
        if not (found.name or found.known or found.partial or found.origins or found.items):
            return None
        return found


@dataclass(slots=True)
class Harvest:
    """The facts of one member, as they are found."""

    member: str
    calls: dict[tuple[object, ...], Call] = field(default_factory=dict)
    layers: dict[tuple[int, int, str], Layer] = field(default_factory=dict)
    imports: dict[str, Context] = field(default_factory=dict)
    local_calls: dict[str, Context] = field(default_factory=dict)  # dotted name -> when it is called
    paths: WrittenPaths = field(default_factory=WrittenPaths)
    loads: dict[str, Context] = field(default_factory=dict)  # path as the code writes it -> when it is loaded

    def note_load(self, path: str, context: Context) -> None:
        """Remember a file that is loaded, opened as an archive, or searched for modules."""
        known = self.loads.get(path)
        if path and (known is None or (context.automatic and not known.automatic)) and len(self.loads) < MAX_CALLS:
            self.loads[path] = context

    def note_local(self, name: str, context: Context) -> None:
        """Remember a call at once of what another module of the distribution may define."""
        self.local_calls.setdefault(name, context)

    def add_layer(self, layer: Layer) -> None:
        """Keep a layer; the same text that also runs by itself is kept as what runs by itself."""
        key = (layer.line, layer.depth, layer.text)
        known = self.layers.get(key)
        if known is None or (layer.context.automatic and not known.context.automatic):
            self.layers[key] = layer

    def strongest_calls(self) -> Iterator[Call]:
        """The calls, without those that wait to be asked where the same one also runs by itself."""
        unasked = {_place(call) for call in self.calls.values() if call.context.automatic}
        for call in self.calls.values():
            if call.context.automatic or _place(call) not in unasked:
                yield call

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


def _place(call: Call) -> tuple[str, int, int, str]:
    return (call.name, call.line, call.layer, call.scope)


ReadMember = Callable[[str], bytes | None]  # a path as the code writes it -> the bytes of that member


@dataclass(frozen=True, slots=True)
class Site:
    """One call as it stands: what is given, where, and how the name was reached."""

    arguments: list[Value]
    keywords: Mapping[str, Value]
    line: int
    frame: Frame
    hidden: str = ""
    receiver: Value = NOTHING

    def argument(self, position: int, keyword: str) -> Value:
        """An argument by position or keyword; `NOTHING` when it is not given."""
        if len(self.arguments) > position:
            return self.arguments[position]
        return self.keywords.get(keyword, NOTHING)

    @property
    def values(self) -> list[Value]:
        """All arguments."""
        return [*self.arguments, *self.keywords.values()]
