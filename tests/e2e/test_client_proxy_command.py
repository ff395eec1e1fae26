"""`wheelmark proxy`: for any tool that can be told an index, until it is stopped."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import urllib3

from support.client import clean_environment, installed_versions, new_environment
from support.repository import Answer, IndexServer, SignedRepository, flipped

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


def test_service_says_how_it_is_and_goes_on_when_the_index_was_away(tmp_path: Path) -> None:
    repository = SignedRepository()
    repository.add_wheel("demo")
    repository.publish()
    (tmp_path / "root.json").write_bytes(repository.root_bytes)
    http = urllib3.PoolManager(retries=False, timeout=30.0)
    with IndexServer(repository) as server:
        server.hostile = lambda path, true: Answer(500)  # away when the service starts
        with running_proxy(server, tmp_path / "root.json", tmp_path) as (proxy, variables):
            url = variables["PIP_INDEX_URL"]
            base = url.removesuffix("simple/")
            assert http.request("GET", f"{base}healthz").status == 200
            with http.request("GET", f"{url}demo/", preload_content=False) as withheld:
                assert withheld.status == 424
            before = http.request("GET", f"{base}metrics").data.decode()
            server.hostile = None
            assert http.request("GET", f"{url}demo/").status == 200
            answer = http.request("GET", f"{base}metrics")
            proxy.send_signal(signal.SIGTERM)
            _, said = proxy.communicate(timeout=SECONDS)
    http.clear()
    assert proxy.returncode == 0
    assert said.startswith("wheelmark: unavailable: ")
    assert "wheelmark_proxy_timestamp_age_seconds NaN" in before
    metrics = dict(line.rsplit(" ", 1) for line in answer.data.decode().splitlines() if not line.startswith("#"))
    assert metrics['wheelmark_proxy_requests_total{kind="page"}'] == "1"
    away = [
        int(count) for name, count in metrics.items() if name.startswith('wheelmark_proxy_withheld_total{result="unav')
    ]
    assert sum(away) >= 1
    assert int(metrics["wheelmark_proxy_refreshes_total"]) >= 1
    assert 0 <= float(metrics["wheelmark_proxy_timestamp_age_seconds"]) < SECONDS


def test_proxy_of_several_indexes_is_one(tmp_path: Path) -> None:
    first, second = SignedRepository(), SignedRepository()
    first.add_wheel("demo")
    second.add_wheel("demo", "99.0")
    second.add_wheel("part")
    lines = []
    with ExitStack() as stack:
        for name, repository in (("first", first), ("second", second)):
            repository.publish()
            server = stack.enter_context(IndexServer(repository))
            (tmp_path / f"{name}.json").write_bytes(repository.root_bytes)
            lines.append(f'[[index]]\nurl = "{server.index_url}"\nroot = "{name}.json"\n')
        (tmp_path / "indexes.toml").write_text("".join(lines))
        command = [sys.executable, "-m", "wheelmark.cli", "proxy", "--config", str(tmp_path / "indexes.toml")]
        proxy = stack.enter_context(
            subprocess.Popen(
                [*command, "--state", str(tmp_path / "state")],
                env=clean_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        stack.callback(proxy.kill)
        assert proxy.stdout is not None
        url = dict(re.findall(r"(\w+)=(\S+)", proxy.stdout.readline()))["PIP_INDEX_URL"]
        with urllib3.PoolManager(retries=False, timeout=30.0) as http:
            pages = {name: http.request("GET", f"{url}{name}/") for name in ("demo", "part", "nowhere")}
    assert {name: page.status for name, page in pages.items()} == {"demo": 200, "part": 200, "nowhere": 404}
    assert b"demo-1.0" in pages["demo"].data
    assert b"demo-99.0" not in pages["demo"].data
