"""Applies a call: follows helpers, records what the call does, and says what its result is and comes from."""

from __future__ import annotations

import ast
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wheelmark.scan.facts import Act, Call, Layer
from wheelmark.scan.folding import fold_function
from wheelmark.scan.scopes import ClassRecord, Frame, Function, Harvest, Meter, ReadMember
from wheelmark.scan.source import parse_text
from wheelmark.scan.values import (
    GAP,
    MAX_TEXT,
    NO_ORIGINS,
    NOTHING,
    UNKNOWN,
    Origin,
    Taint,
    Value,
    joined_origins,
    next_order,
)
from wheelmark.scan.vocabulary import (
    ADDRESS_SERVICE,
    CALLERS,
    IDENTITY_COMMAND,
    act_of,
    decodes,
    gives,
    propagates,
)

MIN_DROPPED_PATH = 3  # characters: shorter texts would match by chance
MAX_LAYER_TEXT = 200_000  # characters of one layer that are kept for rules about text
MIN_LAYER_TEXT = 24  # characters of undecoded text: shorter ones are expressions, not programs
_WRITERS = frozenset(
    {
        "open().write",
        "pathlib.Path().write_text",
        "pathlib.Path().write_bytes",
        "tempfile.NamedTemporaryFile().write",
    }
)
_MOVERS = frozenset({"shutil.move", "shutil.copy", "shutil.copyfile", "os.rename", "os.replace"})
_PATH_MAKERS = frozenset(
    {"os.path.join", "pathlib.Path", "os.path.abspath", "os.path.expanduser", "os.path.expandvars", "os.path.realpath"}
    | {"tempfile.gettempdir"}
)
_SCRIPT_SUFFIXES = (".py", ".pyw", ".sh", ".bat", ".cmd", ".vbs", ".ps1", ".hta")
_KEEP_ITEMS = frozenset({"list", "tuple", "reversed", "iter", "set"})


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


