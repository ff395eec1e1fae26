"""Which row is tried in which way, and when: every row with both tools, by http and by https.

What a mirror does to the metadata and on the way is met before the installer sees anything; the ways differ in how an
answer reaches the installer, and in what happens when none does. So not every row is tried in every way.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

import pytest

from support.attack_suite.content import CONTENT
from support.attack_suite.keys import KEYS
from support.attack_suite.metadata import HISTORY
from support.attack_suite.model import Attack
from support.attack_suite.names import NAMES
from support.attack_suite.transport import TRANSPORT
from support.attack_suite.ways import Way

METADATA = (*HISTORY, *KEYS)
ATTACKS = {"metadata": METADATA, "transport": TRANSPORT, "content": CONTENT, "names": NAMES}

# One for each kind of answer (timestamp, bin, page, core metadata, file) and for each way of being wrong.
REPRESENTATIVES = (
    "arbitrary software: an index of strangers",
    "rollback: timestamp",
    "expired: bin",
    "rollback: page",
    "steered to an older version: a dependency's page withheld",
    "steered to an older version: a dependency's page changed",
    "wrong software: signed page of another project",
    "extraneous dependencies: changed .metadata",
    "arbitrary software: another file of the same length",
    "stripped yank",
    "stripped status",
    "endless data: file",
    "slow retrieval: page",
    "truncated: file, and the connection ends",
    "lying 404: core metadata",
    "lying 200: a log-in page for everything",
    "lying redirect: file, to other bytes",
    "names: file that normalizes to a neighbour",
    "unknown project: the mirror has a page",
    "unknown project: an index in a requirements file",
)
# The same for what the installer itself sees: page, core metadata, file, nothing, a way that is closed.
SEEN_BY_INSTALLERS = frozenset({
    "rollback: page",
    "steered to an older version: a dependency's page withheld",
    "extraneous dependencies: changed .metadata",
    "arbitrary software: another file of the same length",
    "stripped yank",
    "truncated: file, and the connection ends",
    "lying 404: core metadata",
    "unknown project: the mirror has a page",
    "unknown project: an index in a requirements file",
})  # fmt: skip


class Lane(Enum):
    """When a row is tried."""

    TEST = "make test"
    SERVICES = "make services"


def lanes(attack: Attack) -> dict[Way, Lane]:
    """The ways in which a row is tried."""
    chosen = attack.name in REPRESENTATIVES
    made = {
        Way.UV: Lane.TEST,
        Way.RUN_PIP: Lane.SERVICES if attack in TRANSPORT else Lane.TEST,
    }
    if attack in (*CONTENT, *NAMES):
        made[Way.RUN_UV] = Lane.SERVICES
    if chosen:
        made |= dict.fromkeys((Way.RUN_UV, Way.PROXY_UV), Lane.TEST)
    if attack.name in SEEN_BY_INSTALLERS:
        made |= dict.fromkeys((Way.PIP, Way.PROXY_PIP), Lane.SERVICES)
    return {way: lane for way, lane in made.items() if way.is_fence or not attack.needs_fence}


def cases(attacks: Iterable[Attack]) -> list[Any]:
    """The rows and their ways, as parameters of a test."""
    return [
        pytest.param(attack, way, id=f"{way}-{attack}", marks=[pytest.mark.services] if lane is Lane.SERVICES else [])
        for attack in attacks
        for way, lane in lanes(attack).items()
    ]
