"""Poetry, pdm, hatch, pip-tools and pipx under `wheelmark run`, against a running index (lane `tools`).

Each in an environment of its own, made by `make .venv-tools/.stamp`: their dependencies are none of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.front import Front
from support.locking import TOOLS, Project, fronts, python_of, refused

pytestmark = pytest.mark.services

DEMO = "demo-2.0-py3-none-any.whl"


def tool(environment: str, program: str | None = None) -> str:
    path = TOOLS / environment / "bin" / (program or environment)
    assert path.exists(), f"expected {path}: run `make services`, which installs it"
    return str(path)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Front]]]:
    directory = tmp_path_factory.mktemp("index")
    with fronts(directory) as made:
        yield directory / "root.json", made


@pytest.fixture(params=["http", "https"])
def project(request: pytest.FixtureRequest, both: tuple[Path, dict[str, Front]], tmp_path: Path) -> Project:
    root, made = both
    project = Project(front=made[request.param], folder=tmp_path / "project", root=root)
    project.write()
    return project


def same_lock(project: Project, name: str, *command: str) -> None:
    """Assert that the tool writes the same file with us as without."""
    lock = project.folder / name
    project.alone(*command)
    alone = lock.read_bytes()
    lock.unlink()
    run = project.verified("run", "--", *command)
    assert run.returncode == 0, run
    assert lock.read_bytes() == alone
    assert b"demo-2.0-py3-none-any.whl" in alone or b"--hash=sha256:" in alone


def only_verified(project: Project, *command: str, proof: str = DEMO) -> None:
    """Assert that a changed file is refused and not installed, and the true one is."""
    project.forget_files()  # whoever locked with hashes has the true file already, and would not fetch the changed one
    with project.front.flipping(proof):
        refused(project.verified("run", "--", *command), proof)
        assert "demo" not in project.installed()
    run = project.verified("run", "--", *command)
    assert run.returncode == 0, run
    assert "demo" in project.installed()


def test_poetry(project: Project) -> None:
    same_lock(project, "poetry.lock", tool("poetry"), "lock")
    only_verified(project, tool("poetry"), "install")


@pytest.mark.parametrize("strategy", ["no_static_urls", "static_urls"])
def test_pdm(project: Project, strategy: str) -> None:
    python_of(project.folder / ".venv")
    same_lock(project, "pdm.lock", tool("pdm"), "lock", "-S", strategy)
    only_verified(project, tool("pdm"), "install", "--frozen-lockfile")


def test_hatch(project: Project) -> None:
    # Not `env create`, which leaves an environment alone that an earlier, refused run has begun.
    only_verified(project, tool("hatch"), "run", "python", "-c", "import demo")


def test_pip_tools(project: Project) -> None:
    compiled = (tool("pip-tools", "pip-compile"), "--quiet", "--generate-hashes", "--strip-extras", "requirements.in")
    same_lock(project, "requirements.txt", *compiled)
    assert f"--index-url {project.front.url}" in (project.folder / "requirements.txt").read_text()
    python = python_of(project.folder / "env")
    install = ("install", "--require-hashes", "-r", "requirements.txt")
    only_verified(project, tool("pip-tools", "python"), "-m", "pip", "--python", python, *install)


def test_pipx(project: Project) -> None:
    only_verified(project, tool("pipx"), "install", "--backend", "uv", "demo")
