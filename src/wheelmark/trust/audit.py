"""What should be the same in several places, compared: what is signed, what the rows say, what the signing log knows.
Pure: values in, faults out.

`verify` asks whether a client trusts the repository. Whoever has stolen the online keys can make it do so; what they
cannot do is to make the rows, the journal, the log and an earlier snapshot agree with it as well, without having taken
each of them, too. So each of these is compared with what is signed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import orjson

from wheelmark.errors import Fault, Untrusted
from wheelmark.trust.layout import BINS, ROOT, SNAPSHOT, TIMESTAMP, Layout
from wheelmark.trust.metadata import TargetRow

MAX_FAULTS: Final = 10_000
"""Faults that are kept; the rest is counted. Somebody will read them."""

_ROLE_FILE: Final = re.compile(r"([1-9][0-9]{0,15})\.([a-z]+(?:-[0-9a-f]+)?)\.json")


class Faults:
    """The first `MAX_FAULTS` faults, and how many there were."""

    def __init__(self, limit: int = MAX_FAULTS) -> None:
        self._limit = limit
        self._kept: list[Fault] = []
        self.count = 0

    def add(self, *faults: Fault) -> None:
        """Keep these, or count them."""
        self.count += len(faults)
        self._kept += faults[: max(0, self._limit - len(self._kept))]

    @property
    def kept(self) -> tuple[Fault, ...]:
        return tuple(self._kept)


def parse_role_file(name: str) -> tuple[int, str] | None:
    """Version and role in a file name of consistent snapshots, `7.bins-0a3.json`; None if it is no such name."""
    found = _ROLE_FILE.fullmatch(name)
    return None if found is None else (int(found[1]), found[2])


def read_targets(content: bytes, name: str) -> dict[str, TargetRow]:
    """The targets of a bin's file by path. Its signatures are not checked here.

    Raises:
        Untrusted: it is no such file (`metadata-form`).
    """
    try:
        return {
            path: TargetRow(path, target["length"], target["hashes"]["sha256"])
            for path, target in orjson.loads(content)["signed"]["targets"].items()
        }
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Untrusted(f"expected the targets of a bin in {name}, got none: {error}", code="metadata-form") from error


def read_versions(content: bytes, name: str) -> dict[str, int]:
    """The versions that a snapshot's file lists, by role. Its signatures are not checked here.

    Raises:
        Untrusted: it is no such file (`metadata-form`).
    """
    try:
        listed = orjson.loads(content)["signed"]["meta"]
        return {entry.removesuffix(".json"): int(meta["version"]) for entry, meta in listed.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise Untrusted(
            f"expected the versions in a snapshot {name}, got none: {error}", code="metadata-form"
        ) from error


def compare_targets(where: str, signed: Mapping[str, TargetRow], recorded: Mapping[str, TargetRow]) -> Iterator[Fault]:
    """What a bin lists, against the rows of the same publication."""
    for path in sorted(signed.keys() | recorded.keys()):
        ours, theirs = recorded.get(path), signed.get(path)
        if ours == theirs:
            continue
        if theirs is None:
            yield Fault("target-unsigned", path, f"expected it in {where} as its row says, got a bin without it")
        elif ours is None:
            yield Fault("target-unrecorded", path, f"expected only targets with a row in {where}, got one without")
        else:
            yield Fault(
                "target-differs",
                path,
                f"expected sha256 {ours.sha256} and {ours.length} bytes in {where} as its row says, "
                f"got {theirs.sha256} and {theirs.length}",
            )


def changed_paths(earlier: Mapping[str, TargetRow], current: Mapping[str, TargetRow]) -> list[str]:
    """The paths that one of two contents of a bin has and the other has not, or not with the same bytes."""
    return sorted(path for path in earlier.keys() | current.keys() if earlier.get(path) != current.get(path))


def unjournalled(
    since: int,
    earlier: Mapping[str, TargetRow],
    current: Mapping[str, TargetRow],
    *,
    project_of: Callable[[str], str | None],
    journalled: Collection[str],
) -> Iterator[Fault]:
    """Every target that was added, changed or removed since snapshot `since`, although the journal has no row about
    its project in between (`journalled`: the projects that it has rows about)."""
    for path in changed_paths(earlier, current):
        project = project_of(path)
        if project is not None and project in journalled:
            continue
        what = "added" if path not in earlier else "removed" if path not in current else "changed"
        yield Fault(
            f"target-{what}",
            path,
            f"expected a journal row for what was {what} since snapshot {since}, got none about {project or 'it'}",
        )


def versions_ahead(
    found: Mapping[str, int], committed: Mapping[str, int], burned: Mapping[str, int], *, where: str
) -> Iterator[Fault]:
    """Roles of which store or log know a higher version than the database has committed or begun.

    Clients may have seen those. Whatever the database signs next must have higher ones.
    """
    for role in sorted(committed):
        known = max(committed[role], burned.get(role, 0))
        if found.get(role, 0) > known:
            yield Fault(
                "version-ahead",
                role,
                f"expected at most version {known} of the database in {where}, got {found[role]}: the database is "
                "older than what was published; see `wheelmark trust recover`",
            )


def lost_roots(newest: int, has: Callable[[str], bool]) -> Iterator[Fault]:
    """The roots up to this version that the store has not: who begins with an older one cannot follow to the newest."""
    for version in range(1, newest + 1):
        name = f"{version}.{ROOT}.json"
        if not has(name):
            yield Fault("root-missing", name, "expected every root for ever, got none in the store")


def compare_versions(
    snapshot: int, listed: Mapping[int, int], offline: Mapping[str, int], rows: Mapping[str, int], layout: Layout
) -> Iterator[Fault]:
    """What the snapshot in force lists, against the versions in the rows, from which the next one is made."""
    by_role = {layout.bin_names[index]: version for index, version in listed.items() if index < layout.bin_count}
    by_role |= {role: version for role, version in offline.items() if not role.startswith(f"{BINS}-")}
    for role in sorted(by_role):
        if role not in {SNAPSHOT, TIMESTAMP} and rows.get(role) != by_role[role]:
            yield Fault(
                "row-version",
                role,
                f"expected version {rows.get(role, 'none')} of its row in snapshot {snapshot}, got {by_role[role]}",
            )
