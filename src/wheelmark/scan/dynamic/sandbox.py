"""The command line of the sandbox: two of bubblewrap, one in the other, with strace between them.

    bwrap (no network, nothing of the host but programs, nothing writable)
      strace (its file is the pipe that it was started with)
        bwrap (no new user namespaces, a process table of its own, writable memory of limited size)
          driver → the steps

strace reads the memory of hostile processes, hence the outer one. What is watched must not reach strace or the trace,
hence the inner one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelmark.scan.dynamic.bounds import LookBounds
from wheelmark.scan.dynamic.places import (
    BASE_INTERPRETER,
    DRIVER,
    HOME,
    HOST_NAME,
    LOADER,
    PYTHON,
    SCRATCH,
    TOOLS,
    USER_ID,
    VENV,
    WORK,
)

MAX_STRING = 512  # bytes of one string that strace shows
# What a look wants to know. A question mark: not every architecture has the call.
TRACED = (
    *("execve", "?execveat", "?fork", "?vfork", "clone", "?clone3"),
    *("connect", "bind", "listen", "sendto", "sendmsg", "?sendmmsg"),
    *("write", "writev", "pwrite64", "?open", "openat", "?openat2", "?creat"),
    *("?unlink", "unlinkat", "?rename", "?renameat", "?renameat2", "?link", "linkat", "?symlink", "symlinkat"),
    *("chdir", "fchdir", "?chmod", "fchmod", "fchmodat"),
    *("ptrace", "kill", "tkill", "tgkill", "process_vm_readv", "process_vm_writev", "?pidfd_getfd"),
    *("mount", "umount2", "unshare", "setns", "pivot_root", "bpf", "?io_uring_setup", "?memfd_create", "keyctl"),
    *("init_module", "finit_module", "?kexec_load", "?userfaultfd", "perf_event_open", "?fsopen", "?open_tree"),
)
# Parts of the host's /usr that are the administrator's, or other people's Python.
MASKED = ("/usr/local", "/usr/src", "/usr/lib/python3/dist-packages")
_NAMESPACES = ("user", "pid", "net", "ipc", "uts", "cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the sandbox is built from, as found on this machine."""

    bwrap: str
    strace: str
    runtime: Path  # has `python`, `venv`, `look` and `etc`
    version: str  # the interpreter's, as in `lib/python3.11`
    links: Mapping[str, str] | None = None  # /bin, /lib and so on -> where they point; "" for a folder of its own
    masked: Sequence[str] = ()  # of MASKED, those that exist

    @property
    def site_packages(self) -> str:
        """Where the interpreter inside looks for distributions."""
        return f"{VENV}/lib/python{self.version}/site-packages"


def sandbox_command(
    host: Host, bounds: LookBounds, program: Sequence[str] = (BASE_INTERPRETER, "-I", "-S", DRIVER)
) -> list[str]:
    """What is run. Standard input goes to the program, its output to standard output, the trace to standard error."""
    return [
        *_outer(host),
        *("--", host.strace, "-f", "-q", "-y", "-xx", "-s", str(MAX_STRING), "--seccomp-bpf", "--decode-pids=pidns"),
        *("-e", f"trace={','.join(TRACED)}", "-o", "/dev/fd/2"),
        # The trace is not for those who are traced.
        *("--", "/bin/sh", "-c", 'exec "$@" 2>&1', "sh"),
        *_inner(host, bounds),
        *("--", *program),
    ]


def _outer(host: Host) -> list[str]:
    command = [host.bwrap, *(f"--unshare-{each}" for each in _NAMESPACES)]
    command += ["--uid", str(USER_ID), "--gid", str(USER_ID), "--hostname", HOST_NAME]
    command += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "LC_ALL", "C.UTF-8"]
    for name, value in LOADER.items():
        command += ["--setenv", name, value]
    command += ["--ro-bind", "/usr", "/usr"]
    for folder in host.masked:
        command += ["--tmpfs", folder, "--remount-ro", folder]
    for name, target in sorted((host.links or {}).items()):
        command += ["--symlink", target, name] if target else ["--ro-bind", name, name]
    for name, place in (("python", PYTHON), ("venv", VENV), ("look", TOOLS), ("etc", "/etc")):
        command += ["--ro-bind", str(host.runtime / name), place]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    for folder in (SCRATCH, WORK, HOME):
        command += ["--dir", folder]
    return [*command, "--remount-ro", "/", "--chdir", "/"]


def _inner(host: Host, bounds: LookBounds) -> list[str]:
    command = [host.bwrap, "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc"]
    command += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    large = bounds.max_unpacked_bytes + bounds.scratch_bytes
    sizes = {WORK: large, host.site_packages: large}
    for folder in ("/dev/shm", SCRATCH, HOME, WORK, host.site_packages):  # noqa: S108 - inside the sandbox
        command += ["--size", str(sizes.get(folder, bounds.scratch_bytes)), "--perms", "0700", "--tmpfs", folder]
    return [*command, "--remount-ro", "/dev", "--chdir", HOME]
