"""`make services`: the suites again, on real servers: PostgreSQL, S3-speaking stores, a PKCS#11 token, a browser.

Installs what is missing with apt (Debian, as root), starts a PostgreSQL of its own in a temporary folder on a free
port, and stops it at the end. A lane that cannot run is a failure, never a silent skip.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "initdb": "postgresql",
    "chromium": "chromium",
    "softhsm2-util": "softhsm2",
    "pkcs11-tool": "opensc",
    # For a TUF client in another language, which its test installs into a folder that goes away.
    "node": "nodejs",
    "npm": "npm",
    # For the scanner's dynamic look.
    "bwrap": "bubblewrap",
    "strace": "strace",
}
START_SECONDS = 30

# No test in these touches a row, so that another database changes nothing for them (tests/unit/test_lanes.py).
WITHOUT_ROWS = (
    *("tests/unit/bench", "tests/unit/client", "tests/unit/dist", "tests/unit/scan", "tests/unit/simple"),
    *("tests/unit/store", "tests/unit/trust", "tests/unit/test_lanes.py"),
    *("tests/faults/test_client_cache_shared.py", "tests/faults/test_store_crash.py"),
    *("tests/faults/test_store_disk.py", "tests/faults/test_store_power_cut.py"),
)
LANES: dict[str, list[str]] = {
    # Every suite that touches rows, on PostgreSQL: the same tests, another database.
    "postgresql": [
        *("tests/unit", "tests/faults", "tests/permissions", "-m", "not services"),
        *(f"--ignore={path}" for path in WITHOUT_ROWS),
    ],
    # What only runs with real servers beside it: two machines' workers, S3 servers, a token.
    "servers": ["tests", "--ignore=tests/browser", "-m", "services"],
    "browser": ["tests/browser", "-m", "services"],
}


def main() -> int:
    """Run the lanes that were asked for; all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lanes", nargs="*", choices=[*LANES, []], help="default: all")
    wanted = parser.parse_args().lanes or list(LANES)
    install_missing(browser="browser" in wanted)
    failed = []
    with postgresql() as url:
        for lane in wanted:
            print(f"\n== services: {lane}", flush=True)
            environment = os.environ | {"WHEELMARK_TEST_POSTGRESQL": url}
            if lane == "postgresql":
                environment["WHEELMARK_DATABASE"] = url
            if run(["-n", "2", "--dist", "loadfile", *LANES[lane]], environment) == 0:
                continue
            print(f"\n== services: {lane}: a second look at what failed, alone", flush=True)
            if run([*LANES[lane], "--last-failed", "--last-failed-no-failures", "none"], environment):
                failed.append(lane)
    print(f"\nservices: {len(wanted) - len(failed)} lanes passed, failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def run(arguments: list[str], environment: dict[str, str]) -> int:
    """Run pytest; gives its exit status."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def find_tool(name: str) -> str | None:
    """A program on the path, or among PostgreSQL's own, which Debian keeps off it."""
    if found := shutil.which(name):
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: path.parts[-3])
    return str(versions[-1]) if versions else None


def install_missing(*, browser: bool) -> None:
    """Install the Debian packages whose programs are not there."""
    needed = [
        package for tool, package in PACKAGES.items() if (browser or tool != "chromium") and find_tool(tool) is None
    ]
    if not needed:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"services: install these packages first: {' '.join(needed)}")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *needed], check=True)


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of our own; gives the URL of an empty database."""
    initdb, server, createdb = (find_tool(name) for name in ("initdb", "postgres", "createdb"))
    if initdb is None or server is None or createdb is None:
        sys.exit("services: no PostgreSQL server is installed")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="wheelmark-pg-") as folder:
        data = Path(folder) / "data"
        # PostgreSQL refuses to run as root.
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        uid, gid = (user.pw_uid, user.pw_gid) if user is not None else (None, None)
        subprocess.run(
            [initdb, "-D", str(data), "-A", "trust", "-U", "wheelmark", "-E", "UTF8", "--locale=C.UTF-8"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            user=uid,
            group=gid,
        )
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        # Several machines of several tests at once; what they write need not survive a power cut, and the tests that
        # take the database away would fill the log.
        options += ["-c", "max_connections=300", "-c", "fsync=off"]
        process = subprocess.Popen(
            [server, "-D", str(data), "-p", str(port), *options, "-c", "log_min_messages=panic"],
            cwd=folder,
            user=uid,
            group=gid,
        )
        try:
            wait_for_port(port)
            subprocess.run([createdb, "-h", "127.0.0.1", "-p", str(port), "-U", "wheelmark", "wheelmark"], check=True)
            yield f"postgresql://wheelmark@127.0.0.1:{port}/wheelmark"
        finally:
            # Not SIGTERM: with that the server waits until the last of its clients has gone.
            process.send_signal(signal.SIGINT)
            process.wait(timeout=START_SECONDS)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Wait until somebody accepts connections."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"services: PostgreSQL did not start within {START_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
