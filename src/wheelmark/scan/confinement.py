"""What a scanning process gives up before it reads the first untrusted byte. Linux in full; less on other systems."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

from wheelmark.scan.bounds import WorkerLimits

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def confine(limits: WorkerLimits) -> bool:
    """Bound memory, files and rights of this process for good. True when it has no network any more.

    It can write no file (`RLIMIT_FSIZE` is 0), gain no right by starting a program, and dies with its parent. Where
    the kernel permits no namespaces the network stays reachable: nothing here uses it, but nothing stops it either.
    """
    _bound(resource.RLIMIT_FSIZE, 0)
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_NOFILE, limits.open_files)
    _bound(resource.RLIMIT_AS, limits.address_space)
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    without_network = bool(libc.unshare(flags) == 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return without_network


def allow_cpu(seconds: int) -> None:
    """Let this process use so many more seconds of CPU time, then the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + seconds + 1, hard))


def give_memory_back() -> None:
    """Return to the system what was freed: the C library keeps what a large file took, for a next one that never comes.

    Of 240 MiB that one sdist of 70 MB of sources leaves behind, 80 stay. Elsewhere than with glibc nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _bound(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (wanted, wanted))
