"""Fetches bytes over HTTP from somebody who may mean harm: bounded in time, rate, redirects and decompression.

Nothing here retries once the first byte has come: what was received may already have been passed on.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.response import BaseHTTPResponse, HTTPResponse

from wheelmark import __version__
from wheelmark.client.deadlines import Deadline
from wheelmark.client.fetching import CHUNK_BYTES, HttpStatus, Kind, Limits
from wheelmark.errors import Unavailable, Untrusted

MAX_REDIRECTS = 3
MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024  # RFC 8878 § 3.1.1.1.2: what every decoder should support
ATTEMPTS = 3
RETRY_PAUSES_SECONDS = (0.2, 0.8)
_AWAY_STATUSES = frozenset({502, 503, 504})
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


class HttpFetcher:
    """`Fetcher` over urllib3, through the proxies of the environment. May be used by several threads at once."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = limits or Limits()
        self._monotonic = monotonic
        self._sleep = sleep
        self._proxies = getproxies()
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self.wire_bytes = dict.fromkeys(Kind, 0)
        """Bytes of bodies as they came, still compressed, by kind: for tests, benchmarks and the curious."""

    def stream(self, url: str, kind: Kind) -> Generator[bytes]:
        """See `Fetcher.stream`."""
        started = self._monotonic()
        response = self._open(url, kind)
        complete = False
        try:
            pieces = self._pieces(url, response, kind, started)
            if kind is Kind.FILE:
                yield from pieces
            else:
                yield from _decoded(pieces, response.headers.get("Content-Encoding", "identity"))
            complete = True
        except (HTTPTimeoutError, TimeoutError) as error:
            raise _too_slow(url) from error
        except (HTTPError, OSError) as error:
            raise Unavailable(f"{url}: expected the whole answer, got {error}", code="connection") from error
        finally:
            # A connection with bytes still under way must not serve the next request.
            response.release_conn() if complete else response.close()

    def _open(self, url: str, kind: Kind) -> BaseHTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._request(url, kind)
            if response.status == 200:
                return response
            response.close()
            if response.status not in _REDIRECT_STATUSES:
                raise HttpStatus(url, response.status)
            url = _redirected(url, response.headers.get("Location", ""), kind)
        raise Untrusted(f"{url}: expected at most {MAX_REDIRECTS} redirects, got more", code="redirect")

    def _request(self, url: str, kind: Kind) -> BaseHTTPResponse:
        headers = {
            "User-Agent": f"wheelmark/{__version__}",
            "Accept-Encoding": "identity" if kind is Kind.FILE else "gzip, zstd",
        }
        gap, attempts = self._limits.gap_seconds, ATTEMPTS
        if kind is Kind.DELTA:
            gap, attempts = min(gap, self._limits.delta_seconds), 1
        timeout = urllib3.Timeout(connect=self._limits.connect_seconds, read=gap)
        for attempt in range(attempts):
            last = attempt == attempts - 1
            try:
                response = self._manager(url).request(
                    "GET",
                    url,
                    headers=headers,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
            except (HTTPError, OSError) as error:
                # Who did not answer in time gets no second chance to hold us up. To urllib3 a refused connection is
                # a timeout too, but that one was quick.
                if isinstance(error, HTTPTimeoutError) and not isinstance(error, NewConnectionError):
                    raise _too_slow(url) from error
                if last:
                    raise Unavailable(f"{url}: expected an answer, got {error}", code="connection") from error
            else:
                if last or response.status not in _AWAY_STATUSES:
                    return response
                response.close()
            self._sleep(RETRY_PAUSES_SECONDS[attempt])
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _pieces(self, url: str, response: BaseHTTPResponse, kind: Kind, started: float) -> Iterator[bytes]:
        """What arrives, as it arrives: `read1` returns after one read from the network, so that time is looked at."""
        limits, received = self._limits, 0
        patience = limits.delta_seconds if kind is Kind.DELTA else limits.metadata_seconds
        while piece := self._piece(response):
            received += len(piece)
            with self._lock:
                self.wire_bytes[kind] += len(piece)
            elapsed = self._monotonic() - started
            if kind is not Kind.FILE and elapsed > patience:
                raise _too_slow(url)
            if elapsed > limits.grace_seconds and received < elapsed * limits.min_bytes_per_second:
                raise _too_slow(url)
            yield piece

    def _piece(self, response: BaseHTTPResponse) -> bytes:
        """One piece. Between chunks (RFC 9112 § 7.1) `read1` reads whole lines, as many as the sender likes."""
        if not getattr(response, "chunked", False):
            return response.read1(CHUNK_BYTES, decode_content=False)
        with Deadline(getattr(response.connection, "answering", None), self._limits.gap_seconds):
            return response.read1(CHUNK_BYTES, decode_content=False)

    def _manager(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        if proxy is not None and proxy_bypass(parts.hostname or ""):
            proxy = None
        with self._lock:
            if proxy not in self._managers:
                self._managers[proxy] = _pool_manager(proxy, self._limits.headers_seconds)
            return self._managers[proxy]


def _pool_manager(proxy: str | None, headers_seconds: float) -> urllib3.PoolManager:
    """A pool whose connections give up when the headers drip in: urllib3 only bounds each single read."""

    class Connection(HTTPConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
            self.answering = self.sock  # which the connection forgets when this is its last answer
            with Deadline(self.sock, headers_seconds):
                return super().getresponse()

    class SecureConnection(HTTPSConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
            self.answering = self.sock  # which the connection forgets when this is its last answer
            with Deadline(self.sock, headers_seconds):
                return super().getresponse()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    manager = urllib3.PoolManager(maxsize=16) if proxy is None else urllib3.ProxyManager(proxy, maxsize=16)
    manager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}
    return manager


def _redirected(url: str, location: str, kind: Kind) -> str:
    """The next address. A file is known by its hash wherever it comes from; metadata is taken from the index only."""
    allowed = ("https",) if urlsplit(url).scheme == "https" else ("http", "https")
    try:
        target = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError:  # no address at all, as `http://[`
        target, scheme = location, ""
    if kind is not Kind.FILE or not location or scheme not in allowed:
        raise Untrusted(f"{url}: expected the bytes themselves, got a redirect to {target[:200]!r}", code="redirect")
    return target


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The body without its `Content-Encoding`, in pieces of at most `CHUNK_BYTES` whatever the ratio."""
    match encoding.strip().lower():
        case "identity" | "":
            return pieces
        case "gzip" | "x-gzip":
            return _gunzipped(pieces)
        case "zstd":
            return _unzstandarded(pieces)
        case other:
            raise Untrusted(f"expected gzip, zstd or no encoding, got {other[:40]!r}", code="encoding")


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    try:
        for piece in pieces:
            rest = piece
            while True:
                decoded = decoder.decompress(rest, CHUNK_BYTES)
                if decoded:
                    yield decoded
                rest = decoder.unconsumed_tail
                # A full piece may leave more inside the decoder even when all input is consumed.
                if decoder.eof or (not rest and len(decoded) < CHUNK_BYTES):
                    break
    except zlib.error as error:
        raise Untrusted(f"expected gzip, got {error}", code="encoding") from error
    if not decoder.eof:
        raise Untrusted("expected a whole gzip stream, got a part", code="encoding")


def _unzstandarded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard  # only when an index uses it: it is a tenth of our start-up time

    decoder = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    try:
        yield from decoder.read_to_iter(_PieceReader(pieces), write_size=CHUNK_BYTES)  # type: ignore[arg-type]  # wants only `read`
    except zstandard.ZstdError as error:
        raise Untrusted(f"expected zstd, got {error}", code="encoding") from error


class _PieceReader:
    """Pieces behind the `read` that zstandard asks for; it accepts fewer bytes than it asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        piece = self._rest or next(self._pieces, b"")
        self._rest = piece[size:]
        return piece[:size]


def _too_slow(url: str) -> Unavailable:
    return Unavailable(f"{url}: expected an answer in bounded time, got too little of it", code="slow-retrieval")
