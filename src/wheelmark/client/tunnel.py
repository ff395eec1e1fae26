"""Bytes in both directions between a child and a host that the user allowed: unseen, unverified, bounded in time."""

from __future__ import annotations

import selectors
import socket
from contextlib import ExitStack

CONNECT_SECONDS = 20.0
IDLE_SECONDS = 120.0
CHUNK_BYTES = 64 * 1024


def splice(child: socket.socket, host: str, port: int) -> None:
    """Connect, and pass bytes on until one side closes or nothing moves for `IDLE_SECONDS`.

    The child sees a connection that closes when the host cannot be reached.
    """
    with ExitStack() as stack:
        try:
            remote = stack.enter_context(socket.create_connection((host, port), CONNECT_SECONDS))
        except OSError:
            return
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(child, selectors.EVENT_READ, remote)
        selector.register(remote, selectors.EVENT_READ, child)
        for one in (child, remote):
            one.settimeout(IDLE_SECONDS)
        try:
            while ready := selector.select(IDLE_SECONDS):
                for key, _ in ready:
                    piece = key.fileobj.recv(CHUNK_BYTES)  # type: ignore[union-attr]  # both are sockets
                    if not piece:
                        return
                    key.data.sendall(piece)
        except OSError:
            return
