"""An HTTP/1.1 server on this machine, for installers: one thread for all connections, others for what has to wait.

An installer opens dozens of connections at once. With a thread for each they would mostly wait for each other, and the
waiting would cost more than the answers. So what is at hand is answered by the thread that reads the requests, and
what has to be fetched or takes long is worked out by one of a few others.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import Protocol, Self

from wheelmark import __version__
from wheelmark.client.request_head import END, MAX_HEAD_BYTES, Request, read_request
from wheelmark.client.tunnel import splice
from wheelmark.client.workers import Workers
from wheelmark.errors import Refused, Unavailable

LOOPBACK = "127.0.0.1"
TEXT_TYPE = "text/plain; charset=utf-8"
IDLE_SECONDS = 120.0
SWEEP_SECONDS = 15.0
HANDSHAKE_SECONDS = 20.0
WORKERS = 32  # so many answers may wait for the network or a disk at once
BACKLOG = 128
MAX_UNSENT_PIECES = 4  # of one answer, before its worker waits
STREAM_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response. With `pieces`, they come after `body`, and `length` is that of both together."""

    status: HTTPStatus = HTTPStatus.OK
    content_type: str = TEXT_TYPE
    body: bytes = b""
    pieces: Generator[bytes] | None = None
    length: int | None = None
    location: str | None = None
    tag: str | None = None  # whoever kept it may ask with this whether it is still the answer (RFC 9110 § 8.8.3)
    lasting: bool = False  # whoever got it may keep it: it was verified, and its address holds its hash
    broken_off: bool = False  # its end is missing (RFC 9112 § 8), so that nobody takes it for an answer
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Playing:
    """The answer to CONNECT that goes on as the host that was asked for."""

    context: ssl.SSLContext
    site: Site


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The answer to CONNECT that goes on unseen."""

    host: str
    port: int


class Site(Protocol):
    """What is served. Neither method raises."""

    def answer_at_hand(self, request: Request) -> Answer | None:
        """The answer if it can be given at once; None when `answer` has to be asked. Called by the thread of all."""

    def answer(self, request: Request) -> Answer | Playing | Tunnel:
        """The answer; may wait for whatever it needs, in a thread of its own."""

    def broke(self, error: Exception) -> None:
        """The pieces of an answer ended before their time, though whoever asked was there."""


def text_answer(status: HTTPStatus, text: str, *, closes: bool = False) -> Answer:
    """A short answer for people."""
    return Answer(status=status, body=f"{text}\n".encode(errors="replace"), closes=closes)


class LoopbackServer:
    """Listens from the moment it is made, and answers inside the `with` block.

    Raises:
        Unavailable: the port cannot be had.
    """

    def __init__(self, *, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((LOOPBACK, port))
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"cannot listen on {LOOPBACK}:{port}: {error}", code="port") from error
        self.server_port: int = self._socket.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{self.server_port}/"
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)
        self._begun = threading.Event()
        self._connections: set[_Connection] = set()
        self._workers = Workers(WORKERS)

    def site(self) -> Site:
        """What this server answers with; the same for all connections."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._begun.wait()  # a loop that is stopped before would break off its own beginning
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._workers.stop()

    def _run(self) -> None:
        loop, site = self._loop, self.site()
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(lambda *_: None)  # an installer that hangs up is not worth a traceback
        server = loop.run_until_complete(
            loop.create_server(
                lambda: _Connection(loop, site, self._workers, self._connections), sock=self._socket, backlog=BACKLOG
            )
        )
        loop.call_later(SWEEP_SECONDS, self._sweep)
        loop.call_soon(self._begun.set)
        loop.run_forever()
        server.close()
        for connection in list(self._connections):
            connection.abort()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    def _sweep(self) -> None:
        for connection in list(self._connections):
            connection.abort_if_idle()
        self._loop.call_later(SWEEP_SECONDS, self._sweep)


