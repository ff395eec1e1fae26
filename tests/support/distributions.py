"""Wheels and source distributions made in memory: correct, deterministic, and without a build backend.

    build_wheel()                                        # demo-1.0-py3-none-any.whl as bytes
    build_wheel("shop", "2.1", files={"shop.py": b""})   # any files; RECORD is right
    build_wheel(unlisted={"demo/extra.py": b""})         # damage: a file that RECORD does not list
    build_sdist(path=folder)                             # written to folder / sdist_filename("demo", "1.0")

How a raw zip or tar is damaged is in `support.hostile_archives`.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

from packaging.utils import canonicalize_name

Headers = Mapping[str, str | Sequence[str]]
RecordRow = tuple[str, str, str]

EARLIEST = (1980, 1, 1, 0, 0, 0)
_PAYLOAD_CHUNK_BYTES = 1 << 20


def dist_name(name: str) -> str:
    """The project's part of a file name."""
    return canonicalize_name(name).replace("-", "_")


def wheel_filename(name: str = "demo", version: str = "1.0", tag: str = "py3-none-any") -> str:
    return f"{dist_name(name)}-{version}-{tag}.whl"


def sdist_filename(name: str = "demo", version: str = "1.0") -> str:
    return f"{dist_name(name)}-{version}.tar.gz"


def core_metadata(
    name: str = "demo", version: str = "1.0", headers: Headers | None = None, requires: Sequence[str] = ()
) -> bytes:
    """The bytes of a `METADATA` or `PKG-INFO`. `headers` add to the least there must be, or replace it.

    The header `Description` becomes the body. A header whose value is an empty list is left out.
    """
    fields: dict[str, str | Sequence[str]] = {
        "Metadata-Version": "2.4",
        "Name": name,
        "Version": version,
        "Summary": "A distribution made for tests",
        "Requires-Dist": list(requires),
    }
    fields |= headers or {}
    body = fields.pop("Description", "")
    lines = [f"{key}: {one}" for key, value in fields.items() for one in ([value] if isinstance(value, str) else value)]
    return ("\n".join(lines) + "\n\n" + (body if isinstance(body, str) else "\n".join(body))).encode()


def payload(size: int, seed: str = "payload") -> Iterator[bytes]:
    """`size` bytes that do not compress, the same for the same seed, in chunks."""
    source = random.Random(seed)
    while size > 0:
        yield source.randbytes(min(size, _PAYLOAD_CHUNK_BYTES))
        size -= _PAYLOAD_CHUNK_BYTES


def record_row(path: str, content: bytes) -> RecordRow:
    """The row of `RECORD` for one file."""
    return path, _record_hash(hashlib.sha256(content).digest()), str(len(content))


