"""Servers that answer as no honest one should, and what an S3 store makes of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from support.s3 import BUCKET, REGION, S3Server, answering_server, moto_server
from wheelmark.errors import Unavailable
from wheelmark.store import CHUNK_BYTES, Missing, open_store
from wheelmark.store.s3 import PART_BYTES, Patience, S3Location, S3Store

WHOLE = bytes(range(256)) * 1024
HURRY = Patience(connect=0.3, stall=0.3, stream=0.3, retries=1, retry=1)


def hurried(server: S3Server) -> S3Store:
    return S3Store(S3Location(BUCKET, "prefix", server.endpoint, REGION), patience=HURRY)


class Server:
    """Holds `WHOLE` under every key, and answers ranges, sizes and writes honestly unless a test changes that."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200  # of everything; 200 means honest
        self.error_code = "InternalError"
        self.size = len(WHOLE)
        self.head_size: int | None = None  # what HEAD says, when it is not `size`
        self.range_status = 206
        self.range_shift = 0  # how many bytes too far a range begins
        self.sent_bytes: int | None = None  # the connection dies after so many
        self.holds = WHOLE

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{request.command} {urlsplit(request.path).path}")
        if self.status != 200:
            self._say_no(request)
        elif request.command == "PUT":
            _send(request, 200, {"ETag": '"x"'}, b"")
        elif "list-type=2" in request.path:
            _send(request, 200, {}, LISTING)
        else:
            self._send_object(request)

    def _say_no(self, request: BaseHTTPRequestHandler) -> None:
        body = b"<Error><Code>%s</Code><Message>no</Message></Error>" % self.error_code.encode()
        _send(request, self.status, {}, b"" if request.command == "HEAD" else body)

    def _send_object(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        modified = {"Last-Modified": "Mon, 23 Nov 2026 00:00:00 GMT", "ETag": '"x"'}
        if wanted is None:
            size = self.head_size if request.command == "HEAD" and self.head_size is not None else self.size
            _send(request, 200, modified, self.holds, size=size, sent_bytes=self.sent_bytes)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first) + self.range_shift, min(int(last) + 1 + self.range_shift, self.size)
        modified["Content-Range"] = f"bytes {start}-{stop - 1}/{self.size}"
        body = self.holds[start:stop] if self.range_status == 206 else self.holds
        _send(request, self.range_status, modified, body, sent_bytes=self.sent_bytes)


LISTING = b"<ListBucketResult><Name>x</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    body: bytes,
    *,
    size: int | None = None,
    sent_bytes: int | None = None,
) -> None:
    request.send_response(status)
    for name, field in headers.items():
        request.send_header(name, field)
    request.send_header("Content-Length", str(len(body) if size is None else size))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body[:sent_bytes])
    if sent_bytes is not None:
        request.close_connection = True


@pytest.fixture
def behaviour() -> Server:
    return Server()


@pytest.fixture
def server(behaviour: Server) -> Iterator[S3Server]:
    with answering_server(behaviour) as running:
        yield running


@pytest.fixture
def store(server: S3Server) -> S3Store:
    return hurried(server)


def test_honest_server_is_read_in_ranges(store: S3Store, behaviour: Server) -> None:
    assert b"".join(store.read("key", start=1000, stop=200_000)) == WHOLE[1000:200_000]
    assert behaviour.asked == [f"HEAD /{BUCKET}/prefix/key", f"GET /{BUCKET}/prefix/key"]


def test_server_that_answers_a_range_with_the_whole_object_is_read_whole_and_cut(
    store: S3Store, behaviour: Server
) -> None:
    behaviour.range_status = 200
    for start, stop in ((0, 5), (1000, 200_000), (CHUNK_BYTES, None), (len(WHOLE) - 1, len(WHOLE) + 9)):
        assert b"".join(store.read("key", start=start, stop=stop)) == WHOLE[start:stop]
    # It is asked for a range once, not again before every read.
    assert len([line for line in behaviour.asked if line.startswith("GET")]) == 5


def test_whole_answer_is_read_no_further_than_the_range(store: S3Store, behaviour: Server) -> None:
    behaviour.range_status = 200
    behaviour.sent_bytes = 2 * CHUNK_BYTES  # what comes after is never missed
    assert b"".join(store.read("key", start=5, stop=CHUNK_BYTES)) == WHOLE[5:CHUNK_BYTES]


def test_object_that_shrank_between_its_size_and_its_bytes_is_told(store: S3Store, behaviour: Server) -> None:
    behaviour.head_size = len(WHOLE) + 1000
    with pytest.raises(Unavailable, match="it was replaced meanwhile") as told:
        store.read("key", start=1000)
    assert told.value.code == "store-wrong-range"


@pytest.mark.parametrize("shift", [1, -1, 100])
def test_server_that_answers_with_another_range_yields_no_byte(store: S3Store, behaviour: Server, shift: int) -> None:
    behaviour.range_shift = shift
    with pytest.raises(Unavailable):
        store.read("key", start=1000, stop=2000)


@pytest.mark.parametrize("start", [0, 10])
def test_connection_that_dies_in_the_middle_is_an_error_and_not_a_short_object(
    store: S3Store, behaviour: Server, start: int
) -> None:
    behaviour.sent_bytes = 100_000
    with pytest.raises(Unavailable):
        b"".join(store.read("key", start=start))


def test_write_that_the_server_did_not_keep_whole_is_told(store: S3Store, behaviour: Server) -> None:
    behaviour.size = 3
    with pytest.raises(
        Unavailable, match=r"expected s3://.* to hold 5 bytes at key, got 3 bytes; send it again"
    ) as told:
        store.put("key", [b"whole"], immutable=False)
    assert told.value.code == "store-wrong-length"