@dataclass(eq=False)
class _Connection(asyncio.Protocol):
    """One connection: a request after the other. What does not say otherwise runs in the thread of all connections."""

    loop: asyncio.AbstractEventLoop
    site: Site
    workers: Workers
    all: set[_Connection]
    _transport: asyncio.Transport | None = None
    _received: bytearray = field(default_factory=bytearray)
    _busy: bool = False
    _active_at: float = field(default_factory=time.monotonic)
    _lost: bool = False
    _unsent: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_UNSENT_PIECES))
    _paused: bool = False  # the transport has taken more than it can send
    _held: int = 0  # pieces that it took since
    _handshake: asyncio.Task[None] | None = None  # kept, or it could be collected before its end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"expected a stream, got {transport!r}")
        self._transport = transport
        transport.set_write_buffer_limits(high=STREAM_BUFFER_BYTES)
        self.all.add(self)
        self._go_on()  # under TLS, requests may be there before this is called

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._busy:
            self._go_on()
        elif len(self._received) > MAX_HEAD_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.all.discard(self)
        self._unsent.release(MAX_UNSENT_PIECES)  # a worker that waits shall see it

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._held:
            self._unsent.release(self._held)
            self._held = 0

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def abort_if_idle(self) -> None:
        """Hang up on who has neither asked nor been answered for long."""
        if not self._busy and time.monotonic() - self._active_at > IDLE_SECONDS:
            self.abort()

    def _go_on(self) -> None:
        """Answer what was asked so far, until something has to be waited for."""
        transport = self._transport
        while transport is not None and not self._busy and not transport.is_closing():
            end = self._received.find(END)
            if end < 0:
                if len(self._received) > MAX_HEAD_BYTES:
                    self._refuse(f"expected at most {MAX_HEAD_BYTES} bytes of fields, got more")
                return
            head = bytes(self._received[:end])
            del self._received[: end + len(END)]
            self._active_at = time.monotonic()
            try:
                request = read_request(head.lstrip(b"\r\n"))
            except Refused as error:
                self._refuse(f"wheelmark: {error}")
                return
            answer = self.site.answer_at_hand(request)
            if answer is None:
                self._busy = True
                self.workers.start(lambda asked=request: self._work(asked))  # type: ignore[misc]  # its type is told
            else:
                self._send(request, answer)

    def _refuse(self, text: str) -> None:
        self._send(Request("GET", "", {}), text_answer(HTTPStatus.BAD_REQUEST, text, closes=True))

    def _send(self, request: Request, answer: Answer, *, more: bool = False) -> None:
        """The answer, or with `more` the beginning of one whose pieces follow."""
        if self._transport is None or self._transport.is_closing():
            return
        closes = answer.closes or answer.broken_off or request.ends_connection
        head = _head(answer, closes=closes)
        if request.method == "HEAD":
            self._transport.write(head)
        elif answer.broken_off:
            self._transport.write(b"%b%x\r\n%b\r\n" % (head, len(answer.body), answer.body))
        elif len(answer.body) < STREAM_BUFFER_BYTES // 16:
            self._transport.write(head + answer.body)
        else:
            self._transport.write(head)
            self._transport.write(answer.body)
        if closes and not more:
            self._transport.close()

    def _finish(self, request: Request, answer: Answer) -> None:
        self._send(request, answer)
        self._ready()

    def _ready(self) -> None:
        """The answer is given: the next request."""
        self._busy, self._active_at = False, time.monotonic()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._go_on()

    def _call(self, called: Callable[[], object]) -> None:
        """From another thread: have it done by the one of all connections."""
        with suppress(RuntimeError):  # the server has ended
            self.loop.call_soon_threadsafe(called)

    def _work(self, request: Request) -> None:
        """In a worker: find the answer, and have it sent."""
        answer = self.site.answer(request)
        if isinstance(answer, Playing):
            self._call(lambda: self._play(answer))
        elif isinstance(answer, Tunnel):
            self._call(lambda: self._tunnel(answer))
        elif answer.pieces is None or request.method == "HEAD":
            self._call(lambda: self._finish(request, answer))
        else:
            self._stream(request, answer, answer.pieces)

    def _stream(self, request: Request, answer: Answer, pieces: Generator[bytes]) -> None:
        """In a worker: pass the pieces on as they come, and not faster than they are taken."""
        self._call(lambda: self._send(request, answer, more=True))
        ends = answer.closes or request.ends_connection
        with closing(pieces):
            try:
                for piece in pieces:
                    if not self._unsent.acquire(timeout=IDLE_SECONDS) or self._lost:
                        self._call(self.abort)
                        return
                    self._call(lambda passed=piece: self._pass_on(passed))  # type: ignore[misc]  # its type is told
            except Exception as error:  # noqa: BLE001  # what nobody foresaw ends the run, too
                # The length was promised and the end is missing, so the installer sees that the transfer failed.
                self.site.broke(error)
                ends = True
        self._call(self._close if ends else self._ready)

    def _pass_on(self, piece: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(piece)
        if self._paused:
            self._held += 1
        else:
            self._unsent.release()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _play(self, playing: Playing) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._received:
            self.abort()  # nobody speaks TLS before the tunnel stands
            return
        transport.write(_ESTABLISHED)
        self.all.discard(self)
        inner = _Connection(self.loop, playing.site, self.workers, self.all)

        async def handshake() -> None:
            try:
                secured = await self.loop.start_tls(
                    transport, inner, playing.context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
                )
            except (OSError, ssl.SSLError, TimeoutError):
                transport.abort()  # the child does not trust us, and says so itself
                return
            if secured is not None:
                inner.connection_made(secured)

        self._handshake = self.loop.create_task(handshake())

    def _tunnel(self, tunnel: Tunnel) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._received:
            self.abort()
            return
        transport.pause_reading()
        transport.write(_ESTABLISHED)
        child = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        transport.close()

        def run() -> None:
            with child:
                child.setblocking(True)
                splice(child, tunnel.host, tunnel.port)

        threading.Thread(target=run, name="tunnel", daemon=True).start()


_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def _head(answer: Answer, *, closes: bool) -> bytes:
    length = len(answer.body) if answer.length is None else answer.length
    framing = "Transfer-Encoding: chunked\r\n" if answer.broken_off else f"Content-Length: {length}\r\n"
    if answer.status is HTTPStatus.NOT_MODIFIED:
        framing = ""  # it has no body, and the length would be that of the answer which is kept (RFC 9110 § 8.6)
    # What an installer keeps for later it would use without asking us again, unless it is told to ask.
    keeping = "max-age=31536000, immutable" if answer.lasting else "no-store" if answer.tag is None else "no-cache"
    tag = "" if answer.tag is None else f"ETag: {answer.tag}\r\nVary: Accept\r\n"
    location = "" if answer.location is None else f"Location: {answer.location}\r\n"
    ending = "Connection: close\r\n" if closes else ""
    return (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Server: wheelmark/{__version__}\r\nDate: {_date(int(time.time()))}\r\n"
        f"Content-Type: {answer.content_type}\r\n{framing}{location}{tag}Cache-Control: {keeping}\r\n{ending}\r\n"
    ).encode("latin-1")


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
