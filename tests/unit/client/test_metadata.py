"""The kept `Updater`: as few requests as freshness allows, one user at a time, and back to the start when needed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

import pytest
from filelock import FileLock
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so

from support.repository import Answer, IndexServer, SignedRepository, flipped
from wheelmark.client import HttpFetcher, Verifier, metadata
from wheelmark.client.ahead import BinFiles
from wheelmark.client.metadata import FRESH_SECONDS, MAX_UPDATER_SECONDS, TrustedMetadata
from wheelmark.errors import Unavailable, Untrusted

DEMO = "simple/demo/index.json"


class Setup:
    """An index, and a client whose monotonic clock is ours."""

    def __init__(self, server: IndexServer, repository: SignedRepository, directory: Path) -> None:
        self.server, self.repository = server, repository
        self.elapsed = 0.0
        self.metadata = TrustedMetadata(
            f"{server.origin}/tuf/",
            repository.root_bytes,
            directory,
            fetcher=HttpFetcher(),
            now=lambda: datetime.now(UTC),
            monotonic=lambda: self.elapsed,
        )

    def requests_of(self, path: str = DEMO) -> list[str]:
        """What one look-up asks the index for."""
        before = len(self.server.requests)
        assert self.metadata.find(path) is not None
        return [request.removeprefix("/tuf/") for request in self.server.requests[before:]]


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    repository = SignedRepository()
    repository.add_wheel("demo")
    repository.publish()
    with IndexServer(repository) as server:
        yield Setup(server, repository, tmp_path / "metadata")


def test_first_look_up_follows_the_order_of_the_standard(setup: Setup) -> None:
    asked = setup.requests_of()
    assert asked[:5] == ["2.root.json", "timestamp.json", "2.snapshot.json", "1.targets.json", "1.bins.json"]
    assert asked[5].startswith("2.bins-")
    assert len(asked) == 6


def test_within_the_freshness_window_nothing_is_asked(setup: Setup) -> None:
    setup.requests_of()
    setup.elapsed += FRESH_SECONDS / 2
    assert setup.requests_of() == []


def test_unchanged_timestamp_costs_one_request(setup: Setup) -> None:
    setup.requests_of()
    setup.elapsed += FRESH_SECONDS * 2
    assert setup.requests_of() == ["timestamp.json"]


def test_changed_timestamp_brings_only_what_changed(setup: Setup) -> None:
    setup.requests_of()
    setup.repository.add_wheel("demo", "2.0")
    setup.repository.publish()
    setup.elapsed += FRESH_SECONDS * 2
    setup.server.makes_deltas = True
    asked = setup.requests_of()
    assert asked[:4] == ["timestamp.json", "2.root.json", "timestamp.json", "deltas/3.snapshot.from-2.zst"]
    assert asked[4].startswith("deltas/3.bins-")
    assert len(asked) == 5


def test_old_updater_is_built_anew_though_the_timestamp_is_unchanged(setup: Setup) -> None:
    setup.requests_of()
    setup.elapsed += MAX_UPDATER_SECONDS + FRESH_SECONDS
    assert setup.requests_of() == ["timestamp.json", "2.root.json", "timestamp.json"]


def test_deleted_bin_of_a_superseded_snapshot_leads_back_to_the_timestamp(setup: Setup) -> None:
    assert setup.metadata.find("simple/elsewhere/index.json") is None
    setup.repository.add_wheel("demo", "2.0")
    setup.repository.publish()
    gone = {path for path in setup.repository.objects if path.startswith("/tuf/2.bins-")}
    setup.server.hostile = lambda path, _: Answer(404) if path in gone else None
    found = setup.metadata.find(DEMO)
    assert found is not None
    assert found.length == len(setup.repository.pages["demo"])


@pytest.mark.parametrize("known", [False, True], ids=["new client", "returning client"])
def test_key_changed_between_the_root_and_the_timestamp_leads_back_to_the_root(setup: Setup, known: bool) -> None:
    if known:
        setup.requests_of()
        setup.elapsed += FRESH_SECONDS * 2
    early = {"/tuf/2.root.json"}

    def ceremony_meanwhile(path: str, true: bytes | None) -> Answer | None:
        if path not in early:
            return None
        early.clear()  # asked once too early: answered as before the ceremony, which is applied then
        setup.repository.rotate_key("timestamp")
        setup.repository.add_wheel("demo", "2.0")
        setup.repository.publish()
        return Answer(404)

    setup.repository.add_wheel("demo", "1.1")
    setup.repository.publish()
    setup.server.hostile = ceremony_meanwhile
    found = setup.metadata.find(DEMO)
    assert not early
    assert found is not None
    assert found.length == len(setup.repository.pages["demo"])


def test_timestamp_of_a_stranger_is_refused_after_one_more_look(setup: Setup) -> None:
    setup.requests_of()
    setup.elapsed += FRESH_SECONDS * 2
    true_signer = setup.repository.signers["timestamp"]
    setup.repository.signers["timestamp"] = CryptoSigner.generate_ed25519()
    setup.repository.publish()
    before = len(setup.server.requests)
    with pytest.raises(Untrusted) as refused:
        setup.metadata.find(DEMO)
    assert refused.value.code == "signature"
    assert setup.server.requests[before:].count("/tuf/2.root.json") == 2
    setup.repository.signers["timestamp"] = true_signer
    setup.repository.publish()
    assert setup.metadata.find(DEMO) is not None


def test_deleted_page_of_a_superseded_snapshot_leads_back_to_the_timestamp(setup: Setup, tmp_path: Path) -> None:
    verifier = Verifier(setup.server.index_url, setup.repository.root_bytes, tmp_path / "other")
    assert verifier.page("no-such") is None
    assert verifier.page("demo") is not None
    setup.repository.add_wheel("demo", "2.0")
    setup.repository.publish()
    verifier._pages.clear()
    rmtree(tmp_path / "other" / "content")
    gone = next(path for path in setup.server.requests if path.startswith("/tuf/targets/"))
    setup.server.hostile = lambda path, _: Answer(404) if path == gone else None
    page = verifier.page("demo")
    assert page is not None
    assert page.versions == ("1.0", "2.0")


def test_second_process_with_the_same_memory_asks_for_little(setup: Setup, tmp_path: Path) -> None:
    setup.requests_of()
    assert Setup(setup.server, setup.repository, tmp_path / "metadata").requests_of() == [
        "2.root.json",
        "timestamp.json",
    ]


def found_together(setup: Setup, paths: Sequence[str]) -> list[object]:
    """What look-ups in a thread each find, all begun at once."""
    found: list[object] = []
    threads = [threading.Thread(target=lambda path=path: found.append(setup.metadata.find(path))) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_many_threads_share_one_refresh(setup: Setup) -> None:
    found = found_together(setup, [DEMO] * 8)
    assert len(found) == 8
    assert None not in found
    assert setup.server.requests.count("/tuf/timestamp.json") == 1


def test_bins_of_many_projects_are_fetched_at_the_same_time(tmp_path: Path) -> None:
    names = [f"project-{number}" for number in range(6)]
    repository = SignedRepository()
    for name in ["demo", *names]:
        repository.add_wheel(name)
    repository.publish()
    with IndexServer(repository) as server:
        setup = Setup(server, repository, tmp_path / "metadata")
        setup.requests_of()  # the state is known; the bins of the others are not
        paths = [f"simple/{name}/index.json" for name in names]
        bins = BinFiles.held(tmp_path / "metadata")
        assert bins is not None
        files = {bins.needed_for(path) for path in paths} - {bins.needed_for(DEMO)}  # which is held
        assert len(files) > 1
        together = threading.Barrier(len(files), timeout=10)

        asked: Counter[str] = Counter()

        def hostile(path: str, _: object) -> None:
            asked[path] += 1
            if "bins-" in path and asked[path] == 1:  # two projects of one bin may both ask for it
                together.wait()  # whoever comes alone waits in vain, and breaks it

        server.hostile = hostile
        found = found_together(setup, paths)
    assert len(found) == len(names)
    assert None not in found
    assert not together.broken


def test_bins_are_fetched_at_the_same_time_by_those_who_came_before_the_state_was_known(tmp_path: Path) -> None:
    paths = [f"simple/project-{number}/index.json" for number in range(6)]
    repository = SignedRepository()
    for number in range(6):
        repository.add_wheel(f"project-{number}")
    repository.publish()
    with IndexServer(repository) as server:
        elsewhere = Setup(server, repository, tmp_path / "elsewhere")
        elsewhere.metadata.find(paths[0])
        bins = BinFiles.held(tmp_path / "elsewhere")
        assert bins is not None
        files = {bins.needed_for(path) for path in paths}
        assert len(files) > 2
        together = threading.Barrier(len(files) - 1, timeout=10)
        asked: Counter[str] = Counter()

        def hostile(path: str, _: object) -> None:
            asked[path] += 1
            if "bins-" in path and asked[path] == 1 and len([one for one in asked if "bins-" in one]) > 1:
                together.wait()

        server.hostile = hostile
        setup = Setup(server, repository, tmp_path / "metadata")
        found = found_together(setup, paths)
    assert len(found) == len(paths)
    assert None not in found
    assert not together.broken


def test_bin_that_came_ahead_and_is_wrong_is_refused(tmp_path: Path) -> None:
    repository = SignedRepository()
    for name in ("demo", *(f"other-{number}" for number in range(9))):
        repository.add_wheel(name)
    repository.publish()
    with IndexServer(repository) as server:
        setup = Setup(server, repository, tmp_path / "metadata")
        setup.requests_of()
        bins = BinFiles.held(tmp_path / "metadata")
        assert bins is not None
        elsewhere = [f"simple/other-{number}/index.json" for number in range(9)]
        other = next(path for path in elsewhere if bins.needed_for(path) != bins.needed_for(DEMO))
        server.hostile = lambda path, true: flipped(true) if true and "bins-" in path else None
        with pytest.raises(Untrusted):
            setup.metadata.find(other)
        assert len([path for path in server.requests if "bins-" in path]) == 2  # demo's, and this one, once
        server.hostile = None
        assert setup.metadata.find(other) is not None


def test_lock_held_by_another_process_is_unavailable(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "LOCK_SECONDS", 0.1)
    (tmp_path / "metadata").mkdir()
    with FileLock(tmp_path / "metadata" / ".lock"), pytest.raises(Unavailable) as caught:
        setup.metadata.find(DEMO)
    assert caught.value.code == "cache"
