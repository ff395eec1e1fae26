"""A large upload costs disk, not memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from django.test import Client

from support.distributions import build_wheel
from support.upload import Part, a_token, encoded, incoming, post_body
from wheelmark.server.config import Config
from wheelmark.server.projects.models import File

pytestmark = pytest.mark.django_db

WHEEL_BYTES = 60_000_000
PEAK_BYTES = 8_000_000


class Body:
    """A form whose file is read from the disk as the index asks for it."""

    def __init__(self, head: bytes, file: BinaryIO, tail: bytes) -> None:
        self._pieces: list[BinaryIO] = [BytesIO(head), file, BytesIO(tail)]

    def read(self, size: int = -1, /) -> bytes:
        assert 0 < size <= 1_000_000
        while self._pieces:
            if chunk := self._pieces[0].read(size):
                return chunk
            self._pieces.pop(0)
        return b""

    def readline(self, size: int = -1, /) -> bytes:
        raise AssertionError("a multipart form is not read by lines")


def test_wheel_of_60_megabytes_is_taken_in_with_little_memory(client: Client, config: Config, tmp_path: Path) -> None:
    wheel = build_wheel(payload_size=WHEEL_BYTES, path=tmp_path)
    with wheel.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    fields = [
        (":action", "file_upload"),
        ("protocol_version", "1"),
        ("filetype", "bdist_wheel"),
        ("pyversion", "py3"),
        ("metadata_version", "2.4"),
        ("name", "demo"),
        ("version", "1.0"),
        ("sha256_digest", sha256),
    ]
    marker = b"<here>"
    head, _, tail = encoded(fields, [Part(marker, wheel.name)]).partition(marker)
    length = len(head) + wheel.stat().st_size + len(tail)
    token = a_token()
    with wheel.open("rb") as file:
        tracemalloc.start()
        try:
            response = post_body(client, token, b"", stream=Body(head, file, tail), CONTENT_LENGTH=str(length))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert response.status_code == 200, response.content
    assert (File.objects.get().sha256, File.objects.get().size) == (sha256, wheel.stat().st_size)
    assert peak < PEAK_BYTES
    assert incoming(config) == []
