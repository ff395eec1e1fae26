"""A program that asks for provenance behind a hostile mirror: through the library and through both proxies."""

from __future__ import annotations

import pytest

from support.attack_suite.model import Attack, Scene
from support.attack_suite.provenance import (
    FOUND,
    PROVENANCES,
    Means,
    add_provenance,
    ask,
    means_of,
    run_provenance_attack,
)
from support.attack_suite.ways import Way


@pytest.fixture
def way(means: Means) -> Way:
    return means.way


@pytest.mark.parametrize(
    ("attack", "means"),
    [
        pytest.param(attack, means, id=f"{means.name.lower()}-{attack}")
        for attack in PROVENANCES
        for means in means_of(attack)
    ],
)
def test_nothing_is_given_and_trusted_state_stays(attack: Attack, means: Means, scene: Scene) -> None:
    add_provenance(scene.repository)
    run_provenance_attack(attack, scene, means)


@pytest.mark.parametrize("means", Means)
def test_true_provenance_is_given(means: Means, scene: Scene) -> None:
    add_provenance(scene.repository)
    run, given = ask(scene, means)
    assert (run.status, run.lines, given) == (0, (), FOUND.decode()), run
