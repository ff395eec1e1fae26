"""Reads one module: evaluates its statements in order, follows helpers, and harvests facts. Runs nothing of it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wheelmark.scan.calculation import CONSTANTS, NotComputable
from wheelmark.scan.computing import DecodingLines
from wheelmark.scan.functions import FunctionReader
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import ClassRecord, Frame, Function, Site
from wheelmark.scan.taints import MESSAGE_HANDLERS
from wheelmark.scan.values import NOTHING, Origin, Taint, Value, joined_origins, next_order
from wheelmark.scan.vocabulary import ACTS, CALLERS, canonical

MAX_UNROLLED = 4096  # iterations of a loop over constants that only computes
_COMPUTING = (ast.Assign, ast.AugAssign)
_PROPERTIES = frozenset({"property", "functools.cached_property"})


class ModuleReader(FunctionReader):
    """Evaluates a module and everything in it once, then harvests from `self.harvest`."""

    def read(
        self,
        tree: ast.Module,
        text: str,
        context: Context,
        roots: Mapping[str, Context],
        *,
        at_once_only: bool = False,
    ) -> None:
        """Evaluate the module's body, then every function that nothing has called, unless `at_once_only`.

        `text` is what the tree was made of. `roots` names functions (by dotted path inside the module) that something
        outside calls, and when.
        Raises: StepsExceeded when the meter has run out.
        """
        self.decoding_lines = DecodingLines(text)
        self.names["__name__"] = Value("__main__" if context is Context.INSTALL else self.module)
        self.names["__file__"] = Value(name="__file__")
        frame = Frame(self.names, context)
        self.execute(tree.body, frame)
        if context is Context.INSTALL:
            self.run_install_hooks()
        for path, when in roots.items():
            self.run_root(path, when)
        if not at_once_only:
            self.run_the_rest()

    def execute(self, body: Sequence[ast.stmt], frame: Frame) -> None:
        """Evaluate statements in order."""
        for statement in body:
            handler = _STATEMENTS.get(type(statement))
            if handler is not None:
                handler(self, statement, frame)

    # Statements

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> None:
        self.steps(len(node.args.defaults) + 1)
        decorators = [self.evaluate(decorator, frame) for decorator in node.decorator_list]
        function = self.new_function(node, node.name, frame)
        value = Value(name=function.key)
        for decorator in reversed(decorators):
            if decorator.name in CALLERS or decorator.name.startswith("@"):
                given = self.apply(decorator, Site([value], {}, frame.at(node), frame))
                value = given if given.name.startswith("@") else value
            elif decorator.name in _PROPERTIES:
                function.is_property = True
            elif MESSAGE_HANDLERS.match(decorator.name):
                self._call_with_message(function, decorator.name, frame.under(context=Context.ON_CALL))
        self.assign_name(node.name, value, frame)

    def _call_with_message(self, function: Function, handler: str, frame: Frame) -> None:
        """A handler of messages is called with what somebody else wrote."""
        spec = function.node.args
        message = Value(origins=frozenset([Origin(Taint.NETWORK, function.node.lineno, handler)]))
        self.call_function(function, [message] * len([*spec.posonlyargs, *spec.args]), {}, frame)

    def _define_class(self, node: ast.ClassDef, frame: Frame) -> None:
        bases = tuple(self.evaluate(base, frame).name for base in node.bases)
        key = f"@{node.name}:{self.serial}:{node.lineno}:{frame.layer}"
        record = ClassRecord(key, node.name, bases)
        for base in bases:
            inherited = self.classes.get(base)
            if inherited is not None:
                record.methods.update(inherited.methods)
                record.attributes.update(inherited.attributes)
        self.classes[key] = record
        self.own_classes[key] = record
        inner = Frame(
            {},
            frame.context,
            f"{frame.scope}.{node.name}".lstrip("."),
            frame.closure,
            layer=frame.layer,
            line=frame.line,
        )
        inner.closure = self.closure_of(frame)
        self.execute(node.body, inner)
        for name, value in inner.names.items():
            function = self.functions.get(value.name)
            if function is not None and not isinstance(function.node, ast.Lambda):
                function.owner = key
                record.methods[name] = value.name
            else:
                record.attributes[name] = value
        self.assign_name(node.name, Value(name=key), frame)
        self._notify_of_class(node, record, frame)

    def _notify_of_class(self, node: ast.ClassDef, record: ClassRecord, frame: Frame) -> None:
        """Defining a class calls hooks of its bases, its metaclass and its decorators."""
        defined = Value(name=record.key)
        for base in record.bases:
            parent = self.classes.get(base)
            hook = None if parent is None else parent.methods.get("__init_subclass__")
            if hook is not None:
                self.call_function(self.functions[hook], [defined], {}, frame)
        for keyword in node.keywords:
            meta = self.classes.get(self.evaluate(keyword.value, frame).name)
            if keyword.arg == "metaclass" and meta is not None:
                for method in ("__new__", "__init__"):
                    if method in meta.methods:
                        self.call_function(self.functions[meta.methods[method]], [defined], {}, frame)
        for decorator in node.decorator_list:
            function = self.evaluate(decorator, frame)
            if function.name.startswith("@"):
                self.apply(function, Site([defined], {}, frame.at(node), frame))

    def _expression(self, node: ast.Expr, frame: Frame) -> None:
        if not isinstance(node.value, ast.Constant):
            self.evaluate(node.value, frame)

    def _assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.evaluate(node.value, frame)
        for target in node.targets:
            self.assign(target, value, frame)

    def _assign_annotated(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value, frame), frame)

    def _assign_augmented(self, node: ast.AugAssign, frame: Frame) -> None:
        load = ast.copy_location(ast.BinOp(_as_load(node.target), node.op, node.value), node)
        value = self.evaluate(load, frame)
        if frame.branches and not value.known:
            # In a loop the text grows by an unknown number of such steps: keep what is known as a partial text.
            value = Value(name=value.name, origins=value.origins, partial=value.partial)
        self.assign(node.target, value, frame)

    def _for(self, node: ast.For | ast.AsyncFor, frame: Frame) -> None:
        if self._compute(node, frame):
            return
        iterable = self.evaluate(node.iter, frame)
        constant = iterable.constant
        if (
            isinstance(constant, (str, bytes, list, tuple))
            and 0 < len(constant) <= MAX_UNROLLED
            and _only_computes(node.body)
        ):
            for each in constant:
                self.assign(node.target, Value(each, origins=iterable.origins), frame)
                self.execute(node.body, frame)
        else:
            self.assign(node.target, self.element_of(iterable), frame)
            self._branch(node.body, frame)
        self._branch(node.orelse, frame)

    def _compute(self, node: ast.For | ast.AsyncFor | ast.While, frame: Frame) -> bool:
        """Compute a loop that decodes constants. False when it is none, or cannot be computed."""
        if isinstance(node, ast.AsyncFor) or not self.decodes(node, frame.layer):
            return False
        computer = self.computer(frame)
        try:
            names = computer.run([node])
        except NotComputable:
            return False
        before = {name: self.lookup(name, frame) for name in names}
        origins = joined_origins([value for value in before.values() if value.known])
        decoded = origins | {Origin(Taint.DECODED, frame.at(node), "loop", next_order(origins))}
        for name, result in names.items():
            if isinstance(result, CONSTANTS) and not (before[name].known and before[name].constant == result):
                value = bytes(result) if isinstance(result, bytearray) else result
                self.assign_name(name, Value(value, origins=decoded), frame)
        return True

    def _while(self, node: ast.While, frame: Frame) -> None:
        if self._compute(node, frame):
            return
        self.evaluate(node.test, frame)
        self._branch(node.body, frame)
        self._branch(node.orelse, frame)

    def _if(self, node: ast.If, frame: Frame) -> None:
        if _is_main_guard(node.test):
            # pip runs setup.py as __main__; any other module's main part runs only when somebody starts it.
            if frame.context is Context.INSTALL or not frame.context.automatic:
                self.execute(node.body, frame)
            else:
                self.execute(node.body, frame.under(context=Context.ENTRY))
            self._branch(node.orelse, frame)
            return
        self.evaluate(node.test, frame)
        self._branch(node.body, frame)
        self._branch(node.orelse, frame)

    def _branch(self, body: Sequence[ast.stmt], frame: Frame) -> None:
        if body:
            frame.branches += 1
            try:
                self.execute(body, frame)
            finally:
                frame.branches -= 1

    def _with(self, node: ast.With | ast.AsyncWith, frame: Frame) -> None:
        for item in node.items:
            value = self.evaluate(item.context_expr, frame)
            value = self._entered(value, frame)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value, frame)
        self.execute(node.body, frame)

    def _entered(self, manager: Value, frame: Frame) -> Value:
        """What `with manager as …` binds: for a class of the distribution, what its `__enter__` gives."""
        record = self.classes.get(manager.name.removesuffix("()")) if manager.name.startswith("@") else None
        if record is None or "__enter__" not in record.methods:
            return manager
        given = self.call_function(self.functions[record.methods["__enter__"]], [manager], {}, frame)
        if "__exit__" in record.methods:
            self.call_function(self.functions[record.methods["__exit__"]], [manager], {}, frame)
        return given if given.name or given.known or given.origins else manager

    def _try(self, node: ast.Try | ast.TryStar, frame: Frame) -> None:
        self.execute(node.body, frame)
        for handler in node.handlers:
            if handler.name:
                self.assign_name(handler.name, NOTHING, frame)
            self._branch(handler.body, frame)
        self._branch(node.orelse, frame)
        self.execute(node.finalbody, frame)

    def _return(self, node: ast.Return, frame: Frame) -> None:
        if node.value is not None:
            frame.returns.append(self.evaluate(node.value, frame))

    def _global(self, node: ast.Global | ast.Nonlocal, frame: Frame) -> None:
        frame.globals_declared |= set(node.names)

    def _assert(self, node: ast.Assert, frame: Frame) -> None:
        self.evaluate(node.test, frame)

    def _raise(self, node: ast.Raise, frame: Frame) -> None:
        if node.exc is not None:
            self.evaluate(node.exc, frame)

    def _match(self, node: ast.Match, frame: Frame) -> None:
        self.evaluate(node.subject, frame)
        for case in node.cases:
            self._branch(case.body, frame)

    def _import(self, node: ast.Import, frame: Frame) -> None:
        for alias in node.names:
            self.note_import(alias.name, frame)
            if alias.asname:
                self.assign_name(alias.asname, Value(name=alias.name), frame)
            else:
                first = alias.name.partition(".")[0]
                self.assign_name(first, Value(name=first), frame)

    def _import_from(self, node: ast.ImportFrom, frame: Frame) -> None:
        module = self.absolute(node.module or "", node.level)
        self.note_import(module, frame)
        for alias in node.names:
            if alias.name == "*":
                self._import_star(module, frame)
                continue
            name = canonical(f"{module}.{alias.name}") if module else alias.name
            self.note_import(f"{module}.{alias.name}", frame)
            exported = self.program.exported(module, alias.name)
            value = self.of_name(name, frame.at(node)) if exported is None else exported
            self.assign_name(alias.asname or alias.name, value, frame)

    def _import_star(self, module: str, frame: Frame) -> None:
        for name, value in list(self.program.exports.get(module, {}).items()):
            if not name.startswith("_"):
                self.assign_name(name, value, frame)
        prefix = f"{module}."
        names = [name[len(prefix) :] for name in ACTS if name.startswith(prefix)]
        for name in {*names, *_STAR_EXTRAS.get(module, ())}:
            first = name.partition(".")[0].partition("(")[0]
            if first:
                self.assign_name(first, Value(name=prefix + first), frame)


_STAR_EXTRAS: dict[str, tuple[str, ...]] = {
    "base64": ("b64decode", "b32decode", "b16decode", "b85decode", "urlsafe_b64decode"),
    "zlib": ("decompress",),
    "os": ("environ", "path", "getenv", "getcwd", "getlogin"),
    "socket": ("socket", "gethostname"),
    "ctypes": ("windll", "cdll", "CDLL"),
    "cryptography.fernet": ("Fernet",),
    "urllib.request": ("urlopen", "Request"),
    "tkinter": (),
}


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    if isinstance(target, ast.Attribute):
        return ast.copy_location(ast.Attribute(target.value, target.attr, ast.Load()), target)
    if isinstance(target, ast.Subscript):
        return ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), target)
    return target


def _only_computes(body: Sequence[ast.stmt]) -> bool:
    return len(body) <= 4 and all(isinstance(statement, _COMPUTING) for statement in body)


def _is_main_guard(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
        and any(isinstance(side, ast.Name) and side.id == "__name__" for side in (test.left, *test.comparators))
        and any(isinstance(side, ast.Constant) and side.value == "__main__" for side in (test.left, *test.comparators))
    )


# Each handler takes the one type of node it stands beside.
_STATEMENTS: dict[type[ast.stmt], Callable[[ModuleReader, Any, Frame], None]] = {
    ast.Expr: ModuleReader._expression,
    ast.Assign: ModuleReader._assign,
    ast.AnnAssign: ModuleReader._assign_annotated,
    ast.AugAssign: ModuleReader._assign_augmented,
    ast.For: ModuleReader._for,
    ast.AsyncFor: ModuleReader._for,
    ast.While: ModuleReader._while,
    ast.If: ModuleReader._if,
    ast.With: ModuleReader._with,
    ast.AsyncWith: ModuleReader._with,
    ast.Try: ModuleReader._try,
    ast.TryStar: ModuleReader._try,
    ast.Return: ModuleReader._return,
    ast.Global: ModuleReader._global,
    ast.Nonlocal: ModuleReader._global,
    ast.Assert: ModuleReader._assert,
    ast.Raise: ModuleReader._raise,
    ast.Match: ModuleReader._match,
    ast.Import: ModuleReader._import,
    ast.ImportFrom: ModuleReader._import_from,
    ast.FunctionDef: ModuleReader._define,
    ast.AsyncFunctionDef: ModuleReader._define,
    ast.ClassDef: ModuleReader._define_class,
}
