"""What names stand for: scopes, imports, attributes, assignment, the ways into a namespace."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from wheelmark.scan.calls import CallReader
from wheelmark.scan.computing import Computer, DecodingLines, decodes_text
from wheelmark.scan.roundabout import GETTERS, ROUNDABOUT
from wheelmark.scan.scopes import ClassRecord, Frame, Function, Harvest, Meter, Program, ReadMember, Site, StepsExceeded
from wheelmark.scan.taints import HOST_VARIABLES, KEY_CLASS, SECRET_VARIABLE
from wheelmark.scan.values import MAX_TEXT, NOTHING, Origin, Taint, Value, joined_origins
from wheelmark.scan.vocabulary import STANDARD_CONSTANTS, canonical

MAX_INHERITANCE = 8
MAX_NAME = 200  # characters of a dotted name; a chain of calls longer than that is a fluent interface
MAX_ENTRIES = 1000  # of a constant dictionary that is filled item by item
MAX_ITEMS = 256  # elements that are kept of a sequence that is not constant
ASKED_EVALUATIONS = 2
# A class of these kinds has a method `run` that `start` calls.
_RUNNERS = ("threading.Thread", "multiprocessing.Process", "multiprocessing.context.Process")


class NameReader(CallReader):
    """The names of a module; `ExpressionReader` adds the expressions."""

    roundabout = ROUNDABOUT
    getters = GETTERS

    def __init__(
        self,
        member: str,
        module: str,
        *,
        is_package: bool,
        meter: Meter,
        read_member: ReadMember,
        program: Program | None = None,
    ) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.meter = meter
        self.read_member = read_member
        self.program = Program() if program is None else program
        # A distribution that is too large for one program has thousands of functions that nothing calls by itself. Each
        # is walked as it stands and with what it is first called with, and not again for what others give it.
        self.evaluations_asked = ASKED_EVALUATIONS if program is None else meter.bounds.max_evaluations
        self.program.readers += 1
        self.serial = self.program.readers
        self.harvest = Harvest(member, paths=self.program.paths)
        self.names: dict[str, Value] = {}
        self.functions = self.program.functions
        self.classes = self.program.classes
        self.own_functions: dict[str, Function] = {}
        self.own_classes: dict[str, ClassRecord] = {}
        self.command_classes: list[Value] = []
        self.decoding_lines = DecodingLines("")  # of the module's own text

    def forget(self) -> None:
        """Let go of all but the harvest.

        Functions and their reader hold one another, and the tree with them; nobody looks for cycles during a scan.
        """
        for held in (self.names, self.functions, self.classes, self.own_functions, self.own_classes):
            held.clear()

    def steps(self, count: int) -> None:
        """Spend steps of the meter. Raises: StepsExceeded when they have run out."""
        self.meter.steps += count
        if self.meter.steps > self.meter.max_steps:
            raise StepsExceeded

    def lookup(self, name: str, frame: Frame) -> Value:
        """What a bare name stands for; an unbound name is a built-in, named as such."""
        found = frame.names.get(name)
        if found is not None:
            return found
        for scope in frame.closure:
            found = scope.get(name)
            if found is not None:
                return found
        found = self.names.get(name)
        return Value(name=canonical(name)) if found is None else found

    def of_name(self, name: str, line: int) -> Value:
        """The value of a resolved dotted name, with the origins that it has by itself."""
        if name == "os.environ":
            return Value(name=name, origins=frozenset([Origin(Taint.SECRET, line, "os.environ")]))
        constant = STANDARD_CONSTANTS.get(name)
        return Value(name=name) if constant is None else Value(constant)

    def absolute(self, module: str, level: int) -> str:
        """The dotted name of a relative import."""
        if not level:
            return module
        package = self.package
        for _ in range(level - 1):
            package = package.rpartition(".")[0]
        return f"{package}.{module}".strip(".") if module else package

    def note_import(self, module: str, frame: Frame) -> None:
        """Remember that a module is imported, and under which context first."""
        known = self.harvest.imports.get(module)
        if known is None or (frame.context.automatic and not known.automatic):
            self.harvest.imports[module] = frame.context

    def assign_name(self, name: str, value: Value, frame: Frame) -> None:
        """Bind a name; inside a branch the old origins stay possible."""
        names = self.names if name in frame.globals_declared else frame.names
        if frame.branches:
            old = names.get(name)
            if old is not None:
                if old.name.startswith("@") and not value.name and not value.known:
                    value = old
                elif value.name != old.name and value.name.startswith("@") and old.name.startswith("@"):
                    value = value.or_else(old)
                value = value.with_origins(old.origins)
        names[name] = value

    def assign(self, target: ast.expr, value: Value, frame: Frame) -> None:
        """Bind an assignment target of any form."""
        if isinstance(target, ast.Name):
            self.assign_name(target.id, value, frame)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value, frame)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value, frame)
        elif isinstance(target, ast.Attribute):
            receiver = self.evaluate(target.value, frame)
            record = self.classes.get(receiver.name.removesuffix("()"))
            if record is not None:
                old = record.attributes.get(target.attr, NOTHING)
                record.attributes[target.attr] = value.with_origins(old.origins)
            elif value.name in self.functions and KEY_CLASS.search(receiver.name):
                self._patched(f"{receiver.name}.{target.attr}", value, frame, frame.at(target))
        elif isinstance(target, ast.Subscript):
            self._assign_item(target, value, frame)

    def _patched(self, name: str, function: Value, frame: Frame, line: int) -> None:
        """A function put in the place of a method of a class of keys: from now on it gets every key that is made."""
        self.program.patched.add(name)
        key = Value(origins=frozenset([Origin(Taint.KEY, line, f"private_key of {name}")]))
        self.apply(function, Site([key, key], {}, line, frame))

    def _unpack(self, target: ast.Tuple | ast.List, value: Value, frame: Frame) -> None:
        parts: Sequence[Value] = ()
        if isinstance(value.constant, (list, tuple, str, bytes)):
            parts = [Value(each, origins=value.origins) for each in value.constant[: len(target.elts)]]
        elif value.items:
            parts = value.items
        exact = len(parts) == len(target.elts) and not any(isinstance(each, ast.Starred) for each in target.elts)
        for position, element in enumerate(target.elts):
            self.assign(element, parts[position] if exact else self.element_of(value), frame)

    def _assign_item(self, target: ast.Subscript, value: Value, frame: Frame) -> None:
        index = self.evaluate(target.slice, frame)
        if not isinstance(target.value, ast.Name):
            return
        name = target.value.id
        old = self.lookup(name, frame)
        if old.name == "globals()" and isinstance(index.constant, str):
            self.names[index.constant] = value
        elif (
            isinstance(old.constant, dict)
            and value.known
            and isinstance(index.constant, (str, int))
            and len(old.constant) < MAX_ENTRIES
        ):
            self.assign_name(
                name,
                Value({**old.constant, index.constant: value.constant}, origins=old.origins | value.origins),
                frame,
            )
        elif value.origins or value.text:
            items = (*old.items, value)[-MAX_ITEMS:]
            self.assign_name(
                name,
                Value(name=old.name, origins=old.origins | value.origins, partial=old.text[:MAX_TEXT], items=items),
                frame,
            )

    def element_of(self, value: Value) -> Value:
        """One unknown element of a sequence."""
        if value.items:
            named = next((item for item in value.items if item.name), NOTHING)
            return Value(name=named.name, origins=joined_origins(value.items) | value.origins, partial=value.text)
        return Value(origins=value.origins, partial=value.text if isinstance(value.constant, (list, tuple)) else "")

    # Computations

    def computer(self, frame: Frame) -> Computer:
        """A computation that sees the constants of a scope."""
        return Computer(lambda name: self.lookup(name, frame), self._body_of, self.meter.budget, self.meter.computing)

    def _body_of(self, key: str) -> ast.FunctionDef | ast.Lambda | None:
        function = self.functions.get(key)
        # A function of another module sees other names.
        if function is None or function.home is not self or isinstance(function.node, ast.AsyncFunctionDef):
            return None
        return function.node

    def decodes(self, node: ast.stmt | ast.expr, layer: int) -> bool:
        """True when a function or a loop looks like a decoder; `layer` says whether it is of the module's own text."""
        return (layer > 0 or self.decoding_lines.may_decode(node)) and decodes_text(node)

    # Functions

    def new_function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str, frame: Frame
    ) -> Function:
        """Register a function under a key that is unique in the module."""
        key = f"@{name}:{self.serial}:{node.lineno}:{node.col_offset}:{frame.layer}:{frame.line}"
        known = self.functions.get(key)
        closure = self.closure_of(frame)
        if known is not None:
            known.closure = closure
            return known
        defaults = tuple(self.evaluate(default, frame) for default in node.args.defaults)
        qualname = f"{frame.scope}.{name}" if frame.scope else name
        function = Function(key, node, qualname, closure, defaults, frame.layer, frame.line, home=self)
        self.functions[key] = function
        self.own_functions[key] = function
        return function

    def closure_of(self, frame: Frame) -> tuple[dict[str, Value], ...]:
        """The scopes that a function defined in `frame` sees, the nearest first."""
        return frame.closure if frame.names is self.names else (frame.names, *frame.closure)

    def attribute_of(self, receiver: Value, attribute: str, line: int) -> Value:
        """`receiver.attribute`."""
        if not receiver.name:
            return Value(origins=receiver.origins) if receiver.origins else NOTHING
        if receiver.name.startswith("@"):
            return self._member_of_class(receiver, attribute)
        if attribute == "__dict__":
            return Value(name=f"{receiver.name}.__dict__", hidden=receiver.hidden)
        if receiver.name == "sys.modules":
            return Value(name=receiver.name, origins=receiver.origins)
        if receiver.name in self.program.exports:
            found = self.program.exported(receiver.name, attribute)
            if found is not None:
                return found
        if len(receiver.name) > MAX_NAME:
            return Value(origins=receiver.origins)
        name = canonical(f"{receiver.name}.{attribute}")
        if name == "os.environ" or name in STANDARD_CONSTANTS:
            return self.of_name(name, line)
        return Value(
            name=name, origins=receiver.origins, hidden=receiver.hidden, partial=receiver.partial, items=receiver.items
        )

    def derives(self, record: ClassRecord, prefixes: tuple[str, ...], depth: int = 0) -> bool:
        """True when a class has a base, however far up, whose dotted name starts with one of `prefixes`."""
        for base in record.bases:
            if base.startswith(prefixes):
                return True
            parent = self.classes.get(base)
            if parent is not None and depth < MAX_INHERITANCE and self.derives(parent, prefixes, depth + 1):
                return True
        return False

    def _member_of_class(self, receiver: Value, attribute: str) -> Value:
        record = self.classes.get(receiver.name.removesuffix("()"))
        if record is None:
            return Value(origins=receiver.origins)
        method = record.methods.get(attribute)
        if method is None and attribute == "start" and self.derives(record, _RUNNERS):
            method = record.methods.get("run")
        if method is not None:
            return Value(name=method, items=(receiver,))
        found = record.attributes.get(attribute)
        return found if found is not None else Value(origins=receiver.origins)

    def by_key(self, container: Value, index: Value, frame: Frame) -> Value | None:
        """`globals()["exec"]`, `vars(os)["system"]`, `__builtins__.__dict__["eval"]`, `sys.modules["os"]`."""
        key, name = str(index.constant), container.name
        if name in {
            "globals()",
            "locals()",
            "vars()",
            "__builtins__",
            "builtins",
            "__builtins__.__dict__",
            "builtins.__dict__",
            "__dict__",
        }:
            found = self.lookup(key, frame)
            if found.name == "__builtins__" or found.name.startswith("@") or found.known:
                return found
            return Value(found.constant, name=found.name, origins=found.origins, hidden=f"{name}[{key!r}]")
        if name == "sys.modules":
            return Value(name=key, hidden=f"sys.modules[{key!r}]")
        for suffix in (".__dict__", "<vars>"):
            if name.endswith(suffix):
                return Value(name=canonical(f"{name.removesuffix(suffix)}.{key}"), hidden=f"{name}[{key!r}]")
        return None

    def environment_variable(self, key: Value, line: int) -> Value:
        """`os.environ[key]`: a secret where its name says so or is not known to be harmless."""
        name = key.constant
        if isinstance(name, str) and SECRET_VARIABLE.search(name):
            return Value(name="os.environ[]", origins=frozenset([Origin(Taint.SECRET, line, f"os.environ[{name!r}]")]))
        if isinstance(name, str) and name in HOST_VARIABLES:
            return Value(name="os.environ[]", origins=frozenset([Origin(Taint.HOST, line, f"os.environ[{name!r}]")]))
        return Value(name="os.environ[]", partial=f"%{name}%" if isinstance(name, str) else "")

    @staticmethod
    def items_of(value: Value) -> tuple[Value, ...]:
        """The elements of a sequence, known or not."""
        if value.items:
            return value.items
        if isinstance(value.constant, (list, tuple)):
            return tuple(Value(each) for each in value.constant[:MAX_ITEMS])
        return ()
