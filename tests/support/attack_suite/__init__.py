"""The attacks that a hostile mirror, with or without stolen keys, is put to, as rows of one table.

A row is run in several ways by `tests/attacks/test_mirror_*.py`; `docs/explanation/attacks.md` lists them all.
"""

from __future__ import annotations

from support.attack_suite.lanes import ATTACKS, METADATA, cases
from support.attack_suite.model import Attack, Scene, run_attack

__all__ = ["ATTACKS", "METADATA", "Attack", "Scene", "cases", "run_attack"]
