"""The ways in which a user's installer meets the index through Wheelmark. What a row says holds for each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from support.client import clean_environment, run_wheelmark

RUN_SECONDS = 120
_PROGRAMS = {"pip": [sys.executable, "-m", "pip"], "uv": [str(Path(sys.executable).with_name("uv"))]}
# A proxy that stays does not end the installer, which would go on asking it for what is withheld.
_NO_CACHES_AND_NO_RETRIES = {
    "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0", "PIP_RESUME_RETRIES": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0", "UV_LINK_MODE": "copy",
}  # fmt: skip


class Way(Enum):
    """Command and tool. The index is https under `wheelmark run`, and plain http elsewhere."""

    PIP = "wheelmark pip"
    UV = "wheelmark uv"
    RUN_PIP = "wheelmark run -- pip"
    RUN_UV = "wheelmark run -- uv"
    PROXY_PIP = "wheelmark proxy, pip"
    PROXY_UV = "wheelmark proxy, uv"

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")

    @property
    def tool(self) -> str:
        """`pip` or `uv`."""
        return "pip" if self.name.endswith("PIP") else "uv"

    @property
    def is_https(self) -> bool:
        """True where the client has to play the index's host."""
        return self in {Way.RUN_PIP, Way.RUN_UV}

    @property
    def is_fence(self) -> bool:
        """False where the user's own settings decide whom the installer asks beside the index."""
        return self not in {Way.PROXY_PIP, Way.PROXY_UV}


@dataclass(frozen=True, slots=True)
class Run:
    """How an install ended."""

    status: int
    lines: tuple[str, ...]  # what we said, without notices
    output: str  # all of standard error, ours and the installer's

    @classmethod
    def of(cls, status: int, output: str) -> Run:
        """With our lines taken out of the output."""
        ours = (line for line in output.splitlines() if line.startswith("wheelmark: "))
        return cls(status, tuple(line for line in ours if not line.startswith("wheelmark: notice: ")), output)


def install(
    way: Way,
    own: Sequence[str],
    interpreter: Path,
    words: Sequence[str],
    *,
    state: Path,
    environment: Mapping[str, str],
) -> Run:
    """Install into that interpreter's environment, as a user would who has chosen this way. `own`: our options."""
    if not way.is_fence:
        with running_proxy(own, state=state, environment=environment) as proxy:
            return proxy.install(way.tool, interpreter, words)
    arguments = [*_install_into(interpreter, way.tool), *words]
    command = ["run", *own, "--", *_PROGRAMS[way.tool]] if way.is_https else [way.tool, *own]
    done = run_wheelmark(*command, *arguments, state=state, cwd=None, **environment)
    return Run.of(done.returncode, done.stderr)


def _install_into(interpreter: Path, tool: str) -> list[str]:
    python = ["--python", str(interpreter)]
    return [*python, "install"] if tool == "pip" else ["pip", "install", *python]


class RunningProxy:
    """`wheelmark proxy`, and what it printed; nothing when it did not want to start."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.variables = dict(re.findall(r"(\w+)=(\S+)", process.stdout.readline()))

    def tool(self, name: str, interpreter: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run the tool with the printed variables, and caches that hold nothing."""
        return subprocess.run(
            [*_PROGRAMS[name], *_install_into(interpreter, name), *words],
            env=clean_environment(**_NO_CACHES_AND_NO_RETRIES, **self.variables),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=RUN_SECONDS,
            check=False,
        )

    def stop(self) -> Run:
        """End it as a service is ended; its exit status and what it said."""
        self._process.terminate()
        _, said = self._process.communicate(timeout=RUN_SECONDS)
        return Run.of(self._process.returncode, said)

    def install(self, name: str, interpreter: Path, words: Sequence[str]) -> Run:
        """Run the tool, if there is something to run it with, and stop: as one run, whose refusals decide."""
        tool = self.tool(name, interpreter, words) if self.variables else None
        proxy = self.stop()
        if tool is None:
            return proxy
        # The exit statuses of pip and uv for what they cannot get are 1 and 2, whoever is at fault.
        status = proxy.status or min(tool.returncode, 1)
        return Run(status, proxy.lines, proxy.output + tool.stderr)


@contextmanager
def running_proxy(own: Sequence[str], *, state: Path, environment: Mapping[str, str]) -> Iterator[RunningProxy]:
    """The command with our options `own`, ready to answer or ended by itself."""
    with subprocess.Popen(
        [sys.executable, "-m", "wheelmark.cli", "proxy", *own],
        env=clean_environment(WHEELMARK_STATE=str(state), **environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield RunningProxy(process)
        finally:
            process.kill()
