"""What the index says of a project reaches tools as it was said: `uv audit` tells status and reason (PEP 792).

pip 26.3 does not look at a project's status, and `uv pip install` says nothing of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from support.attack_suite.model import PATIENCE_SECONDS, Scene, a_scene
from support.attack_suite.ways import Way
from support.client import clean_environment, run_wheelmark
from support.tls import HOST, Identity

UV = str(Path(sys.executable).with_name("uv"))
SAID = {"demo": ("archived", 'no time; see <the "fork">'), "part": ("deprecated", "use other-part")}


class _Advisories(BaseHTTPRequestHandler):
    """A vulnerability service (OSV's interface) that knows of none; `uv audit` asks it before anything else."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = orjson.dumps({"results": [{} for _ in asked["queries"]]})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def advisories(directory: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Its port, and the variables with which it is believed."""
    identity = Identity(directory)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Advisories) as server:
        server.socket = identity.over(server.socket)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server.server_port, identity.trusting
        server.shutdown()


@pytest.fixture(params=[Way.UV, Way.PROXY_UV], ids=["run", "proxy"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    with a_scene(request.param, tmp_path, Path(sys.executable)) as made:
        for name, (status, reason) in SAID.items():
            told = {"status": status, "reason": reason}
            made.publish_page(name, lambda page, told=told: page.update({"project-status": told}))  # type: ignore[misc]
        yield made


def audit(scene: Scene, folder: Path) -> str:
    """The output of `uv audit` in a project that needs `demo`."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo"]\n'
    )
    with advisories(scene.directory / "advisories") as (port, trusting):
        command = [UV, "audit", "--output-format", "json", "--service-url", f"https://{HOST}:{port}/"]
        if scene.way.is_fence:
            environment = scene.own_environment(PATIENCE_SECONDS) | dict(trusting)
            ours = ["run", *scene.own_options(), "--tunnel", f"{HOST}:{port}", "--"]
            done = run_wheelmark(*ours, *command, state=scene.directory / "state", cwd=folder, **environment)
        else:
            with scene.proxy() as proxy:
                environment = clean_environment(UV_NO_CACHE="1", **proxy.variables, **trusting)
                done = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
                )
    assert done.returncode == 0, done
    assert "wheelmark:" not in done.stderr
    return done.stdout


def test_uv_audit_tells_the_status_and_the_reason_that_the_index_published(scene: Scene, tmp_path: Path) -> None:
    found = json.loads(audit(scene, tmp_path / "project"))["adverse_statuses"]
    assert {one["name"]: (one["status"], one["reason"]) for one in found} == SAID
