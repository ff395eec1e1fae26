"""What a build of an sdist imports and calls, read off its configuration: backends, hooks, commands, attributes.

Sources: PEP 517, PEP 518, and the documentation of setuptools, hatchling, PDM, Poetry, Flit and scikit-build-core.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_TABLES = 2000
MAX_BYTES = 256 * 1024
MAX_FOLDERS = 8  # of a backend
MAX_PARTS = 64  # of a dotted name
_PATH_KEYS = frozenset({"custom", "build", "path", "script", "custom-hook"})
_IMPORTED_KEYS = frozenset({"attr", "getter", "provider"})
_SETUP_GROUPS = ("distutils.", "setuptools.", "egg_info.")
_OBJECT = re.compile(r"^\s*([A-Za-z_][\w.]*)\s*(?::\s*([\w.]+))?")
_COMMAND = re.compile(r"^\s*[\w-]+\s*=\s*([A-Za-z_][\w.]*)", re.MULTILINE)
_ENTRY = re.compile(r"^\s*[^=#\[\s][^=]*=\s*([\w.]+)\s*(?::\s*([\w.]+))?")
_ELSEWHERE = re.compile(r"(?i)(@\s*|^\s*)((git|hg|svn|bzr)\+|https?:|ftp:|file:|\.{0,2}/)")
_LITERAL = r"(?:\s*:[^=\n]+)?\s*=\s*(['\"\d(\[]|None\b|True\b|False\b)"


@dataclass(slots=True)
class BuildCode:
    """The code that a build runs. Paths are those of the archive."""

    imported: set[str] = field(default_factory=set)  # paths, also of files that do not exist
    calls: dict[str, set[str]] = field(default_factory=dict)  # path -> functions that the build calls
    aliases: dict[str, str] = field(default_factory=dict)  # module name that a build may use -> path
    backend: str = ""
    foreign: list[tuple[str, int, str]] = field(default_factory=list)  # file, line and text of a requirement
    archives: set[str] = field(default_factory=set)  # files of the sdist that the build installs


def build_code(
    root: str, modules: Mapping[str, str], texts: Mapping[str, bytes], sources: Mapping[str, bytes]
) -> BuildCode:
    """What a build runs of an sdist whose files lie in the folder `root`. Never raises for what the files hold."""
    found = _Reader(root, modules, sources)
    found.read_pyproject(f"{root}pyproject.toml", texts.get(f"{root}pyproject.toml", b""))
    found.read_setup_cfg(texts.get(f"{root}setup.cfg", b""))
    for path, raw in texts.items():
        folder, _, name = path.rpartition("/")
        if name == "entry_points.txt" and folder.endswith(".egg-info"):
            found.read_entry_points(raw)
    return found.code


class _Reader:
    def __init__(self, root: str, modules: Mapping[str, str], sources: Mapping[str, bytes]) -> None:
        self.code = BuildCode()
        self._root = root
        self._modules = modules
        self._sources = sources

    def read_pyproject(self, path: str, raw: bytes) -> None:
        """Everything in `pyproject.toml` that names code."""
        try:
            document = tomllib.loads(raw[:MAX_BYTES].decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError):
            return
        system = document.get("build-system")
        if isinstance(system, dict):
            self._read_backend(system)
            self._read_requirements(path, raw, system.get("requires"))
        self._read_tools(document.get("tool"))

    def _read_backend(self, system: Mapping[str, object]) -> None:
        folders, backend = system.get("backend-path"), system.get("build-backend")
        if not isinstance(backend, str):
            return
        self.code.backend = backend
        if not isinstance(folders, list):
            return
        module = backend.partition(":")[0].strip()
        for folder in folders[:MAX_FOLDERS]:
            inner = str(folder).strip("./")
            prefix = f"{self._root}{inner}/" if inner else self._root
            for name, path in self._modules.items():
                if path.startswith(prefix) and inner:
                    self.code.aliases.setdefault(name.removeprefix(inner.replace("/", ".") + "."), path)
            parts = module.split(".")[:MAX_PARTS]
            for length in range(1, len(parts) + 1):
                self._import_file(prefix + "/".join(parts[:length]))

    def _read_requirements(self, path: str, raw: bytes, requires: object) -> None:
        for requirement in requires[:MAX_TABLES] if isinstance(requires, list) else ():
            if isinstance(requirement, str) and _ELSEWHERE.search(requirement):
                place = raw.find(requirement[:40].encode("utf-8", "replace"))
                self.code.foreign.append((path, raw.count(b"\n", 0, max(place, 0)) + 1, requirement))
                self.code.archives.add(requirement.rpartition("/")[2])

    def _read_tools(self, tool: object) -> None:
        waiting: list[tuple[str, object]] = [("tool", tool)]
        for _ in range(MAX_TABLES):
            if not waiting:
                return
            name, table = waiting.pop()
            if not isinstance(table, dict):
                continue
            for key, value in table.items():
                if isinstance(value, dict):
                    waiting.append((key, value))
                if name == "cmdclass" and isinstance(value, str):
                    self._import_object(value)
                elif key in _PATH_KEYS and isinstance(value, str) and value.endswith(".py"):
                    self.code.imported.add(f"{self._root}{value.removeprefix('./')}")
                elif key == "custom" and isinstance(value, dict) and isinstance(value.get("path"), str):
                    self.code.imported.add(f"{self._root}{value['path']}")
                elif key in _IMPORTED_KEYS and isinstance(value, str):
                    self._read_attribute(value)
                elif key == "provider-path" and isinstance(value, str) and isinstance(table.get("provider"), str):
                    self._import_file(f"{self._root}{value.strip('./')}/{table['provider'].replace('.', '/')}")

    def read_setup_cfg(self, raw: bytes) -> None:
        """Commands, attributes and packages of commands in `setup.cfg`."""
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(raw[:MAX_BYTES].decode("utf-8", "replace"))
        except configparser.Error:
            return
        for section in parser.sections():
            for key, value in parser.items(section):
                text = value or ""
                if text.lstrip().startswith("attr:"):
                    self._read_attribute(text.partition(":")[2].strip())
                elif section == "options" and key == "cmdclass":
                    for match in _COMMAND.finditer(text):
                        self._import_object(match[1])
                elif section in {"global", "options"} and key.replace("-", "_") == "command_packages":
                    for package in re.split(r"[,\s]+", text):
                        self._import_package(package)

    def read_entry_points(self, raw: bytes) -> None:
        """Entry points by which setuptools finds plug-ins: it also looks in the folder that it builds in."""
        group = ""
        for line in raw[:MAX_BYTES].decode("utf-8", "replace").splitlines():
            if line.startswith("["):
                group = line.strip("[] \t")
            elif group.startswith(_SETUP_GROUPS) and (match := _ENTRY.match(line)) is not None:
                self._import_object(f"{match[1]}:{match[2]}" if match[2] else match[1])

    def _read_attribute(self, text: str) -> None:
        """`package.module.NAME`: the module is imported, unless a literal stands there that can be read instead."""
        match = _OBJECT.match(text)
        if match is None:
            return
        module, _, name = match[1].rpartition(".") if match[2] is None else (match[1], "", match[2])
        path = self._modules.get(module or name)
        if path is None:
            return
        text_of = self._sources.get(path, b"").decode("utf-8", "replace")
        if re.search(rf"^{re.escape(name)}{_LITERAL}", text_of, re.MULTILINE) is None:
            self._import_object(f"{module}:{name}")

    def _import_object(self, text: str) -> None:
        match = _OBJECT.match(text)
        if match is None:
            return
        module, function = match[1], match[2] or ""
        if not function:
            module, _, function = module.rpartition(".")
        for name, inner in _splits(f"{module}.{function}"):
            path = self._modules.get(name)
            if path is not None:
                self.code.imported.add(path)
                if inner:
                    self.code.calls.setdefault(path, set()).add(inner)
                return

    def _import_package(self, package: str) -> None:
        for name, path in self._modules.items():
            if package and (name == package or name.startswith(f"{package}.")):
                self.code.imported.add(path)

    def _import_file(self, stem: str) -> None:
        self.code.imported.update({f"{stem}.py", f"{stem}/__init__.py"})


def _splits(dotted: str) -> Iterator[tuple[str, str]]:
    """`a.b.c` as `a.b` and `c`, then `a` and `b.c`: the longest name of a module first."""
    parts = [part for part in dotted.split(".") if part][:MAX_PARTS]
    for length in range(len(parts), 0, -1):
        yield ".".join(parts[:length]), ".".join(parts[length:])
