"""The read path beside its peers: a project page of 50 files as JSON, 16 connections, all on this machine.

    python bench/bench_delivery.py [--quick]

`wrk` asks; nginx serves the very same bytes as a static file, and is the yardstick: requests a second swing with
whatever else the machine does, the CPU time of one request of a server's whole process tree does not. Servers take
turns, several times, and the median counts. devpi-server and pypiserver are measured when they are installed (`make
bench` does it); they have no page in JSON of the same content, so theirs is the page that pip gets.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
import urllib3

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / "tests")]

from figures import Figure  # noqa: E402  (found on the path that was set above)
from support.distributions import build_wheel, wheel_filename  # noqa: E402
from support.server import SIMPLE_JSON, RunningIndex, eventually  # noqa: E402

CONNECTIONS = 16
FILES = 50
PROJECT = "delivery-bench"
DEVPI_USER = "root"  # the user that every new devpi has
ROUNDS, SECONDS = 5, 6
QUICK_ROUNDS, QUICK_SECONDS = 1, 2
MAX_CPU_RATIO = 3.0
MIN_RATE_RATIOS = {"nginx": 0.5, "devpi": 40.0, "pypiserver": 60.0}  # our requests a second, over the peer's
START_SECONDS = 60.0

_COUNT = re.compile(r"(\d+) requests in ([\d.]+)(m?s)")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that serves the page."""

    name: str
    address: str
    process: psutil.Process


@dataclass(frozen=True, slots=True)
class Round:
    """What one run of wrk gave."""

    requests_a_second: float
    cpu_microseconds: float  # of one request


def figures(quick: bool) -> list[Figure]:
    """Our read path and its peers."""
    for program in ("wrk", "nginx"):
        if shutil.which(program, path=_PATH) is None:
            return [Figure("delivery", f"NOT MEASURED: {program} is not installed (Debian: {program})")]
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wheelmark-delivery-")))
        folder.chmod(0o755)
        wheels = {wheel_filename(PROJECT, f"{n}.0"): build_wheel(PROJECT, f"{n}.0") for n in range(1, FILES + 1)}
        ours, page = stack.enter_context(_wheelmark(folder / "data", wheels))
        servers = [ours, stack.enter_context(_nginx(folder / "nginx", page))]
        for peer in (_pypiserver, _devpi):
            server = stack.enter_context(peer(folder / peer.__name__, wheels))
            if server is not None:
                servers.append(server)
        measured: dict[str, list[Round]] = {server.name: [] for server in servers}
        for server in servers:
            _measure(server, 1)  # warm
        for _ in range(rounds):
            for server in servers:
                measured[server.name].append(_measure(server, seconds))
    return _report(measured, len(page))


def _report(measured: Mapping[str, list[Round]], size: int) -> list[Figure]:
    cpu = {name: statistics.median(found.cpu_microseconds for found in rounds) for name, rounds in measured.items()}
    rate = {name: statistics.median(found.requests_a_second for found in rounds) for name, rounds in measured.items()}
    yardstick = cpu["nginx"]
    shown = [Figure("delivery page", f"{FILES} files, {size:,} bytes of JSON, {CONNECTIONS} connections")]
    for name in measured:
        ratio = cpu[name] / yardstick
        text = f"{cpu[name]:,.0f} us CPU a request ({ratio:.1f}x nginx), {rate[name]:,.0f} requests/s"
        bounded = name == "wheelmark"
        shown.append(
            Figure(
                f"delivery {name}",
                text,
                f"CPU <= {MAX_CPU_RATIO:g}x nginx" if bounded else "",
                ratio <= MAX_CPU_RATIO if bounded else None,
            )
        )
    for name, least in MIN_RATE_RATIOS.items():
        if name in measured:
            ratio = rate["wheelmark"] / rate[name]
            shown.append(Figure(f"throughput over {name}", f"{ratio:.2f}x", f">= {least:g}x", ratio >= least))
        else:
            shown.append(Figure(f"delivery {name}", "NOT MEASURED: not installed (`make bench` does it)"))
    return shown


