"""Follows what code loads, starts and opens to the files of the distribution, also into the archives inside it.

A member that is no module is data until code of the distribution is seen to use it; then it runs when that code does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from wheelmark.scan.contents import NOTEBOOK_SUFFIX, STARTUP_SUFFIXES, Contents, NestedReader
from wheelmark.scan.layout import Layout, lay_out
from wheelmark.scan.loading import NamedFiles, loads_of
from wheelmark.scan.nested import INSIDE, decompressed
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import Harvest
from wheelmark.scan.scripts import language_of, runs_npm
from wheelmark.scan.source import parse_source

STRENGTH = {context: strength for strength, context in enumerate(reversed(Context))}
MAX_DECOMPRESSED = 1024 * 1024  # bytes of a compressed data file that code executes
# What lies in archives that nobody opens unasked, such as the wheels that a tool installs for its users, is read up to
# this size; beyond it, it is data.
MAX_ASKED_BYTES = 256 * 1024
_LOOKS_LIKE_CODE = re.compile(rb"^[ \t]*(import|from)[ \t]+\w|\b__import__\b|\b(exec|eval)[ \t]*\(", re.MULTILINE)
# The file of the build system that a backend has run, by the name that the backend begins with.
_BUILD_SYSTEMS = (("mesonpy", "meson.build"), ("scikit_build_core", "CMakeLists.txt"), ("skbuild", "CMakeLists.txt"))
_OF_SDISTS = ("setup.py", "pyproject.toml", "PKG-INFO")


@dataclass(slots=True)
class Loader:
    """What of a distribution is used, and when; `contexts` has that of every Python file that is known."""

    contents: Contents
    layout: Layout
    contexts: dict[str, Context]
    nested: NestedReader
    scripts: dict[str, Context] = field(default_factory=dict)  # in other languages -> when they run
    compiled: tuple[str, ...] = ()  # compiled modules that are imported without a source, or whatever it says
    startup_files: list[str] = field(default_factory=list)  # `.pth` and `.start` files, also of archives
    other_names: dict[str, list[str]] = field(default_factory=dict)  # module -> names that a build imports it by
    _modules: dict[str, str] = field(default_factory=dict)  # module in an archive -> the name it is imported by
    _files: NamedFiles = field(init=False)
    _followed: set[tuple[str, str, Context]] = field(default_factory=set)
    _reached: dict[str, Context] = field(default_factory=dict)  # archives and data files -> when they are used

    def __post_init__(self) -> None:
        self._files = NamedFiles({*self.contents.sides, *self.contents.archives}, self.layout.root)
        for path in [path for path in self.contents.sources if path not in self.contexts]:
            self.contexts[path] = self.layout.context_of_program(path)
            if path.endswith(NOTEBOOK_SUFFIX) and not self.layout.is_apart(path):
                self.contexts[path] = Context.ON_CALL  # somebody runs it, cell by cell
        for path in self.contents.sides:
            self._reach_script(path, self.layout.context_of_program(path))
        self.compiled = tuple(sorted(filter(self._runs_compiled, self.contents.sides)))
        for backend, file in _BUILD_SYSTEMS:
            if self.layout.build.backend.startswith(backend):
                self._reach_script(self.layout.root + file, Context.INSTALL)
        self.startup_files = [path for path in self.contents.sides if path.lower().endswith(STARTUP_SUFFIXES)]
        for name, path in self.layout.build.aliases.items():
            self.other_names.setdefault(path, []).append(name)

    def module_of(self, path: str) -> str:
        """The dotted name that a Python file is imported by."""
        return self._modules.get(path) or self.layout.module_of(path)

    def promote(self, path: str, context: Context) -> bool:
        """Give a module the context of what uses it, where that is the stronger one. True when it changed."""
        if STRENGTH[context] <= STRENGTH[self.contexts[path]]:
            return False
        self.contexts[path] = context
        return True

    def follow(self, harvest: Harvest) -> bool:
        """Follow what a member loads. True when a module was found or promoted by it."""
        news = False
        for text, context in list(loads_of(harvest)):
            if (harvest.member, text, context) in self._followed:
                continue
            self._followed.add((harvest.member, text, context))
            news |= self.reach_named(text, context, harvest.member)
        return news

    def reach_named(self, text: str, context: Context, near: str = "") -> bool:
        """Take note that the files are used that a command or a path names. True when there is something to read."""
        news = False
        if runs_npm(text):
            for path in self._files.named("package.json", near):
                if not self.layout.is_apart(path):
                    news |= self._reach_script(path, context)
        for path in self._files.named(text, near):
            news |= self.reach(path, context)
        return news

    def _runs_compiled(self, path: str) -> bool:
        """True for a compiled module that an import runs although no source says the same.

        Sources: documentation of `importlib` (sourceless files), PEP 552 (hash-based files that are not checked).
        """
        if not path.endswith(".pyc") or self.layout.is_apart(path):
            return False
        if "/__pycache__/" not in f"/{path}":
            return f"{path.removesuffix('c')}" not in self.contents.sources
        return int.from_bytes(self.contents.sides[path][4:8], "little") & 3 == 1

    def _reach_script(self, path: str, context: Context) -> bool:
        """Take note that a script in another language runs. True when it is one, and was not known to run so."""
        raw = self.contents.sides.get(path)
        known = self.scripts.get(path, Context.UNREACHED)
        if raw is None or STRENGTH[context] <= STRENGTH[known] or language_of(path, raw) is None:
            return False
        self.scripts[path] = context
        return True

    def reach(self, path: str, context: Context) -> bool:
        """Take note that a data file or an archive is used. True when a module was found or promoted by it."""
        if context is Context.UNREACHED:
            return False
        known = self._reached.get(path)
        if known is not None and STRENGTH[context] <= STRENGTH[known]:
            return False
        self._reached[path] = context
        news = False
        if path in self.contents.archives:
            news = self._open(path, context)
        raw = self.contents.sides.get(path)
        if raw is not None and language_of(path, raw) is not None:
            return self._reach_script(path, context) or news
        if raw is not None and _LOOKS_LIKE_CODE.search(raw) and self._is_program(path, raw):
            news |= self.promote(path, context)
        return news

    def read_member(self, wanted: str, near: str) -> bytes | None:
        """The bytes of the member that code means by a path, decompressed; None when there is none."""
        folder, root = near.rpartition("/")[0], self.layout.root
        name = wanted.replace("\\", "/").lstrip("./\N{HORIZONTAL ELLIPSIS}")
        outer, inside, _ = name.partition(INSIDE)
        if inside:
            for path in self._files.named(outer, near):
                if path in self.contents.archives:
                    self.nested.open(path, must=False)
        kept = (self.contents.sides, self.contents.sources, self.contents.archives)
        for candidate in (f"{folder}/{name}" if folder else name, f"{root}{name}", name):
            for files in kept:
                if files.get(candidate) is not None:
                    return decompressed(files[candidate], MAX_DECOMPRESSED)
        tail = "/" + name.rpartition("/")[2]
        if len(tail) <= 3:
            return None
        for files in (self.contents.sides, self.contents.archives):
            for other, raw in files.items():
                if f"/{other}".endswith(tail):
                    return decompressed(raw, MAX_DECOMPRESSED)
        return None

    def _is_program(self, path: str, raw: bytes) -> bool:
        """Make a module of a data file that is Python by its text, so that it is read like one."""
        if path in self.contents.sources:
            return True
        parsed = parse_source(raw)
        if parsed.tree is None or not parsed.whole:
            return False
        self.contents.keep_source(path, raw)
        self.contexts[path] = Context.UNREACHED
        return True

    def _open(self, path: str, context: Context) -> bool:
        """Read an archive that code opens: what an installer or an import runs of it, runs now."""
        if not context.automatic and len(self.contents.archives[path]) > MAX_ASKED_BYTES:
            return False
        inside = self.nested.open(path, must=context.automatic)
        prefix = path + INSIDE
        sides = {inner.removeprefix(prefix): self.contents.sides.get(inner, b"") for inner in inside}
        # Only an sdist wraps everything in one folder; elsewhere that folder is a package.
        is_source = any(inner.count("/") <= 1 and inner.endswith(_OF_SDISTS) for inner in sides)
        layout = lay_out("x.tar.gz" if is_source else "x.whl", sides, sides)
        news = False
        for inner in inside:
            news |= self._take(inner, inner.removeprefix(prefix), layout, context)
        for module, source in layout.modules.items():
            if prefix + source in self.contents.sources:
                self.layout.modules.setdefault(module, prefix + source)
        return news

    def _take(self, path: str, inner: str, layout: Layout, context: Context) -> bool:
        """Take in one member of an archive, which is `inner` there. True when there is something new to read."""
        self._files.add(path)
        news = False
        if context.automatic and path.lower().endswith(STARTUP_SUFFIXES) and path not in self.startup_files:
            self.startup_files.append(path)
            news = True
        if path in self.contents.sources:
            self._modules[path] = layout.module_of(inner)
            self.contexts.setdefault(path, Context.UNREACHED)
            own = context if inner == "__main__.py" else layout.contexts.get(inner, Context.UNREACHED)
            news |= self.promote(path, own if context.automatic else min(own, context, key=STRENGTH.__getitem__))
        return news
