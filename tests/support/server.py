"""A whole index as real processes: `wheelmark serve` on a free port, with a data folder that goes away.

    with RunningIndex(tmp_path / "data") as index:
        token = index.token()
        index.upload(wheel_filename(), build_wheel(), token=token)
        index.wait_published("demo", wheel_filename())
        index.kill("publisher")

The first start of a test run founds an index; later ones copy that folder, which is quicker. `fresh=True` founds anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from weakref import finalize

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
import urllib3
from packaging.metadata import parse_email

READY_SECONDS = 60.0
PUBLISH_SECONDS = 30.0
STOP_SECONDS = 20.0

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Founded:
    """What the first start printed, and a copy of the folder that it made."""

    folder: Path
    output: str


class RunningIndex:
    """`wheelmark serve` while the block runs."""

    def __init__(self, data: Path, *, fresh: bool = False, **settings: object) -> None:
        """`settings` are those of `Config`, as `scan_workers=2`."""
        self.data = data
        self.port = 0
        self.log_path = data.with_name(data.name + ".log")
        self._settings = settings
        self._fresh = fresh
        self._process: subprocess.Popen[bytes] | None = None
        self._http = urllib3.PoolManager(retries=False, timeout=30.0)

    def __enter__(self) -> RunningIndex:
        if not self._fresh and not self.data.exists():
            shutil.copytree(founded().folder, self.data)
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            with suppress(ProcessLookupError):  # it may have ended by itself, and said why
                self.kill("supervisor")
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._http.clear()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """All that the processes printed and logged, over all starts."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    @property
    def root(self) -> bytes:
        """The root that a client trusts."""
        return self.get("/tuf/1.root.json").data

    def start(self) -> None:
        """Start the processes, on the same port as before."""
        command = [sys.executable, "-m", "wheelmark.cli", "serve", "--data", str(self.data), "--port", str(self.port)]
        seen = len(self.output)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment())
        self.port = self.port or eventually(
            lambda: self._announced(seen), seconds=READY_SECONDS, what="the address that the index answers at"
        )

    def _announced(self, seen: int) -> int | None:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"the index ended with {self._process.returncode}:\n{self.output[-4000:]}")
        found = re.search(r"answers at http://127\.0\.0\.1:(\d+)", self.output[seen:])
        return int(found[1]) if found else None

    def wait_ready(self) -> None:
        """Wait until it can accept and publish."""
        eventually(lambda: self.status("/readyz") == 200, seconds=READY_SECONDS, what=f"ready; {self.output[-2000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it as an operator would; gives the exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill("supervisor")
            raise

    def kill(self, name: str) -> int:
        """Kill -9 one process: supervisor, web, http, publisher, worker-1, …; gives its id."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        if name == "supervisor" and self._process is not None:
            self._process.wait(STOP_SECONDS)
        return pid

    def pid(self, name: str) -> int:
        """The id of one of the processes."""
        assert self._process is not None
        if name == "supervisor":
            return self._process.pid
        return eventually(lambda: self.processes().get(name), seconds=10, what=f"a process {name}")

    def processes(self) -> dict[str, int]:
        """Name and id of every process of the family but the supervisor."""
        assert self._process is not None
        found = {}
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess, OSError):
                    name = Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip()
                    found[name.removeprefix("wm-")] = process.pid
        return found

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `wheelmark …` on this index's data folder."""
        return subprocess.run(
            [sys.executable, "-m", "wheelmark.cli", *arguments, "--data", str(self.data)],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
        )

    def plain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `wheelmark …` that knows no data folder."""
        return subprocess.run(
            [sys.executable, "-m", "wheelmark.cli", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def token(self, *, user: str = "admin", project: str | None = None) -> str:
        """A new upload token."""
        scope = ["--project", project] if project else []
        answer = self.command("admin", "token", "create", "--user", user, "--json", *scope).stdout
        token: str = json.loads(answer)["token"]
        return token

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        """GET an address; headers as `if_none_match="…"`. Redirects are not followed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._http.request("GET", self.base_url + path, headers=named, redirect=False)

    def status(self, path: str) -> int:
        """The status of an address; 0 when nobody answers."""
        try:
            return self.get(path).status
        except urllib3.exceptions.HTTPError:
            return 0

    def upload(self, filename: str, content: bytes, *, token: str) -> urllib3.BaseHTTPResponse:
        """Upload one wheel as twine does; the metadata of the form comes from the wheel."""
        fields = [(":action", "file_upload"), ("protocol_version", "1"), ("filetype", "bdist_wheel")]
        fields += [("pyversion", filename.split("-")[2]), ("sha256_digest", hashlib.sha256(content).hexdigest())]
        fields += _form_metadata(content)
        parts: Any = [*fields, ("content", (filename, content, "application/octet-stream"))]
        authorization = urllib3.make_headers(basic_auth=f"__token__:{token}")
        return self._http.request("POST", f"{self.base_url}/legacy/", fields=parts, headers=authorization)

    def listed(self, project: str) -> list[str]:
        """The file names on a project's page; none when there is no page."""
        got = self.get(f"/simple/{project}/", accept=SIMPLE_JSON)
        return [file["filename"] for file in json.loads(got.data)["files"]] if got.status == 200 else []

    def wait_published(self, project: str, filename: str, *, seconds: float = PUBLISH_SECONDS) -> None:
        """Wait until a project's page lists a file."""
        eventually(
            lambda: filename in self.listed(project), seconds=seconds, what=f"{filename} on the page of {project}"
        )

    def _environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WHEELMARK_", "DJANGO_"))}
        given = {f"WHEELMARK_{name.upper()}": str(value) for name, value in self._settings.items()}
        return kept | given | {"WHEELMARK_LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"}


def eventually(look: Callable[[], Result | None], *, seconds: float, what: str) -> Result:
    """What `look` gives as soon as it is true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"expected within {seconds:g} s: {what}")
        time.sleep(0.05)


@cache
def founded() -> Founded:
    """A folder that a first start made, and what it printed; kept for the life of this test process."""
    base = Path(tempfile.mkdtemp(prefix="wheelmark-founded-"))
    finalize(RunningIndex, shutil.rmtree, base, ignore_errors=True)
    with RunningIndex(base / "data", fresh=True) as index:
        pass
    return Founded(base / "data", index.output)


def _form_metadata(content: bytes) -> list[tuple[str, str]]:
    with zipfile.ZipFile(BytesIO(content)) as wheel:
        [member] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        raw, _ = parse_email(wheel.read(member))
    return [(name, str(raw[name])) for name in ("metadata_version", "name", "version") if name in raw]
