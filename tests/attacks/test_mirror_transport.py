"""Real pip and real uv behind a hostile mirror: attacks on the transport.

They are met before an installer sees anything, so uv alone runs them in the ordinary suite; pip runs them in the
services' lane, which has more time.
"""

from __future__ import annotations

import pytest

from support.attack_suite import TRANSPORT, Attack, Scene, run_attack


@pytest.fixture(params=[pytest.param("pip", marks=pytest.mark.services), "uv"])
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("attack", TRANSPORT, ids=str)
def test_nothing_is_installed_and_trusted_state_stays(attack: Attack, scene: Scene) -> None:
    run_attack(attack, scene)
