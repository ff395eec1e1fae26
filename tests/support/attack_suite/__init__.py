"""The attacks that a hostile mirror, with or without stolen keys, is put to, as rows of one table.

A row is run through every installer by `tests/attacks/test_mirror_*.py`; `docs/explanation/attacks.md` lists them all.
"""

from __future__ import annotations

from support.attack_suite.content import CONTENT
from support.attack_suite.keys import KEYS
from support.attack_suite.metadata import HISTORY
from support.attack_suite.model import Attack, Scene, run_attack
from support.attack_suite.transport import TRANSPORT

METADATA = (*HISTORY, *KEYS)
ATTACKS = {"metadata": METADATA, "transport": TRANSPORT, "content": CONTENT}

__all__ = ["ATTACKS", "CONTENT", "METADATA", "TRANSPORT", "Attack", "Scene", "run_attack"]