def _measure(server: Server, seconds: int) -> Round:
    """Run wrk for some seconds, and see what CPU time the server's processes took meanwhile."""
    before = _cpu_seconds(server.process)
    command = ["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "-H", f"Accept: {SIMPLE_JSON}"]
    output = subprocess.run([*command, server.address], capture_output=True, text=True, check=True).stdout
    spent = _cpu_seconds(server.process) - before
    found = _COUNT.search(output)
    if found is None or _BAD.search(output):
        raise RuntimeError(f"{server.name} did not answer well:\n{output}")
    count, elapsed = int(found[1]), float(found[2]) / (1000 if found[3] == "ms" else 1)
    return Round(count / elapsed, spent / count * 1_000_000)


def _cpu_seconds(process: psutil.Process) -> float:
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            times = member.cpu_times()
            total += times.user + times.system
    return total


# --- The servers ------------------------------------------------------------------------------------------------------

# `make bench` installs the peers in an environment of their own: their dependencies are none of ours.
_PEERS = Path(__file__).resolve().parent.parent / ".venv-peers" / "bin"
_PATH = f"{Path(sys.executable).parent}:{_PEERS}:/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/bin"


@contextmanager
def _wheelmark(data: Path, wheels: Mapping[str, bytes]) -> Iterator[tuple[Server, bytes]]:
    with RunningIndex(data) as index:
        token = index.token()
        for filename, content in wheels.items():
            answer = index.upload(filename, content, token=token)
            if answer.status != 200:
                raise RuntimeError(f"the upload of {filename} was answered {answer.status}: {answer.data!r}")
        eventually(lambda: len(index.listed(PROJECT)) == len(wheels), seconds=300, what="all files published")
        page = index.get(f"/simple/{PROJECT}/", accept=SIMPLE_JSON).data
        process = psutil.Process(index.pid("supervisor"))
        yield Server("wheelmark", f"{index.base_url}/simple/{PROJECT}/", process), page


@contextmanager
def _nginx(folder: Path, page: bytes) -> Iterator[Server]:
    (folder / "simple" / PROJECT).mkdir(parents=True)
    (folder / "simple" / PROJECT / "index.json").write_bytes(page)
    port = _free_port()
    (folder / "nginx.conf").write_text(
        f"""daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000000; default_type {SIMPLE_JSON}; types {{ }}
  open_file_cache max=100; index index.json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}; add_header Vary "Accept, Accept-Encoding"; }}
}}
""",
        encoding="ascii",
    )
    program = str(shutil.which("nginx", path=_PATH))
    with _started([program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")], port) as process:
        yield Server("nginx", f"http://127.0.0.1:{port}/simple/{PROJECT}/", process)


@contextmanager
def _pypiserver(folder: Path, wheels: Mapping[str, bytes]) -> Iterator[Server | None]:
    program = shutil.which("pypi-server", path=_PATH)
    if program is None:
        yield None
        return
    folder.mkdir()
    for filename, content in wheels.items():
        (folder / filename).write_bytes(content)
    port = _free_port()
    command = [program, "run", "-i", "127.0.0.1", "-p", str(port), "--disable-fallback", "--server", "auto"]
    with _started([*command, str(folder)], port) as process:
        yield Server("pypiserver", f"http://127.0.0.1:{port}/simple/{PROJECT}/", process)


@contextmanager
def _devpi(folder: Path, wheels: Mapping[str, bytes]) -> Iterator[Server | None]:
    program, init = (shutil.which(name, path=_PATH) for name in ("devpi-server", "devpi-init"))
    if program is None or init is None:
        yield None
        return
    subprocess.run([init, "--serverdir", str(folder), "--no-root-pypi"], check=True, capture_output=True)
    port = _free_port()
    command = [program, "--serverdir", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with _started(command, port) as process:
        address = f"http://127.0.0.1:{port}"
        http = urllib3.PoolManager(timeout=60.0)
        login = http.request("POST", f"{address}/+login", json={"user": "root", "password": ""}).json()["result"]
        basic = urllib3.make_headers(basic_auth=f"root:{login['password']}")["authorization"]
        signed = {"X-Devpi-Auth": basic.removeprefix("Basic ")}
        http.request("PUT", f"{address}/{DEVPI_USER}/bench", json={"bases": []}, headers=signed)
        for filename, content in wheels.items():
            fields = {":action": "file_upload", "name": PROJECT, "version": filename.split("-")[1]}
            fields |= {"filetype": "bdist_wheel", "pyversion": "py3", "metadata_version": "2.1"}
            parts: dict[str, object] = {**fields, "content": (filename, content)}
            answer = http.request("POST", f"{address}/{DEVPI_USER}/bench/", fields=parts, headers=signed)  # type: ignore[arg-type]  # a wider mapping than it names
            if answer.status != 200:
                raise RuntimeError(f"devpi answered {answer.status}: {answer.data!r}")
        yield Server("devpi", f"{address}/{DEVPI_USER}/bench/+simple/{PROJECT}/", process)


@contextmanager
def _started(command: list[str], port: int) -> Iterator[psutil.Process]:
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _answers(port), seconds=START_SECONDS, what=f"{command[0]} on port {port}")
        yield psutil.Process(running.pid)
    finally:
        running.terminate()
        running.wait(30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(0.05)
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def main() -> int:
    """Print the figures; 1 when a bound was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it runs, not to quote")
    found = figures(parser.parse_args().quick)
    for figure in found:
        verdict = {True: "  holds", False: "  BROKEN", None: ""}[figure.holds]
        print(f"{figure.name:<24}{figure.value}{'   [' + figure.bound + ']' if figure.bound else ''}{verdict}")
    return int(any(figure.holds is False for figure in found))


if __name__ == "__main__":
    sys.exit(main())