@pytest.mark.parametrize(
    ("status", "error_code", "expected"),
    [
        (403, "AccessDenied", r"denies access .*check the AWS_.* \[store-denied\]"),
        (401, "AccessDenied", r"denies access .*check the AWS_.* \[store-denied\]"),
        (404, "NoSuchBucket", r"does not exist: create the bucket or correct the address \[store-no-bucket\]"),
        (500, "InternalError", r"cannot be reached or failed .*then retry \[store-unreachable\]"),
        (503, "SlowDown", r"cannot be reached or failed .*then retry \[store-unreachable\]"),
        (507, "XMinioStorageFull", r"is full .*free or add space, then retry \[store-full\]"),
    ],
)
def test_refusal_of_the_server_says_what_to_do(
    store: S3Store, behaviour: Server, status: int, error_code: str, expected: str
) -> None:
    behaviour.status, behaviour.error_code = status, error_code
    attempts: list[Callable[[], object]] = [
        lambda: store.put("key", [b"whole"], immutable=False),
        lambda: store.put("key", [bytes(PART_BYTES), b"more"], immutable=False),
        lambda: store.put_many([("key", b"whole")], immutable=False),
        lambda: store.read("key"),
        lambda: list(store.list("")),
    ]
    for attempt in attempts:
        with pytest.raises(Unavailable) as told:
            attempt()
        assert re.fullmatch(f"s3://{BUCKET} {expected}", f"{told.value} [{told.value.code}]")


def test_bucket_that_is_gone_is_never_an_absent_object(store: S3Store, behaviour: Server) -> None:
    behaviour.status, behaviour.error_code = 404, "NoSuchBucket"
    attempts: list[Callable[[], object]] = [
        lambda: store.head("key"),
        lambda: store.read("key"),
        lambda: store.read("key", start=1),
        lambda: store.delete("key"),
        lambda: store.put("key", [b"whole"], immutable=True),
    ]
    for attempt in attempts:
        with pytest.raises(Unavailable) as told:
            attempt()
        assert told.value.code == "store-no-bucket"


def test_server_that_never_answers_is_given_up_soon(behaviour: Server) -> None:
    def sleep(_: BaseHTTPRequestHandler) -> None:
        time.sleep(1)

    with answering_server(sleep) as server:
        store = hurried(server)
        begun = time.monotonic()
        with pytest.raises(Unavailable) as told:
            store.head("key")
    assert told.value.code == "store-unreachable"
    assert time.monotonic() - begun < 5


def test_server_that_is_not_there_is_told(server: S3Server) -> None:
    store = S3Store(S3Location(BUCKET, "", "http://127.0.0.1:1", REGION), patience=HURRY)
    with pytest.raises(Unavailable, match="check address and network") as told:
        store.put("key", [b"whole"], immutable=False)
    assert told.value.code == "store-unreachable"


def test_failed_request_is_repeated_within_bounds(behaviour: Server, server: S3Server) -> None:
    behaviour.status = 500
    store = S3Store(S3Location(BUCKET, "", server.endpoint, REGION), patience=Patience(stall=1, retries=2, retry=5))
    with pytest.raises(Unavailable):
        store.head("key")
    assert len(behaviour.asked) == 3


def test_conditional_writes_and_bulk_deletion_are_not_used(behaviour: Server) -> None:
    seen: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.extend(name.lower() for name in request.headers)
        seen.append(request.command)
        behaviour(request)

    behaviour.holds = b"whole"
    behaviour.size = 5
    with answering_server(answer) as server:
        store = hurried(server)
        store.put("key", [b"whole"], immutable=True)
        store.put("key", [b"whole"], immutable=False)
        store.delete("key")
    assert {"PUT", "HEAD", "DELETE"} <= set(seen)
    assert "POST" not in seen
    assert not {"if-none-match", "if-match"} & set(seen)


def test_deletion_whose_answer_is_an_error_counts_by_what_is_there() -> None:
    gone = False

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.command == "DELETE":
            _send(request, 500, {}, b"")
        elif request.command == "HEAD":
            _send(request, 404 if gone else 200, {"Last-Modified": "Mon, 23 Nov 2026 00:00:00 GMT"}, b"x")
        else:
            _send(request, 200, {}, LISTING)

    with answering_server(answer) as server:
        store = hurried(server)
        with pytest.raises(Unavailable):
            store.delete("key")
        gone = True
        store.delete("key")


def test_failing_upload_of_many_parts_leaves_no_parts_behind() -> None:
    """Parts that no listing shows cost money; obstore must abort what its source gave up."""

    def broken() -> Iterator[bytes]:
        yield bytes(2 * PART_BYTES)
        raise ConnectionResetError("the sender went away")

    with moto_server() as server:
        store = open_store(server.url("aborted"))
        with pytest.raises(ConnectionResetError):
            store.put("big", broken(), immutable=False)
        assert uploads_in_progress() == 0
        with pytest.raises(Missing):
            store.read("big")


def uploads_in_progress() -> int:
    from moto.s3.models import s3_backends

    return sum(
        len(bucket.multiparts)
        for account in s3_backends.values()
        for backend in account.values()
        for name, bucket in backend.buckets.items()
        if name == BUCKET
    )


def test_keys_beside_ours_are_not_listed() -> None:
    with moto_server() as server:
        store = open_store(server.url("ours"))
        open_store(server.url("ours-too")).put("other", [b"1"], immutable=True)
        store.put("a", [b"1"], immutable=True)
        put_foreign("ours/with space")
        assert [found.key for found in store.list("")] == ["a"]


def put_foreign(key: str) -> None:
    from moto.s3.models import s3_backends

    for account in s3_backends.values():
        for backend in account.values():
            if BUCKET in backend.buckets:
                backend.put_object(BUCKET, key, b"1")
