"""`wheelmark proxy`: for any tool that can be told an index, until it is stopped."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.client import clean_environment, installed_versions, new_environment
from support.repository import IndexServer, SignedRepository, flipped

SECONDS = 60


@contextmanager
def running_proxy(
    server: IndexServer, root: Path, state: Path
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command, and the variables that it printed."""
    command = [sys.executable, "-m", "wheelmark.cli", "proxy", "--index", server.index_url, "--root", str(root)]
    with subprocess.Popen(
        [*command, "--state", str(state)],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as proxy:
        try:
            assert proxy.stdout is not None
            yield proxy, dict(re.findall(r"(\w+)=(\S+)", proxy.stdout.readline()))
        finally:
            proxy.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_any_tool_installs_through_the_proxy_and_a_refusal_decides_the_exit_status(
    tmp_path: Path, stop: signal.Signals
) -> None:
    repository = SignedRepository()
    repository.add_wheel("demo")
    repository.add_wheel("part")
    repository.publish()
    (tmp_path / "root.json").write_bytes(repository.root_bytes)
    interpreter = new_environment(tmp_path / "venv")
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--no-cache", "--python", str(interpreter)]
    refuse = stop is signal.SIGTERM
    with (
        IndexServer(repository) as server,
        running_proxy(server, tmp_path / "root.json", tmp_path) as (proxy, variables),
    ):
        if refuse:
            server.hostile = lambda path, true: flipped(true) if true and "part-" in path else None
        for project in ("demo", "part"):
            subprocess.run([*uv, project], env=clean_environment(**variables), capture_output=True, timeout=SECONDS)
        proxy.send_signal(stop)
        _, said = proxy.communicate(timeout=SECONDS)
    assert proxy.returncode == (3 if refuse else 0)
    assert ("wheelmark: refused: part-1.0" in said) is refuse
    # A proxy that serves for weeks goes on after a refusal: one bad project is not the end of the others.
    assert installed_versions(interpreter, "demo", "part") == (
        {"demo": "1.0"} if refuse else {"demo": "1.0", "part": "1.0"}
    )


def test_proxy_with_the_wrong_root_ends_at_once(tmp_path: Path) -> None:
    repository = SignedRepository()
    (tmp_path / "root.json").write_bytes(SignedRepository().root_bytes)
    with (
        IndexServer(repository) as server,
        running_proxy(server, tmp_path / "root.json", tmp_path) as (proxy, variables),
    ):
        _, said = proxy.communicate(timeout=SECONDS)
    assert variables == {}
    assert proxy.returncode == 3
    assert said.startswith("wheelmark: refused: ")
