"""A few threads that run what they are given, and that leave no database connection behind when they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Value = TypeVar("Value")


class ThreadGroup:
    """A fixed number of threads with one queue.

    The standard library's pool gives its threads a first word but no last one. Django keeps a connection for each
    thread until that thread closes it, so here every thread calls `at_end` before it goes.
    """

    def __init__(self, threads: int, *, name: str, at_end: Callable[[], None]) -> None:
        self._at_end = at_end
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}_{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], Value]) -> Future[Value]:
        """Have it run; the future gives what it returns or raises. Cancelled before its turn, it never runs."""
        future: Future[Value] = Future()
        self._queue.put((future, work))
        return future

    def close(self) -> None:
        """Run what waits, and end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                future, work = item
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001  (it is the caller's, whatever it is)
                    future.set_exception(error)
                # Neither result nor error may live until the next work comes.
                del item, future, work
        finally:
            self._at_end()
