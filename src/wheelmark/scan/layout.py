"""What each file of a distribution is to an installer and to the interpreter, and when its code runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wheelmark.scan.build_config import BuildCode, build_code
from wheelmark.scan.report import Context
from wheelmark.scan.values import words

PYTHON_SUFFIXES = (".py", ".pyw")
_APART_FOLDERS = words(
    "test tests testing testdata test_data docs doc example examples sample samples "
    "bench benchmarks demo demos fixtures tutorials"
)
_PROGRAM_FOLDERS = words("script scripts bin")
_APART_AT_ROOT = frozenset({"noxfile.py", "conftest.py", "fabfile.py", "tasks.py", "dodo.py", "runtests.py", "wscript"})
_APART_NAME = re.compile(r"(^|/)(test_[^/]*|[^/]*_tests?|conftest)\.py$")
_BUILD_FILES = frozenset({"setup.py", "hatch_build.py", "pdm_build.py", "build_hooks.py"})
_NAMING_FILES = frozenset({*_BUILD_FILES, "setup.cfg", "pyproject.toml"})  # where folders of source code are named
_STARTUP_MODULES = frozenset({"sitecustomize.py", "usercustomize.py"})
_NATIVE_MAGIC = (
    b"\x7fELF",
    b"MZ",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
)
_ENTRY_POINT = re.compile(r"^\s*[^=#\[\s][^=]*=\s*([\w.]+)\s*:\s*([\w.]+)")
# Where the interpreter looks for start-up files, as a wheel writes it.
_AT_SITE = re.compile(r"([^/]+\.data/(purelib|platlib)/|.*/(site|dist)-packages/)?[^/]+")
# Commands that people type without a thought, and that no distribution of another name installs.
KNOWN_COMMANDS = words(
    "sudo su doas login passwd ls cat ps cp mv rm cd kill top ssh scp sftp ssh-add ssh-agent gpg curl wget git bash "
    "sh zsh dash python python2 python3 py pip pip3 systemctl crontab docker kubectl ifconfig whoami env "
    "which chmod chown"
)
_INSTALLED_PROGRAM = re.compile(r"[^/]+\.data/scripts/[^/]+$")
_NOTHING: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Layout:
    """How one distribution is laid out. Paths are as in the archive; `places` has what Python code each runs as."""

    is_wheel: bool
    is_pure: bool
    root: str  # the folder that an sdist wraps everything in, with its slash; "" for a wheel
    modules: dict[str, str]  # dotted module name -> path; those of archives that code opens come later
    contexts: Mapping[str, Context]  # path of a Python file -> when its body runs
    apart: frozenset[str]  # tests, documentation and examples
    entry_points: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # module -> functions of console scripts
    build: BuildCode = field(default_factory=BuildCode)
    commands: tuple[tuple[str, int, str], ...] = ()  # installed under a known name: file, line, name

    def context_of_program(self, path: str) -> Context:
        """When a program runs that is no module by its name: when somebody starts it, or never, as far as is known."""
        return Context.ENTRY if self.is_wheel and _INSTALLED_PROGRAM.match(path) else Context.UNREACHED

    def is_apart(self, path: str) -> bool:
        """True for a file in a folder of tests, documentation or examples."""
        return _is_apart(path.removeprefix(self.root), is_wheel=self.is_wheel)

    def module_of(self, path: str) -> str:
        """The dotted name that a Python file is imported by."""
        return _module_name(path, self.root)


def is_pure(filename: str) -> bool:
    """True for a distribution that is for any platform, by its name: an sdist, or a wheel that says so."""
    name = filename.lower()
    return not name.endswith(".whl") or name.removesuffix(".whl").endswith("-any")


def is_python(path: str) -> bool:
    """True for a source file of Python by its name."""
    return path.lower().endswith(PYTHON_SUFFIXES)


def is_native(head: bytes) -> bool:
    """True for the first bytes of an ELF, PE or Mach-O file."""
    if head.startswith(b"\xca\xfe\xba\xbe") and len(head) >= 8 and int.from_bytes(head[4:8], "big") > 45:
        return False  # a Java class file shares the magic number of Mach-O's fat binaries
    return head.startswith(_NATIVE_MAGIC)


def lay_out(
    filename: str, paths: Iterable[str], texts: Mapping[str, bytes], sources: Mapping[str, bytes] = _NOTHING
) -> Layout:
    """Say when each Python file of a distribution runs. `texts` has the bytes of the small text files by path."""
    everything = list(paths)
    is_wheel = filename.lower().endswith(".whl")
    root = "" if is_wheel else _root_of(everything)
    python = [path for path in everything if is_python(path)]
    apart = frozenset(path for path in python if _is_apart(path.removeprefix(root), is_wheel=is_wheel))
    if not is_wheel:
        named = b"\n".join(
            raw for path, raw in {**texts, **sources}.items() if path.removeprefix(root) in _NAMING_FILES
        )
        apart |= {path for path in python if _is_apart_by_words(path.removeprefix(root), named)}
    if len(apart) == len([path for path in python if path.removeprefix(root) not in _BUILD_FILES]):
        apart = frozenset()  # a distribution that is nothing but "tests" is imported under that name
    modules = {_module_name(path, root): path for path in reversed(python)}
    build = BuildCode() if is_wheel else build_code(root, modules, texts, sources)
    for module, path in build.aliases.items():
        modules.setdefault(module, path)
    contexts = {path: _context(path, root, is_wheel, path in apart, path in build.imported) for path in python}
    entry_points = _entry_points(texts) if is_wheel else {}
    commands = tuple(_commands(texts, everything)) if is_wheel else ()
    return Layout(is_wheel, is_pure(filename), root, modules, contexts, apart, entry_points, build, commands)


def is_at_site(path: str) -> bool:
    """True for a file that a wheel puts beside the installed packages, where the interpreter starts files from."""
    return _AT_SITE.fullmatch(path) is not None


def startup_code(path: str, raw: bytes) -> list[tuple[int, str]]:
    """The lines of a `.pth` file that the interpreter executes, with their numbers.

    Source: documentation of the `site` module: a line that starts with `import` and a blank is executed.
    """
    lines = raw.decode("utf-8-sig", "replace").splitlines()
    return [(number, line) for number, line in enumerate(lines, 1) if line.startswith(("import ", "import\t"))]


def startup_calls(raw: bytes) -> list[tuple[str, str]]:
    """The functions that a `.start` file has called at start-up, as (module, path in the module). Source: PEP 829."""
    found: list[tuple[str, str]] = []
    for line in raw.decode("utf-8-sig", "replace").splitlines():
        module, colon, function = line.partition("#")[0].strip().partition(":")
        if colon:
            found.append((module.strip(), function.strip()))
    return found


def _root_of(paths: list[str]) -> str:
    first = {path.partition("/")[0] for path in paths if path}
    return f"{first.pop()}/" if len(first) == 1 and all("/" in path for path in paths) else ""


def _module_name(path: str, root: str) -> str:
    inner = path.removeprefix(root).rpartition(".")[0]
    parts = inner.split("/")
    if len(parts) > 2 and parts[0].endswith(".data") and parts[1] in {"purelib", "platlib"}:
        parts = parts[2:]
    for folder in ("site-packages", "dist-packages"):
        if folder in parts[:-1]:
            parts = parts[parts.index(folder) + 1 :]
    if parts[0] in {"src", "lib", "python"} and len(parts) > 1:
        parts = parts[1:]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts)


def _is_apart(inner: str, *, is_wheel: bool) -> bool:
    folders = inner.lower().split("/")[:-1]
    if any(folder in _APART_FOLDERS for folder in folders):
        return True
    if _APART_NAME.search(inner.lower()):
        return True
    return not is_wheel and inner in _APART_AT_ROOT


def _is_apart_by_words(inner: str, named: bytes) -> bool:
    """True below a folder like `manual tests`: no import can name it, and what describes the build does not either."""
    return any(
        folder.encode("utf-8", "replace") not in named and not _APART_FOLDERS.isdisjoint(folder.lower().split())
        for folder in inner.split("/")[:-1]
        if " " in folder
    )


def _context(path: str, root: str, is_wheel: bool, is_apart: bool, is_hook: bool) -> Context:
    inner = path.removeprefix(root)
    if is_hook or (not is_wheel and inner in _BUILD_FILES):
        return Context.INSTALL
    if inner.rpartition("/")[2] in _STARTUP_MODULES and is_at_site(inner):
        return Context.STARTUP
    if is_apart:
        return Context.UNREACHED
    if inner.endswith("__main__.py") or inner.startswith("tools/") or _PROGRAM_FOLDERS & set(inner.split("/")[:-1]):
        return Context.ENTRY  # until something is found to import it
    return Context.IMPORT


def _entry_points(texts: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for path, raw in texts.items():
        if path.endswith(".dist-info/entry_points.txt"):
            for line in raw.decode("utf-8", "replace").splitlines()[:1000]:
                match = _ENTRY_POINT.match(line)
                if match is not None:
                    found[match[1]] = (*found.get(match[1], ()), match[2])
    return found


def _commands(texts: Mapping[str, bytes], paths: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """The commands that a wheel installs which people know as others: the file that says so, its line, the name."""
    for path, raw in texts.items():
        group = ""
        if path.endswith(".dist-info/entry_points.txt"):
            for number, line in enumerate(raw.decode("utf-8", "replace").splitlines()[:1000], 1):
                if line.startswith("["):
                    group = line.strip("[] \t")
                name = line.partition("=")[0].strip().lower().removesuffix(".exe")
                if group in {"console_scripts", "gui_scripts"} and name in KNOWN_COMMANDS:
                    yield path, number, name
    for path in paths:
        name = path.rpartition("/")[2].lower().removesuffix(".exe").removesuffix(".py")
        if _INSTALLED_PROGRAM.match(path) and name in KNOWN_COMMANDS:
            yield path, 0, name


__all__ = ["Layout", "is_at_site", "is_native", "is_pure", "is_python", "lay_out", "startup_calls", "startup_code"]