def _record_hash(digest: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@overload
def build_wheel(
    name: str = ...,
    version: str = ...,
    *,
    files: Mapping[str, bytes] | None = ...,
    metadata: Headers | None = ...,
    requires: Sequence[str] = ...,
    dist_info: Mapping[str, bytes] | None = ...,
    tag: str = ...,
    payload_size: int = ...,
    unlisted: Mapping[str, bytes] | None = ...,
    edit_record: Callable[[list[RecordRow]], list[RecordRow]] | None = ...,
    path: None = ...,
) -> bytes: ...
@overload
def build_wheel(
    name: str = ...,
    version: str = ...,
    *,
    files: Mapping[str, bytes] | None = ...,
    metadata: Headers | None = ...,
    requires: Sequence[str] = ...,
    dist_info: Mapping[str, bytes] | None = ...,
    tag: str = ...,
    payload_size: int = ...,
    unlisted: Mapping[str, bytes] | None = ...,
    edit_record: Callable[[list[RecordRow]], list[RecordRow]] | None = ...,
    path: Path,
) -> Path: ...
def build_wheel(
    name: str = "demo",
    version: str = "1.0",
    *,
    files: Mapping[str, bytes] | None = None,
    metadata: Headers | None = None,
    requires: Sequence[str] = (),
    dist_info: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
    payload_size: int = 0,
    unlisted: Mapping[str, bytes] | None = None,
    edit_record: Callable[[list[RecordRow]], list[RecordRow]] | None = None,
    path: Path | None = None,
) -> bytes | Path:
    """A wheel: its bytes, or with `path` (a folder, or the file's own path) the file that was written.

    `dist_info` adds to the files of `.dist-info`, or replaces them; an empty value leaves a file out. `payload_size`
    adds a file of that many bytes that do not compress. `unlisted` and `edit_record` make `RECORD` wrong.
    """
    memory = io.BytesIO()
    target = None
    if path is not None:
        target = path / wheel_filename(name, version, tag) if path.is_dir() else path
    module = dist_name(name)
    folder = f"{module}-{version}.dist-info"
    contents = dict(files) if files is not None else {f"{module}/__init__.py": b'"""Made for tests."""\n'}
    own = {
        "METADATA": core_metadata(name, version, metadata, requires),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    own |= dist_info or {}
    contents |= {f"{folder}/{key}": value for key, value in own.items() if value and key != "RECORD"}
    rows = [record_row(key, value) for key, value in contents.items()]
    with zipfile.ZipFile(target or memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in {**contents, **(unlisted or {})}.items():
            archive.writestr(_zip_info(key), value)
        if payload_size:
            rows.append(_write_payload(archive, f"{module}/payload.bin", payload_size))
        rows.append((f"{folder}/RECORD", "", ""))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(edit_record(rows) if edit_record else rows)
        record = (dist_info or {}).get("RECORD", text.getvalue().encode())
        if record:
            archive.writestr(_zip_info(f"{folder}/RECORD"), record)
    return target or memory.getvalue()


def _write_payload(archive: zipfile.ZipFile, path: str, size: int) -> RecordRow:
    digest = hashlib.sha256()
    with archive.open(_zip_info(path, zipfile.ZIP_STORED), "w") as member:
        for chunk in payload(size, path):
            digest.update(chunk)
            member.write(chunk)
    return path, _record_hash(digest.digest()), str(size)


def _zip_info(path: str, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, EARLIEST)
    info.compress_type = method
    info.external_attr = 0o100644 << 16
    return info


@overload
def build_sdist(
    name: str = ...,
    version: str = ...,
    *,
    files: Mapping[str, bytes] | None = ...,
    metadata: Headers | None = ...,
    requires: Sequence[str] = ...,
    payload_size: int = ...,
    members: Sequence[tuple[tarfile.TarInfo, bytes]] = ...,
    path: None = ...,
) -> bytes: ...
@overload
def build_sdist(
    name: str = ...,
    version: str = ...,
    *,
    files: Mapping[str, bytes] | None = ...,
    metadata: Headers | None = ...,
    requires: Sequence[str] = ...,
    payload_size: int = ...,
    members: Sequence[tuple[tarfile.TarInfo, bytes]] = ...,
    path: Path,
) -> Path: ...
def build_sdist(
    name: str = "demo",
    version: str = "1.0",
    *,
    files: Mapping[str, bytes] | None = None,
    metadata: Headers | None = None,
    requires: Sequence[str] = (),
    payload_size: int = 0,
    members: Sequence[tuple[tarfile.TarInfo, bytes]] = (),
    path: Path | None = None,
) -> bytes | Path:
    """A source distribution: its bytes, or with `path` (a folder, or the file's own path) the file that was written.

    `files` are below the top folder; the default has a `pyproject.toml` and one module. An empty `PKG-INFO` among them
    leaves that file out. `members` are added as they are, with any path and type.
    """
    module = dist_name(name)
    top = f"{module}-{version}"
    contents = {"PKG-INFO": core_metadata(name, version, metadata, requires)}
    contents |= files if files is not None else _sdist_files(name, version, module)
    if payload_size:
        contents[f"src/{module}/payload.bin"] = b"".join(payload(payload_size, name))
    plain = [(tarfile.TarInfo(f"{top}/{key}"), value) for key, value in contents.items() if value or key != "PKG-INFO"]
    raw = gzipped(tar_of([*plain, *members]))
    if path is None:
        return raw
    target = path / sdist_filename(name, version) if path.is_dir() else path
    target.write_bytes(raw)
    return target


def _sdist_files(name: str, version: str, module: str) -> dict[str, bytes]:
    project = f'[project]\nname = "{name}"\nversion = "{version}"\n'
    build = '\n[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    return {"pyproject.toml": (project + build).encode(), f"src/{module}/__init__.py": b'"""Made for tests."""\n'}


def tar_of(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A plain tar of these members; sizes are taken from the bytes."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            if content:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def gzipped(raw: bytes) -> bytes:
    """One gzip stream without a date."""
    return gzip.compress(raw, mtime=0)
