"""Applies a call: follows helpers, records what the call does, and says what its result is and comes from."""

from __future__ import annotations

import ast
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from wheelmark.scan.calculation import Calculation
from wheelmark.scan.ciphers import CIPHER_MAKERS
from wheelmark.scan.commands import fetched_files, programs, unpacked_archives
from wheelmark.scan.facts import Act, Call, Layer
from wheelmark.scan.folding import fold_function, is_folded
from wheelmark.scan.scopes import ClassRecord, Frame, Function, Harvest, Meter, Program, ReadMember, Site
from wheelmark.scan.source import parse_text
from wheelmark.scan.taints import (
    ADDRESS_SERVICE,
    CAPTURE_LISTENERS,
    IDENTITY_COMMAND,
    decodes,
    gives,
    may_decode,
    propagates,
)
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
from wheelmark.scan.vocabulary import CALLERS, act_of
from wheelmark.scan.written_files import MAX_SHOWN, PACKING, WRITERS, note_packed, note_written

MAX_LAYER_TEXT = 200_000  # characters of one layer that are kept for rules about text
MIN_LAYER_TEXT = 24  # characters of undecoded text: shorter ones are expressions, not programs
_PATH_MAKERS = frozenset(
    {"os.path.join", "pathlib.Path", "os.path.abspath", "os.path.expanduser", "os.path.expandvars", "os.path.realpath"}
)
_FOLDER_FOR_FILES = frozenset({"tempfile.gettempdir", "tempfile.gettempdirb"})
# Each call gives a path of its own, which is then known by the place of the call.
_FRESH_PATHS = frozenset({"tempfile.NamedTemporaryFile", "tempfile.mkdtemp", "tempfile.mktemp", "tempfile.mkstemp"})
_KEEP_ITEMS = frozenset({"list", "tuple", "reversed", "iter", "set"})


