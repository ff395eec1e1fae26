"""What a module imports from its own distribution, read off its text: enough to say in which order modules are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

MAX_IMPORTS = 2000  # of one module
_IMPORT = re.compile(
    rb"^([ \t]*)(?:from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+\(?([^\n#;()]*)|import[ \t]+([^\n#;()]+))", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class LocalImport:
    """One import of a module of the same distribution."""

    path: str
    at_margin: bool  # it stands at the left margin, so that it happens when the importing module is imported


def local_imports(source: bytes, package: str, modules: Mapping[str, str]) -> list[LocalImport]:
    """The imports of a module of `package` that name one of `modules` (dotted name -> path), in order, each once."""
    found: dict[str, bool] = {}
    for number, match in enumerate(_IMPORT.finditer(source)):
        if number >= MAX_IMPORTS:
            break
        at_margin = not match[1]
        for name in _names(match, package):
            for prefix in _prefixes(name):
                path = modules.get(prefix)
                if path is not None:
                    found[path] = found.get(path, False) or at_margin
    return [LocalImport(path, at_margin) for path, at_margin in found.items()]


def importers_first(paths: Iterable[str], imports_of: Callable[[str], Iterable[LocalImport]]) -> list[str]:
    """The paths in an order in which a module stands before those that it imports, as far as there is one.

    Where modules import one another in a circle, the one that is reached first comes first.
    """
    wanted = list(dict.fromkeys(paths))
    among, opened, done = set(wanted), set[str](), dict[str, None]()
    for path in wanted:
        waiting = [path]
        while waiting:
            current, fresh = waiting[-1], list[str]()
            if current not in opened:
                opened.add(current)
                fresh = [each.path for each in imports_of(current) if each.path in among and each.path not in opened]
            waiting.extend(fresh)
            if not fresh:
                done.setdefault(waiting.pop())
    return list(reversed(done))


def _names(match: re.Match[bytes], package: str) -> Iterator[str]:
    if match[5] is not None:
        for part in match[5].split(b","):
            words = part.split()
            if words:
                yield words[0].decode("utf-8", "replace")
        return
    module = _absolute(len(match[2]), match[3].decode("utf-8", "replace"), package)
    yield module
    for part in match[4].split(b","):
        words = part.split()
        if words:
            yield f"{module}.{words[0].decode('utf-8', 'replace')}".strip(".")


def _absolute(level: int, module: str, package: str) -> str:
    if not level:
        return module
    for _ in range(level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{module}".strip(".")


def _prefixes(name: str) -> Iterator[str]:
    """`a`, `a.b`, `a.b.c`: importing a module imports the packages around it."""
    position = name.find(".")
    while position >= 0:
        yield name[:position]
        position = name.find(".", position + 1)
    yield name
