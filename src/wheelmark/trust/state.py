"""What has been signed last: all that the next signature needs to know, and nothing of any content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wheelmark.trust.layout import Layout


@dataclass(frozen=True, slots=True)
class RoleState:
    """The last signed version of one role."""

    version: int
    expires_at: datetime  # UTC


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """The last signed snapshot, and what a timestamp must say about its file."""

    version: int
    expires_at: datetime  # UTC
    length: int  # bytes of the file
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryState:
    """One consistent state of the whole repository, as the last timestamp committed it.

    The bins are two columns and not objects: an index may have 65,536 of them, and each publication makes a new state.
    """

    layout: Layout
    offline: Mapping[str, RoleState]  # root, targets, bins; later claims
    bin_versions: tuple[int, ...]  # by index
    bin_expires_at: tuple[datetime, ...]  # by index, UTC
    snapshot: SnapshotState
    timestamp: RoleState

    def __post_init__(self) -> None:
        if not len(self.bin_versions) == len(self.bin_expires_at) == self.layout.bin_count:
            raise RuntimeError(
                f"expected {self.layout.bin_count} bins, "
                f"got {len(self.bin_versions)} versions and {len(self.bin_expires_at)} expiries"
            )