class CallReader(ABC):
    """What happens at a call. Names, expressions and statements are in the subclasses."""

    module: str
    meter: Meter
    read_member: ReadMember
    harvest: Harvest
    names: dict[str, Value]
    functions: dict[str, Function]
    classes: dict[str, ClassRecord]
    program: Program
    command_classes: list[Value]
    roundabout: Mapping[str, Callable[[CallReader, Site], Value | None]]  # name -> what calling it really means
    getters: Mapping[str, Callable[[CallReader, Value, Site], Value]]  # the same, for what a call made

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
    def computer(self, frame: Frame) -> Calculation:
        """A computation that sees the constants of a scope."""

    @abstractmethod
    def environment_variable(self, key: Value, line: int) -> Value:
        """`os.environ[key]`."""

    @abstractmethod
    def element_of(self, value: Value) -> Value:
        """One unknown element of a sequence."""

    @staticmethod
    @abstractmethod
    def items_of(value: Value) -> tuple[Value, ...]:
        """The elements of a sequence, known or not."""

    @abstractmethod
    def call_function(
        self, function: Function, arguments: Sequence[Value], keywords: Mapping[str, Value], frame: Frame
    ) -> Value:
        """What calling a function of the module gives."""

    def apply(self, function: Value, site: Site, method: str = "") -> Value:
        """What calling `function` gives, after recording what it does. `method` is the last word of an unknown name."""
        name = function.name
        for other in function.others:
            self.apply(other, site, method)
        if name.startswith("@"):
            return self._apply_local(function, site)
        if not name:
            return self._unknown_call(site, method)
        means = self.roundabout.get(name)
        if means is not None:
            result = means(self, site)
            if result is not None:
                return result
        getter = self.getters.get(name)
        if getter is not None:
            return getter(self, function, site)
        act = act_of(name)
        if act is not None:
            self.record(name, act, site)
            if act is Act.START_PROCESS:
                self.read_command(site.argument(0, "args"), site, name)
        elif site.frame.context.automatic and self._may_be_local(name):
            self.harvest.note_local(name, site.frame.context)
        caller = CALLERS.get(name)
        if caller is not None:
            self._follow_caller(name, caller, site)
        elif name in CAPTURE_LISTENERS:
            self._follow_listener(name, site)
        elif name in PACKING:
            note_packed(self.harvest.paths, name, site)
        elif name.endswith(".save") and site.receiver.has(Taint.CAPTURE):
            self.harvest.paths.keep(site.argument(0, "fp"), site.receiver.origins)
        return self._result(name, act, site)

    @staticmethod
    def _may_be_local(name: str) -> bool:
        """True for a function that another module of the distribution may have: `from .tools import start; start()`."""
        return "." in name and "(" not in name and name.partition(".")[0] not in sys.stdlib_module_names

    def record(self, name: str, act: Act, site: Site) -> None:
        """Add a call to the harvest, and keep in mind which paths were written with what."""
        arguments = site.arguments
        if act is Act.WRITE:
            if name in WRITERS:
                self._read_program(site.argument(0, "data"), site)
            note_written(self.harvest.paths, name, site)
        elif act is Act.DOWNLOAD:
            path = site.keywords.get("out") or site.argument(1, "filename")
            self.harvest.paths.drop(path, Origin(Taint.NETWORK, site.line, name))
        elif act in (Act.START_PROCESS, Act.RUN_CODE):
            arguments = [self.harvest.paths.marked(argument) for argument in arguments]
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

    def read_command(self, command: Value, site: Site, name: str) -> None:
        """What a command line fetches, unpacks and holds: files by their paths, programs as if they ran here."""
        text = command.text
        if not text or site.frame.layer >= self.meter.bounds.max_layers:
            return
        for address, path in fetched_files(text):
            self.harvest.paths.drop(Value(path), Origin(Taint.NETWORK, site.line, address[:MAX_SHOWN]))
        for archive, folder in unpacked_archives(text):
            origin = self.harvest.paths.marked(Value(archive)).origins
            for each in origin:
                self.harvest.paths.drop(Value(folder), Origin(Taint.NETWORK, each.line, each.what))
        for program in programs(text):
            origins = command.origins
            if program.decoder:
                origins = origins | {Origin(Taint.DECODED, site.line, program.decoder, next_order(origins))}
            held = Value(program.text, origins=origins)
            if program.is_python:
                self.see_through(program.text, held, site.line, site.frame.under(names={}))
            else:
                self.note_layer(program.text, held, site.line, site.frame)
                inner = site.frame.under(layer=site.frame.layer + 1, line=site.line)
                self.record(name, Act.START_PROCESS, Site([held], {}, site.line, inner))
                self.read_command(held, Site([held], {}, site.line, inner), name)

    def see_through(self, text: str | bytes, source: Value, line: int, frame: Frame) -> Value:
        """Read text that the code executes as code of the same scope; gives the value of an expression."""
        bounds = self.meter.bounds
        whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        self.note_layer(whole, source, line, frame)
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

    def note_layer(self, text: str, source: Value, line: int, frame: Frame) -> None:
        """Keep text that is executed, unless it is short and stands there as it is."""
        decoded = source.has(Taint.DECODED, Taint.NETWORK)
        if len(text) > MIN_LAYER_TEXT or decoded:
            layer = Layer(
                member=self.harvest.member,
                line=line,
                context=frame.context,
                depth=frame.layer + 1,
                text=text[:MAX_LAYER_TEXT],
                decoded=decoded,
                decoders=_decoders_of(source),
            )
            self.harvest.add_layer(layer)

    def _apply_local(self, function: Value, site: Site) -> Value:
        known = self.functions.get(function.name)
        if known is not None:
            bound = list(function.items[:1]) if known.owner else []
            return self.call_function(known, [*bound, *site.arguments], site.keywords, site.frame)
        record = self.classes.get(function.name)
        if record is None:
            return self._call_instance(function, site)
        instance = Value(name=f"{record.key}()")
        for method in ("__init__", "__new__", "__post_init__"):
            if method in record.methods:
                key = record.methods[method]
                self.call_function(self.functions[key], [instance, *site.arguments], site.keywords, site.frame)
                break
        return instance

    def _call_instance(self, instance: Value, site: Site) -> Value:
        record = self.classes.get(instance.name.removesuffix("()"))
        key = None if record is None else record.methods.get("__call__")
        if key is None:
            return Value(origins=instance.origins)
        return self.call_function(self.functions[key], [instance, *site.arguments], site.keywords, site.frame)

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

    def _follow_caller(self, name: str, caller: tuple[int, str], site: Site) -> None:
        position, keyword = caller
        target = site.keywords.get(keyword) or site.argument(position, keyword)
        if target.name.startswith("@") or act_of(target.name) is not None:
            given = self._given(name, position, site)
            self.apply(target, Site(given, {}, site.line, site.frame, target.hidden))

    def _given(self, name: str, position: int, site: Site) -> list[Value]:
        """What a caller of functions hands on: a tuple of arguments, elements one by one, or what follows."""
        if name.startswith(("threading.", "multiprocessing.Process", "_thread.", "thread.")):
            after = 2 if name.startswith("threading.Thread") or "Process" in name else 1
            return list(self.items_of(site.argument(position + after, "args")))
        following = site.arguments[position + 1 :]
        if name.endswith(("map", "filter", "reduce")):
            return [self.element_of(argument) for argument in following]
        return following

    def _follow_listener(self, name: str, site: Site) -> None:
        """Callbacks that get what is typed: each is called with it."""
        typed = Value(origins=frozenset([Origin(Taint.CAPTURE, site.line, name)]))
        for position, keyword in CAPTURE_LISTENERS[name]:
            callback = site.argument(position, keyword)
            if callback.name.startswith("@"):
                self.apply(callback, Site([typed], {}, site.line, site.frame))

    def _read_program(self, content: Value, site: Site) -> None:
        """A program that is written out is going to be run: read it as if it ran here."""
        text = content.constant
        if isinstance(text, (str, bytes)) and "import" in content.text:
            self.see_through(text, content, site.line, site.frame.under(names={}))

    def _result(self, name: str, act: Act | None, site: Site) -> Value:
        arguments, receiver = site.arguments, site.receiver
        made_of_arguments = propagates(name)
        origins = receiver.origins | self._own_origins(name, act, site)
        if made_of_arguments:
            # A token in the headers of a request is how one authenticates; it does not make the request a leak.
            keywords = [value for keyword, value in site.keywords.items() if keyword != "headers"]
            origins = origins | joined_origins([*site.arguments, *keywords])
        if not site.keywords and is_folded(name) and all(argument.known for argument in arguments):
            folded = fold_function(name, [argument.constant for argument in arguments], self.meter.budget)
            if folded is not UNKNOWN:
                return Value(folded, origins=origins)
        partial = receiver.partial
        items: tuple[Value, ...] = ()
        if name in _PATH_MAKERS:
            partial = "/".join(value.text or GAP for value in site.values)
        elif name in _FOLDER_FOR_FILES:
            partial = "%TEMP%"
        elif name in _FRESH_PATHS:
            partial = f"%TEMP%/{name.rpartition('.')[2]}-{site.line}{site.keywords.get('suffix', NOTHING).text}"
        elif arguments and made_of_arguments:
            partial = arguments[0].text
        if arguments and name in _KEEP_ITEMS:
            items = arguments[0].items
        elif name in CIPHER_MAKERS:
            items = tuple(arguments)
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
        elif act is Act.START_PROCESS:
            command = site.argument(0, "args").text[:MAX_SHOWN]
            kind = Taint.HOST if IDENTITY_COMMAND.search(command) else Taint.OUTPUT
            found.add(Origin(kind, site.line, command or name))
        if name in self.program.patched:
            found.add(Origin(Taint.KEY, site.line, f"private_key of {name}"))
        computed = name == "chr" and bool(site.arguments) and not site.arguments[0].known
        if computed or (may_decode(name) and decodes(name, [argument.constant for argument in site.arguments])):
            found.add(Origin(Taint.DECODED, site.line, name, next_order(joined_origins(site.values))))
        return frozenset(found) if found else NO_ORIGINS


def _decoders_of(value: Value) -> tuple[str, ...]:
    steps = sorted(
        (origin.order, origin.line, origin.what) for origin in value.origins if origin.taint is Taint.DECODED
    )
    return tuple(what for _, _, what in steps)
