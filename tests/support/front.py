"""What stands between a client and a running index: passes answers on, flips a bit in some, speaks TLS if wanted.

The index itself notices a changed byte in its store and does not send it, so the lie must come from the way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

import urllib3

from support.repository import flipped
from support.tls import HOST, Identity

_PASSED_ON = ("Content-Type", "Content-Encoding", "ETag", "Location", "Vary", "Cache-Control")


class Front:
    """Relays GET to `backend` while the block runs; with a `directory` for its authority's file it speaks TLS."""

    def __init__(self, backend: str, directory: Path | None = None) -> None:
        self.requests: list[str] = []
        self.trusting: dict[str, str] = {}
        self._flipped = ""
        self._server = _Server(("127.0.0.1", 0), self._handler(backend))
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple/"
        if directory is not None:
            self._speak_tls(directory)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Front:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def flipping(self, filename: str) -> Iterator[None]:
        """One bit in the middle of that file is another while the block runs."""
        self._flipped = filename
        try:
            yield
        finally:
            self._flipped = ""

    def _speak_tls(self, directory: Path) -> None:
        identity = Identity(directory)
        self.trusting = identity.trusting
        self._server.socket = identity.over(self._server.socket)
        self.url = f"https://{HOST}:{self._server.server_port}/simple/"

    def _handler(self, backend: str) -> type[BaseHTTPRequestHandler]:
        front = self
        http = urllib3.PoolManager(retries=False, timeout=30.0)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                front.requests.append(self.path)
                asked = {name: self.headers[name] for name in ("Accept", "Accept-Encoding") if name in self.headers}
                answer = http.request(
                    self.command, backend + self.path, headers=asked, redirect=False, decode_content=False
                )
                body = answer.data
                if front._flipped and self.path.endswith(front._flipped):
                    body = flipped(body)
                with suppress(OSError):
                    self.send_response(answer.status)
                    for name in _PASSED_ON:
                        if name in answer.headers:
                            self.send_header(name, answer.headers[name])
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    if self.command == "GET":
                        self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what these tests are about."""
