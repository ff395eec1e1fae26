"""Blocks that must end in time: one thread watches over all of them.

A timer of its own for each block would start a thread for each answer of an index, which costs more than the answer.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import socket
import threading
import time

MAX_CANCELLED = 256  # entries of blocks that ended in time, before they are swept out


class Deadline:
    """Shuts the socket down when the block takes too long, which wakes the thread that reads from it.

    Leaving the block then raises TimeoutError, whatever the reading thread made of the end that it saw.
    """

    __slots__ = ("_seconds", "_socket", "over", "passed")

    def __init__(self, sock: socket.socket | None, seconds: float) -> None:
        self._socket = sock
        self._seconds = seconds
        self.over = False
        self.passed = False

    def __enter__(self) -> None:
        _WATCH.add(self, time.monotonic() + self._seconds)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        _WATCH.end(self)
        if self.passed:  # also without an error: headers that break off count as complete to http.client
            raise TimeoutError("it took too long") from error

    def shut(self) -> None:
        """The time is over; called by the watching thread alone."""
        if self._socket is not None:
            # Not `SSLSocket.shutdown`, which also forgets the TLS state that the reading thread is using.
            with contextlib.suppress(OSError):  # already closed, which is what we want
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Watch:
    """The deadlines of all threads, the earliest first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers = itertools.count()  # deadlines of the same moment are not compared
        self._cancelled = 0
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline, at: float) -> None:
        with self._changed:
            earliest = not self._heap or at < self._heap[0][0]
            heapq.heappush(self._heap, (at, next(self._numbers), deadline))
            if self._thread is None or not self._thread.is_alive():  # none survives a fork
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif earliest:
                self._changed.notify()

    def end(self, deadline: Deadline) -> None:
        with self._changed:
            deadline.over = True
            self._cancelled += 1
            if self._cancelled > MAX_CANCELLED:
                self._heap = [entry for entry in self._heap if not entry[2].over]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap:
                    self._changed.wait()
                at, _, deadline = self._heap[0]
                rest = at - time.monotonic()
                if rest > 0 and not deadline.over:
                    self._changed.wait(rest)
                    continue
                heapq.heappop(self._heap)
                if deadline.over:
                    continue
                deadline.passed = True
            deadline.shut()


_WATCH = _Watch()