class CallReader(ABC):
    """What happens at a call. Names, expressions and statements are in the subclasses."""

    module: str
    meter: Meter
    read_member: ReadMember
    harvest: Harvest
    names: dict[str, Value]
    functions: dict[str, Function]
    classes: dict[str, ClassRecord]
    command_classes: list[Value]
    roundabout: Mapping[str, Callable[[CallReader, Site], Value | None]]  # name -> what calling it really means

    @abstractmethod
    def evaluate(self, node: ast.expr, frame: Frame) -> Value:
        """What is known of one expression."""

    @abstractmethod
    def execute(self, body: Sequence[ast.stmt], frame: Frame) -> None:
        """Evaluate statements in order."""

    @abstractmethod
    def attribute_of(self, receiver: Value, attribute: str, line: int) -> Value:
        """`receiver.attribute`."""

    @abstractmethod
    def environment_variable(self, key: Value, line: int) -> Value:
        """`os.environ[key]`."""

    @abstractmethod
    def element_of(self, value: Value) -> Value:
        """One unknown element of a sequence."""

    @abstractmethod
    def call_function(
        self, function: Function, arguments: Sequence[Value], keywords: Mapping[str, Value], frame: Frame
    ) -> Value:
        """What calling a function of the module gives."""

    def apply(self, function: Value, site: Site, method: str = "") -> Value:
        """What calling `function` gives, after recording what it does. `method` is the last word of an unknown name."""
        name = function.name
        if name.startswith("@"):
            return self._apply_local(function, site)
        if not name:
            return self._unknown_call(site, method)
        means = self.roundabout.get(name)
        if means is not None:
            result = means(self, site)
            if result is not None:
                return result
        act = act_of(name)
        if act is not None:
            self.record(name, act, site)
        elif site.frame.context.automatic and self._may_be_local(name):
            self.harvest.note_local(name, site.frame.context)
        caller = CALLERS.get(name)
        if caller is not None:
            self._follow_caller(caller, site)
        return self._result(name, act, site)

    @staticmethod
    def _may_be_local(name: str) -> bool:
        """True for a function that another module of the distribution may have: `from .tools import start; start()`."""
        return "." in name and "(" not in name and name.partition(".")[0] not in sys.stdlib_module_names

    def record(self, name: str, act: Act, site: Site) -> None:
        """Add a call to the harvest, and keep in mind which paths were written with what."""
        arguments = site.arguments
        if act is Act.WRITE:
            self._note_written(name, site)
        elif act is Act.DOWNLOAD:
            path = site.keywords.get("out") or site.argument(1, "filename")
            self._drop(path, Origin(Taint.NETWORK, site.line, name))
        elif act in (Act.START_PROCESS, Act.RUN_CODE):
            arguments = [self._with_dropped(argument) for argument in arguments]
        self.harvest.add(
            Call(
                name=name,
                act=act,
                member=self.harvest.member,
                line=site.line,
                context=site.frame.context,
                scope=site.frame.scope,
                arguments=tuple(arguments),
                keywords=tuple(site.keywords.items()),
                layer=site.frame.layer,
                hidden=site.hidden,
                receiver=site.receiver,
            )
        )

    def see_through(self, text: str | bytes, source: Value, line: int, frame: Frame) -> Value:
        """Read text that the code executes as code of the same scope; gives the value of an expression."""
        bounds = self.meter.bounds
        whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        decoded = source.has(Taint.DECODED, Taint.NETWORK)
        if len(whole) > MIN_LAYER_TEXT or decoded:
            layer = Layer(
                member=self.harvest.member,
                line=line,
                context=frame.context,
                depth=frame.layer + 1,
                text=whole[:MAX_LAYER_TEXT],
                decoded=decoded,
                decoders=_decoders_of(source),
            )
            self.harvest.layers.append(layer)
        if frame.layer >= bounds.max_layers or len(text) > bounds.max_source_bytes:
            self.meter.budget.exceeded = True
            return Value(origins=source.origins)
        tree = parse_text(whole)
        if tree is None:
            return Value(origins=source.origins)
        inner = frame.under(layer=frame.layer + 1, line=line)
        if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
            return self.evaluate(tree.body[0].value, inner)
        self.execute(tree.body, inner)
        return NOTHING

    def _apply_local(self, function: Value, site: Site) -> Value:
        known = self.functions.get(function.name)
        if known is not None:
            bound = list(function.items[:1]) if known.owner else []
            return self.call_function(known, [*bound, *site.arguments], site.keywords, site.frame)
        record = self.classes.get(function.name)
        if record is None:
            return Value(origins=function.origins)
        instance = Value(name=f"{record.key}()")
        for method in ("__init__", "__new__", "__post_init__"):
            if method in record.methods:
                key = record.methods[method]
                self.call_function(self.functions[key], [instance, *site.arguments], site.keywords, site.frame)
                break
        return instance

    def _unknown_call(self, site: Site, method: str) -> Value:
        for argument in site.arguments:
            # A function handed to something unknown may be called there and then.
            function = self.functions.get(argument.name)
            if function is not None and site.frame.context.automatic and isinstance(function.node, ast.Lambda):
                self.call_function(function, [], {}, site.frame)
        origins = site.receiver.origins
        if method in {"decrypt", "b64decode", "fromhex"}:
            origins = origins | joined_origins(site.arguments)
            origins = origins | {Origin(Taint.DECODED, site.line, method, next_order(origins))}
        elif method in {"join", "format", "replace", "encode", "decode"}:
            origins = origins | joined_origins(site.arguments)
        return Value(origins=origins, partial=site.receiver.partial)

    def _follow_caller(self, caller: tuple[int, str], site: Site) -> None:
        position, keyword = caller
        target = site.keywords.get(keyword) or site.argument(position, keyword)
        if target.name.startswith("@") or act_of(target.name) is not None:
            given = [self.element_of(argument) for argument in site.arguments[position + 1 :]]
            self.apply(target, Site(given, {}, site.line, site.frame, target.hidden))

    def _note_written(self, name: str, site: Site) -> None:
        content = site.argument(0, "data")
        if name in _WRITERS:
            self._read_program(content, site)
            origins = [each for each in sorted(content.origins) if each.taint in (Taint.NETWORK, Taint.DECODED)]
            if origins:
                self._drop(site.receiver, origins[0])
            elif (
                site.receiver.text.lower().endswith(_SCRIPT_SUFFIXES) and site.receiver.text not in self.harvest.dropped
            ):
                self._drop(site.receiver, Origin(Taint.FILE, site.line, "own text"))
        elif name == "shutil.copyfileobj" and content.has(Taint.NETWORK):
            self._drop(site.argument(1, "fdst"), Origin(Taint.NETWORK, site.line, name))
        elif name in _MOVERS:
            origin = self.harvest.dropped.get(content.text.strip())
            if origin is not None:
                self._drop(site.argument(1, "dst"), origin)

    def _read_program(self, content: Value, site: Site) -> None:
        """A program that is written out by code nobody called is going to be run: read it as if it ran here."""
        text = content.constant
        if isinstance(text, (str, bytes)) and site.frame.context.automatic and "import" in content.text:
            self.see_through(text, content, site.line, site.frame.under(names={}))

    def _drop(self, path: Value, origin: Origin) -> None:
        text = path.text.strip()
        if len(text.replace(GAP, "")) >= MIN_DROPPED_PATH:
            self.harvest.dropped[text] = origin

    def _with_dropped(self, value: Value) -> Value:
        text = value.text
        if text and self.harvest.dropped:
            for path, origin in self.harvest.dropped.items():
                if path in text:
                    what = f"{origin.what} -> {path[:80]}"
                    return value.with_origins(frozenset([Origin(Taint.DROPPED, origin.line, what)]))
        return value

    def _result(self, name: str, act: Act | None, site: Site) -> Value:
        arguments, receiver = site.arguments, site.receiver
        made_of_arguments = propagates(name)
        origins = receiver.origins | self._own_origins(name, act, site)
        if made_of_arguments:
            # A token in the headers of a request is how one authenticates; it does not make the request a leak.
            keywords = [value for keyword, value in site.keywords.items() if keyword != "headers"]
            origins = origins | joined_origins([*site.arguments, *keywords])
        if not site.keywords and all(argument.known for argument in arguments):
            folded = fold_function(name, [argument.constant for argument in arguments], self.meter.budget)
            if folded is not UNKNOWN:
                return Value(folded, origins=origins)
        partial = receiver.partial
        items: tuple[Value, ...] = ()
        if name in _PATH_MAKERS:
            partial = "/".join(value.text or GAP for value in site.values) or name.rpartition(".")[2]
        elif arguments and made_of_arguments:
            partial = arguments[0].text
        if arguments and name in _KEEP_ITEMS:
            items = arguments[0].items
        elif name.startswith("{}."):
            items = receiver.items
        return Value(name=f"{name}()", origins=origins, partial=partial[:MAX_TEXT], items=items)

    def _own_origins(self, name: str, act: Act | None, site: Site) -> frozenset[Origin]:
        """The origins that the result has because of what was called."""
        given = gives(name)
        found: set[Origin] = set()
        if given is not None:
            found.add(Origin(given, site.line, name))
            if given is Taint.NETWORK and ADDRESS_SERVICE.search(" ".join(value.text for value in site.values)):
                found.add(Origin(Taint.HOST, site.line, name))
        elif act is Act.START_PROCESS and site.arguments and IDENTITY_COMMAND.search(site.arguments[0].text):
            found.add(Origin(Taint.HOST, site.line, site.arguments[0].text[:80]))
        computed = name == "chr" and bool(site.arguments) and not site.arguments[0].known
        if computed or decodes(name, [argument.constant for argument in site.arguments]):
            found.add(Origin(Taint.DECODED, site.line, name, next_order(joined_origins(site.values))))
        return frozenset(found) if found else NO_ORIGINS


def _decoders_of(value: Value) -> tuple[str, ...]:
    steps = sorted(
        (origin.order, origin.line, origin.what) for origin in value.origins if origin.taint is Taint.DECODED
    )
    return tuple(what for _, _, what in steps)
