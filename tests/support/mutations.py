"""Mutations of imitations: the same behaviour in another dress, or in another place (protocol of the issue, part 5)."""

from __future__ import annotations

import ast
import base64
import textwrap
import zlib
from collections.abc import Callable, Iterator
from functools import partial

from support.imitations import Imitation
from wheelmark.scan import Sample

Files = dict[str, str]
Mutation = Callable[[Imitation], Sample]

BENIGN_FILES = 200
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty", "knoll", "larch")
_SETUP = "from setuptools import setup\n\nsetup(name='widget', version='1', packages=['widget'])\n"
_BENIGN = '''"""Part {number} of the tables."""

import math

SCALE = {number}


def area(radius: float) -> float:
    """The area of a circle, scaled."""
    return math.pi * radius**2 * SCALE


class Table:
    """Rows by name."""

    def __init__(self) -> None:
        self.rows: dict[str, float] = {{}}

    def add(self, name: str, radius: float) -> None:
        self.rows[name] = area(radius)
'''


def plain(imitation: Imitation) -> Sample:
    """At home: in `setup.py`, or in the body of the package."""
    return _placed(imitation, imitation.source)


def _placed(imitation: Imitation, source: str) -> Sample:
    if imitation.install:
        return Sample.sdist({"setup.py": f"{source}\n{_SETUP}", "widget/__init__.py": "VERSION = 1\n"})
    return Sample.wheel({"widget/__init__.py": source})


def _rewritten(rewrite: Callable[[str], str], imitation: Imitation) -> Sample:
    return _placed(imitation, rewrite(imitation.source))


# Another dress


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self.names.get(node.name, node.name)
        self.generic_visit(node)
        return node


def renamed(source: str) -> str:
    """All variables and functions under other names."""
    tree = ast.parse(source)
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    names = {name: f"{_WORDS[number % len(_WORDS)]}_{number}" for number, name in enumerate(sorted(bound))}
    return ast.unparse(ast.fix_missing_locations(_Renamed(names).visit(tree)))


class _Aliased(ast.NodeTransformer):
    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def _alias(self, alias: ast.alias) -> ast.alias:
        known = alias.asname or alias.name
        self.names[known] = f"_{_WORDS[len(self.names) % len(_WORDS)]}"
        return ast.alias(alias.name, self.names[known])

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        if any("." in alias.name for alias in node.names):
            # `import urllib.request as x` names the submodule, and the code says `urllib.request`.
            (alias,) = node.names
            package, _, module = alias.name.rpartition(".")
            self.names[alias.name] = f"_{_WORDS[len(self.names) % len(_WORDS)]}"
            return ast.ImportFrom(package, [ast.alias(module, self.names[alias.name])], 0)
        return ast.Import([self._alias(alias) for alias in node.names])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        return ast.ImportFrom(node.module, [self._alias(alias) for alias in node.names], node.level)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        known = self.names.get(ast.unparse(node))
        if known is not None:
            return ast.Name(known, node.ctx)
        self.generic_visit(node)
        return node


def aliased(source: str) -> str:
    """Every import under another name."""
    tree = _Aliased().visit(ast.parse(source))
    return ast.unparse(ast.fix_missing_locations(tree))


def quote_baited(source: str) -> str:
    """Comments and texts with stray quotes, which make scanners of text take code for text."""
    lines = []
    for number, line in enumerate(source.splitlines()):
        if line and not line[0].isspace() and not line.startswith((")", "]", "}")):
            lines += ['# it\'s a """ note' if number % 2 else "# '''", "NOTE = \"'''\"" if number == 0 else ""]
        lines.append(line)
    return "\n".join(lines)


