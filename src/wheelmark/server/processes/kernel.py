"""What the kernel does for a family of processes: children that die with their parent, names in `ps`, few heaps."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import threading
import time

_ON_LINUX = os.uname().sysname == "Linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_MAX_NAME_BYTES = 15
_M_ARENA_MAX = -8
_POLL_SECONDS = 1.0

_FAMILY_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def enter_child(name: str, *, parent: int) -> None:
    """Turn a freshly forked process into a child: dies when the parent does, has a name, its own process group.

    The group keeps a Ctrl-C on the terminal away: the supervisor alone decides how its children end, and a scan that
    was interrupted so would look like one that the file had crashed.
    """
    os.setpgid(0, 0)
    gc.enable()
    for number in _FAMILY_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FAMILY_SIGNALS)
    die_with(parent)
    name_process(name)


def die_with(parent: int) -> None:
    """Have this process killed when its parent ends, however that ends, so that no port or lock stays taken."""
    if _ON_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            # It ended before we asked.
            os._exit(1)
        return
    threading.Thread(target=_watch_parent, args=(parent,), name="parent-watch", daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def name_process(name: str) -> None:
    """The name that `ps` and `top` show, as far as the system has one beside the command line."""
    if _ON_LINUX:
        shown = ctypes.create_string_buffer(name.encode()[:_MAX_NAME_BYTES])
        ctypes.CDLL(None).prctl(_PR_SET_NAME, shown, 0, 0, 0)


def share_heaps(heaps: int) -> None:
    """Let glibc's malloc use a few heaps for all threads: one for each of hundreds would multiply the memory."""
    if _ON_LINUX:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and no need of it
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, heaps)
