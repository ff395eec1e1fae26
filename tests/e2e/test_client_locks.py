"""pip's and uv's lock files under Wheelmark, against a running index: the same as without, and verified when used."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.front import Front
from support.locking import Project, fronts, python_of, refused, wheels
from wheelmark.client.answers import LOOPBACK

DEMO = "demo-2.0-py3-none-any.whl"


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


def test_uv_lock_is_the_same_as_without_us_and_installs_verified(project: Project) -> None:
    lock = project.folder / "uv.lock"
    project.alone("uv", "lock", "--quiet")
    alone = lock.read_bytes()
    lock.unlink()
    run = project.verified("uv", "lock")
    assert run.returncode == 0, run
    assert lock.read_bytes() == alone
    for package in tomllib.loads(lock.read_text())["package"]:
        assert all(
            wheel["url"].startswith(project.front.url.removesuffix("simple/")) for wheel in package.get("wheels", ())
        )
    with project.front.flipping(DEMO):
        refused(project.verified("uv", "sync", "--frozen"), DEMO)
        assert project.installed() == set()
    run = project.verified("uv", "sync", "--frozen")
    assert run.returncode == 0, run
    assert project.installed() == {"demo", "part"}


def test_uv_lock_keeps_the_spelling_of_an_index_in_the_project(project: Project) -> None:
    with (project.folder / "pyproject.toml").open("a") as file:
        file.write(f'[[tool.uv.index]]\nname = "own"\nurl = "{project.front.url[:-1]}"\ndefault = true\n')
    lock = project.folder / "uv.lock"
    assert project.verified("run", "--", "uv", "lock").returncode == 0
    assert f'registry = "{project.front.url[:-1]}"' in lock.read_text()


def test_uv_add_and_run_see_the_verified_index(project: Project) -> None:
    run = project.verified("run", "--", "uv", "add", "part")
    assert run.returncode == 0, run
    run = project.verified("run", "--", "uv", "run", "python", "-c", "import demo; print(demo.VERSION)")
    assert (run.returncode, run.stdout.strip()) == (0, "2.0"), run


def test_uv_configuration_that_leads_around_the_proxy_is_refused_before_anything_runs(project: Project) -> None:
    (project.folder / "uv.toml").write_text('no-proxy = ["127.0.0.1"]\nhttp-proxy = "http://127.0.0.1:9/"\n')
    run = project.verified("uv", "sync")
    assert run.returncode == 3, run
    assert "expected no proxy settings in uv's configuration, got http-proxy" in run.stderr
    assert project.installed() == set()


def test_pip_lock_is_the_same_as_without_us_and_installs_verified(project: Project) -> None:
    lock = project.folder / "pylock.toml"
    python = python_of(project.folder / "env")
    project.alone("pip", "lock", "--quiet", "demo")
    alone = lock.read_bytes()
    lock.unlink()
    run = project.verified("pip", "lock", "demo")
    assert run.returncode == 0, run
    assert lock.read_bytes() == alone
    assert project.front.url.removesuffix("simple/").encode() in alone
    install = ("--python", python, "install", "-r", "pylock.toml")
    with project.front.flipping(DEMO):
        refused(project.verified("pip", *install), DEMO)
        assert project.installed() == set()
    run = project.verified("pip", *install)
    assert run.returncode == 0, run
    assert project.installed() == {"demo", "part"}


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_install_from_pages_is_verified(project: Project, tool: str) -> None:
    python = python_of(project.folder / "env")
    words = ("--python", python, "install", "demo") if tool == "pip" else ("pip", "install", "--python", python, "demo")
    with project.front.flipping(DEMO):
        refused(project.verified(tool, *words), DEMO)
        assert project.installed() == set()
    assert project.verified(tool, *words).returncode == 0
    assert project.installed() == {"demo", "part"}


def test_lock_with_a_file_that_its_page_does_not_list_is_refused(project: Project) -> None:
    assert project.verified("uv", "lock").returncode == 0
    lock = project.folder / "uv.lock"
    true = hashlib.sha256(wheels()[DEMO]).hexdigest()
    lock.write_text(lock.read_text().replace(true, "0" * 64))  # as if it had been removed since, or never there
    run = project.verified("uv", "sync", "--frozen")
    assert run.returncode == 3, run
    assert f"{DEMO}: expected a file that its project's verified page lists" in run.stderr
    assert project.installed() == set()


def test_lock_with_an_address_elsewhere_is_refused(project: Project) -> None:
    assert project.verified("uv", "lock").returncode == 0
    lock = project.folder / "uv.lock"
    files = project.front.url.replace("/simple/", "/files/")
    lock.write_text(lock.read_text().replace(files, f"http://{LOOPBACK}:9/files/"))
    run = project.verified("uv", "sync", "--frozen")
    assert run.returncode == 3, run
    assert "expected requests to the verified index only" in run.stderr
    assert project.installed() == set()
