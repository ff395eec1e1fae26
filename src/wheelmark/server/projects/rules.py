"""The states of a file, and which may follow which. Pure.

```
uploaded ─► validated ─► scanned ─► published ─► removed
    │            │  ▲        │          │
    │            ▼  └──┐     ▼          ▼
    └► rejected  held ─┴──► (scanned) ◄─ held
           ▲──────┘
```
`scanned` means: looked at, nothing against it, waiting for the next snapshot. Only a snapshot publishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from wheelmark.errors import Refused


class FileState(StrEnum):
    """Where a file is on its way."""

    UPLOADED = "uploaded"
    VALIDATED = "validated"
    SCANNED = "scanned"
    HELD = "held"
    PUBLISHED = "published"
    REJECTED = "rejected"
    REMOVED = "removed"


FOLLOWS: Mapping[FileState, frozenset[FileState]] = {
    FileState.UPLOADED: frozenset({FileState.VALIDATED, FileState.REJECTED}),
    FileState.VALIDATED: frozenset({FileState.SCANNED, FileState.HELD, FileState.REMOVED}),
    FileState.SCANNED: frozenset({FileState.PUBLISHED, FileState.HELD, FileState.REMOVED}),
    FileState.HELD: frozenset({FileState.SCANNED, FileState.REJECTED, FileState.VALIDATED, FileState.REMOVED}),
    FileState.PUBLISHED: frozenset({FileState.REMOVED, FileState.HELD}),
    # A moderator's decision can be taken back; an owner's removal cannot (locked installs must not see it flicker).
    FileState.REJECTED: frozenset({FileState.HELD}),
    FileState.REMOVED: frozenset(),
}

LISTED = frozenset({FileState.SCANNED, FileState.PUBLISHED})
"""States whose files the next snapshot lists."""


def check_transition(current: FileState, target: FileState) -> None:
    """Say whether a file may go from one state to another.

    Raises:
        Refused: it may not (code `file-transition`).
    """
    if target not in FOLLOWS[current]:
        allowed = ", ".join(sorted(FOLLOWS[current])) or "nothing: it is final"
        raise Refused.because("file-transition", "state", f"expected after {current}: {allowed}; got {target}")
