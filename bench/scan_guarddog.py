"""GuardDog beside us: the command that its users type, one file at a time, in an environment of its own.

Its kernel sandbox stays on where it works. Its lists of popular names are frozen: a scan must not ask the network. The
file to scan lies in memory (`/dev/shm`) for as long as the scan takes, also what GuardDog unpacks, and is then deleted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from scan_samples import GitBlobs, Sample, read_sample, working_folder

SUSPICIOUS_AT, HIGH_AT = 5.0, 7.0  # the recommended operating point, and the label "high risk"
MAX_SECONDS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerVerdict:
    """What GuardDog says of one file. `score` is None when it refused or failed, and `refused` says why."""

    score: float | None
    cpu_seconds: float
    peak_bytes: int
    refused: str = ""

    @property
    def suspicious(self) -> bool:
        """True from 5, the recommended threshold."""
        return self.score is not None and self.score >= SUSPICIOUS_AT

    @property
    def high(self) -> bool:
        """True from 7."""
        return self.score is not None and self.score >= HIGH_AT


class GuardDog:
    """One installed GuardDog. `command` is its executable, `frozen` the folder with its lists of popular names."""

    def __init__(self, command: Path, frozen: Path) -> None:
        self._command = command.resolve()
        self._frozen = frozen
        self.version = self._said("--version").strip()

    @classmethod
    @contextmanager
    def installed(cls, environment: Path) -> Iterator[GuardDog]:
        """The one in a virtual environment, its lists of popular names frozen as they were installed.

        Raises: FileNotFoundError when there is none.
        """
        command = environment / "bin" / "guarddog"
        lists = sorted(environment.glob("lib/python*/site-packages/guarddog/analyzer/metadata/resources/top_*.json"))
        if not command.is_file() or not lists:
            raise FileNotFoundError(f"expected GuardDog in {environment}, got none")
        with tempfile.TemporaryDirectory() as folder:
            for listed in lists:
                document = json.loads(listed.read_text(encoding="utf-8"))
                document["downloaded_timestamp"] = int(time.time())
                (Path(folder) / listed.name).write_text(json.dumps(document), encoding="utf-8")
            yield cls(command, Path(folder))

    def scan(self, raw: bytes, filename: str) -> PeerVerdict:
        """Its verdict on one distribution."""
        with working_folder() as folder:
            target = Path(folder) / Path(filename).name
            target.write_bytes(raw)
            said = Path(folder) / "said.json"
            command = [str(self._command), "pypi", "scan", str(target), "--output-format", "json"]
            status, cpu_seconds, peak_bytes = _measured(command, said, self._environment(folder))
            return _parsed(said.read_bytes(), status, cpu_seconds, peak_bytes)

    def _environment(self, folder: str) -> dict[str, str]:
        # The sandbox permits what lies below the temporary folder, hence one of its own.
        return {
            "PATH": f"{self._command.parent}:{os.defpath}",
            "HOME": folder,
            "TMPDIR": folder,
            "LANG": "C.UTF-8",
            "GUARDDOG_TOP_PACKAGES_CACHE_LOCATION": str(self._frozen),
        }

    def _said(self, *arguments: str) -> str:
        run = subprocess.run(
            [str(self._command), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=self._environment(tempfile.gettempdir()),
        )
        return run.stdout


def peer_verdicts(
    samples: Sequence[Sample], dog: GuardDog, *, mirror: Path, kept: Path | None = None
) -> Iterator[tuple[Sample, PeerVerdict]]:
    """Each sample with GuardDog's verdict, in the order given.

    `kept` is a file that verdicts are added to and, for the same version and bytes, taken from: a run that was cut off
    goes on where it stopped. It holds digests and numbers, nothing of a sample.
    """
    known = _read(kept, dog.version)
    with GitBlobs(mirror) as blobs:
        for sample in samples:
            key = sample.blob or sample.sha256
            if key not in known:
                known[key] = dog.scan(read_sample(sample, blobs), sample.filename)
                if kept is not None:
                    with kept.open("a", encoding="utf-8") as lines:
                        lines.write(json.dumps({"key": key, "version": dog.version, **asdict(known[key])}) + "\n")
            yield sample, known[key]


def _read(kept: Path | None, version: str) -> dict[str, PeerVerdict]:
    known = {}
    if kept is not None and kept.is_file():
        for line in kept.read_text(encoding="utf-8").splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue  # the run was cut off in the middle of this line: the file is scanned again
            key, measured = document.pop("key"), document.pop("version")
            if measured == version:
                known[key] = PeerVerdict(**document)
    return known


# A process that is started has its parent's memory until it begins its program, and `ru_maxrss` remembers that: hence
# a small one in between.
_WATCHER = """\
import json, os, signal, subprocess, sys, threading
told, seconds, *command = sys.argv[1:]
process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
timer = threading.Timer(float(seconds), os.killpg, (process.pid, signal.SIGKILL))
timer.start()
_, status, usage = os.wait4(process.pid, 0)
timer.cancel()
used = [os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]
with open(told, "w") as file:
    json.dump(used, file)
"""


def _measured(command: list[str], said: Path, environment: dict[str, str]) -> tuple[int, float, int]:
    """Exit status, CPU seconds and peak resident bytes of a command and all it started."""
    told = said.with_name("used.json")
    watched = [sys.executable, "-I", "-S", "-c", _WATCHER, str(told), str(MAX_SECONDS), *command]
    with said.open("wb") as out:
        subprocess.run(watched, stdout=out, env=environment, check=True)
    status, cpu_seconds, peak_bytes = json.loads(told.read_text(encoding="utf-8"))
    return status, cpu_seconds, peak_bytes


def _parsed(raw: bytes, status: int, cpu_seconds: float, peak_bytes: int) -> PeerVerdict:
    try:
        document = json.loads(raw)
        score = float(document["risk_score"]["score"])
        failed = "; ".join(sorted(document.get("errors") or {}))
    except (ValueError, KeyError, TypeError):
        reason = f"no report, exit status {status}"
        return PeerVerdict(score=None, cpu_seconds=cpu_seconds, peak_bytes=peak_bytes, refused=reason)
    return PeerVerdict(score=score, cpu_seconds=cpu_seconds, peak_bytes=peak_bytes, refused=failed)
