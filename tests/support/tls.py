"""A certificate for `localhost` under an authority of the test's own, for servers that stand in for an https index."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

from wheelmark.client.authority import LocalAuthority

HOST = "localhost"


class Identity:
    """What a server needs to be `localhost`, and what its clients must trust for it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        authority = LocalAuthority([HOST], now=datetime.now(UTC))
        self._context = authority.context(HOST)
        path = directory / "authority.pem"
        path.write_bytes(authority.certificate_pem)
        self.trusting = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"), str(path))
        """Variables of the environment with which clients believe this authority, and no other."""

    def over(self, listening: socket.socket) -> socket.socket:
        """The listening socket, so that its connections speak TLS."""
        # The handshake comes with the first read, in the connection's own thread.
        return self._context.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)
