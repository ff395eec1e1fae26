"""Keeps children running: forks them, restarts those that die, and ends all of them cleanly.

The supervisor has one thread, opens no database connection and no socket that it talks on, and so can fork at any
time. Everything that children share (the imported code) is in its memory before the first fork.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from wheelmark.server.processes.kernel import enter_child

BACK_OFF_SECONDS = (0.1, 0.5, 2.0, 5.0, 10.0)
"""Pauses before a child that keeps dying is started again."""

STEADY_SECONDS = 30.0
"""A child that lived so long starts again without a pause."""

GRACE_SECONDS = 8.0
"""Time for children to finish what they do; after it they are killed."""

TICK_SECONDS = 0.2

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_WATCHED = _STOPPING | {signal.SIGCHLD}

# A child that is told to stop before it listens for the signal ends by it, and had nothing to finish.
_CLEAN = frozenset({None, 0, -signal.SIGTERM})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running. `run` gives its exit status, and ends soon after a SIGTERM."""

    name: str
    run: Callable[[], int]


@dataclass(slots=True)
class _Slot:
    child: Child
    pid: int | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = 0.0  # not before; monotonic


@dataclass
class Supervisor:
    """Runs children until it is told to stop. `tick` is called a few times a second."""

    children: tuple[Child, ...]
    tick: Callable[[], None] = field(default=lambda: None)
    grace_seconds: float = GRACE_SECONDS

    def run(self) -> int:
        """Supervise until SIGTERM, SIGINT or SIGHUP; returns 0 when all children ended by themselves.

        A second signal, or the end of the grace time, kills what is left (then 1).
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        slots = [_Slot(child) for child in self.children]
        gc.collect()
        gc.freeze()  # what is shared stays shared: the collector would write into every object
        try:
            while True:
                for slot in slots:
                    if slot.pid is None and time.monotonic() >= slot.start_at:
                        slot.pid, slot.started_at = fork(slot.child), time.monotonic()
                        log.info("process-started", child=slot.child.name, pid=slot.pid)
                if self._told_to_stop(TICK_SECONDS):
                    return self._stop(slots)
                self._reap(slots)
                self.tick()
        finally:
            _kill(slots, signal.SIGKILL)

    @staticmethod
    def _told_to_stop(seconds: float) -> bool:
        received = signal.sigtimedwait(_WATCHED, seconds)
        return received is not None and received.si_signo in _STOPPING

    @staticmethod
    def _reap(slots: list[_Slot]) -> None:
        for slot in slots:
            status = _ended(slot)
            if status is None:
                continue
            steady = time.monotonic() - slot.started_at >= STEADY_SECONDS
            slot.deaths = 0 if steady else slot.deaths
            pause = 0.0 if steady else BACK_OFF_SECONDS[min(slot.deaths, len(BACK_OFF_SECONDS) - 1)]
            slot.deaths += 1
            slot.start_at = time.monotonic() + pause
            log.error("process-died", child=slot.child.name, status=status, restart_in_seconds=pause)

    def _stop(self, slots: list[_Slot]) -> int:
        log.info("stopping", grace_seconds=self.grace_seconds)
        _kill(slots, signal.SIGTERM)
        deadline, clean = time.monotonic() + self.grace_seconds, True
        while any(slot.pid is not None for slot in slots):
            remaining = deadline - time.monotonic()
            again = self._told_to_stop(max(0.0, min(TICK_SECONDS, remaining)))
            for slot in slots:
                status = _ended(slot)
                if status not in _CLEAN:
                    log.error("process-ended-badly", child=slot.child.name, status=status)
                    clean = False
            alive = [slot.child.name for slot in slots if slot.pid is not None]
            if alive and (again or remaining <= 0):
                log.warning("processes-killed", children=alive)
                _kill(slots, signal.SIGKILL)
                return 1
        log.info("stopped")
        return 0 if clean else 1


def fork(child: Child) -> int:
    """Start a child; returns its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        enter_child(f"wm-{child.name}", parent=parent)
        status = child.run()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        log.exception("process-failed", child=child.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # never back into the supervisor's frames


def _ended(slot: _Slot) -> int | None:
    """The exit status of a child that has ended (negative: the signal), None while it runs."""
    if slot.pid is None:
        return None
    pid, status = os.waitpid(slot.pid, os.WNOHANG)
    if pid == 0:
        return None
    slot.pid = None
    return os.waitstatus_to_exitcode(status)


def _kill(slots: list[_Slot], number: signal.Signals) -> None:
    for slot in slots:
        if slot.pid is not None:
            os.kill(slot.pid, number)
            if number == signal.SIGKILL:
                os.waitpid(slot.pid, 0)
                slot.pid = None
