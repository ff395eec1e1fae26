"""Real pip and real uv behind a hostile mirror: attacks on the signed metadata."""

from __future__ import annotations

import pytest

from support.attack_suite import ATTACKS, Attack, Scene, cases, run_attack


@pytest.mark.parametrize(("attack", "way"), cases(ATTACKS["metadata"]))
def test_nothing_is_installed_and_trusted_state_stays(attack: Attack, scene: Scene) -> None:
    run_attack(attack, scene)
