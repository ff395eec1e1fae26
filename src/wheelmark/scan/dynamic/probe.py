"""The harmless program of the self-test: looks around inside the sandbox and prints what it sees as one line of JSON.

It runs there as the step of a plan, just as a distribution would, before any untrusted byte is let in.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

MARK = "wheelmark-probe "
_FOLDERS = ("/", "/usr", "/etc", "/opt", "/opt/python", "/opt/venv", "/opt/look", "/proc/sys", "/dev")
_LIMITS = ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE")


def main() -> None:
    """Print what is to be seen. `argv` names files of the host that must not be."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    seen: dict[str, Any] = {
        "python": sys.version.split()[0],
        "installed": [folder for folder in sys.path if folder.endswith("-packages")],
        "setuptools": importlib.util.find_spec("setuptools") is not None,
        "routes": lines("/proc/net/route")[1:],
        # The kernel's own entries of a namespace without interfaces all name loopback.
        "routes6": [line for line in lines("/proc/net/ipv6_route") if line.split()[-1] != "lo"],
        "interfaces": [line.split(":")[0].strip() for line in lines("/proc/net/dev")[2:]],
        "processes": sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()),
        "capabilities": [status[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no_new_privileges": status["NoNewPrivs"].strip(),
        "top": sorted(each.name for each in Path("/").iterdir()),
        "host_files": [path for path in sys.argv[1:] if os.path.lexists(path)],
        "writable": sorted(filter(writable, _FOLDERS)),
        "environment": sorted(os.environ),
        "descriptors": descriptors(),
        "limits": {name: list(resource.getrlimit(getattr(resource, name))) for name in _LIMITS},
        "new_user_namespace": may_unshare(),
        "user": os.getuid(),
    }
    print(MARK + json.dumps(seen), flush=True)


def lines(path: str) -> list[str]:
    """The lines of a file; none when it is not there."""
    try:
        return Path(path).read_text().splitlines()
    except FileNotFoundError:
        return []


def writable(folder: str) -> bool:
    """Whether a file can be made in a folder."""
    path = Path(folder, ".probe")
    try:
        path.write_bytes(b"")
    except OSError:
        return False
    path.unlink()
    return True


def descriptors() -> list[int]:
    """The open descriptors, but for the one that lists them."""
    listed = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - closes before the next line
    return sorted(number for number in listed if Path(f"/proc/self/fd/{number}").exists() or number < 3)


def may_unshare() -> bool:
    """Whether this process can make a user namespace, and with it new rights for itself."""
    import ctypes

    clone_newuser = 0x10000000
    child = os.fork()
    if child == 0:
        os._exit(0 if ctypes.CDLL(None).unshare(clone_newuser) == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


if __name__ == "__main__":
    main()
