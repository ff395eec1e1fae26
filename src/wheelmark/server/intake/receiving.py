"""Receives the form of an upload: its fields into memory, the distribution to disk, hashed on the way.

Django's multipart parser reads; what it reads goes where this module says. `request.POST` is never touched, so that
there is one place where the body is read and one where the received file is removed again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from wheelmark.dist.faults import quoted
from wheelmark.errors import Refused, Unavailable
from wheelmark.server.intake.faults import fault
from wheelmark.server.intake.rules import CONTENT

SUFFIX = ".upload"
"""How the names of received files end. The rest of the name is random: nothing of the sender's is in it."""

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedFile:
    """The distribution as it arrived."""

    path: Path  # gone when the `receiving` block ends; whoever wants it moves it away
    filename: str  # as the sender wrote it: any text, path and all
    size: int  # bytes
    sha256: str

    def digests(self) -> dict[str, str]:
        """All digests that a form can name, in hex. Reads the file again: for uploads that are refused anyway."""
        # MD5 tells a broken transfer here and protects nothing.
        md5, blake2b_256 = hashlib.md5(usedforsecurity=False), hashlib.blake2b(digest_size=32)
        with self.path.open("rb") as stream:
            while chunk := stream.read(READ_BYTES):
                md5.update(chunk)
                blake2b_256.update(chunk)
        return {"sha256": self.sha256, "md5": md5.hexdigest(), "blake2b_256": blake2b_256.hexdigest()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A whole form."""

    form: Mapping[str, list[str]]
    content: ReceivedFile | None
    """The first file part `content`."""
    content_parts: int
    """How many there were."""


class _Counted:
    """A request's body that counts what was read of it: all that the parser needs of a file."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.count = 0

    def read(self, size: int) -> bytes:
        chunk = self._request.read(size)
        self.count += len(chunk)
        return chunk


class _Parser(MultiPartParser):
    """Django's parser, which keeps a file's name as it was sent: a path in it is refused, not cut off silently."""

    def sanitize_file_name(self, file_name: str) -> str:
        return file_name


class _Spool(FileUploadHandler):
    """Writes the file part `content` to disk and hashes it. Other file parts (signatures of old) are passed over."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._filename = ""
        self._sha256 = hashlib.sha256()
        self.parts = 0
        self.received: ReceivedFile | None = None
        self.interrupted = False

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        """Begin a file part."""
        if field_name != CONTENT:
            return
        self.parts += 1
        if self.parts > 1:
            return
        self._filename = file_name
        with _our_disk():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(suffix=SUFFIX, dir=self._folder)
            self._path, self._file = Path(path), os.fdopen(handle, "wb")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write and hash one chunk."""
        if self._file is not None:
            self._sha256.update(raw_data)
            with _our_disk():
                self._file.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        """Finish a file part; Django is given nothing to keep."""
        if self._file is None or self._path is None:
            return
        with _our_disk():
            self._file.close()
        self._file = None
        self.received = ReceivedFile(
            path=self._path, filename=self._filename, size=file_size, sha256=self._sha256.hexdigest()
        )

    def upload_interrupted(self) -> None:
        """The body ended inside a file."""
        self.interrupted = True

    def discard(self) -> None:
        """Close and remove the file, unless somebody took it over."""
        if self._file is not None:
            # What was still to be written is of no use any more.
            with suppress(OSError):
                self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


@contextmanager
def receiving(request: HttpRequest, folder: Path, *, length: int) -> Iterator[Received]:
    """Read the body, whose length in bytes the sender gave. The file in `folder` lives as long as the block.

    Raises:
        Refused: the body is no whole form, or larger than its bounds.
        Unavailable: our disk does not take the file (`incoming-disk`).
    """
    spool = _Spool(folder)
    try:
        form = _parse(request, spool, length)
        yield Received(form=form, content=spool.received, content_parts=spool.parts)
    finally:
        spool.discard()


def _parse(request: HttpRequest, spool: _Spool, length: int) -> dict[str, list[str]]:
    body = _Counted(request)
    try:
        # UTF-8 whatever the request's charset says: RFC 7578 § 5.1.2 leaves no other in use.
        parser = _Parser(request.META, body, [spool], "utf-8")  # type: ignore[arg-type]  # of a file, it calls `read`
        fields, _ = parser.parse()
    except RequestDataTooBig as error:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raise _refused(
            "form-too-large", f"expected at most {limit:,} bytes of fields beside the file, got more"
        ) from error
    except TooManyFieldsSent as error:
        limit = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        raise _refused("form-too-many-parts", f"expected at most {limit:,} fields, got more") from error
    except TooManyFilesSent as error:
        limit = settings.DATA_UPLOAD_MAX_NUMBER_FILES
        raise _refused("form-too-many-parts", f"expected at most {limit} files, got more") from error
    except (MultiPartParserError, SuspiciousOperation, BadRequest, ValueError) as error:
        raise _refused("form-broken", f"expected a multipart form, got {quoted(str(error))}") from error
    except OSError as error:
        # Not our disk (see `_our_disk`), so the connection.
        raise _refused(
            "form-broken", f"expected {length:,} bytes, got {body.count:,} and a broken connection"
        ) from error
    if body.count < length:
        raise _refused("form-broken", f"expected {length:,} bytes as Content-Length says, got {body.count:,}")
    if spool.interrupted:
        raise _refused("form-broken", "expected a boundary after the last part, got the end of the form")
    if not fields and not spool.parts:
        raise _refused("form-broken", "expected parts between the boundaries that Content-Type names, got none")
    return dict(fields.lists())


@contextmanager
def _our_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the received file cannot be written: {error.strerror}", code="incoming-disk") from error


def _refused(code: str, message: str) -> Refused:
    return Refused([fault(code, message)])
