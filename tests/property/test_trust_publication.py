"""Whatever is published in whatever order, an unmodified TUF client follows, and nothing ever goes back."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from support.trust import POLICY, Repository
from wheelmark.trust import Layout, RepositoryState, due_for_resigning, page_target_path

NAMES = tuple(f"project-{number}" for number in range(9))
UNKNOWN = "nobody"


@dataclass(frozen=True)
class Step:
    """One publication: what changes, what an attempt before it may have burned, and what the clock says meanwhile."""

    pages: Mapping[str, bytes]
    resign: frozenset[int]
    burned: Mapping[str, int]  # role -> how far above the state
    hours: int  # since the step before; negative if the clock was set back


ROLES = ("snapshot", "timestamp", *Layout(3).bin_names)

steps = st.builds(
    Step,
    st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=20), max_size=4),
    st.frozensets(st.integers(0, 7), max_size=3),
    st.dictionaries(st.sampled_from(ROLES), st.integers(-2, 5), max_size=4),
    # Nobody in these stories signs again what comes due, and a bin lives for two thirds of 90 days at least: five steps
    # must stay within that.
    st.integers(-30, 24 * 11),
)


def burned_from(state: RepositoryState, above: Mapping[str, int]) -> dict[str, int]:
    versions = {
        **dict(zip(state.layout.bin_names, state.bin_versions, strict=True)),
        "snapshot": state.snapshot.version,
        "timestamp": state.timestamp.version,
    }
    return {role: versions[role] + offset for role, offset in above.items()}


def assert_forward(before: RepositoryState, after: RepositoryState) -> None:
    """Versions and expiries only rise; a role that was signed again has a new version."""
    assert after.timestamp.version > before.timestamp.version
    assert after.timestamp.expires_at >= before.timestamp.expires_at
    assert after.snapshot.version >= before.snapshot.version
    assert after.snapshot.expires_at >= before.snapshot.expires_at
    assert (after.snapshot == before.snapshot) == (after.snapshot.version == before.snapshot.version)
    for index in range(before.layout.bin_count):
        assert after.bin_versions[index] >= before.bin_versions[index]
        assert after.bin_expires_at[index] >= before.bin_expires_at[index]
    assert after.offline == before.offline


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=1, max_size=5))
def test_an_unmodified_client_follows_every_publication(story: list[Step]) -> None:
    # The client has a clock of its own, so the story is told from now on; the index's clock may be set back in it.
    start = latest = now = datetime.now(UTC)
    repository = Repository.founded(now=now)
    with tempfile.TemporaryDirectory() as returning:
        repository.client(Path(returning)).refresh()
        for step in story:
            before = repository.state
            now = max(start, now + timedelta(hours=step.hours))
            burned = burned_from(before, step.burned)
            publication = repository.publish(step.pages, resign=step.resign, burned=burned, now=now)
            assert_forward(before, repository.state)
            for name, _ in publication.objects:
                version, role, _ = name.split(".")
                assert int(version) > burned.get(role, 0)
            latest = max(latest, now)
            late = {"expires-late"} if now < latest else set()  # what an earlier, later clock signed stays
            assert {fault.code for fault in repository.audit(now=now).faults} <= late
            with tempfile.TemporaryDirectory() as new:
                for folder in (returning, new):
                    assert_sees_everything(repository, Path(folder))


def assert_sees_everything(repository: Repository, folder: Path) -> None:
    """A client finds every page with its content, and the proof that another project does not exist."""
    client = repository.client(folder)
    client.refresh()
    for name, content in repository.pages.items():
        found = client.get_targetinfo(page_target_path(name))
        assert found is not None
        assert Path(client.download_target(found)).read_bytes() == content
    for name in {UNKNOWN, *NAMES} - set(repository.pages):
        assert client.get_targetinfo(page_target_path(name)) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.frozensets(st.integers(0, 7))), max_size=12))
def test_what_is_signed_is_not_due_and_what_is_due_has_not_expired(story: list[tuple[int, frozenset[int]]]) -> None:
    """Looked at once in 400 hours or less, which is well within a third of a bin's life, nothing is ever let expire."""
    now = datetime(2026, 5, 4, tzinfo=UTC)
    repository = Repository.founded(now=now)
    for hours, changed in story:
        now += timedelta(hours=hours)
        due = due_for_resigning(repository.state, now, POLICY)
        assert min(repository.state.bin_expires_at) > now
        repository.publish(resign=set(due.bins) | changed, now=now)
        after = due_for_resigning(repository.state, now, POLICY)
        assert not (after.bins or after.snapshot or after.timestamp or after.clock_behind)