class _Split(ast.NodeTransformer):
    """Every text in pieces that are put together when the code runs."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, (str, bytes)) or len(node.value) < 4:
            return node
        third = max(1, len(node.value) // 3)
        pieces = (node.value[:third], node.value[third : 2 * third], node.value[2 * third :])
        first, second, last = (ast.Constant(piece) for piece in pieces)
        return ast.BinOp(ast.BinOp(first, ast.Add(), second), ast.Add(), last)


def split(source: str) -> str:
    """Every text as a sum of three."""
    return ast.unparse(ast.fix_missing_locations(_Split().visit(ast.parse(source))))


class _ByName(ast.NodeTransformer):
    """Attributes of modules and dangerous built-ins, reached by a computed name."""

    def __init__(self, modules: set[str]) -> None:
        self.modules = modules

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in {"exec", "eval", "compile", "open"}:
            node.func = _getattr(ast.parse("__import__('builtins')", mode="eval").body, node.func.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        text = ast.unparse(node.value)
        self.generic_visit(node)
        if text in self.modules and f"{text}.{node.attr}" not in self.modules:
            return _getattr(node.value, node.attr)
        return node


def _getattr(owner: ast.expr, name: str) -> ast.expr:
    middle = max(1, len(name) // 2)
    parts = ast.BinOp(ast.Constant(name[:middle]), ast.Add(), ast.Constant(name[middle:]))
    return ast.Call(ast.Name("getattr", ast.Load()), [owner, parts], [])


def by_name(source: str) -> str:
    """`getattr(os, "sys" + "tem")` for every use of a module, and the like for built-ins that run code."""
    tree = ast.parse(source)
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return ast.unparse(ast.fix_missing_locations(_ByName(modules).visit(tree)))


def encoded(source: str) -> str:
    """One more layer: the whole as base64 that is decoded and executed."""
    return f"import base64\n\nexec(base64.b64decode({base64.b64encode(source.encode()).decode()!r}))\n"


def packed(source: str) -> str:
    """One more layer, of the kind that packers make: compressed, in another alphabet, reversed, compiled."""
    blob = base64.b85encode(zlib.compress(source.encode())).decode()[::-1]
    return (
        "import base64, zlib\n\n"
        "unpack = lambda text: zlib.decompress(base64.b85decode(text[::-1].encode())).decode()\n"
        f"eval(compile(unpack({blob!r}), '<widget>', 'exec'))\n"
    )


class _ByAttrgetter(_ByName):
    """As `_ByName`, through `operator.attrgetter` and `importlib`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        reached = super().visit_Attribute(node)
        if isinstance(reached, ast.Call):
            getter = ast.parse("__import__('importlib').import_module('operator').attrgetter", mode="eval").body
            return ast.Call(ast.Call(getter, [reached.args[1]], []), [reached.args[0]], [])
        return reached


def by_attrgetter(source: str) -> str:
    """`operator.attrgetter("sys" + "tem")(os)` for every use of a module."""
    tree = ast.parse(source)
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return ast.unparse(ast.fix_missing_locations(_ByAttrgetter(modules).visit(tree)))


def in_thread(source: str) -> str:
    """In a method that a thread runs, started by making an object."""
    body = textwrap.indent(source, " " * 8)
    return (
        "import threading\n\n\nclass Worker(threading.Thread):\n    def __init__(self):\n"
        "        super().__init__(daemon=True)\n        self.start()\n\n    def run(self):\n"
        f"{body}\n\nWorker()\n"
    )


def everything_at_once(source: str) -> str:
    """Renamed, aliased, split and by name; texts and names are computed, and nothing is called what it is."""
    return quote_baited(split(by_name(aliased(renamed(source)))))


# Another place


def in_submodule(imitation: Imitation) -> Sample:
    """In a function of a module two folders down, which the body or `setup.py` imports and calls."""
    body = f"def begin():\n{textwrap.indent(imitation.source, '    ')}"
    files = {"widget/inner/__init__.py": "", "widget/inner/engine.py": body}
    call = "from widget.inner.engine import begin\n\nbegin()\n"
    if imitation.install:
        return Sample.sdist({**files, "widget/__init__.py": "VERSION = 1\n", "setup.py": call + _SETUP})
    return Sample.wheel({**files, "widget/__init__.py": call})


