"""The server on this machine: order, backpressure and ends of connections, with a site of the test's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

import pytest

from wheelmark.client.loopback import Answer, LoopbackServer, Site, text_answer
from wheelmark.client.request_head import MAX_HEAD_BYTES, Request
from wheelmark.errors import Unavailable

SECONDS = 10.0
PIECE = bytes(256 * 1024)


class Fixed:
    """Answers with what was asked; `/slow…` waits for `go`, `/stream/N` gives N pieces, `/broken` half of them."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.given = 0
        self.closed = threading.Event()
        self.errors: list[Exception] = []

    def answer_at_hand(self, request: Request) -> Answer | None:
        return None if request.target.startswith(("/slow", "/stream", "/broken")) else self._echo(request)

    def answer(self, request: Request) -> Answer:
        if request.target.startswith("/slow"):
            assert self.go.wait(SECONDS)
            return self._echo(request)
        count = int(request.target.rpartition("/")[2])
        return Answer(pieces=self._pieces(count, "broken" in request.target), length=count * len(PIECE))

    def broke(self, error: Exception) -> None:
        self.errors.append(error)

    def _echo(self, request: Request) -> Answer:
        return text_answer(HTTPStatus.OK, f"{request.method} {request.target}")

    def _pieces(self, count: int, broken: bool) -> Generator[bytes]:
        try:
            for number in range(count):
                if broken and number == count // 2:
                    raise Unavailable("it went away", code="connection")
                self.given += 1
                yield PIECE
        finally:
            self.closed.set()


class Server(LoopbackServer):
    def __init__(self, fixed: Fixed) -> None:
        super().__init__(port=0)
        self._fixed = fixed

    def site(self) -> Site:
        return self._fixed


@pytest.fixture
def fixed() -> Fixed:
    return Fixed()


@pytest.fixture
def server(fixed: Fixed) -> Iterator[Server]:
    with Server(fixed) as running:
        yield running


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.server_port), SECONDS) as connection:
        yield connection


def asked(*paths: str, method: str = "GET", fields: str = "") -> bytes:
    return b"".join(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode() for path in paths)


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_requests_that_came_at_once_are_answered_in_their_order(server: Server, fixed: Fixed) -> None:
    with connected(server) as connection:
        connection.sendall(asked("/1", "/slow/2", "/3") + asked("/4", fields="Connection: close\r\n"))
        fixed.go.set()
        received = everything(connection)
    said = [line for line in received.split(b"\n") if line.startswith(b"GET ")]
    assert said == [b"GET /1", b"GET /slow/2", b"GET /3", b"GET /4"]


def test_one_that_waits_holds_up_nobody_else(server: Server, fixed: Fixed) -> None:
    with connected(server) as waiting, connected(server) as other:
        waiting.sendall(asked("/slow", fields="Connection: close\r\n"))
        other.sendall(asked("/quick", fields="Connection: close\r\n"))
        assert b"GET /quick" in everything(other)
        fixed.go.set()
        assert b"GET /slow" in everything(waiting)


def test_a_stream_waits_for_who_reads_it(server: Server, fixed: Fixed) -> None:
    count = 200
    with connected(server) as connection:
        connection.sendall(asked(f"/stream/{count}", fields="Connection: close\r\n"))
        connection.recv(1)
        assert not fixed.closed.wait(0.5)
        assert fixed.given < count // 2  # the rest would lie in memory
        assert len(everything(connection)) > count * len(PIECE)
    assert fixed.given == count


def test_who_hangs_up_ends_the_stream(server: Server, fixed: Fixed) -> None:
    with connected(server) as connection:
        connection.sendall(asked("/stream/500"))
        connection.recv(1)
    assert fixed.closed.wait(SECONDS)
    assert fixed.given < 500
    assert not fixed.errors


def test_a_stream_that_breaks_never_looks_complete(server: Server, fixed: Fixed) -> None:
    with connected(server) as connection:
        connection.sendall(asked("/broken/10"))
        received = everything(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"Content-Length: {10 * len(PIECE)}".encode() in head
    assert len(body) < 10 * len(PIECE)
    assert [str(error) for error in fixed.errors] == ["it went away"]


def test_head_has_no_body(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(asked("/1", method="HEAD") + asked("/2", fields="Connection: close\r\n"))
        received = everything(connection)
    assert b"HEAD /1" not in received
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2


@pytest.mark.parametrize("sent", [b"what\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD_BYTES])
def test_what_is_no_request_is_told_so_and_ends_the_connection(server: Server, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        assert everything(connection).startswith(b"HTTP/1.1 400 ")


def test_many_connections_at_once(server: Server, fixed: Fixed) -> None:
    fixed.go.set()
    answers: list[bytes] = []

    def ask(number: int) -> None:
        with connected(server) as connection:
            connection.sendall(asked(f"/slow/{number}", fields="Connection: close\r\n"))
            answers.append(everything(connection))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert sorted(int(answer.rpartition(b"/")[2]) for answer in answers) == list(range(100))


def test_port_that_is_taken_is_said(server: Server) -> None:
    with pytest.raises(Unavailable, match=f":{server.server_port}"):
        LoopbackServer(port=server.server_port)


def test_server_may_end_as_soon_as_it_has_begun(fixed: Fixed) -> None:
    for _ in range(50):
        with Server(fixed):
            pass


def test_connections_end_with_the_server(fixed: Fixed) -> None:
    with Server(fixed) as server:
        connection = socket.create_connection(("127.0.0.1", server.server_port), SECONDS)
        connection.sendall(asked("/1"))
        assert connection.recv(65536)
    with connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""
