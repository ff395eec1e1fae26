"""Upload requests byte by byte, as the clients send them, and a look at what came of them.

    post_upload(client, a_token(), build_wheel())                      # as twine 7 does
    post_upload(client, token, wheel, fields=uv_fields(wheel))         # as uv 0.13 does
    post_upload(client, token, wheel, change={"summary": "another"})   # a field replaced; None leaves it out

The fields of twine and uv were captured from both; those of the others follow their sources.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from django.db import connection
from django.test import Client
from django.utils import timezone
from packaging.metadata import parse_email
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from support.accounts import a_person, basic
from support.distributions import sdist_filename, wheel_filename
from wheelmark.server.accounts.tokens import mint
from wheelmark.server.config import Config
from wheelmark.server.jobs import waiting_first_arguments
from wheelmark.server.projects.models import File, JournalEntry, Project, Release
from wheelmark.server.review.tasks import scan_file

Fields = list[tuple[str, str]]
Change = Mapping[str, str | Sequence[str] | None]

Outcome = TypeVar("Outcome")

BOUNDARY = "7c6ea04096d054389a7859f31956700e"
UPLOAD = "/legacy/"
UV_ACCEPT = "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7"

# The name that twine and uv give a field of `packaging`, where it is another one.
_RENAMED = {"platforms": "platform", "supported_platforms": "supported_platform", "license_files": "license_file"}


class Stream(Protocol):
    """What a WSGI server gives an application to read."""

    def read(self, size: int = ..., /) -> bytes: ...

    def readline(self, size: int = ..., /) -> bytes: ...


class Unread:
    """A body that fails the test when somebody reads it."""

    def read(self, size: int = -1, /) -> bytes:
        raise AssertionError("the body was read")

    readline = read


@dataclass(frozen=True)
class Part:
    """One file part of a form."""

    content: bytes
    filename: str = ""
    name: str = "content"
    headers: Sequence[str] = ("Content-Type: application/octet-stream",)


def filename_of(content: bytes) -> str:
    """The name of a wheel or an sdist, from its metadata; that of the demo when it cannot be read."""
    metadata = dict(_metadata(content))
    make = wheel_filename if content.startswith(b"PK") else sdist_filename
    return make(metadata.get("name", "demo"), metadata.get("version", "1.0"))


def twine_fields(content: bytes, filename: str | None = None) -> Fields:
    """The fields that twine 7 sends: all metadata, two digests, and the protocol's own at the end."""
    filename = filename or filename_of(content)
    fields = [
        (name, ", ".join(value.split(",")) if name == "keywords" else value) for name, value in _metadata(content)
    ]
    return [
        *(fields or _least(filename)),
        ("pyversion", _python(filename)),
        ("filetype", _kind(filename)),
        *_digests(content, "sha256_digest", "blake2_256_digest"),
        (":action", "file_upload"),
        ("protocol_version", "1"),
    ]


def uv_fields(content: bytes, filename: str | None = None) -> Fields:
    """The fields that uv 0.13 sends: the protocol's own first."""
    filename = filename or filename_of(content)
    return [
        (":action", "file_upload"),
        *_digests(content, "sha256_digest", "blake2_256_digest"),
        ("protocol_version", "1"),
        ("filetype", _kind(filename)),
        ("pyversion", _python(filename)),
        *(_metadata(content) or _least(filename)),
    ]


def flit_fields(content: bytes, filename: str | None = None) -> Fields:
    """The fields that flit 4 sends: its own metadata version, MD5, and no `pyversion` for an sdist."""
    filename = filename or filename_of(content)
    metadata = [(name, "2.1" if name == "metadata_version" else value) for name, value in _metadata(content)]
    wheel_only = [("pyversion", "py2.py3")] if filename.endswith(".whl") else []
    return [
        (":action", "file_upload"),
        *metadata,
        ("protocol_version", "1"),
        ("filetype", _kind(filename)),
        *wheel_only,
        *_digests(content, "md5_digest", "sha256_digest"),
    ]


