"""A scene for each test of the attack suite, with each installer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.attack_suite.model import Scene, a_scene
from support.client import new_environment


@pytest.fixture(params=["pip", "uv"])
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all attacks of a module: each asserts that it is left as it was found."""
    return new_environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def scene(tool: str, tmp_path: Path, empty_environment: Path) -> Iterator[Scene]:
    with a_scene(tool, tmp_path, empty_environment) as made:
        yield made
