"""Measurements of a whole running index: `wheelmark serve` as real processes on the embedded default."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools

from figures import Figure
from support.distributions import build_wheel, wheel_filename
from support.server import RunningIndex, eventually
from wheelmark.client import Verifier, verify_repository
from wheelmark.errors import WheelmarkError

MEGABYTE = 1_000_000
WHEEL_BYTES = 20_000


@contextmanager
def an_index() -> Iterator[RunningIndex]:
    """An index of its own, in a folder that goes away. Rate limits on new projects are for people, not for this."""
    with (
        tempfile.TemporaryDirectory(prefix="wheelmark-bench-") as folder,
        RunningIndex(Path(folder) / "data") as index,
    ):
        yield index


def a_wheel(name: str, version: str = "1.0", size: int = WHEEL_BYTES) -> tuple[str, bytes]:
    """File name and bytes of a wheel of about this size."""
    return wheel_filename(name, version), build_wheel(name, version, payload_size=size)


def family(index: RunningIndex) -> list[psutil.Process]:
    """Every process of an index."""
    supervisor = psutil.Process(index.pid("supervisor"))
    return [supervisor, *supervisor.children(recursive=True)]


def memory(index: RunningIndex) -> float:
    """Megabytes of all processes together; a page that several share is counted once (PSS)."""
    total = 0
    for process in family(index):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / MEGABYTE


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def seconds(value: float, bound: float, name: str) -> Figure:
    """A duration with its bound."""
    return Figure(name, f"{value:.2f} s", f"<= {bound:g} s", value <= bound)


# --- start, memory at rest --------------------------------------------------------------------------------------------


def start_and_rest(quick: bool) -> list[Figure]:
    """Start on an existing data folder, and memory of all processes when nothing happens."""
    starts = []
    with an_index() as index:
        time.sleep(3 if quick else 10)
        rest = memory(index)
        for _ in range(3 if quick else 7):
            index.stop()
            began = time.perf_counter()
            index.start()
            index.wait_ready()
            starts.append(time.perf_counter() - began)
    return [
        seconds(statistics.median(starts), 2.0, "start on an existing data folder until ready, median"),
        Figure("memory at rest, all processes (PSS)", f"{rest:.0f} MB", "<= 250 MB", rest <= 250),
    ]


# --- upload accepted → installable ------------------------------------------------------------------------------------


def latency(quick: bool) -> list[Figure]:
    """From the answer to an upload until a verifying client sees the file."""
    waits = []
    with an_index() as index, tempfile.TemporaryDirectory() as cache:
        token = index.token()
        root = index.root
        for number in range(10 if quick else 60):
            filename, body = a_wheel("latency", f"1.{number}")
            answer = index.upload(filename, body, token=token)
            assert answer.status == 200, answer.data
            began = time.perf_counter()
            # A verifier of its own for each look, as each run of the client has: one that lives on looks once a second.
            eventually(
                lambda name=filename: sees(  # type: ignore[misc]  # a lambda with a default
                    Verifier(f"{index.base_url}/simple/", root, Path(cache)), "latency", name
                ),
                seconds=30,
                what=filename,
            )
            waits.append(time.perf_counter() - began)
    return [
        seconds(statistics.median(waits), 1.0, "upload accepted → installable through the client, p50"),
        seconds(percentile(waits, 0.95), 2.5, "upload accepted → installable through the client, p95"),
    ]


def sees(verifier: Verifier, project: str, filename: str) -> bool:
    """Whether a verifying client would find a file now."""
    page = verifier.page(project)
    return page is not None and any(file.filename == filename for file in page.files)


# --- many uploads at once ---------------------------------------------------------------------------------------------


def burst(quick: bool) -> list[Figure]:
    """500 uploads from 8 clients at once: none lost, none refused, and the final snapshot verifies."""
    uploads, clients = (50 if quick else 500), 8
    # One project for each client: creating many projects an hour is refused to people.
    with an_index() as index:
        token = index.token()
        wheels = [a_wheel(f"burst-{number % clients}".replace("-", "_"), f"1.{number}") for number in range(uploads)]
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            statuses = list(pool.map(lambda wheel: index.upload(*wheel, token=token).status, wheels))
        accepted = time.perf_counter() - began
        lost = wait_all(index, wheels, clients, seconds=600)
        published = time.perf_counter() - began
        summary = verify_repository(f"{index.base_url}/simple/", index.root, include_files=True)
    refused = sum(status != 200 for status in statuses)
    faults = len(summary.faults)
    return [
        Figure(f"{uploads} uploads from {clients} clients: refused", str(refused), "0", refused == 0),
        Figure(f"{uploads} uploads from {clients} clients: lost", str(len(lost)), "0", not lost),
        Figure("final snapshot verified whole, every file: faults", str(faults), "0", faults == 0),
        Figure("uploads accepted a second", f"{uploads / accepted:.0f}"),
        Figure("uploads published a second", f"{uploads / published:.0f}"),
    ]


def wait_all(index: RunningIndex, wheels: list[tuple[str, bytes]], projects: int, *, seconds: float) -> set[str]:
    """Wait until every wheel is on its page; gives those that are not."""
    missing = {filename for filename, _ in wheels}
    until = time.monotonic() + seconds
    while missing and time.monotonic() < until:
        for number in range(projects):
            missing -= set(index.listed(f"burst-{number}"))
        time.sleep(0.2)
    return missing


# --- a large file -----------------------------------------------------------------------------------------------------


def large_file(quick: bool) -> list[Figure]:
    """A 300 MB wheel, up and down, and how far the index's memory rises meanwhile."""
    size = 30 * MEGABYTE if quick else 300 * MEGABYTE
    with an_index() as index, tempfile.TemporaryDirectory() as cache:
        token = index.token()
        filename, body = a_wheel("large", size=size)
        time.sleep(3)
        idle = memory(index)
        with watching(lambda: memory(index)) as peak:
            began = time.perf_counter()
            answer = index.upload(filename, body, token=token)
            uploaded = time.perf_counter() - began
            assert answer.status == 200, answer.data
            verifier = Verifier(f"{index.base_url}/simple/", index.root, Path(cache))
            eventually(lambda: sees(verifier, "large", filename), seconds=300, what=filename)
            published = time.perf_counter() - began
            page = verifier.page("large")
            assert page is not None
            received = sum(len(piece) for piece in verifier.open_file(page.files[0]))
        assert received == len(body)
    above = peak[0] - idle
    return [
        Figure(
            f"{size // MEGABYTE} MB wheel: memory above idle (PSS, all processes)",
            f"{above:.0f} MB",
            "<= 150 MB",
            above <= 150,
        ),
        Figure(f"{size // MEGABYTE} MB wheel: upload answered after", f"{uploaded:.1f} s"),
        Figure(f"{size // MEGABYTE} MB wheel: installable after", f"{published:.1f} s"),
    ]


