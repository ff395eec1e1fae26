"""Several indexes as one, for real pip and real uv; and what pages say of files reaches them through both proxies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from support.client import clean_environment, installed_versions, new_environment, run_wheelmark
from support.repository import UPLOADED_AT, Answer, IndexServer, SignedRepository
from wheelmark.client import Verifier, VerifyingProxy
from wheelmark.client.incidents import Incidents
from wheelmark.simple import Status, parse_page_json, render_page_json

BETWEEN = (UPLOADED_AT + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class User:
    tool: str
    repositories: list[SignedRepository]
    servers: list[IndexServer]
    folder: Path
    interpreter: Path

    def words(self, *arguments: str) -> list[str]:
        python = ["--python", str(self.interpreter)]
        return [*python, "install", *arguments] if self.tool == "pip" else ["pip", "install", *python, *arguments]

    def install(self, *arguments: str, namespace: str | None = None) -> subprocess.CompletedProcess[str]:
        own: list[str] = []
        for number, (server, repository) in enumerate(zip(self.servers, self.repositories, strict=True)):
            root = self.folder / f"{number}.json"
            root.write_bytes(repository.root_bytes)
            own += ["--index", server.index_url, "--root", str(root)]
        own += ["--namespace", namespace] if namespace else []  # belongs to the last
        return run_wheelmark(self.tool, *own, *self.words(*arguments), state=self.folder / "state")

    def through_loopback_index(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same with `wheelmark proxy`'s kind of proxy, for the first index."""
        verifier = Verifier(self.servers[0].index_url, self.repositories[0].root_bytes, self.folder / "other-state")
        with VerifyingProxy(lambda: verifier, Incidents()) as proxy:
            url = f"{proxy.url}simple/"
            program = [sys.executable, "-m", "pip"] if self.tool == "pip" else [self.uv]
            return subprocess.run(
                [*program, *self.words(*arguments)],
                env=clean_environment(PIP_INDEX_URL=url, UV_DEFAULT_INDEX=url, PIP_NO_CACHE_DIR="1", UV_NO_CACHE="1"),
                capture_output=True,
                text=True,
                timeout=120,
            )

    @property
    def uv(self) -> str:
        return str(Path(sys.executable).with_name("uv"))

    def installed(self) -> dict[str, str]:
        return installed_versions(self.interpreter, "demo", "part", "acme_tools")


@pytest.fixture(params=["pip", "uv"])
def user(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[User]:
    repositories = [SignedRepository(), SignedRepository()]
    with ExitStack() as stack:
        servers = [stack.enter_context(IndexServer(repository)) for repository in repositories]
        yield User(request.param, repositories, servers, tmp_path, new_environment(tmp_path / "venv"))


def publish(user: User) -> None:
    for repository in user.repositories:
        repository.publish()


def test_project_comes_from_the_first_index_that_has_it_however_new_the_other_is(user: User) -> None:
    user.repositories[0].add_wheel("demo", "1.0", requires=["part"])
    user.repositories[1].add_wheel("demo", "99.0")
    user.repositories[1].add_wheel("part", "1.5")
    publish(user)
    run = user.install("demo")
    assert run.returncode == 0, run
    assert user.installed() == {"demo": "1.0", "part": "1.5"}
    assert not [path for path in user.servers[1].requests if "demo" in path]


def test_namespace_belongs_to_its_index_alone(user: User) -> None:
    user.repositories[0].add_wheel("acme-tools", "99.0")
    user.repositories[1].add_wheel("acme-tools", "1.0")
    publish(user)
    run = user.install("acme-tools", namespace="acme")
    assert run.returncode == 0, run
    assert user.installed() == {"acme_tools": "1.0"}


@pytest.mark.parametrize("answer", [Answer(404), Answer(500)])
def test_first_index_that_does_not_answer_is_not_passed_over(user: User, answer: Answer) -> None:
    user.repositories[0].add_wheel("demo", "1.0")
    user.repositories[1].add_wheel("demo", "99.0")
    publish(user)
    user.servers[0].hostile = lambda path, true: answer if "demo" in path else None
    run = user.install("demo")
    assert run.returncode == 1, run
    assert "wheelmark: unavailable: " in run.stderr
    assert user.installed() == {}


def set_page(repository: SignedRepository, *, status: Status = Status.ACTIVE) -> None:
    """Three versions: 1.0 old, 2.0 new, 3.0 yanked; 4.0 for a Python that nobody has."""
    for version in ("1.0", "2.0", "3.0", "4.0"):
        repository.add_wheel("demo", version)
    page = parse_page_json(repository.pages["demo"], expected_name="demo")
    one, two, three, four = page.files
    files = (
        one,
        replace(two, upload_time=UPLOADED_AT + timedelta(days=4)),
        replace(three, yanked="broken"),
        replace(four, requires_python=">=9"),
    )
    reason = None if status is Status.ACTIVE else "no longer kept"
    repository.pages["demo"] = render_page_json(replace(page, files=files, status=status, status_reason=reason))


@pytest.mark.parametrize("way", [User.install, User.through_loopback_index], ids=["forward", "loopback-index"])
def test_yank_and_required_python_reach_the_installer(user: User, way: object) -> None:
    set_page(user.repositories[0])
    publish(user)
    assert callable(way)
    assert way(user, "demo").returncode == 0
    assert user.installed() == {"demo": "2.0"}


@pytest.mark.parametrize("way", [User.install, User.through_loopback_index], ids=["forward", "loopback-index"])
def test_upload_time_reaches_the_installer(user: User, way: object) -> None:
    set_page(user.repositories[0])
    publish(user)
    assert callable(way)
    cooldown = "--uploaded-prior-to" if user.tool == "pip" else "--exclude-newer"
    run = way(user, cooldown, BETWEEN, "demo")
    assert run.returncode == 0, run
    assert user.installed() == {"demo": "1.0"}
