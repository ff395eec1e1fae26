"""A read path under test: a published index, and a WSGI client that sees what a client of the index would see."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from django.utils import timezone

from support.publishing import FoundedIndex
from support.rows import a_file
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key, metadata_key

METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


@dataclass(frozen=True, slots=True)
class Got:
    """An answer, with its headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def environ(target: str, *, method: str = "GET", **headers: str) -> dict[str, Any]:
    """What a WSGI server makes of a request; `headers` as `if_none_match="…"`."""
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(),
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }


def ask(application: Any, target: str, *, method: str = "GET", **headers: str) -> Got:
    """Send one request, and read the answer to its end."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = application(environ(target, method=method, **headers), lambda status, sent: started.append((status, sent)))
    try:
        content = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    [(status, sent)] = started
    return Got(int(status.split(" ", 1)[0]), {name.lower(): value for name, value in sent}, content)


def stored_file(
    index: FoundedIndex, project: str = "demo", version: str = "1.0", *, content: bytes = b"", **fields: Any
) -> File:
    """A file whose bytes and core metadata lie in the store, as after an upload; scanned unless told otherwise."""
    content = content or f"the bytes of {project} {version} {fields}".encode()
    file = a_file(project, version, content=content, metadata=METADATA, **fields)
    index.store.put(file_key(file.sha256), [content], immutable=True)
    index.store.put(metadata_key(file.metadata_sha256), [METADATA], immutable=True)
    return file


def published_file(index: FoundedIndex, project: str = "demo", version: str = "1.0", **fields: Any) -> File:
    """A file that the current snapshot lists."""
    file = stored_file(index, project, version, state=FileState.SCANNED, **fields)
    assert index.publisher().publish_due()
    file.refresh_from_db()
    return file


@contextmanager
def delivering(index: FoundedIndex, **replaced: Any) -> Iterator[Delivery]:
    """The read path of an index, without its watcher: a new snapshot is seen when `snapshots.renew()` is called."""
    clock = replaced.get("clock", timezone.now)
    delivery = Delivery(replaced.get("store", index.store), replaced.get("catalog"), clock=clock)
    try:
        yield delivery
    finally:
        delivery.stop()
