"""One user, one project, one index: what a tool does by itself, and what it does under Wheelmark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.client import a_wheel, clean_environment, run_wheelmark
from support.front import Front
from support.server import RunningIndex

TOOL_SECONDS = 180
WHEELS: tuple[tuple[str, str, list[str]], ...] = (
    ("demo", "1.0", ["part>=1"]),
    ("demo", "2.0", ["part>=1"]),
    ("part", "1.5", []),
)
TOOLS = Path(__file__).parents[2] / ".venv-tools"  # made by `make .venv-tools/.stamp`; one environment a tool


def wheels() -> dict[str, bytes]:
    """The index's files by name."""
    return {
        f"{name}-{version}-py3-none-any.whl": a_wheel(name, version, requires=requires, script=name)
        for name, version, requires in WHEELS
    }


@contextmanager
def fronts(directory: Path) -> Iterator[dict[str, Front]]:
    """A running index with `WHEELS`, reached as http on this machine and as https under a name."""
    with RunningIndex(directory / "data") as index:
        token = index.token()
        for filename, content in wheels().items():
            assert index.upload(filename, content, token=token).status == 200
        for filename in wheels():
            index.wait_published(filename.split("-")[0], filename)
        (directory / "root.json").write_bytes(index.root)
        with Front(index.base_url) as http, Front(index.base_url, directory / "tls") as https:
            yield {"http": http, "https": https}


@dataclass(frozen=True, kw_only=True)
class Project:
    """A folder with a project that needs `demo`."""

    front: Front
    folder: Path
    root: Path

    def write(self) -> None:
        """The project's own files, with the index named as poetry and uv want it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "requirements.in").write_text("demo\n")
        (self.folder / "pyproject.toml").write_text(
            '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo"]\n'
            f'[[tool.poetry.source]]\nname = "own"\nurl = "{self.front.url}"\npriority = "primary"\n'
            "[tool.poetry]\npackage-mode = false\n"
            "[tool.pdm]\ndistribution = false\n"
            '[tool.hatch.envs.default]\nskip-install = true\ndependencies = ["demo"]\n'
        )

    def _variables(self) -> dict[str, str]:
        own = self.folder.parent
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "PDM_LOG_DIR": str(own / "pdm-log"),
            "HATCH_DATA_DIR": str(own / "hatch"),
            "PIPX_HOME": str(own / "pipx"),
            "PIPX_BIN_DIR": str(own / "pipx-bin"),
            "PIPX_MAN_DIR": str(own / "pipx-man"),
        }

    def alone(self, *command: str) -> subprocess.CompletedProcess[str]:
        """The tool as it is, told the index by its own variables."""
        url, caches = self.front.url, self.folder.parent / "caches"
        told = {"PIP_INDEX_URL": url, "UV_DEFAULT_INDEX": url, "PDM_PYPI_URL": url, "UV_NO_CACHE": "1"}
        told |= {f"{tool}_CACHE_DIR": str(caches / tool) for tool in ("POETRY", "PDM", "PIP", "PIP_TOOLS")}
        environment = clean_environment(**told, **self.front.trusting, **self._variables(), PDM_CHECK_UPDATE="0")
        run = subprocess.run(
            [shutil.which(command[0], path=environment["PATH"]) or command[0], *command[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TOOL_SECONDS,
        )
        assert run.returncode == 0, run
        return run

    def verified(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same under `wheelmark run`, `wheelmark pip` or `wheelmark uv`."""
        own = ["--index", self.front.url, "--root", str(self.root)]
        return run_wheelmark(
            command,
            *own,
            *arguments,
            state=self.folder.parent / "state",
            cwd=self.folder,
            **self.front.trusting,
            **self._variables(),
        )

    def forget_files(self) -> None:
        """Drop the verified files that the client keeps, so that the next run fetches them again."""
        for kept in (self.folder.parent / "state" / "indexes").glob("*/content"):
            shutil.rmtree(kept)

    def installed(self) -> set[str]:
        """The names of our projects that are installed anywhere below."""
        found = (path.name for path in self.folder.parent.rglob("*.dist-info") if path.parent.name == "site-packages")
        return {name.split("-")[0] for name in found} & {"demo", "part"}


def refused(run: subprocess.CompletedProcess[str], filename: str) -> None:
    """Assert that the run ended with one line about that file, and status 3."""
    lines = [line for line in run.stderr.splitlines() if line.startswith("wheelmark: ")]
    assert run.returncode == 3, run
    assert len(lines) == 1, run
    assert lines[0].startswith(f"wheelmark: refused: {filename}: expected sha256 "), lines


def python_of(folder: Path) -> str:
    """The interpreter of a new environment in `folder`."""
    command: Sequence[str] = [str(Path(sys.executable).with_name("uv")), "venv", "--quiet", "--clear", "--offline"]
    subprocess.run([*command, "--python", sys.executable, str(folder)], env=os.environ, check=True, timeout=60)
    return str(folder / "bin" / "python")
