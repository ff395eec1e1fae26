"""What verifying costs an install: uv with 50 wheels, through `wheelmark uv` and `run` beside the plain index.

All in alternating rounds, so that what else the machine does meets both. Plain is uv as everybody has it: its cache
begins empty and stays, and files are linked from it. `wheelmark uv` keeps no cache of uv's (decision 0005), and its
time includes all that it starts, and uv's clearing up. "Cold" has nothing kept by the client, "warm" all that it keeps.
Where uv's own cache is warm, too, the proxy is `wheelmark proxy`, which leaves that cache to uv.

Twice: over a line as users have it, where the bound applies, and with nothing between uv and the index, where all
that the proxy computes is added to an install that waits for nothing else (decision 0020).

Nothing is deleted while the installs beside a running proxy are measured: after thousands of files were deleted, some
file systems take many times as long to make one, for minutes (ext4 does not reuse their inodes, and looks at each of
them). `wheelmark uv` deletes uv's temporary cache, so it is measured at the end, beside a plain install of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from client_line import Line, line_to
from client_wheels import COUNT, project, wheels
from figures import Figure
from support.client import clean_environment, new_environment
from support.server import RunningIndex, eventually

ROUNDS, QUICK_ROUNDS = 9, 2
LINE = Line(round_trip_seconds=0.02, bytes_per_second=100_000_000 / 8)
STARTS, QUICK_STARTS = 11, 3
MAX_RATIO = 1.15
MAX_START_SECONDS = 0.4
PUBLISH_SECONDS = 600.0
MAX_WAIT_SECONDS = 60.0
MAX_SETTLING_SECONDS, SETTLING_STEP_SECONDS = 330.0, 10.0  # ext4 remembers what was deleted for 300 s
PROBED_FILES = 200
SETTLED_MICROSECONDS = 100.0  # to make one small file
UV = str(Path(sys.executable).with_name("uv"))
WHEELMARK = (sys.executable, "-m", "wheelmark.cli")
PROJECTS = [project(number) for number in range(COUNT)]
# Runs under `wheelmark run`: asks for something first, so that all is imported and the metadata fetched, then measures
# uv, in the environment that `wheelmark uv` gives it, and what the proxy (its parent) took meanwhile.
MEASURED = """\
import json, os, subprocess, sys, time, urllib.error, urllib.request
def proxy_seconds():
    fields = open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
try:
    urllib.request.urlopen(sys.argv[1] + "nothing-of-this-name/", timeout=60)
except urllib.error.HTTPError as error:
    assert error.code == 404, error
