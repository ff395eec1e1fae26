"""Objects in an S3-compatible store, through obstore.

S3 servers differ, so nothing is taken on trust that we can check ourselves. Conditional writes are ignored by some
servers and unknown to others: before an immutable key is written we look whether it exists and compare, and after every
write we ask for the size. Between the look and the write another process could write the same key: **one writer a key**
is the caller's part (keys that contain a hash make it harmless). A server that answers a range request with the whole
object is read whole, and cut here.

An upload that dies midway can leave parts behind that no listing shows and that cost money: give the bucket a lifecycle
rule that aborts incomplete multipart uploads after a day or more.

Who may write: whoever holds the credentials. A thief of them can withhold or destroy objects, but cannot make a
verifying client accept others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store as Bucket

from wheelmark.errors import Unavailable
from wheelmark.store.keys import check_key, folder_of, is_key
from wheelmark.store.model import CHUNK_BYTES, Conflict, Missing, Stored
from wheelmark.store.streams import check_range, clip, exactly, joined, same_bytes

if TYPE_CHECKING:
    from obstore.store import S3Config  # exists for type checkers only

# An upload holds at most CONCURRENT_PARTS + 2 parts in memory; S3 allows 10,000 parts, so objects end at 80 GB.
PART_BYTES = 8 * 1024 * 1024
CONCURRENT_PARTS = 4
PARALLEL_PUTS = 16
LIST_PAGE = 1000

# How obstore reports an answer without `206 Partial Content`, and servers a missing bucket, a listing that is denied, a
# full disk. There are no types for these; the tests hold the words against such answers.
_NOT_PARTIAL = "non-partial response"
_NO_BUCKET = "NoSuchBucket"
_DENIED = ("403 Forbidden", "401 Unauthorized")
_FULL = ("507 Insufficient Storage", "StorageFull", "QuotaExceeded")


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where a bucket is, and what part of it is ours. None leaves the choice to the environment (`AWS_*`)."""

    bucket: str
    prefix: str = ""  # a key without slashes at its ends, or empty
    endpoint: str | None = None
    region: str | None = None

    @property
    def url(self) -> str:
        """The address that `open_store` takes."""
        named = {"endpoint": self.endpoint, "region": self.region}
        query = urlencode({name: value for name, value in named.items() if value is not None}, safe=":/")
        return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "") + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server before giving up, in seconds."""

    connect: float = 5
    # No byte for so long: the connection is dead. A part of an upload must arrive within it, too.
    stall: float = 60
    # A client on a thin line may take this long to read one object; everything else is one request within `stall`.
    stream: float = 12 * 60 * 60
    # A failed request is repeated so often, and not any more once so much time has gone.
    retries: int = 3
    retry: float = 30


class S3Store:
    """A bucket, or the part of one below a prefix. Opening it asks the server nothing."""

    def __init__(self, location: S3Location, *, patience: Patience | None = None) -> None:
        """Prepare to talk to a bucket, with the credentials of the environment."""
        patience = patience or Patience()
        self.url = location.url
        self._name = f"s3://{location.bucket}"
        self._requests = _bucket(location, patience, patience.stall)
        self._streams = _bucket(location, patience, patience.stream)
        # Learnt by asking, then kept: that the bucket exists, and that ranges are answered as ranges.
        self._bucket_seen = False
        self._ranges_work = True

    def put(self, key: str, chunks: Iterable[bytes], *, immutable: bool) -> Stored:
        """See `Store.put`. Bytes of an immutable key that exists are compared, not sent."""
        check_key(key)
        if immutable and (existing := self.head(key)):
            return self._same(existing, chunks)
        remaining = iter(chunks)
        first = _first_part(remaining)
        if len(first) < PART_BYTES:
            return self._put_whole(key, first)
        source = _Source(chain([first], remaining))
        try:
            with self._asking():
                obstore.put(
                    self._requests,
                    key,
                    source,
                    use_multipart=True,
                    chunk_size=PART_BYTES,
                    max_concurrency=CONCURRENT_PARTS,
                )
        except Exception:
            # The caller's own error, and not what obstore made of it.
            if source.error is not None:
                raise source.error from None
            raise
        return self._confirmed(Stored(key, source.size))

    def put_file(self, key: str, path: Path, *, immutable: bool) -> Stored:
        """See `Store.put_file`."""
        check_key(key)
        try:
            with path.open("rb") as file:
                stored = self.put(key, iter(lambda: file.read(CHUNK_BYTES), b""), immutable=immutable)
            path.unlink()
        except OSError as error:
            raise Unavailable(f"{path} could not be taken over: {error.strerror}", code="store-io") from error
        return stored

    def put_many(self, objects: Iterable[tuple[str, bytes]], *, immutable: bool) -> None:
        """See `Store.put_many`. At most `4 * PARALLEL_PUTS` objects are in memory here."""

        def put_one(one: tuple[str, bytes]) -> Stored:
            return self.put(one[0], [one[1]], immutable=immutable)

        remaining = iter(objects)
        with ThreadPoolExecutor(PARALLEL_PUTS, thread_name_prefix="store-put") as pool:
            while batch := tuple(islice(remaining, 4 * PARALLEL_PUTS)):
                for _ in pool.map(put_one, batch):
                    pass

    def read(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """See `StoreReader.read`."""
        check_range(start, stop)
        check_key(key)
        if start == 0 and stop is None:
            return self._read_whole(key)
        found = self.head(key)
        if found is None:
            raise Missing(key)
        first, end = clip(start, stop, found.size)
        # S3 refuses an empty range, and nothing is left to fetch.
        return self._read_range(key, first, end) if first < end else iter(())

    def read_all(self, key: str, *, max_bytes: int) -> bytes:
        """See `StoreReader.read_all`."""
        return joined(key, self.read(key), max_bytes=max_bytes)

    def head(self, key: str) -> Stored | None:
        """See `StoreReader.head`."""
        check_key(key)
        with self._asking():
            try:
                return Stored(key, obstore.head(self._requests, key)["size"])
            except FileNotFoundError:
                pass
        self._check_bucket()
        return None

    def list(self, prefix: str) -> Iterator[Stored]:
        """See `StoreReader.list`."""
        folder = folder_of(prefix)
        # S3 lists by folder in obstore; the rest of the prefix is compared here.
        with self._asking():
            for page in obstore.list(self._requests, folder or None, chunk_size=LIST_PAGE):
                for found in page:
                    if found["path"].startswith(prefix) and is_key(found["path"]):
                        yield Stored(found["path"], found["size"])

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        with self._asking():
            try:
                obstore.delete(self._requests, key)
            except (BaseError, FileNotFoundError):
                # What counts is that nothing is there: the answer may have been lost, and some servers fail at keys
                # that were never written. A bucket that is away is told by `head`.
                if self.head(key) is not None:
                    raise

    def local_path(self, key: str) -> Path | None:
        """See `StoreReader.local_path`."""
        check_key(key)
        return None

    # Writing

    def _same(self, existing: Stored, chunks: Iterable[bytes]) -> Stored:
        if not same_bytes(chunks, self.read(existing.key)):
            raise Conflict.other_bytes(existing.key)
        return existing

    def _put_whole(self, key: str, content: bytes) -> Stored:
        with self._asking():
            obstore.put(self._requests, key, content, use_multipart=False)
        return self._confirmed(Stored(key, len(content)))

    def _confirmed(self, sent: Stored) -> Stored:
        """What was sent, once the server says that it holds as much."""
        found = self.head(sent.key)
        if found != sent:
            size = "nothing" if found is None else f"{found.size} bytes"
            message = f"expected {self._name} to hold {sent.size} bytes at {sent.key}, got {size}; send it again"
            raise Unavailable(message, code="store-wrong-length")
        return sent

    # Reading

    def _read_whole(self, key: str) -> Iterator[bytes]:
        result = self._get(key)
        return exactly(key, self._pieces(result), result.meta["size"])

    def _read_range(self, key: str, first: int, end: int) -> Iterator[bytes]:
        if self._ranges_work:
            try:
                result = self._get(key, (first, end))
            except _WholeAnswer:
                self._ranges_work = False
            else:
                if result.range != (first, end):
                    message = f"expected bytes {first} to {end} of {key}, got {result.range}; it was replaced meanwhile"
                    raise Unavailable(message, code="store-wrong-range")
                return exactly(key, self._pieces(result), end - first)
        whole = self._get(key)
        return exactly(key, _cut(self._pieces(whole), first, end), end - first)

    def _get(self, key: str, wanted: tuple[int, int] | None = None) -> obstore.GetResult:
        options: obstore.GetOptions = {} if wanted is None else {"range": wanted}
        with self._asking():
            try:
                return obstore.get(self._streams, key, options=options)
            except FileNotFoundError as error:
                if _NO_BUCKET not in str(error):
                    raise Missing(key) from error
                raise
            except BaseError as error:
                if _NOT_PARTIAL in str(error):
                    raise _WholeAnswer from error
                raise

    def _pieces(self, result: obstore.GetResult) -> Iterator[bytes]:
        with self._asking():
            for block in result.stream(min_chunk_size=CHUNK_BYTES):
                view = memoryview(block)
                for at in range(0, len(view), CHUNK_BYTES):
                    yield bytes(view[at : at + CHUNK_BYTES])

    # Errors

    def _check_bucket(self) -> None:
        """Tell "no such object" from "no such bucket": both are a bare 404 to HEAD and DELETE. Asked once."""
        if not self._bucket_seen:
            with self._asking():
                next(obstore.list(self._requests, chunk_size=1), None)
            self._bucket_seen = True

    def _asking(self) -> AbstractContextManager[None]:
        return _converted(self._name)


class _WholeAnswer(Exception):
    """The server answered a range request with the whole object."""


class _Source:
    """A stream on its way into obstore: counts its bytes, and remembers the error that the caller's side raised."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.size = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        self.size += len(chunk)
        return chunk


