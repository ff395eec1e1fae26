"""The roundabout ways to a name or a program: what `getattr`, `__import__`, `exec` and their like really mean."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from wheelmark.scan.calculation import ERRORS, NotComputable, Reference
from wheelmark.scan.calls import CallReader
from wheelmark.scan.ciphers import AES_NAMES, FERNET_NAMES, aes_decrypted, fernet_decrypted
from wheelmark.scan.compiled import Compiled, read_code, read_pickle
from wheelmark.scan.facts import Act
from wheelmark.scan.loading import LOADERS
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import Site
from wheelmark.scan.values import MAX_TEXT, NOTHING, Origin, Taint, Value, joined_origins, next_order
from wheelmark.scan.vocabulary import ACTS, acts_of_names, canonical
from wheelmark.scan.written_files import file_origins

MAX_GOT_PARTS = 8  # of the dotted path of an `attrgetter`


def _getattr(reader: CallReader, site: Site) -> Value | None:
    owner, name = site.argument(0, ""), site.argument(1, "").constant
    if not isinstance(name, str):
        return Value(origins=owner.origins)
    found = reader.attribute_of(owner, name, site.line)
    if found.name in {"", "__builtins__"} or found.name.startswith("@"):
        return found
    hidden = f"getattr(…, {name!r})"
    return Value(found.constant, name=canonical(found.name), origins=found.origins, hidden=hidden, items=found.items)


def _getter(name: str) -> Callable[[CallReader, Site], Value | None]:
    """`operator.attrgetter("system")`: a function that keeps what it was made of until it is called."""

    def make(reader: CallReader, site: Site) -> Value | None:
        return Value(name=f"{name}()", items=tuple(site.arguments), origins=joined_origins(site.values))

    return make


def _attribute_got(reader: CallReader, getter: Value, site: Site) -> Value:
    """`operator.attrgetter("path.join")(os)`."""
    path, found = getter.items[0].constant if getter.items else None, site.argument(0, "")
    if len(getter.items) != 1 or not isinstance(path, str):
        return Value(origins=found.origins)
    for name in path.split(".")[:MAX_GOT_PARTS]:
        found = reader.attribute_of(found, name, site.line)
    if found.name in {"", "__builtins__"} or found.name.startswith("@"):
        return found
    hidden = f"operator.attrgetter({path!r})"
    return Value(found.constant, name=canonical(found.name), origins=found.origins, hidden=hidden, items=found.items)


def _method_called(reader: CallReader, caller: Value, site: Site) -> Value:
    """`operator.methodcaller("system", "echo")(os)`, which is hidden in the same way."""
    name = caller.items[0] if caller.items else NOTHING
    method = _attribute_got(reader, Value(items=(name,)), site)
    return reader.apply(method, Site(list(caller.items[1:]), {}, site.line, site.frame, method.hidden))


def _import_by_name(reader: CallReader, site: Site) -> Value | None:
    module = site.argument(0, "name")
    if isinstance(module.constant, str):
        return Value(name=module.constant, hidden=f"__import__({module.constant!r})")
    return Value(origins=module.origins)


def _vars(reader: CallReader, site: Site) -> Value | None:
    owner = site.argument(0, "")
    return Value(name=f"{owner.name}<vars>" if owner.name else "vars()")


def _globals(reader: CallReader, site: Site) -> Value | None:
    return Value(name="globals()")


def _getenv(reader: CallReader, site: Site) -> Value | None:
    return reader.environment_variable(site.argument(0, "key"), site.line)


def _open(reader: CallReader, site: Site) -> Value | None:
    path, mode = site.argument(0, "file").text, site.argument(1, "mode").constant
    reader.record("open", Act.READ, site)
    if isinstance(mode, str) and any(letter in mode for letter in "wax+"):
        return Value(name="open()", partial=path)
    file = site.argument(0, "file")
    origins = file_origins(file, site.line) | reader.harvest.paths.contents_of(file)
    return Value(name="open()", partial=path, origins=origins)


def _path_read(name: str) -> Callable[[CallReader, Site], Value | None]:
    """`Path(…).read_text()`: the same as `open(…).read()`."""

    def read(reader: CallReader, site: Site) -> Value | None:
        reader.record(name, Act.READ, site)
        file = site.receiver
        origins = file.origins | file_origins(file, site.line) | reader.harvest.paths.contents_of(file)
        return Value(name=f"{name}()", partial=file.text, origins=origins)

    return read


def _map(reader: CallReader, site: Site) -> Value | None:
    if len(site.arguments) != 2:
        return None
    function, sequence = site.arguments
    constant = sequence.constant
    if not isinstance(constant, (str, bytes, list, tuple)) or not reader.meter.budget.allows_items(len(constant)):
        return None
    results: list[object] = []
    origins = sequence.origins
    for each in constant:
        value = reader.apply(function, Site([Value(each)], {}, site.line, site.frame, function.hidden))
        origins = origins | value.origins
        if not value.known:
            return Value(items=(value,), origins=origins)
        results.append(value.constant)
    return Value(results, origins=origins)


def _reduce(reader: CallReader, site: Site) -> Value | None:
    """What `reduce` gives for constants; the function is computed, never run."""
    function, *values = site.arguments or [NOTHING]
    if not function.name or not values or not all(value.known for value in values):
        return None
    computer = reader.computer(site.frame)
    try:
        result = computer.called(
            Reference("functools.reduce"), [Reference(function.name), *(value.constant for value in values)], {}
        )
    except (NotComputable, RecursionError, *ERRORS):
        return None
    origins = joined_origins(values)
    return Value(result, origins=origins | {Origin(Taint.DECODED, site.line, "reduce", next_order(origins))})


def _partial(reader: CallReader, site: Site) -> Value | None:
    return site.argument(0, "func")


def _compile(reader: CallReader, site: Site) -> Value | None:
    source = site.argument(0, "source")
    # What is compiled is not yet run, but the code object carries everything with it.
    name = "" if source.known else "compile()"
    return Value(source.constant, origins=source.origins, partial=source.partial, name=name)


def _loaded(name: str, read: Callable[[bytes], Compiled | None]) -> Callable[[CallReader, Site], Value | None]:
    """Compiled code or a pickle: what it names counts as called, with all the text that it holds."""

    def load(reader: CallReader, site: Site) -> Value | None:
        source = site.argument(0, "data")
        reader.record(name, Act.LOAD_CODE, site)
        if not source.known and not source.has(Taint.DECODED, Taint.NETWORK):
            return None
        origins = source.origins | {Origin(Taint.DECODED, site.line, name, next_order(source.origins))}
        shown = read(source.constant) if isinstance(source.constant, bytes) else None
        if shown is not None:
            held = Value(partial=" ".join(shown.texts)[:MAX_TEXT], origins=origins)
            reader.note_layer(shown.text, held, site.line, site.frame)
            inner = site.frame.under(layer=site.frame.layer + 1, line=site.line)
            for called, text in shown.calls:
                reader.apply(Value(name=canonical(called)), Site([Value(text)], {}, site.line, inner))
            for called in acts_of_names(frozenset(shown.names)):
                reader.record(called, ACTS[called], Site([held], {}, site.line, inner, "compiled code"))
        return Value(name=f"{name}()", origins=origins, partial=source.text)

    return load


def _decrypted(decrypt: Callable[[CallReader, Site], bytes | None]) -> Callable[[CallReader, Site], Value | None]:
    def run(reader: CallReader, site: Site) -> Value | None:
        found = decrypt(reader, site)
        if found is None:
            return None
        given = site.receiver.origins | joined_origins(site.values)
        return Value(found, origins=given | {Origin(Taint.DECODED, site.line, "decrypt", next_order(given))})

    return run


def _fernet(reader: CallReader, site: Site) -> bytes | None:
    key = site.receiver.items[0].constant if site.receiver.items else None
    return fernet_decrypted(key, site.argument(0, "token").constant, reader.meter.budget)


def _aes(reader: CallReader, site: Site) -> bytes | None:
    return aes_decrypted(site.receiver.items, site.argument(0, "ciphertext").constant, reader.meter.budget)


def _run(name: str) -> Callable[[CallReader, Site], Value | None]:
    def run(reader: CallReader, site: Site) -> Value | None:
        source = site.argument(0, "source")
        reader.record(name, Act.RUN_CODE, site)
        if isinstance(source.constant, (str, bytes)):
            return reader.see_through(source.constant, source, site.line, site.frame)
        file = next((origin.what for origin in sorted(source.origins) if origin.taint is Taint.FILE), "")
        if file and not file.endswith(".py") and not source.has(Taint.NETWORK, Taint.DECODED):
            text = reader.read_member(file)
            if text is not None:
                reader.see_through(text, source, site.line, site.frame)
        return Value(origins=source.origins)

    return run


def _started(reader: CallReader, site: Site) -> Value | None:
    """A child interpreter that is given its program as an argument runs that program."""
    command = site.argument(0, "args")
    words = list(command.items)
    if isinstance(command.constant, (list, tuple)):
        words = [Value(each) for each in command.constant]
    for flag, program in pairwise(words):
        if flag.constant == "-c" and isinstance(program.constant, (str, bytes)) and "import" in program.text:
            reader.see_through(program.constant, program, site.line, site.frame.under(names={}))
    return None


def _setup(reader: CallReader, site: Site) -> Value | None:
    reader.command_classes.extend(site.keywords.get("cmdclass", NOTHING).items)
    reader.harvest.note_load(site.keywords.get("scripts", NOTHING).text, Context.ENTRY)
    return NOTHING


def _setattr(reader: CallReader, site: Site) -> Value | None:
    """A built-in that is set under another name is found under that name from then on."""
    owner, name, value = site.argument(0, ""), site.argument(1, "").constant, site.argument(2, "")
    if owner.name in {"__builtins__", "builtins"} and isinstance(name, str) and value.name:
        reader.names[name] = Value(name=value.name, origins=value.origins, hidden=f"builtins[{name!r}]")
    return NOTHING


_STARTERS = (
    "os.system os.popen subprocess.run subprocess.call subprocess.check_call subprocess.check_output "
    "subprocess.getoutput subprocess.Popen"
)

ROUNDABOUT: dict[str, Callable[[CallReader, Site], Value | None]] = {
    "getattr": _getattr,
    "setattr": _setattr,
    "operator.attrgetter": _getter("operator.attrgetter"),
    "operator.methodcaller": _getter("operator.methodcaller"),
    "__import__": _import_by_name,
    "importlib.import_module": _import_by_name,
    "importlib.__import__": _import_by_name,
    "vars": _vars,
    "globals": _globals,
    "locals": _globals,
    "os.getenv": _getenv,
    "open": _open,
    **{name: _path_read(name) for name in ("pathlib.Path().read_text", "pathlib.Path().read_bytes")},
    "map": _map,
    "functools.partial": _partial,
    "functools.reduce": _reduce,
    "compile": _compile,
    "marshal.loads": _loaded("marshal.loads", read_code),
    "pickle.loads": _loaded("pickle.loads", read_pickle),
    "dill.loads": _loaded("dill.loads", read_pickle),
    "cloudpickle.loads": _loaded("cloudpickle.loads", read_pickle),
    **{f"{name}().decrypt": _decrypted(_fernet) for name in FERNET_NAMES},
    **{f"{name}().decrypt": _decrypted(_aes) for name in AES_NAMES},
    "exec": _run("exec"),
    "eval": _run("eval"),
    "setuptools.setup": _setup,
    "distutils.core.setup": _setup,
    **dict.fromkeys(_STARTERS.split(), _started),
    **LOADERS,
}

GETTERS: dict[str, Callable[[CallReader, Value, Site], Value]] = {
    "operator.attrgetter()": _attribute_got,
    "operator.methodcaller()": _method_called,
}
