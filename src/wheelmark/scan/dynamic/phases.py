"""What is run of a distribution, phase by phase: its installation, the start of the interpreter, its imports."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wheelmark.scan.dynamic.places import HOME, INTERPRETER, LIBRARIES, LOADER, SCRATCH, STANDINS, USER, WORK
from wheelmark.scan.dynamic.plan import Phase, Step
from wheelmark.scan.flow import printable
from wheelmark.scan.layout import Layout, lay_out
from wheelmark.scan.report import Context

MAX_NAME = 80  # characters of a name in a message
_STARTUP_SUFFIXES = (".pth", ".start")
_STARTUP_MODULES = frozenset({"sitecustomize.py", "usercustomize.py"})
_SETUP = 'import setuptools, runpy, sys; sys.argv[0] = "setup.py"; runpy.run_path("setup.py", run_name="__main__")'
_DECLARED = 'import setuptools, sys; sys.argv[0] = "setup.py"; setuptools.setup()'
# The hooks of a build backend that lies in the distribution itself. Source: PEP 517.
_HOOKS = """import importlib, os, sys
name, _, path = sys.argv[1].partition(":")
sys.path[:0] = sys.argv[2:]
backend = importlib.import_module(name)
for part in filter(None, path.split(".")):
    backend = getattr(backend, part)
for hook in ("get_requires_for_build_wheel", "prepare_metadata_for_build_wheel", "build_wheel"):
    if hasattr(backend, hook):
        arguments = () if hook.startswith("get_") else (os.environ["TMPDIR"],)
        getattr(backend, hook)(*arguments)