def _bucket(location: S3Location, patience: Patience, timeout: float) -> Bucket:
    # One object at a time is deleted, and not every server knows the bulk request.
    config: S3Config = {"disable_bulk_delete": True}
    if location.endpoint is not None:
        config["endpoint"] = location.endpoint
    if location.region is not None:
        config["region"] = location.region
    return Bucket(
        location.bucket,
        prefix=location.prefix or None,
        config=config,
        client_options={
            # Plain http is what the operator wrote into the address: a store on this machine or a private network.
            "allow_http": (location.endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=patience.connect),
            "read_timeout": timedelta(seconds=patience.stall),
            "timeout": timedelta(seconds=timeout),
        },
        retry_config={"max_retries": patience.retries, "retry_timeout": timedelta(seconds=patience.retry)},
    )


def _first_part(chunks: Iterator[bytes]) -> bytes:
    """At least `PART_BYTES` from a stream (what is left stays in it), or all of a shorter one."""
    kept = bytearray()
    while len(kept) < PART_BYTES and (chunk := next(chunks, None)) is not None:
        kept += chunk
    return bytes(kept)


def _cut(chunks: Iterable[bytes], first: int, end: int) -> Iterator[bytes]:
    """The bytes `[first, end)` of a stream; reads no further."""
    at = 0
    for chunk in chunks:
        piece = chunk[max(first - at, 0) : max(end - at, 0)]
        at += len(chunk)
        if piece:
            yield piece
        if at >= end:
            return


@contextmanager
def _converted(name: str) -> Iterator[None]:
    """Turn what obstore raises into `Unavailable` that tells the operator what to do."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _unavailable(name, error) from error


def _unavailable(name: str, error: Exception) -> Unavailable:
    # Only the first line: after it obstore prints its own insides.
    said = str(error).partition("\n")[0]
    if _NO_BUCKET in str(error):
        return Unavailable(f"{name} does not exist: create the bucket or correct the address", code="store-no-bucket")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or any(word in str(error) for word in _DENIED):
        message = f"{name} denies access ({said}): check the AWS_* credentials, which must read, write, list and delete"
        return Unavailable(message, code="store-denied")
    if any(word in str(error) for word in _FULL):
        return Unavailable(f"{name} is full ({said}): free or add space, then retry", code="store-full")
    return Unavailable(
        f"{name} cannot be reached or failed ({said}): check address and network, then retry", code="store-unreachable"
    )
