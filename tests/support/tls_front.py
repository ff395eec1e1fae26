"""TLS in front of an index on this machine, under the name `localhost`, with an authority of its own."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from wheelmark.client.authority import LocalAuthority

SECONDS = 30.0


class TlsFront:
    """Passes bytes on to `port` while the block runs; `authority_file` is what a client must trust."""

    def __init__(self, port: int, directory: Path) -> None:
        self._backend = port
        authority = LocalAuthority(["localhost"], now=datetime.now(UTC))
        self._context = authority.context("localhost")
        directory.mkdir(parents=True, exist_ok=True)
        self.authority_file = directory / "authority.pem"
        self.authority_file.write_bytes(authority.certificate_pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.index_url = f"https://localhost:{self.port}/simple/"
        self.connections = 0

    def __enter__(self) -> TlsFront:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    @property
    def trusting(self) -> dict[str, str]:
        """Variables that make tools trust it."""
        path = str(self.authority_file)
        return {"SSL_CERT_FILE": path, "REQUESTS_CA_BUNDLE": path, "PIP_CERT": path}

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with (
            suppress(OSError, ssl.SSLError),
            self._context.wrap_socket(connection, server_side=True) as secure,
            socket.create_connection(("127.0.0.1", self._backend), SECONDS) as backend,
        ):
            back = threading.Thread(target=_pump, args=(backend, secure), daemon=True)
            back.start()
            _pump(secure, backend)
            back.join(SECONDS)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
