"""What is committed now, read while the publisher may go on."""

from __future__ import annotations

from dataclasses import dataclass

from wheelmark.errors import Unavailable
from wheelmark.server.publishing.models import OfflineChange, Snapshot
from wheelmark.server.publishing.rows import load_state
from wheelmark.trust import RepositoryState

_LOOKS = 8


@dataclass(frozen=True, slots=True)
class InForce:
    """One committed snapshot with the state that belongs to it."""

    timestamp: bytes
    serial: int
    state: RepositoryState


def in_force() -> InForce:
    """What is committed now: rows that belong together, also while the publisher goes on.

    Raises:
        Unavailable: the index is not founded, or it never stood still.
    """
    for _ in range(_LOOKS):
        before = Snapshot.current()
        state, serial = load_state()
        if before is not None and state.timestamp.version == before.timestamp_version:
            return InForce(bytes(before.timestamp), serial, state)
    raise Unavailable("the snapshot changed at every look; try again", code="snapshot-moves")


def waiting_ceremony() -> str:
    """The fingerprint of a finished ceremony that no publisher has applied yet; empty if there is none."""
    return OfflineChange.objects.filter(waiting=True).values_list("fingerprint", flat=True).first() or ""