class _Outside(ast.NodeTransformer):
    def __init__(self) -> None:
        self.texts: list[str | bytes] = []

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, (str, bytes)) or len(node.value) < 4:
            return node
        self.texts.append(node.value)
        return ast.Attribute(ast.Name("settings", ast.Load()), f"TEXT_{len(self.texts)}", ast.Load())


def with_texts_elsewhere(imitation: Imitation) -> Sample:
    """At home, with all its texts in another module."""
    outside = _Outside()
    code = ast.unparse(ast.fix_missing_locations(outside.visit(ast.parse(imitation.source))))
    texts = "".join(f"TEXT_{number} = {text!r}\n" for number, text in enumerate(outside.texts, 1))
    home = _placed(imitation, f"from widget import settings\n{code}")
    return Sample({**home.files, "widget/settings.py": texts or "VERSION = 1\n"}, is_wheel=home.is_wheel)


def in_data_file(imitation: Imitation) -> Sample:
    """In a file that is no Python by its name, read and executed."""
    if imitation.install:
        call = "exec(open('widget/table.dat').read())\n"
        return Sample.sdist(
            {"widget/table.dat": imitation.source, "widget/__init__.py": "VERSION = 1\n", "setup.py": call + _SETUP}
        )
    call = (
        "import os\n\nwith open(os.path.join(os.path.dirname(__file__), 'table.dat')) as file:\n    exec(file.read())\n"
    )
    return Sample.wheel({"widget/table.dat": imitation.source, "widget/__init__.py": call})


def in_startup_file(imitation: Imitation) -> Sample:
    """In one line of a `.pth` file, which every start of the interpreter executes."""
    line = f"import sys; exec({imitation.source!r})\n"
    return Sample.wheel({"widget.pth": line, "widget/__init__.py": "VERSION = 1\n"})


def in_build_hook(imitation: Imitation) -> Sample:
    """In an in-tree build backend (PEP 517)."""
    hook = (
        "from setuptools import build_meta\n\n\n"
        "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
        f"{textwrap.indent(imitation.source, '    ')}\n"
        "    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)\n"
    )
    project = (
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "own_backend"\nbackend-path = ["build_tools"]\n'
        '\n[project]\nname = "widget"\nversion = "1"\n'
    )
    return Sample.sdist(
        {"pyproject.toml": project, "build_tools/own_backend.py": hook, "widget/__init__.py": "VERSION = 1\n"}
    )


def among_benign_files(imitation: Imitation) -> Sample:
    """At home, beside two hundred harmless modules."""
    sample = plain(imitation)
    crowd = {f"widget/part_{number}.py": _BENIGN.format(number=number) for number in range(BENIGN_FILES)}
    return Sample({**crowd, **sample.files}, is_wheel=sample.is_wheel)


MUTATIONS: dict[str, Mutation] = {
    "none": plain,
    "renamed identifiers": partial(_rewritten, renamed),
    "aliased imports": partial(_rewritten, aliased),
    "quote bait": partial(_rewritten, quote_baited),
    "split strings": partial(_rewritten, split),
    "getattr": partial(_rewritten, by_name),
    "operator.attrgetter": partial(_rewritten, by_attrgetter),
    "in a thread": partial(_rewritten, in_thread),
    "one more layer: base64": partial(_rewritten, encoded),
    "one more layer: packer": partial(_rewritten, packed),
    "all of these at once": partial(_rewritten, everything_at_once),
    "moved to a submodule": in_submodule,
    "texts moved to another module": with_texts_elsewhere,
    "moved to a data file": in_data_file,
    "moved to .pth": in_startup_file,
    "moved to a build hook": in_build_hook,
    "200 benign files added": among_benign_files,
}


def sources_of(sample: Sample) -> Iterator[tuple[str, str]]:
    """The Python files of a sample, to see that they are Python."""
    for path, content in sample.files.items():
        if path.endswith(".py") and isinstance(content, str):
            yield path, content
