"""One `wheelmark proxy` that stays while the index and the mirror change under it, asked by real uv and real pip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.attack_suite.model import Scene, a_scene
from support.attack_suite.ways import RunningProxy, Way
from support.client import new_environment
from support.hostile_mirror import flip, once_asked_for
from support.server import eventually

BOTH_INSTALLED = {"demo": "1.0", "part": "1.5"}
SECONDS = 30.0


@pytest.fixture(params=[Way.PROXY_UV, Way.PROXY_PIP], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    assert isinstance(request.param, Way)
    return request.param


@pytest.fixture
def scene(way: Way, tmp_path: Path) -> Iterator[Scene]:
    with a_scene(way, tmp_path, new_environment(tmp_path / "venv")) as made:
        yield made


@pytest.fixture
def proxy(scene: Scene) -> Iterator[RunningProxy]:
    # Or else a mirror that was down would be asked for unknown bins only after a while (`AWAY_SECONDS`).
    scene.visit()
    with scene.proxy() as running:
        yield running


def install(scene: Scene, proxy: RunningProxy, word: str = "demo") -> bool:
    """True when the tool says that it has done it."""
    done = proxy.tool(scene.way.tool, scene.interpreter, [word])
    print(done.stdout, done.stderr)  # for whoever reads a failure
    return done.returncode == 0


def test_mirror_that_turns_hostile_is_refused_and_an_honest_one_is_used_again(
    scene: Scene, proxy: RunningProxy
) -> None:
    scene.mirror.rules = [flip(r"\.whl$")]
    assert not install(scene, proxy)
    assert scene.versions() == {}
    scene.mirror.rules = []
    assert install(scene, proxy)
    assert scene.versions() == BOTH_INSTALLED
    stopped = proxy.stop()
    assert stopped.status == 3  # what was refused is not forgotten
    assert all(line.startswith("wheelmark: refused: ") for line in stopped.lines)


def test_mirror_that_was_down_is_used_again(scene: Scene, proxy: RunningProxy) -> None:
    with scene.mirror.away():
        assert not install(scene, proxy)
    assert scene.versions() == {}
    assert install(scene, proxy)
    assert scene.versions() == BOTH_INSTALLED
    stopped = proxy.stop()
    assert stopped.status == 0
    assert all(line.startswith("wheelmark: unavailable: ") for line in stopped.lines)


def test_keys_that_are_replaced_and_a_project_that_is_published_again_in_mid_flight_are_followed(
    scene: Scene, proxy: RunningProxy
) -> None:
    def rotate_and_publish() -> None:
        before = set(scene.repository.objects)
        scene.repository.rotate_key("timestamp")
        scene.repository.rotate_key("snapshot")
        scene.repository.add_wheel("part", "1.6")
        scene.repository.publish()
        kept = {scene.repository.bin_path("demo"), scene.repository.bin_path("part")}
        for path in before:  # what the old snapshot named is collected at once
            if (".bins-" in path and path not in kept) or "/simple/part/" in path:
                del scene.repository.objects[path]

    scene.mirror.rules = [once_asked_for(r"demo-.*\.metadata$", rotate_and_publish)]
    assert install(scene, proxy)
    assert scene.versions() == {"demo": "1.0", "part": "1.6"}
    assert proxy.stop().lines == ()


def test_newly_published_version_is_seen_without_a_restart(scene: Scene, proxy: RunningProxy) -> None:
    assert install(scene, proxy)
    scene.publish_second_version()
    eventually(lambda: install(scene, proxy, "demo==2.0"), seconds=SECONDS, what="the new version")
    assert scene.versions() == {"demo": "2.0", "part": "1.5"}
    assert proxy.stop().lines == ()
