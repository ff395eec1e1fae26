"""A few threads for what has to wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Workers:
    """Threads that end with the process, whatever they wait for; they are started as they are needed."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = 0

    def start(self, task: Callable[[], None]) -> None:
        """Have it done as soon as there is a thread for it."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._at_most:
                self._threads += 1
                threading.Thread(target=self._run, name="answers", daemon=True).start()
            else:
                self._idle -= 1  # the next one that gets ready has this to do
        self._tasks.put(task)

    def stop(self) -> None:
        """No thread goes on to a further task than those that wait already."""
        for _ in range(self._at_most):
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            with self._lock:
                self._idle += 1
