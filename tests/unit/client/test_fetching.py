"""Bytes from the network are bounded in time, attempts and redirects; what they say is somebody else's matter."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zstandard

from support.repository import Answer, IndexServer, SignedRepository
from wheelmark.client import HttpFetcher, Kind, Limits
from wheelmark.client.fetching import CHUNK_BYTES, HttpStatus, download
from wheelmark.client.http_fetcher import ATTEMPTS, _redirected
from wheelmark.errors import Unavailable, Untrusted

REPOSITORY = SignedRepository()
BODY = bytes(range(256)) * 1024


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with IndexServer(REPOSITORY) as running:
        running.objects = {"/body": BODY}
        yield running


def a_fetcher(**limits: float) -> tuple[HttpFetcher, list[float]]:
    """A fetcher that does not sleep between attempts but notes how long it would have."""
    pauses: list[float] = []
    return HttpFetcher(Limits(**limits), sleep=pauses.append), pauses  # type: ignore[arg-type]  # the one int is not passed


@pytest.mark.parametrize("kind", Kind)
def test_body_arrives_in_bounded_pieces(server: IndexServer, kind: Kind) -> None:
    pieces = list(a_fetcher()[0].stream(f"{server.origin}/body", kind))
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) <= CHUNK_BYTES


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(BODY)), ("x-gzip", gzip.compress(BODY)), ("zstd", zstandard.compress(BODY)), ("", BODY)],
)
def test_compressed_metadata_is_decoded_in_bounded_pieces(server: IndexServer, encoding: str, body: bytes) -> None:
    server.hostile = lambda *_: Answer(200, {"Content-Encoding": encoding}, body)
    pieces = list(a_fetcher()[0].stream(f"{server.origin}/body", Kind.METADATA))
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) <= CHUNK_BYTES


def test_file_is_taken_as_stored_whatever_encoding_is_claimed(server: IndexServer) -> None:
    # A .tar.gz that a server labels with its own compression must not be unpacked on the way.
    body = gzip.compress(BODY)
    server.hostile = lambda *_: Answer(200, {"Content-Encoding": "gzip"}, body)
    assert b"".join(a_fetcher()[0].stream(f"{server.origin}/body", Kind.FILE)) == body


def test_half_a_gzip_stream_is_untrusted(server: IndexServer) -> None:
    server.hostile = lambda *_: Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(BODY)[:-9])
    with pytest.raises(Untrusted) as caught:
        list(a_fetcher()[0].stream(f"{server.origin}/body", Kind.METADATA))
    assert caught.value.code == "encoding"


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_other_status_is_given_to_the_caller_at_once(server: IndexServer, status: int) -> None:
    server.hostile = lambda *_: Answer(status)
    with pytest.raises(HttpStatus) as caught:
        list(a_fetcher()[0].stream(f"{server.origin}/body", Kind.METADATA))
    assert caught.value.status == status
    assert len(server.requests) == 1


def test_index_that_is_away_for_a_moment_is_asked_again(server: IndexServer) -> None:
    server.hostile = lambda *_: Answer(503) if len(server.requests) < ATTEMPTS else None
    fetcher, pauses = a_fetcher()
    assert b"".join(fetcher.stream(f"{server.origin}/body", Kind.METADATA)) == BODY
    assert len(pauses) == ATTEMPTS - 1


def test_index_that_stays_away_is_unavailable(server: IndexServer) -> None:
    server.hostile = lambda *_: Answer(503, {"Retry-After": "86400"})
    with pytest.raises(HttpStatus):
        list(a_fetcher()[0].stream(f"{server.origin}/body", Kind.METADATA))
    assert len(server.requests) == ATTEMPTS


def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        fetcher, pauses = a_fetcher()
        with pytest.raises(Unavailable) as caught:
            list(fetcher.stream(f"http://127.0.0.1:{unused.getsockname()[1]}/", Kind.FILE))
    assert caught.value.code == "connection"
    assert len(pauses) == ATTEMPTS - 1


@contextmanager
def raw_server(*pieces: bytes, pause: float = 0.02, repeat_last: bool = False) -> Iterator[str]:
    """Answers every connection with these bytes, a pause before each; then again and again the last one."""
    done = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        for piece in pieces:
            time.sleep(pause)
            connection.sendall(piece)
        while repeat_last and not done.wait(pause):
            connection.sendall(pieces[-1])

    def run() -> None:
        while not done.is_set():
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            done.set()
            socket.create_connection(("127.0.0.1", port)).close()  # wakes `accept`
            thread.join(10)


def test_headers_that_drip_in_are_cut_off() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nX: ", b"x", repeat_last=True) as url:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            list(a_fetcher(headers_seconds=0.3)[0].stream(url, Kind.FILE))
    assert caught.value.code == "slow-retrieval"
    assert time.monotonic() - started < 5


def test_silence_is_cut_off() -> None:
    silent = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"", pause=0.5)
    with silent as url, pytest.raises(Unavailable) as caught:
        list(a_fetcher(gap_seconds=0.1)[0].stream(url, Kind.FILE))
    assert caught.value.code == "slow-retrieval"


def test_connection_that_breaks_is_unavailable_not_untrusted() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx") as url, pytest.raises(Unavailable) as caught:
        list(a_fetcher()[0].stream(url, Kind.FILE))
    assert caught.value.code == "connection"


def test_answer_that_is_no_http_is_unavailable() -> None:
    with raw_server(b"SSH-2.0-OpenSSH_9.2\r\n") as url, pytest.raises(Unavailable):
        HttpFetcher(Limits(), sleep=lambda _: None).stream(url, Kind.FILE).__next__()


def test_bound_is_on_what_comes_out(server: IndexServer) -> None:
    assert download(a_fetcher()[0], f"{server.origin}/body", len(BODY)) == BODY
    with pytest.raises(Untrusted) as caught:
        download(a_fetcher()[0], f"{server.origin}/body", len(BODY) - 1)
    assert caught.value.code == "endless-data"


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("https://a.example/files/x", "https://b.example/y", "https://b.example/y"),
        ("https://a.example/files/x", "/y", "https://a.example/y"),
        ("http://a.example/files/x", "https://b.example/y", "https://b.example/y"),
        ("https://a.example/files/x", "http://b.example/y", None),
        ("https://a.example/files/x", "file:///etc/passwd", None),
        ("https://a.example/files/x", "", None),
    ],
)
def test_redirect_of_a_file_never_leaves_tls(url: str, location: str, target: str | None) -> None:
    if target is not None:
        assert _redirected(url, location, Kind.FILE) == target
        return
    with pytest.raises(Untrusted) as caught:
        _redirected(url, location, Kind.FILE)
    assert caught.value.code == "redirect"


@pytest.mark.parametrize("kind", [Kind.METADATA, Kind.DELTA])
@pytest.mark.parametrize("location", ["https://b.example/y", "/y", "?again"])
def test_metadata_and_deltas_are_never_redirected(kind: Kind, location: str) -> None:
    with pytest.raises(Untrusted) as caught:
        _redirected("https://a.example/tuf/x", location, kind)
    assert caught.value.code == "redirect"
