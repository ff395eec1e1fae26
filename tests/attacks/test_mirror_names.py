"""Real pip and real uv behind a hostile mirror: tricks with names, and other indexes that have them."""

from __future__ import annotations

import pytest

from support.attack_suite import ATTACKS, Attack, Scene, cases, run_attack


@pytest.mark.parametrize(("attack", "way"), cases(ATTACKS["names"]))
def test_nothing_is_installed_and_trusted_state_stays(attack: Attack, scene: Scene) -> None:
    run_attack(attack, scene)
