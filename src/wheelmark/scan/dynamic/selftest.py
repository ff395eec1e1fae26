"""Whether the sandbox holds, looked at from inside by a harmless probe before any untrusted byte enters."""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

import orjson

from wheelmark.scan.dynamic.bounds import LookBounds
from wheelmark.scan.dynamic.host import refusal, sandbox_user
from wheelmark.scan.dynamic.places import HOME, INTERPRETER, LIBRARIES, LOADER, PROBE, USER_ID
from wheelmark.scan.dynamic.plan import Phase, Step, packed
from wheelmark.scan.dynamic.probe import MARK
from wheelmark.scan.dynamic.running import Run, run_sandbox
from wheelmark.scan.dynamic.sandbox import Host, sandbox_command
from wheelmark.scan.dynamic.trace import driver_status, read_trace
from wheelmark.scan.flow import printable
from wheelmark.scan.report import Context

TOP = frozenset(
    {"bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin", "tmp", "usr", "work"}
)
_MAX_PROCESSES = 3  # the reaper, the driver, the probe
_ENVIRONMENT = {**LOADER, "PYTHONPATH": LIBRARIES}
# The interpreter may set these by itself.
_OWN_VARIABLES = frozenset({"LC_CTYPE"})


def check(host: Host, bounds: LookBounds) -> str:
    """Let the probe look around; gives the version of Python inside.

    Raises: Unavailable when the kernel does not let us build the sandbox, or when it does not hold.
    """
    if not Path("/proc/self/task", str(threading.get_native_id()), "children").exists():
        raise refusal(
            "expected the kernel to tell the children of processes in /proc, without which memory is not bounded"
        )
    separator = secrets.token_hex(8)
    with NamedTemporaryFile(prefix="wheelmark-mark-") as mark:
        # Everybody could read it, if it were there.
        Path(mark.name).chmod(0o644)
        forbidden = _forbidden(mark.name, str(host.runtime))
        step = Step(
            argv=(INTERPRETER, PROBE, *forbidden),
            cwd=HOME,
            environment=_ENVIRONMENT,
            member="",
            what="self-test",
        )
        phase = Phase(context=Context.IMPORT, steps=(step,), folder="/work")
        with packed(phase, {}, {}, bounds, separator) as feed:
            run = run_sandbox(sandbox_command(host, bounds), feed, bounds, user=sandbox_user())
    seen = _seen(run)
    faults = faults_of(seen, bounds.limits(), host.site_packages)
    events = read_trace(bytes(run.trace))
    if driver_status(events) is None:
        faults.append("expected strace to see the driver, got no trace of it")
    if faults:
        raise refusal(f"the sandbox does not hold here, so nothing is run in it: {'; '.join(faults)}")
    return str(seen["python"])


def _forbidden(*ours: str) -> tuple[str, ...]:
    """Paths of the host that must not exist inside: files of this moment, and where people and services keep theirs."""
    home = str(Path.home())
    # Some services' home is a folder of programs, or the root.
    at_home = () if home in {"/", HOME} or home.startswith("/usr") else (home,)
    return (*ours, *at_home, "/etc/shadow", "/var/log", "/sys/kernel", "/root")


def _seen(run: Run) -> Mapping[str, object]:
    for line in bytes(run.output).decode("utf-8", "replace").splitlines():
        if line.startswith(MARK):
            found: Mapping[str, object] = orjson.loads(line.removeprefix(MARK))
            return found
    said = bytes(run.output + run.trace).decode("utf-8", "replace").strip().splitlines()
    ours = [line for line in said if line.startswith(("bwrap:", "strace:", "/usr/bin/strace:"))]
    last = printable((ours or said or ["nothing"])[-1], 300)
    raise refusal(
        f"expected a contained process to run, got: {run.broken_off or last}. The kernel must allow user namespaces "
        "(in a container: start that one with them; on Ubuntu: an AppArmor profile for bwrap)"
    )


def faults_of(seen: Mapping[str, object], limits: Mapping[str, list[int]], site_packages: str) -> list[str]:
    """What the probe saw and should not have, one sentence each."""
    expected: dict[str, object] = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "installed": [site_packages],
        "setuptools": True,
        "routes": [],
        "routes6": [],
        "interfaces": ["lo"],
        "capabilities": ["0" * 16] * 4,
        "no_new_privileges": "1",
        "host_files": [],
        "writable": [],
        "descriptors": [0, 1, 2],
        "limits": dict(limits),
        "new_user_namespace": False,
        "user": USER_ID,
    }
    faults = [
        f"expected {name.replace('_', ' ')} {value}, got {printable(str(seen.get(name)), 200)}"
        for name, value in expected.items()
        if seen.get(name) != value
    ]
    top, processes, variables = seen.get("top"), seen.get("processes"), seen.get("environment")
    if not isinstance(top, list) or not TOP.issuperset(top):
        faults.append(f"expected nothing else than {' '.join(sorted(TOP))} at the root, got {printable(str(top), 200)}")
    if not isinstance(processes, list) or not 0 < len(processes) <= _MAX_PROCESSES:
        faults.append(f"expected at most {_MAX_PROCESSES} processes, got {printable(str(processes), 200)}")
    if not isinstance(variables, list) or not (_ENVIRONMENT.keys() | _OWN_VARIABLES).issuperset(variables):
        faults.append(f"expected an emptied environment, got {printable(str(variables), 200)}")
    return faults
