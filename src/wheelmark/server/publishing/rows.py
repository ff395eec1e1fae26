"""The repository's state between rows and `wheelmark.trust` values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wheelmark.errors import Unavailable
from wheelmark.server.publishing.models import PublishedPage, Repository, RoleVersion, Snapshot
from wheelmark.server.publishing.pages import KnownPage
from wheelmark.trust import (
    BINS,
    CLAIMS,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    ChangedBin,
    Layout,
    RepositoryState,
    RoleState,
    SnapshotState,
    TargetRow,
    page_target_path,
)

OFFLINE = (ROOT, TARGETS, CLAIMS, BINS)

_BATCH = 500


def load_state() -> tuple[RepositoryState, int]:
    """What was committed last: the signed state, and the journal serial up to which it is published.

    Raises:
        Unavailable: the index is not founded yet (`not-founded`).
    """
    repository, current = Repository.objects.first(), Snapshot.current()
    if repository is None or repository.founded_at is None or current is None:
        raise Unavailable("this index is not founded yet: start it once with `wheelmark serve`", code="not-founded")
    layout = Layout(repository.bit_length)
    roles = {row.role: RoleState(row.version, row.expires_at) for row in RoleVersion.objects.all()}
    bins = [roles[name] for name in layout.bin_names]
    snapshot, timestamp = roles[SNAPSHOT], roles[TIMESTAMP]
    state = RepositoryState(
        layout=layout,
        # Not all that is left: bins of an earlier layout keep their rows, so that no version is ever used twice.
        offline={name: roles[name] for name in OFFLINE if name in roles},
        bin_versions=tuple(role.version for role in bins),
        bin_expires_at=tuple(role.expires_at for role in bins),
        snapshot=SnapshotState(snapshot.version, snapshot.expires_at, current.length, current.sha256),
        timestamp=timestamp,
    )
    return state, current.serial


def known_pages(names: Iterable[str]) -> dict[str, KnownPage]:
    """What the current snapshot says of these pages, for those that it has."""
    wanted = sorted(names)
    return {
        row.name: KnownPage(row.sha256, row.serial)
        for start in range(0, len(wanted), _BATCH)
        for row in PublishedPage.objects.filter(name__in=wanted[start : start + _BATCH])
    }


def bin_contents(indexes: Iterable[int], new: Mapping[str, TargetRow], layout: Layout) -> list[ChangedBin]:
    """The complete rows that these bins will have: those committed, and the new ones (by project name) over them."""
    contents = []
    for index in sorted(set(indexes)):
        rows = {
            name: TargetRow(page_target_path(name), size, sha256)
            for name, size, sha256 in PublishedPage.objects.filter(bin=index).values_list("name", "size", "sha256")
        }
        rows |= {name: row for name, row in new.items() if layout.bin_of(row.path) == index}
        contents.append(ChangedBin(index, sorted(rows.values(), key=lambda row: row.path)))
    return contents


def role_rows(before: RepositoryState | None, after: RepositoryState) -> dict[str, RoleState]:
    """The roles whose version differs between two states, as the rows are written: all of them for a new index."""
    roles = {
        name: RoleState(version, expires)
        for name, version, expires in zip(after.layout.bin_names, after.bin_versions, after.bin_expires_at, strict=True)
    }
    roles |= after.offline
    roles[SNAPSHOT] = RoleState(after.snapshot.version, after.snapshot.expires_at)
    roles[TIMESTAMP] = after.timestamp
    if before is None:
        return roles
    old = role_rows(None, before)
    return {name: role for name, role in roles.items() if old.get(name) != role}