def hatch_fields(content: bytes, filename: str | None = None) -> Fields:
    """The fields that hatch 1 sends: each header as it stands, three digests."""
    filename = filename or filename_of(content)
    return [
        *_metadata(content),
        ("filetype", _kind(filename)),
        ("pyversion", _python(filename)),
        (":action", "file_upload"),
        ("protocol_version", "1"),
        *_digests(content, "md5_digest", "sha256_digest", "blake2_256_digest"),
    ]


def poetry_fields(content: bytes, filename: str | None = None) -> Fields:
    """The fields that poetry 2 sends: empty ones for what it does not know, `pyversion` of an sdist among them."""
    filename = filename or filename_of(content)
    metadata = _metadata(content)
    known = {name for name, _ in metadata}
    absent = [name for name in ("home_page", "maintainer", "maintainer_email", "download_url") if name not in known]
    return [
        *metadata,
        *((name, "") for name in [*absent, "comment"]),
        ("filetype", _kind(filename)),
        ("pyversion", _python(filename) if filename.endswith(".whl") else ""),
        *_digests(content, "md5_digest", "sha256_digest", "blake2_256_digest"),
        (":action", "file_upload"),
        ("protocol_version", "1"),
    ]


def pdm_fields(content: bytes, filename: str | None = None) -> Fields:
    """The fields that pdm 2 sends: `provides_extras` for the extras, the description with its last newline."""
    filename = filename or filename_of(content)
    names = {"provides_extra": "provides_extras"}
    return [
        *((names.get(name, name), value + "\n" * (name == "description")) for name, value in _metadata(content)),
        ("filetype", _kind(filename)),
        ("pyversion", _python(filename)),
        *_digests(content, "sha256_digest", "md5_digest", "blake2_256_digest"),
        (":action", "file_upload"),
        ("protocol_version", "1"),
    ]


CLIENTS = {
    "twine": twine_fields,
    "uv": uv_fields,
    "flit": flit_fields,
    "hatch": hatch_fields,
    "poetry": poetry_fields,
    "pdm": pdm_fields,
}


def changed(fields: Fields, change: Change) -> Fields:
    """The fields with some replaced, added or (None) left out."""
    kept = [field for field in fields if field[0] not in change]
    added: Fields = []
    for name, value in change.items():
        values = [] if value is None else [value] if isinstance(value, str) else list(value)
        added += [(name, one) for one in values]
    return kept + added