@contextmanager
def watching(measure: Callable[[], float]) -> Iterator[list[float]]:
    """Measure again and again while the block runs; gives the greatest value in a list of one."""
    peak, done = [measure()], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            with suppress(psutil.Error):
                peak[0] = max(peak[0], measure())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


# --- slow clients -----------------------------------------------------------------------------------------------------


def slow_clients(quick: bool) -> list[Figure]:
    """200 clients that read a 50 MB file at 50 kB/s each, 50 that upload as slowly; what others notice of it."""
    readers, writers, duration = (20, 5, 10) if quick else (200, 50, 40)
    with an_index() as index, tempfile.TemporaryDirectory() as cache:
        token = index.token()
        filename, body = a_wheel("slowly", size=50 * MEGABYTE)
        assert index.upload(filename, body, token=token).status == 200
        index.wait_published("slowly", filename, seconds=120)
        verifier = Verifier(f"{index.base_url}/simple/", index.root, Path(cache))
        page = verifier.page("slowly")
        assert page is not None
        address = f"/files/{page.files[0].sha256}/{filename}"
        stop = threading.Event()
        threads = [threading.Thread(target=read_slowly, args=(index.port, address, stop)) for _ in range(readers)]
        threads += [threading.Thread(target=write_slowly, args=(index.port, token, stop)) for _ in range(writers)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        pages, fresh = [], []
        until, number = time.monotonic() + duration, 0
        connection = http.client.HTTPConnection("127.0.0.1", index.port, timeout=30)
        next_upload = time.monotonic()
        while time.monotonic() < until:
            began = time.perf_counter()
            connection.request("GET", "/simple/slowly/")
            connection.getresponse().read()
            pages.append(time.perf_counter() - began)
            if time.monotonic() >= next_upload:
                number, next_upload = number + 1, time.monotonic() + 2
                name, wheel = a_wheel("meanwhile", f"1.{number}")
                assert index.upload(name, wheel, token=token).status == 200
                began = time.perf_counter()
                eventually(partial(sees, verifier, "meanwhile", name), seconds=30, what=name)
                fresh.append(time.perf_counter() - began)
            time.sleep(0.02)
        stop.set()
        for thread in threads:
            thread.join()
    p99 = percentile(pages, 0.99) * 1000
    return [
        Figure(f"{readers} slow readers, {writers} slow writers: a page, p99", f"{p99:.0f} ms", "<= 50 ms", p99 <= 50),
        seconds(percentile(fresh, 0.99), 3.0, "the same: a fresh upload's publication, p99"),
    ]


def read_slowly(port: int, address: str, stop: threading.Event) -> None:
    """Read at 50 kB/s until told to stop."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        connection.sendall(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        while not stop.wait(0.2) and connection.recv(10_000):
            pass


def write_slowly(port: int, token: str, stop: threading.Event) -> None:
    """Upload at 50 kB/s until told to stop."""
    import base64

    credentials = base64.b64encode(f"__token__:{token}".encode()).decode()
    head = (
        f"POST /legacy/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {50 * MEGABYTE}\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="content"; filename="slow-1.0-py3-none-any.whl"\r\n\r\n'
    )
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        while not stop.wait(0.2):
            connection.sendall(b"x" * 10_000)


# --- killed at random moments -----------------------------------------------------------------------------------------


def killed_at_random(quick: bool) -> list[Figure]:
    """`kill -9` of all processes at random moments during uploads: what was answered 200 is there after each start."""
    rounds = 10 if quick else 100
    chosen = random.Random(20261123)
    accepted: set[str] = set()
    lost = faults = number = 0
    with an_index() as index:
        token = index.token()
        for _ in range(rounds):
            stop = threading.Event()
            numbers = iter(range(number, number + 100_000))
            lock = threading.Lock()

            def upload(
                stop: threading.Event = stop, numbers: Iterator[int] = numbers, lock: threading.Lock = lock
            ) -> None:
                while not stop.is_set():
                    with lock:
                        mine = next(numbers)
                    name, body = a_wheel("killed", f"1.{mine}", size=2_000)
                    with suppress(Exception):  # the server dies: any error is right, only a 200 counts
                        if index.upload(name, body, token=token).status == 200:
                            accepted.add(name)

            threads = [threading.Thread(target=upload) for _ in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(chosen.uniform(0.05, 0.8))
            kill_family(index)
            stop.set()
            for thread in threads:
                thread.join()
            number = next(numbers)
            index.start()
            index.wait_ready()
            lost += len(wait_listed(index, accepted))
            try:
                faults += len(verify_repository(f"{index.base_url}/simple/", index.root).faults)
            except WheelmarkError as error:
                print(f"  {error}")
                faults += 1
        final = verify_repository(f"{index.base_url}/simple/", index.root, include_files=True)
        faults += len(final.faults)
    return [
        Figure(f"kill -9 of everything, {rounds} times: uploads answered 200", str(len(accepted))),
        Figure("of them lost", str(lost), "0", lost == 0),
        Figure("faults of the repository after a start", str(faults), "0", faults == 0),
    ]


def kill_family(index: RunningIndex) -> None:
    """Kill every process of the index at once."""
    processes = family(index)
    for process in processes:
        with suppress(psutil.Error):
            os.kill(process.pid, signal.SIGKILL)
    index.kill("supervisor") if processes[0].is_running() and processes[0].status() != psutil.STATUS_ZOMBIE else None
    psutil.wait_procs(processes, timeout=10)


def wait_listed(index: RunningIndex, accepted: set[str]) -> set[str]:
    """Wait until every accepted file is on the page; gives those that are not after a minute."""
    until = time.monotonic() + 60
    missing = set(accepted)
    while missing and time.monotonic() < until:
        missing -= set(index.listed("killed"))
        time.sleep(0.05)
    return missing
