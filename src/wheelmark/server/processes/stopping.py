"""From a signal to an event that loops look at."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


def stop_on_signals(then: Callable[[], None] | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set; `then` is called with it, once, inside the signal handler."""
    stop = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        if not stop.is_set():
            stop.set()
            if then is not None:
                then()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
