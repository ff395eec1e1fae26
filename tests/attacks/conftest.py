"""A scene for each test of the attack suite, in each way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.attack_suite.model import Scene, a_scene, files_of
from support.attack_suite.ways import Way
from support.client import new_environment


@pytest.fixture(params=[Way.UV, Way.RUN_PIP], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    """The two that every promise is tried in, unless a test chooses its own: both tools, http and https."""
    assert isinstance(request.param, Way)
    return request.param


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
def scene(way: Way, tmp_path: Path, empty_environment: EmptyEnvironment) -> Iterator[Scene]:
    with a_scene(way, tmp_path, empty_environment.interpreter()) as made:
        yield made
