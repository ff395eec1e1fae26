"""Bounded memory for the read path, and one loading of a thing at a time however many ask for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Generic, TypeVar

from wheelmark.errors import Unavailable
from wheelmark.server.threads import ThreadGroup

Value = TypeVar("Value")


class TwoSegmentCache(Generic[Value]):
    """Keeps what was used lately within a number of bytes, without a lock or bookkeeping on a hit.

    New entries go into the young segment. When that holds half of the bytes it becomes the old one, and the former
    old one is dropped whole; an old entry that is used moves to the young. What is used often therefore stays.
    """

    def __init__(self, max_bytes: int) -> None:
        self._segment_bytes = max_bytes // 2
        self._young: dict[Hashable, tuple[Value, int]] = {}
        self._old: dict[Hashable, tuple[Value, int]] = {}
        self._young_bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value, or None."""
        if (entry := self._young.get(key)) is not None:
            return entry[0]
        if (entry := self._old.get(key)) is not None:
            self.put(key, *entry)
            return entry[0]
        return None

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep a value of this many bytes; one that would fill a segment alone is not kept."""
        if size > self._segment_bytes:
            return
        with self._lock:
            if key in self._young:
                return
            if self._young_bytes + size > self._segment_bytes:
                self._old, self._young, self._young_bytes = self._young, {}, 0
            self._young[key] = (value, size)
            self._young_bytes += size

    @property
    def held_bytes(self) -> int:
        """Bytes in both segments, for the tests and the metrics."""
        with self._lock:
            return sum(size for segment in (self._young, self._old) for _, size in segment.values())


class SingleFlight:
    """Runs loadings on a few threads of its own, and gives everyone who asks for the same key the same result.

    The threads own the database connections of the read path: hundreds of requests may wait here, and the database
    sees only a handful.
    """

    def __init__(self, threads: int, *, patience: float, at_end: Callable[[], None] = lambda: None) -> None:
        self._threads = threads
        self._patience = patience  # seconds that a request waits
        self._at_end = at_end  # each thread's last call
        self._pool: ThreadGroup | None = None
        self._flights: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def load(self, key: Hashable, loading: Callable[[], Value]) -> Value:
        """The result of the loading that runs under this key, which is started when none does.

        Raises:
            Unavailable: no result within the patience (`delivery-slow`). Whatever the loading raises passes through.
        """
        with self._lock:
            flight: Future[Value] | None = self._flights.get(key)
            if flight is None:
                if self._pool is None:
                    # Not in __init__: the process that loads this module may fork before it serves.
                    self._pool = ThreadGroup(self._threads, name="delivery", at_end=self._at_end)
                flight = self._flights[key] = self._pool.submit(lambda: self._run(key, loading))
        try:
            return flight.result(self._patience)
        except FutureTimeout as error:
            message = f"expected an answer from the database and the store within {self._patience:g} s, got none"
            raise Unavailable(message, code="delivery-slow") from error

    def _run(self, key: Hashable, loading: Callable[[], Value]) -> Value:
        try:
            return loading()
        finally:
            with self._lock:
                self._flights.pop(key, None)

    def close(self) -> None:
        """Let the threads go, once what they run has ended."""
        if self._pool is not None:
            self._pool.close()