def encoded(fields: Iterable[tuple[str, str]], parts: Iterable[Part], *, boundary: str = BOUNDARY) -> bytes:
    """The bytes of a multipart form, file parts last."""
    body = io.BytesIO()
    for name, value in fields:
        body.write(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for part in parts:
        disposition = f'Content-Disposition: form-data; name="{part.name}"; filename="{part.filename}"'
        body.write("\r\n".join([f"--{boundary}", disposition, *part.headers, "", ""]).encode())
        body.write(part.content + b"\r\n")
    body.write(f"--{boundary}--\r\n".encode())
    return body.getvalue()


def post_upload(
    client: Client,
    token: str | None,
    content: bytes,
    *,
    filename: str | None = None,
    fields: Fields | None = None,
    change: Change | None = None,
    stream: Stream | None = None,
    **headers: str,
) -> Any:
    """Upload a file with Django's test client. `headers` as `HTTP_ACCEPT="…"`."""
    filename = filename or filename_of(content)
    given = twine_fields(content, filename) if fields is None else fields
    body = encoded(changed(given, change or {}), [Part(content, filename)])
    return post_body(client, token, body, stream=stream, **headers)


def post_body(
    client: Client,
    token: str | None,
    body: bytes,
    *,
    content_type: str = "",
    stream: Stream | None = None,
    **headers: str,
) -> Any:
    """Send any bytes as the body of an upload; `stream` to have the index read something else than what was sent."""
    extra: dict[str, Any] = dict(headers)
    if token is not None:
        extra.setdefault("HTTP_AUTHORIZATION", basic(token))
    if stream is not None:
        extra["wsgi.input"] = stream
    # The client would leave both out for an empty body.
    extra.setdefault("CONTENT_TYPE", content_type or f"multipart/form-data; boundary={BOUNDARY}")
    extra.setdefault("CONTENT_LENGTH", str(len(body)))
    return client.generic("POST", UPLOAD, body, **extra)


def a_token(user: str = "ada", *, project: str | None = None, expires_at: datetime | None = None) -> str:
    """An upload token of a user, who is made if need be."""
    now = timezone.now()
    return mint(a_person(user), description="for tests", project=project, expires_at=expires_at, now=now)[1]


def codes_of(response: Any) -> list[str]:
    """The codes of the faults that a plain text answer names, one a line."""
    return [line.rpartition("[")[2].removesuffix("]") for line in response.content.decode().splitlines()]


def incoming(config: Config) -> list[Path]:
    """What lies in the folder of received files."""
    return list((config.data / "incoming").iterdir())


def journal() -> list[str]:
    """The actions of the journal, in order."""
    return list(JournalEntry.objects.order_by("serial").values_list("action", flat=True))


def nothing_taken_in() -> bool:
    """Whether there is no trace of any upload in the rows."""
    return not (Project.objects.exists() or Release.objects.exists() or File.objects.exists() or journal())


def waiting_scans() -> set[int]:
    """The files for which a scan job waits."""
    found: set[int] = waiting_first_arguments(scan_file, list(File.objects.values_list("pk", flat=True)))
    return found


def _digests(content: bytes, *fields: str) -> Fields:
    digests = {
        "md5_digest": hashlib.md5(content).hexdigest(),
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
    }
    return [(field, digests[field]) for field in fields]


def _kind(filename: str) -> str:
    return "bdist_wheel" if filename.endswith(".whl") else "sdist"


def _python(filename: str) -> str:
    return filename.split("-")[-3] if filename.endswith(".whl") else "source"


def _least(filename: str) -> Fields:
    """The metadata of a file that cannot be read: what its name says."""
    if filename.endswith(".whl"):
        name, version, _, _ = parse_wheel_filename(filename)
    else:
        name, version = parse_sdist_filename(filename)
    return [("metadata_version", "2.4"), ("name", str(name)), ("version", str(version))]


def _metadata(content: bytes) -> Fields:
    try:
        raw, _ = parse_email(_metadata_bytes(content))
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, ValueError, EOFError, OSError, NotImplementedError):
        return []
    fields: Fields = []
    for key, value in cast("dict[str, Any]", raw).items():
        name = _RENAMED.get(key, key)
        if name == "project_urls":
            fields += [(name, f"{label}, {url}") for label, url in value.items()]
        elif name == "keywords":
            fields.append((name, ",".join(value)))
        else:
            fields += [(name, one) for one in ([value] if isinstance(value, str) else value)]
    return fields


def _metadata_bytes(content: bytes) -> bytes:
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            [member] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
            return wheel.read(member)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as sdist:
        [member] = [name for name in sdist.getnames() if name.count("/") == 1 and name.endswith("/PKG-INFO")]
        stream = sdist.extractfile(member)
        return stream.read() if stream else b""


@contextmanager
def database_for_threads(folder: Path) -> Iterator[None]:
    """A database that threads can really share, for threads that open connections of their own while this lasts.

    The SQLite of the tests lies in memory, where locks do not wait as they do on a disk: so its tables are copied to
    a file. PostgreSQL is used as it is.
    """
    if connection.vendor == "postgresql":
        yield
        return
    path = folder / "threads.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    in_memory = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = path
    try:
        yield
    finally:
        connection.settings_dict["NAME"] = in_memory


def in_threads(*calls: Callable[[], Outcome]) -> list[Outcome]:
    """What the calls give, made at the same moment, each in a thread with a connection of its own."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Outcome]) -> Outcome:
        barrier.wait()
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
