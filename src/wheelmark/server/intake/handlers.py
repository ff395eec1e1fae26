"""Receives the file part of an upload: to disk, hashed on the way, so that the bytes are read once.

Django's own temporary-file handler does the streaming; this one adds the digests.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler

DIGESTS = "wheelmark_digests"


class _Hasher(Protocol):
    def update(self, chunk: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class HashingUploadHandler(TemporaryFileUploadHandler):
    """Streams each file part to a temporary file and leaves its digests on it: see `digests_of`."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file part."""
        super().new_file(*args, **kwargs)
        # MD5 identifies a transfer here and protects nothing: old clients send it, and a wrong one means a broken
        # transfer.
        self._hashes: dict[str, _Hasher] = {
            "md5": hashlib.md5(usedforsecurity=False),
            "sha256": hashlib.sha256(),
            "blake2b_256": hashlib.blake2b(digest_size=32),
        }

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write and hash one chunk."""
        for hasher in self._hashes.values():
            hasher.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile[Any] | None:
        """Finish a file part."""
        file: UploadedFile[Any] | None = super().file_complete(file_size)
        if file is not None:
            setattr(file, DIGESTS, {name: hasher.hexdigest() for name, hasher in self._hashes.items()})
        return file


def digests_of(file: UploadedFile[Any]) -> dict[str, str]:
    """The digests of a received file: md5, sha256 and blake2b_256, in hex."""
    digests: dict[str, str] = getattr(file, DIGESTS)
    return digests
