"""What is handed to the sandbox: a tar in anonymous memory, with a plan and regular files only."""

from __future__ import annotations

import fcntl
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

import orjson

from wheelmark.dist import ArchiveBroken, ArchiveTooLarge, walk_archive
from wheelmark.scan.dynamic.bounds import LookBounds
from wheelmark.scan.flow import printable
from wheelmark.scan.report import Context

MAX_NAMED = 100  # characters of a path in a message
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
MAX_PART_BYTES = 255  # of one part of a path, as file systems have it


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command that is run inside, and what it stands for."""

    argv: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    member: str  # the file of the distribution that it runs
    what: str  # in words: `setup.py install`, `import widget`


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The steps that run in one sandbox, and where the distribution lies there."""

    context: Context
    steps: tuple[Step, ...]
    folder: str


@dataclass(slots=True)
class Unpacked:
    """The regular files of a distribution by path, in memory; `gaps` says what could not be had."""

    files: dict[str, tuple[bytes, bool]] = field(default_factory=dict)  # path -> bytes, whether executable
    links: int = 0  # links and devices, which are left out
    gaps: list[str] = field(default_factory=list)


def unpack(stream: BinaryIO, *, filename: str, bounds: LookBounds) -> Unpacked:
    """Read a distribution. Never raises for what the archive holds: see `gaps`."""
    unpacked = Unpacked()
    try:
        for entry in walk_archive(stream, filename=filename, bounds=bounds.archive()):
            if entry.kind == "directory":
                continue
            if entry.kind != "file":
                unpacked.links += 1
            elif not is_safe(entry.path):
                unpacked.gaps.append(
                    f"{printable(entry.path, MAX_NAMED)}: expected a path below the distribution's own"
                )
            else:
                unpacked.files[entry.path] = (entry.read(), bool(entry.mode & 0o111))
    except (ArchiveTooLarge, ArchiveBroken) as error:
        unpacked.gaps.append(str(error))
    return unpacked


def is_safe(path: str) -> bool:
    """True for a path that stays below where it is put, and that a file system takes."""
    parts = path.split("/")
    return all(
        part not in {"", ".", ".."} and "\0" not in part and len(part.encode("utf-8", "replace")) <= MAX_PART_BYTES
        for part in parts
    )


@contextmanager
def packed(
    phase: Phase,
    files: Mapping[str, tuple[bytes, bool]],
    decoys: Mapping[str, bytes],
    bounds: LookBounds,
    separator: str,
) -> Iterator[int]:
    """The tar as a descriptor that stands at its start: `files` below the phase's folder, `decoys` where they say."""
    plan = {
        "steps": [{"argv": step.argv, "cwd": step.cwd, "environment": step.environment} for step in phase.steps],
        "limits": bounds.limits(),
        "step_seconds": bounds.step_seconds,
        "linger_seconds": bounds.linger_seconds,
        "separator": separator,
    }
    descriptor = os.memfd_create("wheelmark-look", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with (
            os.fdopen(os.dup(descriptor), "wb") as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            _add(archive, "plan.json", orjson.dumps(plan), 0o600)
            for path, raw in sorted(decoys.items()):
                _add(archive, path, raw, 0o600)
            for path, (raw, executable) in sorted(files.items()):
                _add(archive, f"{phase.folder}/{path}", raw, 0o755 if executable else 0o644)
        # It is within reach of what runs, which must not use it as memory without a limit.
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _add(archive: tarfile.TarFile, path: str, raw: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(raw), mode
    archive.addfile(entry, io.BytesIO(raw))
