"""Gathers the facts of one distribution: lays it out, reads its modules in the order in which they would run."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import partial

from wheelmark.scan.bounds import ScanBounds
from wheelmark.scan.contents import Contents, NestedReader
from wheelmark.scan.facts import Act, Facts, Layer, Member, Oddity, PatternHit
from wheelmark.scan.imports import LocalImport, importers_first, local_imports
from wheelmark.scan.layout import Layout, is_at_site, lay_out, startup_calls, startup_code
from wheelmark.scan.loader import STRENGTH, Loader
from wheelmark.scan.nested import INSIDE
from wheelmark.scan.oddities import find_oddities
from wheelmark.scan.patterns import Patterns, PatternTimeout
from wheelmark.scan.quiet import is_quiet, parses
from wheelmark.scan.reader import ModuleReader
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import Harvest, Meter, Program, StepsExceeded
from wheelmark.scan.script_reader import read_compiled, read_script
from wheelmark.scan.scripts import language_of
from wheelmark.scan.source import parse_source
from wheelmark.scan.source_encoding import decode_source

# What nothing reaches is not read: tests and examples are half of many sdists, and no rule may speak of them.
_ORDER = (Context.INSTALL, Context.STARTUP, Context.IMPORT, Context.ENTRY, Context.ON_CALL)
_NO_ROOTS: frozenset[tuple[str, Context]] = frozenset()
_SCRIPT_NAME = re.compile(r"([\w-]{2,64}\.pyw?)\b")
MAX_SCRIPTS = 5  # that one command line starts
# Up to this size the modules of a distribution are read as one program, with values and calls followed from one to the
# other; their trees stay in memory for that. It is far beyond the size of what is written to do harm.
MAX_LINKED_BYTES = 768 * 1024
MAX_IMPORT_PARTS = 64  # of a dotted name; a path has no more either
STEPS_OF_LINE = 200  # that each line of a start-up file costs at least: there may be many
MAX_ROUNDS = 3  # times that a module is read again because another one was found to call into it


@dataclass(slots=True)
class _Gathering:
    """The state while the facts of one distribution are gathered."""

    contents: Contents
    layout: Layout
    meter: Meter
    contexts: dict[str, Context]
    program: Program | None  # None: too large to be read as one program
    loader: Loader
    imports: dict[str, list[LocalImport]] = field(default_factory=dict)
    roots: dict[str, dict[str, Context]] = field(default_factory=dict)
    harvests: dict[str, Harvest] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    oddities: dict[str, list[Oddity]] = field(default_factory=dict)
    configured: list[Oddity] = field(default_factory=list)  # what files say that are no code
    read_as: dict[str, tuple[Context, frozenset[tuple[str, Context]]]] = field(default_factory=dict)

    def note(self, kind: str, path: str, line: int, text: str, context: Context) -> None:
        """Keep something odd that a file says which is no code."""
        self.configured.append(Oddity(kind=kind, member=path, line=line, context=context, text=text))

    def roots_of(self, path: str) -> frozenset[tuple[str, Context]]:
        """The functions of a module that something outside calls, as a value to compare."""
        roots = self.roots.get(path)
        return _NO_ROOTS if roots is None else frozenset(roots.items())


def gather(contents: Contents, *, filename: str, bounds: ScanBounds, patterns: Patterns) -> Facts:
    """The facts of a distribution whose contents were read. Everything not looked at is one of `gaps`."""
    layout = lay_out(filename, contents.sizes, contents.sides, contents.sources)
    loader = Loader(contents, layout, dict(layout.contexts), NestedReader(contents, bounds))
    size = sum(len(raw) for path, raw in contents.sources.items() if loader.contexts[path] is not Context.UNREACHED)
    program = Program() if size <= MAX_LINKED_BYTES else None
    state = _Gathering(contents, layout, Meter.for_scan(bounds), loader.contexts, program, loader)
    _take_configuration(state)
    try:
        for number in range(MAX_ROUNDS + bounds.max_nesting):
            _read_startup_files(state)
            _read_modules(state)
            _read_scripts(state)
            called = number + 1 < MAX_ROUNDS and _follow_across_modules(state)
            loaded = [state.loader.follow(harvest) for harvest in list(state.harvests.values())]
            if not called and not any(loaded):
                break
    except StepsExceeded:
        contents.gap(f"expected at most {bounds.max_steps} steps of evaluation, got more")
    if state.meter.budget.exceeded:
        contents.gap("expected decoded text within bounds, got more or deeper layers")
    calls = tuple(call for harvest in state.harvests.values() for call in harvest.strongest_calls())
    layers = tuple(layer for harvest in state.harvests.values() for layer in harvest.layers.values())
    hits = _pattern_hits(state, layers, patterns)
    for path, size in contents.sizes.items():
        if path not in state.members:
            kind = "native" if path in contents.natives else "other"
            state.members[path] = Member(path=path, size=size, context=Context.UNREACHED, kind=kind)
    return Facts(
        filename=filename,
        is_wheel=layout.is_wheel,
        is_pure=layout.is_pure,
        members=tuple(state.members[path] for path in sorted(state.members)),
        calls=calls,
        layers=layers,
        hits=tuple(hits),
        oddities=(*state.configured, *(oddity for found in state.oddities.values() for oddity in found)),
        executables=contents.executables,
        gaps=tuple(contents.gaps),
    )


def _take_configuration(state: _Gathering) -> None:
    """What the files of a distribution say that others call, install and require."""
    layout = state.layout
    for module, functions in layout.entry_points.items():
        path = layout.modules.get(module)
        if path is not None:
            state.roots.setdefault(path, {}).update(dict.fromkeys(functions, Context.ENTRY))
    for path, functions_called in layout.build.calls.items():
        state.roots.setdefault(path, {}).update(dict.fromkeys(sorted(functions_called), Context.INSTALL))
    for path, line, text in layout.build.foreign:
        state.configured.append(
            Oddity(kind="build-requirement", member=path, line=line, context=Context.INSTALL, text=text)
        )
    for name in sorted(layout.build.archives):
        state.loader.reach_named(name, Context.INSTALL)
    for path, line, command in layout.commands:
        state.configured.append(
            Oddity(kind="command-name", member=path, line=line, context=Context.ENTRY, text=command)
        )


def _read_startup_files(state: _Gathering) -> None:
    for path in state.loader.startup_files:
        if path in state.members:
            continue
        raw, lower = state.contents.sides.get(path, b""), path.lower()
        if lower.endswith(".pth"):
            state.members[path] = Member(path=path, size=len(raw), context=Context.STARTUP, kind="pth")
            harvest = state.harvests.setdefault(path, Harvest(path))
            for number, line in startup_code(path, raw):
                _read_line(state, path, number, line, harvest)
            state.oddities[path] = list(find_oddities(path, raw.decode("utf-8", "replace"), Context.STARTUP))
        elif not state.layout.is_wheel or is_at_site(path.rpartition(INSIDE)[2]):
            state.members[path] = Member(path=path, size=len(raw), context=Context.STARTUP, kind="start")
            for module, function in startup_calls(raw):
                source = state.layout.modules.get(module)
                if source is not None:
                    _promote(state, source, Context.STARTUP)
                    state.roots.setdefault(source, {})[function] = Context.STARTUP


def _read_scripts(state: _Gathering) -> None:
    for path, context in list(state.loader.scripts.items()):
        known = state.members.get(path)
        raw = state.contents.sides[path]
        language = language_of(path, raw)
        if language is None or (known is not None and known.context is context):
            continue
        state.members[path] = Member(path=path, size=len(raw), context=context, kind="script")
        reader = _reader(state, path, "", is_package=False)
        state.harvests[path] = reader.harvest
        read_script(reader, language, raw, context)
        _follow_scripts(state, reader.harvest)
    for path in state.loader.compiled:
        if path not in state.members:
            raw = state.contents.sides[path]
            state.members[path] = Member(path=path, size=len(raw), context=Context.IMPORT, kind="compiled")
            reader = _reader(state, path, "", is_package=False)
            state.harvests[path] = reader.harvest
            read_compiled(reader, raw, Context.IMPORT)


def _read_line(state: _Gathering, path: str, number: int, line: str, harvest: Harvest) -> None:
    parsed = parse_source(line.encode("utf-8", "replace"))
    if parsed.tree is None:
        return
    for statement in parsed.tree.body:
        ast.increment_lineno(statement, number - 1)
    reader = _reader(state, path, "", is_package=False)
    reader.steps(STEPS_OF_LINE)
    reader.harvest = harvest
    reader.read(parsed.tree, "\n" * (number - 1) + parsed.text, Context.STARTUP, {})
    _follow_imports(state, harvest)


def _read_modules(state: _Gathering) -> None:
    """Read what has not been read, or not under the context it turned out to have: the strongest contexts first."""
    for context in _ORDER:
        # Reading one module can promote others to this context, so look again until none is left.
        while True:
            waiting = [path for path in state.contents.sources if _due(state, path, context)]
            if not waiting:
                break
            if state.program is None and len(waiting) > 1:
                waiting = importers_first(waiting, partial(_imports_of, state))
            for path in waiting:
                if _due(state, path, context):
                    _read_in_order(state, path)
            if state.program is not None:
                for harvest in list(state.harvests.values()):
                    _follow_imports(state, harvest)  # a call from elsewhere may have imported more


def _read_in_order(state: _Gathering, path: str) -> None:
    """Read a module after the modules that it imports, as the interpreter would, so that their names are known."""
    if state.program is None:
        _read_module(state, path)
        return
    waiting, opened = [path], {path}
    while waiting:
        current = waiting[-1]
        context = state.contexts[current]
        following = [each for each in _imports_of(state, current) if each.path not in opened]
        for each in following:
            opened.add(each.path)
            if each.at_margin:
                _promote(state, each.path, context if context.automatic else Context.ON_CALL)
        fresh = [each.path for each in following if _due(state, each.path, state.contexts[each.path])]
        if fresh:
            waiting.extend(reversed(fresh))
            continue
        waiting.pop()
        if _due(state, current, state.contexts[current]):
            _read_module(state, current)


def _imports_of(state: _Gathering, path: str) -> list[LocalImport]:
    found = state.imports.get(path)
    if found is None:
        module = state.loader.module_of(path)
        package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
        found = state.imports[path] = local_imports(state.contents.sources[path], package, state.layout.modules)
    return found


def _due(state: _Gathering, path: str, context: Context) -> bool:
    if state.contexts[path] is not context:
        return False
    return state.read_as.get(path) != (context, state.roots_of(path))


def _read_module(state: _Gathering, path: str) -> None:
    context = state.contexts[path]
    roots = state.roots.get(path, {})
    state.read_as[path] = (context, state.roots_of(path))
    raw = state.contents.sources[path]
    quiet = state.program is None and is_quiet(raw)
    if quiet and not _imports_of(state, path) and parses(raw):
        _note_module(state, path, decode_source(raw), parsed=True)
        state.harvests[path] = Harvest(path)
        return
    parsed = parse_source(raw)
    _note_module(state, path, parsed.text, parsed=parsed.tree is not None and parsed.whole)
    module = state.loader.module_of(path)
    reader = _reader(state, path, module, is_package=path.endswith("__init__.py"))
    known = state.harvests.get(path)
    if known is not None and state.program is not None:
        reader.harvest = known  # others may have called into it
    state.harvests[path] = reader.harvest
    if parsed.tree is None:
        return
    if state.program is not None:
        for name in (module, *state.loader.other_names.get(path, ())):
            state.program.exports[name] = reader.names
    try:
        reader.read(parsed.tree, parsed.text, context, roots, at_once_only=quiet)
    except RecursionError:
        state.contents.gap(f"{path}: expected code that is nested less deeply")
    _follow_imports(state, reader.harvest)
    _follow_scripts(state, reader.harvest)
    for each in _imports_of(state, path) if quiet else ():  # what its functions would import
        _promote(state, each.path, Context.ON_CALL)
    if state.program is None:
        reader.forget()
        # What it calls is known before the module that has it is read, and need not be read again for that.
        _follow_calls(state, reader.harvest, unread_only=True)


def _note_module(state: _Gathering, path: str, text: str, *, parsed: bool) -> None:
    """Keep what is known of a module before it is evaluated."""
    context, size = state.contexts[path], len(state.contents.sources[path])
    state.members[path] = Member(path=path, size=size, context=context, kind="python", parsed=parsed)
    state.oddities[path] = list(find_oddities(path, text, context))
    if path in state.contents.encodings:
        encoding = state.contents.encodings[path]
        state.oddities[path].append(Oddity(kind="odd-encoding", member=path, line=1, context=context, text=encoding))


def _reader(state: _Gathering, path: str, module: str, *, is_package: bool) -> ModuleReader:
    return ModuleReader(
        path,
        module,
        is_package=is_package,
        meter=state.meter,
        read_member=partial(state.loader.read_member, near=path),
        program=state.program,
    )


def _promote(state: _Gathering, path: str, context: Context) -> bool:
    return state.loader.promote(path, context)


def _follow_imports(state: _Gathering, harvest: Harvest) -> None:
    """What runs takes with it every module that it imports, under the context it runs in."""
    for name, when in harvest.imports.items():
        reached = when if when.automatic else Context.ON_CALL
        parts = name.split(".")
        for length in range(1, min(len(parts), MAX_IMPORT_PARTS) + 1):
            path = state.layout.modules.get(".".join(parts[:length]))
            if path is not None and path != harvest.member:
                _promote(state, path, reached)


def _follow_scripts(state: _Gathering, harvest: Harvest) -> None:
    """A script of the distribution that is started as a process runs when its starter does."""
    for call in harvest.calls.values():
        if call.act is not Act.START_PROCESS or not call.context.automatic:
            continue
        for name in _SCRIPT_NAME.findall(call.text)[:MAX_SCRIPTS]:
            for path in state.contexts:
                if path != harvest.member and f"/{path}".endswith(f"/{name}") and not name.endswith("setup.py"):
                    _promote(state, path, call.context)


def _follow_across_modules(state: _Gathering) -> bool:
    """Functions of one module that another calls at once become roots of theirs. True when there is something new."""
    found = [_follow_calls(state, harvest, unread_only=False) for harvest in list(state.harvests.values())]
    return any(found)


def _follow_calls(state: _Gathering, harvest: Harvest, *, unread_only: bool) -> bool:
    news = False
    for name, context in harvest.local_calls.items():
        module, _, function = name.rpartition(".")
        path = state.layout.modules.get(module)
        if path is None:
            module, _, owner = module.rpartition(".")
            path, function = state.layout.modules.get(module), f"{owner}.{function}"
        if path is None or path == harvest.member or (unread_only and path in state.read_as):
            continue
        known = state.roots.setdefault(path, {})
        if function not in known or STRENGTH[context] > STRENGTH[known[function]]:
            known[function] = context
            news = True
    return news


def _pattern_hits(state: _Gathering, layers: tuple[Layer, ...], patterns: Patterns) -> list[PatternHit]:
    hits: list[PatternHit] = []
    try:
        for path, raw in state.contents.sources.items():
            if state.contexts[path] is Context.UNREACHED:
                continue
            hits.extend(patterns.hits(path, raw, state.contexts[path]))
        for path, context in state.loader.scripts.items():
            hits.extend(patterns.hits(path, state.contents.sides[path], context))
        for layer in layers:
            hits.extend(
                patterns.hits(
                    layer.member,
                    layer.text.encode("utf-8", "replace"),
                    layer.context,
                    layer=layer.depth,
                    line=layer.line,
                )
            )
    except PatternTimeout as error:
        state.contents.gap(f"{error}: expected the byte patterns to finish in time")
    return hits
