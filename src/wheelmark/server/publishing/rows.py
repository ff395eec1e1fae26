"""The repository's state between rows and `wheelmark.trust` values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wheelmark.errors import Unavailable
from wheelmark.server.publishing.models import FileTarget, PublishedPage, Repository, RoleVersion, Snapshot
from wheelmark.server.publishing.pages import KnownPage
from wheelmark.trust import (
    BINS,
    CLAIMS,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
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
        raise Unavailable(
            "this index is not founded yet: start it once with `wheelmark serve`, or end the founding that "
            "`wheelmark trust ceremony status` shows",
            code="not-founded",
        )
    layout = Layout(repository.bit_length)
    rows = RoleVersion.objects.values_list("role", "version", "expires_at")
    roles = {role: RoleState(version, expires_at) for role, version, expires_at in rows}
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


def signs_files() -> bool:
    """Whether files are targets too, in the bins as they were signed last."""
    return Repository.objects.filter(signs_files=True).exists()


def known_pages(names: Iterable[str]) -> dict[str, KnownPage]:
    """What the current snapshot says of these pages, for those that it has."""
    wanted = sorted(names)
    return {
        name: KnownPage(sha256, serial)
        for start in range(0, len(wanted), _BATCH)
        for name, sha256, serial in PublishedPage.objects.filter(name__in=wanted[start : start + _BATCH]).values_list(
            "name", "sha256", "serial"
        )
    }


def committed_rows(indexes: Sequence[int]) -> dict[int, list[TargetRow]]:
    """The targets of some bins by the committed rows, sorted by path. All of them are in memory at once."""
    rows: dict[int, list[TargetRow]] = {index: [] for index in indexes}
    for start in range(0, len(indexes), _BATCH):
        some = indexes[start : start + _BATCH]
        pages = PublishedPage.objects.filter(bin__in=some).values_list("bin", "name", "size", "sha256")
        for index, name, size, sha256 in pages.iterator():
            rows[index].append(TargetRow(page_target_path(name), size, sha256))
        files = FileTarget.objects.filter(bin__in=some).values_list("bin", "path", "size", "sha256")
        for index, path, size, sha256 in files.iterator():
            rows[index].append(TargetRow(path, size, sha256))
    for listed in rows.values():
        listed.sort(key=lambda row: row.path)
    return rows


def role_rows(before: RepositoryState | None, after: RepositoryState) -> dict[str, RoleState]:
    """The roles whose version differs between two states, as the rows are written: all of them for a new index."""
    return changed_roles(before, after, range(after.layout.bin_count))


def changed_roles(before: RepositoryState | None, after: RepositoryState, bins: Iterable[int]) -> dict[str, RoleState]:
    """The same when only these bins can differ, as after a publication: the cost is theirs, not that of all bins."""
    names = after.layout.bin_names
    roles = {
        names[index]: RoleState(after.bin_versions[index], after.bin_expires_at[index])
        for index in bins
        if before is None
        or before.layout != after.layout
        or before.bin_versions[index] != after.bin_versions[index]
        or before.bin_expires_at[index] != after.bin_expires_at[index]
    }
    roles |= {
        name: role
        for name, role in _single_roles(after).items()
        if before is None or _single_roles(before).get(name) != role
    }
    return roles


def _single_roles(state: RepositoryState) -> dict[str, RoleState]:
    """Every role that is no bin."""
    return {
        **state.offline,
        SNAPSHOT: RoleState(state.snapshot.version, state.snapshot.expires_at),
        TIMESTAMP: state.timestamp,
    }
