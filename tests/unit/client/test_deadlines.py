"""A block that takes too long is ended, and no other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from wheelmark.client.deadlines import MAX_CANCELLED, Deadline

WAIT_SECONDS = 10.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.settimeout(WAIT_SECONDS)
    with near, far:
        yield near, far


def read_within(sock: socket.socket, seconds: float) -> bytes:
    with Deadline(sock, seconds):
        return sock.recv(10)


def test_reading_thread_is_woken_and_told(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError, match="too long"):
        read_within(pair[0], 0.05)


def test_what_comes_in_time_is_given(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].send(b"here")
    assert read_within(pair[0], WAIT_SECONDS) == b"here"
    pair[1].send(b"again")
    assert pair[0].recv(10) == b"again"  # nobody has shut it down since


def test_shorter_deadline_passes_though_longer_ones_wait(pair: tuple[socket.socket, socket.socket]) -> None:
    with Deadline(None, 60.0), pytest.raises(TimeoutError):
        read_within(pair[0], 0.05)


def test_many_that_end_in_time_leave_the_others_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    began = threading.active_count()
    with pytest.raises(TimeoutError), Deadline(pair[0], 0.3):
        for _ in range(3 * MAX_CANCELLED):
            with Deadline(None, 60.0):
                pass
        assert threading.active_count() <= began + 1
        pair[0].recv(10)
