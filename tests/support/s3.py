"""S3-speaking servers for tests, on free ports of this machine: moto in this process, rclone beside it, and a liar."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import patch

BUCKET = "wheelmark-tests"
ACCESS_KEY = "testing-access-key"
SECRET_KEY = "testing-secret-key"
REGION = "us-east-1"
# How long a server may take to listen.
START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server with the empty bucket `BUCKET`."""

    endpoint: str

    def url(self, prefix: str = "", *, bucket: str = BUCKET) -> str:
        """What `open_store` takes. The credentials are in the environment while the server runs."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region={REGION}"


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """moto's S3 in threads of this process; objects are in memory."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        _create_bucket(host, port)
        with _credentials():
            yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def rclone_server() -> Iterator[S3Server]:
    """The S3 server that is part of rclone: a real one, on plain files."""
    rclone = shutil.which("rclone", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if rclone is None:
        raise RuntimeError("expected rclone beside this Python (make setup-dev), got none")
    with tempfile.TemporaryDirectory(prefix="wheelmark-s3-") as folder:
        (Path(folder) / BUCKET).mkdir()
        port = free_port()
        serve = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
        process = subprocess.Popen(
            [rclone, "--config", os.devnull, *serve, folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_listening(process, port)
            with _credentials():
                yield S3Server(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering_server(answer: Answer) -> Iterator[S3Server]:
    """A server that answers every request as the test says: the way to meet answers no honest server gives."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            answer(self)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            with _credentials():
                yield S3Server(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port of this machine that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _credentials() -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    given = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with patch.dict(os.environ, kept | given, clear=True):
        yield


def _create_bucket(host: str, port: int) -> None:
    connection = HTTPConnection(host, port, timeout=START_SECONDS)
    try:
        connection.request("PUT", f"/{BUCKET}")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise RuntimeError(f"expected a new bucket, got status {status}")


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    process.kill()
    raise RuntimeError("expected rclone to listen, got nothing")
