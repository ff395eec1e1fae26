"""A scene for each test of the attack suite, with each installer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.attack_suite.model import Scene, a_scene, files_of
from support.client import new_environment


@pytest.fixture(params=["pip", "uv"])
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class EmptyEnvironment:
    """One environment for all attacks of a module, made anew when an attack has got something into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self._make()

    def interpreter(self) -> Path:
        if files_of(self._interpreter) != self._files:
            self._make()
        return self._interpreter

    def _make(self) -> None:
        self._made += 1
        self._interpreter = new_environment(self._folder / f"venv{self._made}")
        self._files = files_of(self._interpreter)


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> EmptyEnvironment:
    return EmptyEnvironment(tmp_path_factory.mktemp("environment"))


@pytest.fixture
def scene(tool: str, tmp_path: Path, empty_environment: EmptyEnvironment) -> Iterator[Scene]:
    with a_scene(tool, tmp_path, empty_environment.interpreter()) as made:
        yield made