"""
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z_][A-Za-z0-9_]{0,79})(?:\.[\w.]+)?'")
_IMPORT = "import importlib, sys; name = sys.argv.pop(); importlib.import_module(name)"


@dataclass(frozen=True, slots=True)
class Phases:
    """What is to be run, and what is said of that beforehand."""

    phases: tuple[Phase, ...]
    root: str  # the folder that an sdist wraps everything in, with its slash
    notes: tuple[str, ...] = ()  # what is not run, and why; for people
    gaps: tuple[str, ...] = ()  # what should have been run, and is not: the look is incomplete


def phases_of(
    filename: str, texts: Mapping[str, bytes], environment: Mapping[str, str], *, site_packages: str, max_modules: int
) -> Phases:
    """The phases of a distribution with these files. `environment` are variables of every step, such as decoys."""
    layout = lay_out(filename, texts, texts)
    variables = {
        **LOADER,
        "PATH": "/usr/bin:/bin",
        "HOME": HOME,
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/bash",
        "TMPDIR": SCRATCH,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PIP_NO_INDEX": "1",
        **environment,
    }
    return (
        _wheel(layout, texts, variables, site_packages, max_modules)
        if layout.is_wheel
        else _sdist(layout, texts, variables, max_modules)
    )


def _wheel(
    layout: Layout, texts: Mapping[str, bytes], variables: Mapping[str, str], site_packages: str, max_modules: int
) -> Phases:
    phases = []
    startup = [path for path in sorted(texts) if _runs_at_startup(installed_path(path))]
    if startup:
        step = Step(
            argv=(INTERPRETER, "-c", "pass"), cwd=HOME, environment=variables, member=startup[0], what="start of Python"
        )
        phases.append(Phase(context=Context.STARTUP, steps=(step,), folder=site_packages))
    modules, gaps = _bounded(top_modules(layout, texts), max_modules)
    if modules:
        steps = tuple(_import(name, path, variables) for name, path in modules)
        phases.append(Phase(context=Context.IMPORT, steps=steps, folder=site_packages))
    return Phases(tuple(phases), "", gaps=gaps)


def _sdist(layout: Layout, texts: Mapping[str, bytes], variables: Mapping[str, str], max_modules: int) -> Phases:
    folder = f"{WORK}/{layout.root}".rstrip("/")
    steps, notes = _install_steps(layout.root, texts, {**variables, "PYTHONPATH": LIBRARIES}, folder)
    phases = [Phase(context=Context.INSTALL, steps=steps, folder=WORK)] if steps else []
    modules, gaps = _bounded(top_modules(layout, texts), max_modules)
    if modules:
        paths = ":".join((folder, *(f"{folder}/{name}" for name in ("src", "lib", "python"))))
        importing = {**variables, "PYTHONPATH": paths}
        phases.append(
            Phase(
                context=Context.IMPORT,
                steps=tuple(_import(name, path, importing) for name, path in modules),
                folder=WORK,
            )
        )
    return Phases(tuple(phases), layout.root, notes=notes, gaps=gaps)


def _install_steps(
    root: str, texts: Mapping[str, bytes], variables: Mapping[str, str], folder: str
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    backend, paths = _backend(texts.get(f"{root}pyproject.toml", b""))

    def step(member: str, what: str, *argv: str) -> Step:
        command = (INTERPRETER, *argv)
        return Step(argv=command, cwd=folder, environment=variables, member=f"{root}{member}", what=what)

    if paths:
        member = next((path for path in _files_of(backend, paths) if f"{root}{path}" in texts), "pyproject.toml")
        return (step(member, "the in-tree build backend", "-c", _HOOKS, backend, *paths),), ()
    if not backend.startswith("setuptools."):
        return (), (f"the build backend {printable(backend, MAX_NAME)} is not in the sandbox: the build was not run",)
    has_setup = f"{root}setup.py" in texts
    member, program = ("setup.py", _SETUP) if has_setup else ("pyproject.toml", _DECLARED)
    install = ("install", f"--root={SCRATCH}/root", "--single-version-externally-managed", f"--record={SCRATCH}/record")
    return (
        step(member, "setup.py egg_info", "-c", program, "egg_info"),
        step(member, "setup.py install", "-c", program, *install),
    ), ()


def _backend(pyproject: bytes) -> tuple[str, tuple[str, ...]]:
    """The build backend and its paths in the tree. Source: PEP 517, PEP 518 for what stands where nothing is said."""
    default = "setuptools.build_meta"
    try:
        system = tomllib.loads(pyproject.decode("utf-8")).get("build-system")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return default, ()
    if not isinstance(system, dict):
        return default, ()
    backend, paths = system.get("build-backend", default), system.get("backend-path", [])
    if not isinstance(backend, str) or "\0" in backend or not isinstance(paths, list):
        return default, ()
    return backend, tuple(path for path in paths if isinstance(path, str) and "\0" not in path)


def _files_of(backend: str, paths: Iterable[str]) -> list[str]:
    module = backend.partition(":")[0].replace(".", "/")
    prefixes = [f"{path.strip('./')}/" if path.strip("./") else "" for path in paths]
    return [f"{prefix}{module}{end}" for prefix in prefixes for end in (".py", "/__init__.py")]


def missing_module(last_line: str, own: Iterable[str]) -> str:
    """The top-level module that a program ended for want of, by what it printed last; "" when it is one of its own."""
    found = _MISSING.match(last_line)
    return found[1] if found is not None and found[1] not in own else ""


def with_standins(phase: Phase, names: Iterable[str]) -> Phase:
    """The same steps with these modules stood in for."""
    given = f'{{"__name__": "standins", "NAMES": {sorted(names)!r}}}'
    before = f"exec(compile(open({STANDINS!r}).read(), {STANDINS!r}, 'exec'), {given})\n"
    steps = tuple(
        replace(
            step,
            argv=(*step.argv[:2], before + step.argv[2], *step.argv[3:]),
            what=f"{step.what} with stand-ins for {', '.join(sorted(names))}",
        )
        for step in phase.steps
    )
    return replace(phase, steps=steps)


def _import(name: str, path: str, variables: Mapping[str, str]) -> Step:
    return Step(
        argv=(INTERPRETER, "-c", _IMPORT, name),
        cwd=HOME,
        environment=variables,
        member=path,
        what=f"import {printable(name, MAX_NAME)}",
    )


def _bounded(modules: list[tuple[str, str]], most: int) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    if len(modules) <= most:
        return modules, ()
    return modules[:most], (f"expected at most {most} top-level modules to import, got {len(modules)}",)


def top_modules(layout: Layout, files: Iterable[str]) -> list[tuple[str, str]]:
    """The modules that nothing lies above, with their files: what somebody imports first, native ones too."""
    native = {
        name: path
        for path in files
        if path.endswith((".so", ".pyd")) and (name := _native_name(path.removeprefix(layout.root)))
    }
    found = native | {
        name: path for name, path in layout.modules.items() if layout.contexts.get(path) is Context.IMPORT
    }
    names = {name for name in found if all(part.isidentifier() for part in name.split("."))}
    tops = [name for name in names if not any(parent in names for parent in _parents(name))]
    return [(name, found[name]) for name in sorted(tops)]


def _native_name(inner: str) -> str:
    folders, _, file = inner.rpartition("/")
    parts = [*folders.split("/"), file.partition(".")[0]] if folders else [file.partition(".")[0]]
    return ".".join(parts)


def _parents(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))


def installed_path(path: str) -> str:
    """Where a file of a wheel comes to lie, below where distributions are installed. Source: the wheel format."""
    parts = path.split("/", 2)
    return parts[2] if len(parts) == 3 and parts[0].endswith(".data") and parts[1] in {"purelib", "platlib"} else path


def _runs_at_startup(path: str) -> bool:
    return "/" not in path and (path.endswith(_STARTUP_SUFFIXES) or path in _STARTUP_MODULES)
