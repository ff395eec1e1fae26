"""Which bin a look-up is going to need, so that it can be on its way before the look-up's turn comes.

python-tuf's `Updater` serves one look-up after the other, and fetches while the others wait: with an index 100 ms away,
50 projects are 5 s. So whoever waits for a turn fetches its own bin meanwhile. What comes is given to python-tuf in
its turn, as if it had been fetched then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson
from tuf.api.metadata import SuccinctRoles  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.deltas import RoleFile


class BinFiles:
    """The file names of the bins of one snapshot."""

    def __init__(self, roles: SuccinctRoles, listed: Mapping[str, Mapping[str, object]]) -> None:
        self._roles = roles
        self._listed = listed

    @classmethod
    def held(cls, directory: Path) -> BinFiles | None:
        """From what python-tuf trusted last; None while that does not tell, which costs time and nothing else."""
        try:
            bins = orjson.loads((directory / "bins.json").read_bytes())["signed"]["delegations"]["succinct_roles"]
            listed = orjson.loads((directory / "snapshot.json").read_bytes())["signed"]["meta"]
            return cls(SuccinctRoles.from_dict(bins), listed)
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None

    def needed_for(self, target_path: str) -> RoleFile | None:
        """The file of the bin that a target belongs to; None when the snapshot has none."""
        role = self._roles.get_role_for_target(target_path)
        version = self._listed.get(f"{role}.json", {}).get("version")
        return RoleFile(role, version) if isinstance(version, int) else None
