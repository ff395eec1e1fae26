"""Follows calls into the functions of a module, and calls what installers and other modules would call."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from wheelmark.scan.calculation import NotComputable
from wheelmark.scan.expressions import ExpressionReader
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import Frame, Function
from wheelmark.scan.taints import SECRET_PARAMETER
from wheelmark.scan.values import GAP, NOTHING, Origin, Taint, Value, joined_origins, next_order, words
from wheelmark.scan.vocabulary import ACTS

MAX_SIGNATURE_TEXT = 200
_COMMAND_BASES = (
    "setuptools.command.",
    "setuptools.Command",
    "distutils.command.",
    "distutils.cmd.Command",
    "distutils.core.Command",
    "wheel.bdist_wheel.",
)
_HOOK_BASES = ("hatchling.builders.hooks.", "hatchling.metadata.plugin.")
_COMMAND_METHODS = (
    *("__init__", "initialize_options", "finalize_options", "run"),  # setuptools
    *("initialize", "finalize", "clean", "update"),  # hatchling
)
_BACKEND_HOOKS = words(
    "build_wheel build_sdist build_editable build "
    "prepare_metadata_for_build_wheel prepare_metadata_for_build_editable "
    "get_requires_for_build_wheel get_requires_for_build_sdist get_requires_for_build_editable "
    "pdm_build_hook_enabled pdm_build_initialize pdm_build_update_files pdm_build_finalize"
)
# A backend can be an object, too.
_BACKEND_METHODS = frozenset(name for name in _BACKEND_HOOKS if name.endswith(("_wheel", "_sdist", "_editable")))


class FunctionReader(ExpressionReader):
    """The functions of a module; `ModuleReader` adds the statements."""

    def call_function(
        self, function: Function, arguments: Sequence[Value], keywords: Mapping[str, Value], frame: Frame
    ) -> Value:
        """What calling a function gives; its body is read under the caller's context, by the reader of its module."""
        if function.home is not self:
            elsewhere = frame.under(layer=0, line=0)  # lines and layers are those of its own module
            found: Value = function.home.call_function(function, arguments, keywords, elsewhere)
            return found
        bounds = self.meter.bounds
        if function.decodes is None:
            function.decodes = self.decodes(function.node, function.layer)
        # What a decoder gives depends on every letter, wherever it is called.
        key = _exact if function.decodes else _informed if frame.context.automatic else _plain
        signature = (
            frame.context,
            tuple(map(key, arguments)),
            tuple((name, key(value)) for name, value in keywords.items()),
        )
        known = function.results.get(signature)
        if known is not None:
            return known
        most = bounds.max_evaluations if frame.context is not Context.ON_CALL else self.evaluations_asked
        if function.evaluations >= most or frame.depth >= bounds.max_inlining:
            return Value(origins=joined_origins(list(function.results.values())))
        computed = self._decoded_by(function, arguments, keywords, frame)
        if computed is not None:
            function.results[signature] = computed
            return computed
        function.evaluations += 1
        function.results[signature] = NOTHING  # a recursive call finds this instead of recursing
        inner = Frame(
            self._bound(function, arguments, keywords),
            frame.context,
            function.qualname,
            function.closure,
            layer=max(function.layer, frame.layer if frame.line else 0),
            line=function.line or frame.line,
            depth=frame.depth + 1,
        )
        if isinstance(function.node, ast.Lambda):
            result = self.evaluate(function.node.body, inner)
        else:
            self.execute(function.node.body, inner)
            result = self._returned(inner.returns)
        function.results[signature] = result
        return result

    def _decoded_by(
        self, function: Function, arguments: Sequence[Value], keywords: Mapping[str, Value], frame: Frame
    ) -> Value | None:
        """What a decoder that is written in Python gives for constants; None where it is none, or not computed."""
        given = [*arguments, *keywords.values()]
        if not function.decodes:
            return None
        if function.owner and given and not given[0].known:
            return None  # what `self` holds is not computed
        if not all(value.known for value in given):
            return None
        computer = self.computer(Frame(self.names, frame.context, closure=function.closure))
        try:
            result = computer.call(
                function.node,
                [value.constant for value in arguments],
                {name: value.constant for name, value in keywords.items()},
            )
        except NotComputable:
            return None
        origins = joined_origins(given)
        if isinstance(result, (str, bytes, bytearray, list, tuple, dict)):
            line = function.line or function.node.lineno
            origins = origins | {Origin(Taint.DECODED, line, function.qualname, next_order(origins))}
        return Value(bytes(result) if isinstance(result, bytearray) else result, origins=origins)

    @staticmethod
    def _returned(values: list[Value]) -> Value:
        if not values:
            return NOTHING
        if len(values) == 1:
            return values[0]
        named = next((value for value in values if value.name or value.known), NOTHING)
        return named.with_origins(joined_origins(values))

    @staticmethod
    def _bound(function: Function, arguments: Sequence[Value], keywords: Mapping[str, Value]) -> dict[str, Value]:
        spec = function.node.args
        positional = [*spec.posonlyargs, *spec.args]
        names: dict[str, Value] = {}
        for parameter, default in zip(reversed(positional), reversed(function.defaults), strict=False):
            names[parameter.arg] = default
        for parameter, value in zip(positional, arguments, strict=False):
            names[parameter.arg] = value
        accepted = {parameter.arg for parameter in (*positional, *spec.kwonlyargs)}
        for name, value in keywords.items():
            if name in accepted:
                names[name] = value
        if spec.vararg is not None:
            rest = tuple(arguments[len(positional) :])
            names[spec.vararg.arg] = Value(items=rest, origins=joined_origins(rest))
        if spec.kwarg is not None:
            rest = tuple(value for name, value in keywords.items() if name not in accepted)
            names[spec.kwarg.arg] = Value(items=rest, origins=joined_origins(rest))
        for parameter in (*positional, *spec.kwonlyargs):
            if parameter.arg not in names:
                names[parameter.arg] = _unknown_argument(parameter.arg, function.node.lineno)
        return names

    def run_install_hooks(self) -> None:
        """Call what an installer calls: commands of cmdclass, build hooks, the functions of a build backend."""
        frame = Frame(self.names, Context.INSTALL)
        wanted = {value.name.partition("(")[0] for value in self.command_classes}
        given = [key for key in sorted(wanted) if key in self.classes]
        for record in [self.classes[key] for key in dict.fromkeys([*self.own_classes, *given])]:
            if record.key in wanted or self.derives(record, (*_COMMAND_BASES, *_HOOK_BASES)):
                for method in _COMMAND_METHODS:
                    if method in record.methods:
                        self._call_by_key(record.methods[method], record.key, frame)
            for method in sorted(_BACKEND_METHODS & record.methods.keys()):
                self._call_by_key(record.methods[method], record.key, frame)
        for name, value in list(self.names.items()):
            if name in _BACKEND_HOOKS and value.name in self.functions:
                self._call_by_key(value.name, "", frame)

    def run_root(self, path: str, when: Context) -> None:
        """Call the function at a dotted path inside the module, as something outside does."""
        frame = Frame(self.names, when)
        first, _, rest = path.partition(".")
        value = self.names.get(first, NOTHING)
        record = self.classes.get(value.name)
        if record is not None:
            method = record.methods.get(rest or "__init__")
            if method is not None:
                self._call_by_key(method, record.key, frame)
        elif value.name in self.functions:
            self._call_by_key(value.name, "", frame)

    def _call_by_key(self, key: str, owner: str, frame: Frame) -> None:
        function = self.functions[key]
        self.call_function(function, [Value(name=f"{owner}()")] if owner else [], {}, frame)

    def run_the_rest(self) -> None:
        """Read what nothing called; reading a function can define more."""
        seen: set[str] = set()
        while True:
            fresh = [function for key, function in self.own_functions.items() if key not in seen]
            if not fresh:
                return
            for function in fresh:
                seen.add(function.key)
                if function.evaluations == 0:
                    frame = Frame(self.names, Context.ON_CALL, layer=function.layer, line=function.line)
                    owner = [Value(name=f"{function.owner}()")] if function.owner else []
                    self.call_function(function, owner, {}, frame)


def _unknown_argument(name: str, line: int) -> Value:
    """An argument that nobody is known to give: its name stands for it, so that it is the same wherever it goes."""
    if name in {"self", "cls"}:
        return NOTHING
    if SECRET_PARAMETER.match(name):
        return Value(partial=f"{GAP}{name}{GAP}", origins=frozenset([Origin(Taint.KEY, line, name)]))
    return Value(partial=f"{GAP}{name}{GAP}")


def _exact(value: Value) -> object:
    constant = value.constant if isinstance(value.constant, (str, bytes)) else value.text[:MAX_SIGNATURE_TEXT]
    return (value.name, value.origins, constant)


def _informed(value: Value) -> object:
    return (value.name, value.origins, value.text[:MAX_SIGNATURE_TEXT])


def _plain(value: Value) -> object:
    # Away from the automatic paths, other constants alone do not merit another walk.
    return (value.name if value.name in ACTS or value.name.startswith("@") else "", value.origins)
