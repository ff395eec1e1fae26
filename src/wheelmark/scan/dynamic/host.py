"""What this machine has for a sandbox: the two programs, and a copy of the interpreter's own library."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from wheelmark.errors import Unavailable
from wheelmark.scan.dynamic.places import BASE_INTERPRETER, HOME, HOST_NAME, PYTHON, USER, USER_ID
from wheelmark.scan.dynamic.sandbox import MASKED, Host

NOBODY = 65534
PROGRAMS = {"bwrap": "bubblewrap", "strace": "strace"}  # program -> Debian package
_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_LEFT_OUT = shutil.ignore_patterns(
    *("site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"),
    *("config-*", "*.opt-1.pyc", "*.opt-2.pyc", "*.a", "sitecustomize.py", "EXTERNALLY-MANAGED"),
)
_ETC = {
    "passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:{USER_ID}:{USER_ID}:{USER}:{HOME}:/bin/sh\n",
    "group": f"root:x:0:\n{USER}:x:{USER_ID}:\n",
    "hosts": f"127.0.0.1 localhost {HOST_NAME}\n",
    # Nobody listens there; but the question is sent, so that it can be seen.
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "host.conf": "multi off\n",
}


def refusal(message: str) -> Unavailable:
    """The error of a look that cannot be had here. It is never left out in silence, and never runs uncontained."""
    return Unavailable(f"--dynamic: {message}", code="dynamic-look-unavailable")


def find_programs(find: Callable[[str], str | None] = shutil.which, platform: str = "") -> dict[str, str]:
    """The path of each program that is needed.

    Raises: Unavailable, which names what is missing and how to get it.
    """
    system = platform or sys.platform
    if system != "linux":
        raise refusal(f"expected Linux, whose namespaces contain what runs, got {system}")
    found = {name: find(name) for name in PROGRAMS}
    missing = [PROGRAMS[name] for name, path in found.items() if path is None]
    if missing:
        words = " and ".join(missing)
        raise refusal(
            f"expected {words} to be installed: apt-get install {' '.join(missing)} (or what your system calls it)"
        )
    return {name: path for name, path in found.items() if path is not None}


def sandbox_user() -> int | None:
    """Whom the sandbox belongs to, None for whoever started the scanner. Not root: its files are everywhere."""
    return NOBODY if os.geteuid() == 0 else None


@contextmanager
def prepared_host() -> Iterator[Host]:
    """This machine's programs and a runtime for the sandbox, in a folder that goes away.

    Raises: Unavailable when something is missing.
    """
    programs = find_programs()
    with TemporaryDirectory(prefix="wheelmark-look-") as name:
        runtime = Path(name)
        runtime.chmod(0o755)
        try:
            _copy_python(runtime / "python")
            _make_venv(runtime / "venv")
            _copy_tools(runtime / "look")
        except (OSError, shutil.Error) as error:
            raise refusal(f"expected to copy the interpreter's library, got {error}") from error
        (runtime / "etc").mkdir()
        for file, text in _ETC.items():
            (runtime / "etc" / file).write_text(text)
        _open_up(runtime)
        yield Host(
            bwrap=programs["bwrap"],
            strace=programs["strace"],
            runtime=runtime,
            version=f"{sys.version_info.major}.{sys.version_info.minor}",
            links=_links(),
            masked=[folder for folder in MASKED if Path(folder).is_dir()],
        )


def _copy_python(target: Path) -> None:
    """The interpreter and its library without what is installed into it."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = sys.platlibdir
    base = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    shutil.copytree(base, target / library / version, ignore=_LEFT_OUT, symlinks=False, ignore_dangling_symlinks=True)
    (target / "bin").mkdir()
    interpreter = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    shutil.copy2(interpreter, target / "bin" / "python3")
    (target / "bin" / version).symlink_to("python3")
    shared = sysconfig.get_config_var("INSTSONAME") or ""
    folder = sysconfig.get_config_var("LIBDIR") or ""
    if ".so" in shared and (Path(folder) / shared).is_file():
        (target / "lib").mkdir(exist_ok=True)
        shutil.copy2(Path(folder) / shared, target / "lib" / shared)


def _make_venv(target: Path) -> None:
    """A virtual environment without anything, as `venv` would make it at that place."""
    (target / "bin").mkdir(parents=True)
    (target / "bin" / "python3").symlink_to(BASE_INTERPRETER)
    (target / "bin" / "python").symlink_to("python3")
    (target / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages").mkdir(parents=True)
    (target / "pyvenv.cfg").write_text(f"home = {PYTHON}/bin\ninclude-system-site-packages = false\n")


def _copy_tools(target: Path) -> None:
    target.mkdir()
    here = Path(__file__).parent
    for name in ("driver.py", "probe.py", "standins.py"):
        shutil.copyfile(here / name, target / name)
    (target / "lib").mkdir()
    _copy_setuptools(target / "lib")


def _copy_setuptools(target: Path) -> None:
    """The setuptools of the scanner's own environment, or else that which the interpreter brings (up to 3.11)."""
    try:
        installed = importlib.metadata.distribution("setuptools")
    except importlib.metadata.PackageNotFoundError:
        bundled = sorted((Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled").glob("setuptools-*.whl"))
        if not bundled:
            raise refusal("expected setuptools beside the scanner: pip install setuptools") from None
        with zipfile.ZipFile(bundled[-1]) as archive:
            archive.extractall(target)
        return
    for file in installed.files or ():
        source = Path(str(installed.locate_file(file)))
        if ".." not in file.parts and file.suffix != ".pyc" and source.is_file():
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
    if not (target / "setuptools" / "__init__.py").is_file():
        raise refusal("expected setuptools beside the scanner to be whole: pip install --force-reinstall setuptools")


def _open_up(folder: Path) -> None:
    """Let whoever the sandbox belongs to read all of it."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _links() -> Mapping[str, str]:
    """How /bin, /lib and the like are made here: links into /usr, or folders of their own."""
    return {
        name: os.readlink(name) if Path(name).is_symlink() else ""  # noqa: PTH115 - as written, not resolved
        for name in _LINKS
        if os.path.lexists(name)
    }
