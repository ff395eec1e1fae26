"""Tiny wheels, and running the client's commands as a user would."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

RUN_SECONDS = 120


def core_metadata_of(name: str, version: str, requires: Iterable[str] = ()) -> bytes:
    """The METADATA file of `a_wheel`."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return ("\n".join(lines) + "\n").encode()


def a_wheel(
    name: str, version: str, *, requires: Iterable[str] = (), filler: int = 0, script: str | None = None
) -> bytes:
    """An installable pure wheel with one module, `filler` bytes that do not compress, and perhaps a command."""
    module = name.replace("-", "_")
    dist_info = f"{module}-{version}.dist-info"
    members = {
        f"{module}.py": f"VERSION = {version!r}\n".encode(),
        f"{dist_info}/METADATA": core_metadata_of(name, version, requires),
        f"{dist_info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if filler:
        members[f"{module}.bin"] = b"".join(
            hashlib.sha256(f"{name}{number}".encode()).digest() for number in range(filler // 32)
        )
    if script is not None:
        members[f"{dist_info}/entry_points.txt"] = f"[console_scripts]\n{script} = {module}:print\n".encode()
    record = [f"{path},sha256={_record_digest(content)},{len(content)}" for path, content in members.items()]
    members[f"{dist_info}/RECORD"] = "\n".join([*record, f"{dist_info}/RECORD,,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in members.items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return buffer.getvalue()


def source_that_fetches(name: str, version: str, address: str) -> bytes:
    """A source distribution that brings its own build backend, which asks `address` for something."""
    backend = f"""import urllib.request
def get_requires_for_build_wheel(config_settings=None):
    urllib.request.urlopen({address!r}, timeout=10).read()
    return []
build_wheel = None
"""
    members = {
        "PKG-INFO": core_metadata_of(name, version),
        "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend.encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in members.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _record_digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without anything that names a package source."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_", "WHEELMARK_")) and not name.lower().endswith("_proxy")
    } | {"PIP_CONFIG_FILE": os.devnull, **changes}


def run_wheelmark(
    *arguments: str, state: Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`wheelmark …` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "wheelmark.cli", *arguments],
        env=clean_environment(WHEELMARK_STATE=str(state), **environment),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        timeout=RUN_SECONDS,
        check=False,
    )


def new_environment(directory: Path) -> Path:
    """A fresh virtual environment without any distribution in it; returns its interpreter."""
    uv = Path(sys.executable).with_name("uv")
    command: Sequence[str] = [str(uv), "venv", "--quiet", "--offline", "--python", sys.executable, str(directory)]
    subprocess.run(command, env=clean_environment(), check=True, timeout=RUN_SECONDS)
    return directory / "bin" / "python"


def installed_versions(interpreter: Path, *modules: str) -> dict[str, str]:
    """The versions of those modules that can be imported there."""
    found = {}
    for module in modules:
        run = subprocess.run(
            [str(interpreter), "-c", f"import {module}; print({module}.VERSION)"],
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
        )
        if run.returncode == 0:
            found[module] = run.stdout.strip()
    return found
