"""What a completed ceremony does to the repository: which bins are signed again, and from which versions on. Pure.

The number of bins may change only together with the key of snapshot and timestamp (`ceremony` sees to it): a client
that finds both keys replaced forgets its old snapshot, and with it the bins that the new one does not list.

Source: TUF spec § 5.3.11 (recovery from fast-forward attacks), § 6.1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from wheelmark.errors import Refused
from wheelmark.trust.layout import ROOT
from wheelmark.trust.state import RepositoryState

if TYPE_CHECKING:
    from wheelmark.trust.ceremony import Completed

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Transition:
    """Where the next publication starts, and which bins it has to sign whether they changed or not."""

    state: RepositoryState
    bins: tuple[int, ...]


def apply_ceremony(
    state: RepositoryState,
    completed: Completed,
    *,
    same_bins_key: bool,
    last_versions: Mapping[str, int],
    passed: Collection[str] = (),
) -> Transition:
    """The state after a ceremony, before anything online is signed.

    `last_versions` holds the last version of every role that the index ever had, by name: a bin that comes back after
    another number of bins goes on where it stopped, since its old files still lie there. `passed` are the roles whose
    files of this ceremony are in force already: it was cut short, and a recovery took over what it had written.

    Raises:
        Refused: the ceremony was held on top of something else (`ceremony-stale`).
    """
    before = completed.before
    versions = {name: role.version for name, role in state.offline.items()}
    built_on = {role: before.of(role).version for role in completed.roles} if before else {}
    built_on |= {role: completed.roles[role].version for role in passed}
    if before is None or any(versions.get(role) != version for role, version in built_on.items()):
        raise Refused.because(
            "ceremony-stale",
            "ceremony",
            f"expected a ceremony on top of root {versions.get(ROOT)}, got one on root {built_on.get(ROOT, 'none')}: "
            "begin a new one",
        )
    following = replace(state, offline={**state.offline, **completed.roles})
    if completed.layout != state.layout:
        names = completed.layout.bin_names
        following = replace(
            following,
            layout=completed.layout,
            bin_versions=tuple(last_versions.get(name, 0) for name in names),
            bin_expires_at=(_NEVER,) * len(names),
        )
    everything = completed.layout != state.layout or not same_bins_key
    return Transition(following, tuple(range(completed.layout.bin_count)) if everything else ())