del os.environ["UV_NO_CACHE"]
os.environ["UV_CACHE_DIR"] = sys.argv[2]
before, began = proxy_seconds(), time.perf_counter()
subprocess.run(sys.argv[3:], check=True)
elapsed = time.perf_counter() - began
status = open(f"/proc/{os.getppid()}/status").read()
print(json.dumps([elapsed, proxy_seconds() - before, int(status.split("VmHWM:")[1].split()[0])]))
"""


@dataclass
class Times:
    """Seconds of each round, by what was measured."""

    plain: list[float] = field(default_factory=list)
    plain_beside: list[float] = field(default_factory=list)  # the same, in the rounds of what starts a proxy
    plain_warm: list[float] = field(default_factory=list)  # uv's cache has everything
    started: dict[str, list[float]] = field(default_factory=lambda: {"cold": [], "warm": []})
    running: dict[str, list[float]] = field(default_factory=lambda: {"cold": [], "warm": []})
    proxy_cpu: dict[str, list[float]] = field(default_factory=lambda: {"cold": [], "warm": []})
    cached: list[float] = field(default_factory=list)
    memory_kilobytes: list[int] = field(default_factory=list)


def figures(quick: bool) -> list[Figure]:
    """Installs, the start of the proxy, and its memory."""
    with tempfile.TemporaryDirectory(prefix="wheelmark-bench-") as name:
        folder = Path(name)
        with RunningIndex(folder / "data") as index:
            size = publish(index)
            rounds, url = QUICK_ROUNDS if quick else ROUNDS, f"{index.base_url}/simple/"
            cost = microseconds_a_file(folder) if quick else settled_microseconds_a_file(folder)
            distant, near = Times(), Times()
            with line_to(url, LINE) as distant_url:
                far_bench = ClientBench(distant_url, index.root, folder / "distant")
                bench = ClientBench(url, index.root, folder / "near")
                far_bench.installs(rounds, distant)
                bench.installs(rounds, near)
                far_bench.installs_with_start(rounds, distant)
                bench.installs_with_start(rounds, near)
            starts = bench.starts(QUICK_STARTS if quick else STARTS)
    memory = max(near.memory_kilobytes + distant.memory_kilobytes)
    return [
        Figure("client: the install", f"{COUNT} wheels, {size / 1_000_000:.1f} MB"),
        Figure("making a small file, before the installs", f"{cost:.0f} us"),
        Figure("client: the index at the other end of a line", str(LINE)),
        *report(distant, MAX_RATIO),
        Figure("client: the index on the same machine", "nothing to wait for"),
        *report(near, None),
        start_figure("start of the proxy until it answers, median", [answers for answers, _ in starts]),
        start_figure("start of the proxy until the first verified page, median", [page for _, page in starts]),
        Figure("memory of the proxy, at most (RSS)", f"{memory * 1024 / 1_000_000:.0f} MB"),
    ]


def report(times: Times, max_ratio: float | None) -> list[Figure]:
    """Ratios of medians to the plain install of the same run."""
    plain, beside = statistics.median(times.plain), statistics.median(times.plain_beside)
    shown = [Figure("uv, plain index, median", f"{plain:.2f} s")]
    for kept in ("cold", "warm"):
        running = statistics.median(times.running[kept])
        cpu = statistics.median(times.proxy_cpu[kept])
        shown.append(_ratio(f"uv, verified, {kept}, proxy running", running, plain, max_ratio))
        shown.append(Figure(f"the proxy's CPU meanwhile, {kept}", f"{cpu:.2f} s"))
        started = statistics.median(times.started[kept])
        shown.append(_ratio(f"the same, `wheelmark uv` with its start, {kept}", started, beside, None))
    warm, cached = statistics.median(times.plain_warm), statistics.median(times.cached)
    shown.append(Figure("uv with a warm cache of its own, plain index", f"{warm:.2f} s"))
    shown.append(_ratio("uv with a warm cache of its own, `wheelmark proxy`", cached, warm, max_ratio))
    return shown


def _ratio(name: str, seconds: float, plain: float, at_most: float | None) -> Figure:
    """Seconds as a multiple of what it took without us."""
    ratio = round(seconds / plain, 2)
    text = f"{seconds:.2f} s = {ratio:.2f}x"
    return Figure(name, text) if at_most is None else Figure(name, text, f"<= {at_most:g}x", ratio <= at_most)


def start_figure(name: str, seconds: list[float]) -> Figure:
    """A start, with its bound."""
    median = statistics.median(seconds)
    return Figure(name, f"{median:.2f} s", f"<= {MAX_START_SECONDS:g} s", median <= MAX_START_SECONDS)


def settled_microseconds_a_file(folder: Path) -> float:
    """What making a file costs here once the file system has forgotten what was deleted before this benchmark."""
    until = time.monotonic() + MAX_SETTLING_SECONDS
    while (cost := microseconds_a_file(folder)) > SETTLED_MICROSECONDS and time.monotonic() < until:
        print(f"  making a file takes {cost:.0f} us; waiting until it is less, at most 5 minutes", file=sys.stderr)
        time.sleep(SETTLING_STEP_SECONDS)
    return cost


def microseconds_a_file(folder: Path) -> float:
    """To make a small file here, now."""
    probe = Path(tempfile.mkdtemp(prefix="probe-", dir=folder))
    began = time.perf_counter()
    for number in range(PROBED_FILES):
        (probe / str(number)).write_bytes(b"as small as a module")
    return (time.perf_counter() - began) / PROBED_FILES * 1e6


def publish(index: RunningIndex) -> int:
    """Upload all wheels, and wait until they can be installed; gives their size in bytes."""
    token, total, filenames = index.token(), 0, []
    for filename, content in wheels():
        answer = index.upload(filename, content, token=token)
        if answer.status != 200:
            raise RuntimeError(f"the upload of {filename} was answered {answer.status}: {answer.data!r}")
        filenames.append(filename)
        total += len(content)
    for name, filename in zip(PROJECTS, filenames, strict=True):
        index.wait_published(name, filename, seconds=PUBLISH_SECONDS)
    return total


class ClientBench:
    """One index, and the folders of all installs from it."""

    def __init__(self, index_url: str, root: bytes, folder: Path) -> None:
        self._url = index_url
        self._folder = folder
        folder.mkdir()
        self._root = folder / "root.json"
        self._root.write_bytes(root)
        self._python = new_environment(folder / "venv")
        self._numbers = itertools.count()
        # As an installed program runs: its bytecode is there, whatever the environment of the benchmark says.
        self._scratch = folder / "scratch"
        self._scratch.mkdir()
        self._environment = clean_environment(PYTHONPYCACHEPREFIX=str(folder / "bytecode"), TMPDIR=str(self._scratch))
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def installs(self, rounds: int, times: Times) -> None:
        """Each kind of install beside a running proxy once in each round, after one that counts for nothing."""
        kept, cache, proxy_cache = (self._new("kept"), self._new("uv-cache"), self._new("uv-cache"))
        with self._proxy(self._new("proxy")) as (_, proxy_url):
            for _ in range(rounds + 1):
                times.plain.append(self._plain(self._new("uv-cache"), self._url))
                for name, state in (("cold", self._new("state")), ("warm", kept)):
                    elapsed, cpu, memory = self._running(state)
                    times.running[name].append(elapsed)
                    times.proxy_cpu[name].append(cpu)
                    times.memory_kilobytes.append(memory)
                times.plain_warm.append(self._plain(cache, self._url))
                times.cached.append(self._plain(proxy_cache, proxy_url))
        for values in (times.plain, *times.running.values(), *times.proxy_cpu.values(), times.plain_warm, times.cached):
            del values[0]  # the file system's cache, uv's look at the interpreter, bytecode, and the caches to be warm

    def installs_with_start(self, rounds: int, times: Times) -> None:
        """`wheelmark uv` from its start to its end, in the same way."""
        kept = self._new("kept")
        for _ in range(rounds + 1):
            times.plain_beside.append(self._plain(self._new("uv-cache"), self._url))
            times.started["cold"].append(self._verified_uv(self._new("state")))
            times.started["warm"].append(self._verified_uv(kept))
        for values in (times.plain_beside, *times.started.values()):
            del values[0]

    def starts(self, count: int) -> list[tuple[float, float]]:
        """Seconds from the start of `wheelmark proxy` until its port answers, and until a verified page comes."""
        measured = []
        for _ in range(count + 1):
            port = _free_port()
            began = time.perf_counter()
            with self._proxy(self._new("state"), port=port, wait=False):
                url = f"http://127.0.0.1:{port}"
                while _status(f"{url}/healthz") != 200:
                    if time.perf_counter() - began > MAX_WAIT_SECONDS:
                        raise RuntimeError("the proxy did not start")
                    time.sleep(0.002)
                answers = time.perf_counter() - began
                if _status(f"{url}/simple/{PROJECTS[0]}/") != 200:
                    raise RuntimeError("the proxy did not serve a page that the index has")
                measured.append((answers, time.perf_counter() - began))
        return measured[1:]

    def _new(self, what: str) -> Path:
        return self._folder / f"{what}-{next(self._numbers)}"

    def _install(self, target: Path) -> list[str]:
        return ["pip", "install", "--quiet", "--python", str(self._python), "--target", str(target), *PROJECTS]

    def _own(self, state: Path) -> list[str]:
        return ["--index", self._url, "--root", str(self._root), "--state", str(state)]

    def _plain(self, cache: Path, index_url: str) -> float:
        environment = self._environment | {"UV_CACHE_DIR": str(cache), "UV_DEFAULT_INDEX": index_url}
        target = self._new("target")
        return self._timed([UV, *self._install(target)], environment, target)

    def _verified_uv(self, state: Path) -> float:
        target = self._new("target")
        return self._timed([*WHEELMARK, "uv", *self._own(state), *self._install(target)], self._environment, target)

    def _timed(self, command: list[str], environment: dict[str, str], target: Path) -> float:
        self._settle()
        began = time.perf_counter()
        subprocess.run(command, env=environment, cwd=self._folder, check=True)
        elapsed = time.perf_counter() - began
        self._check(target)
        return elapsed

    def _running(self, state: Path) -> tuple[float, float, int]:
        """The time of uv alone, the proxy's CPU time meanwhile, and the most memory that it had, in kB."""
        self._settle()
        target = self._new("target")
        inner = [sys.executable, "-c", MEASURED, self._url, str(self._new("uv-cache")), UV, *self._install(target)]
        command = [*WHEELMARK, "run", *self._own(state), "--", *inner]
        run = subprocess.run(
            command, env=self._environment, cwd=self._folder, check=True, stdout=subprocess.PIPE, text=True
        )
        self._check(target)
        elapsed, cpu, memory = json.loads(run.stdout)
        return elapsed, cpu, memory

    def _settle(self) -> None:
        """Let the disk finish what earlier installs left to it: `wheelmark uv` clears up after its end."""
        eventually(lambda: not any(self._scratch.iterdir()), seconds=MAX_WAIT_SECONDS, what="all cleared up")
        os.sync()

    def _check(self, target: Path) -> None:
        found = len(list(target.glob("*.dist-info")))
        if found != COUNT:
            raise RuntimeError(f"expected {COUNT} distributions, got {found}")

    @contextmanager
    def _proxy(self, state: Path, *, port: int = 0, wait: bool = True) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """`wheelmark proxy` while the block runs, and its index."""
        command = [*WHEELMARK, "proxy", *self._own(state), "--port", str(port)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, stderr=quiet, text=True) as proxy:
            try:
                line = proxy.stdout.readline() if wait and proxy.stdout is not None else ""
                yield proxy, "".join(re.findall(r"PIP_INDEX_URL=(\S+)", line))
            finally:
                proxy.send_signal(signal.SIGTERM)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.URLError:
        return 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
