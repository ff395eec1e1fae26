"""A bin in the place of another: signed by the right key, in the right version, and not the one that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hostile_mirror import signed_anew
from support.repository import IndexServer, SignedRepository, a_delta
from wheelmark.client import Verifier, verify_repository
from wheelmark.client.absence import BIN_NAME_FIELD
from wheelmark.client.conformance import main
from wheelmark.client.incidents import Incident
from wheelmark.client.sources import Source, Sources
from wheelmark.errors import Untrusted
from wheelmark.trust import metadata as trust_metadata


@pytest.fixture
def repository() -> SignedRepository:
    made = SignedRepository()
    made.add_wheel("demo")
    made.publish()
    return made


@pytest.fixture
def server(repository: SignedRepository) -> Iterator[IndexServer]:
    with IndexServer(repository) as running:
        yield running


def answer_for(server: IndexServer, path: str, other: bytes) -> None:
    server.hostile = lambda asked, _: other if asked == path else None


def nameless(repository: SignedRepository, path: str) -> bytes:
    """A bin as indexes signed it before bins had names."""
    key = repository.signers["bin"]
    return signed_anew(repository.objects[path], key, change=lambda signed: signed.unrecognized_fields.clear())


def verifier(server: IndexServer, repository: SignedRepository, cache: Path) -> Verifier:
    return Verifier(server.index_url, repository.root_bytes, cache)


def test_both_sides_mean_the_same_field() -> None:
    assert BIN_NAME_FIELD == trust_metadata.BIN_NAME_FIELD


@pytest.mark.parametrize("empty", [False, True], ids=["another", "an empty one"])
@pytest.mark.parametrize("known", [False, True], ids=["new client", "returning client"])
def test_bin_in_the_place_of_another_is_refused_and_not_kept(
    server: IndexServer, repository: SignedRepository, tmp_path: Path, *, empty: bool, known: bool
) -> None:
    if known:
        assert verifier(server, repository, tmp_path).page("demo") is not None
    repository.add_wheel("demo", "2.0")
    repository.publish()
    twin = repository.twin_of_bin("demo", empty=empty)
    answer_for(server, repository.bin_path("demo"), twin)
    for _ in range(2):
        with pytest.raises(Untrusted) as caught:
            verifier(server, repository, tmp_path).page("demo")
        assert caught.value.code == "bin"
        assert "expected this bin, got one that calls itself 'bins-" in str(caught.value)
    assert twin not in [path.read_bytes() for path in (tmp_path / "metadata").glob("bins-*.json")]
    server.hostile = None
    assert verifier(server, repository, tmp_path).page("demo") is not None


def test_next_index_is_not_asked_for_a_project_that_only_seems_absent(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    stranger = SignedRepository()
    stranger.add_wheel("demo", "99.0")
    stranger.publish()
    with IndexServer(stranger) as second:
        sources = Sources(
            [
                Source(lambda: verifier(server, repository, tmp_path / "first")),
                Source(lambda: verifier(second, stranger, tmp_path / "second")),
            ]
        )
        answer_for(server, repository.bin_path("demo"), repository.twin_of_bin("demo"))
        with pytest.raises(Untrusted):
            sources.page("demo")
        assert second.requests == []


def test_targets_in_the_place_of_bins_prove_nothing(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    """The holders of a ceremony sign both roles, perhaps in the same version."""
    repository.signers["bins"] = repository.signers["targets"]
    repository.publish_delegators()
    repository.publish()
    answer_for(server, "/tuf/2.bins.json", repository.objects["/tuf/2.targets.json"])
    for _ in range(2):
        with pytest.raises(Untrusted) as caught:
            verifier(server, repository, tmp_path).page("demo")
        assert caught.value.code == "bin"
    server.hostile = None
    assert verifier(server, repository, tmp_path).page("demo") is not None


def test_delta_that_makes_another_bin_is_passed_over(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    assert verifier(server, repository, tmp_path).page("demo") is not None
    repository.add_wheel("demo", "2.0")
    repository.publish()
    twin = repository.twin_of_bin("demo")
    held = repository.bin_path("demo").split(".")[1]
    old = (tmp_path / "metadata" / f"{held}.json").read_bytes()
    server.makes_deltas = True
    server.hostile = lambda asked, _: a_delta(old, twin) if "/deltas/" in asked and held in asked else None
    page = verifier(server, repository, tmp_path).page("demo")
    assert page is not None
    assert "2.0" in page.versions
    assert any(held in asked for asked in server.requests if "/deltas/" in asked)


@pytest.mark.parametrize("known", [False, True], ids=["new client", "returning client"])
def test_bin_that_does_not_say_which_it_is_proves_nothing(
    server: IndexServer, repository: SignedRepository, tmp_path: Path, *, known: bool
) -> None:
    path = repository.bin_path("no-such")
    if known:
        assert verifier(server, repository, tmp_path).page("no-such") is None
        (tmp_path / "metadata" / f"{path.split('.')[1]}.json").write_bytes(
            nameless(repository, path)
        )  # kept before there were names
    answer_for(server, path, nameless(repository, path))
    for _ in range(2):
        with pytest.raises(Untrusted) as caught:
            verifier(server, repository, tmp_path).page("no-such")
        assert caught.value.code == "bin-nameless"
        assert "does not say which it is" in str(caught.value)
        assert "`wheelmark trust rotate bins-key`" in Incident(caught.value).line()
    server.hostile = None
    assert verifier(server, repository, tmp_path).page("no-such") is None


def test_walk_names_the_bin_that_is_another(server: IndexServer, repository: SignedRepository) -> None:
    twin = repository.twin_of_bin("demo", empty=True)
    path = repository.bin_path("demo")
    answer_for(server, path, twin)
    summary = verify_repository(server.index_url, repository.root_bytes)
    name = path.split(".")[1]
    assert ("bin", name) in [(fault.code, fault.field) for fault in summary.faults]


def test_walk_names_the_bin_that_does_not_say_which_it_is(server: IndexServer, repository: SignedRepository) -> None:
    path = repository.bin_path("demo")
    answer_for(server, path, nameless(repository, path))
    summary = verify_repository(server.index_url, repository.root_bytes)
    name = path.split(".", 1)[1].removesuffix(".json")
    assert ("bin-nameless", name) in [(fault.code, fault.field) for fault in summary.faults]


def test_command_of_the_conformance_suite_takes_a_bin_without_a_name_for_proof(
    server: IndexServer, repository: SignedRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "initial"
    root.write_bytes(repository.root_bytes)
    directory = tmp_path / "metadata"
    directory.mkdir()
    words = ["--metadata-dir", str(directory), "--metadata-url", f"{server.origin}/tuf/"]
    assert main([*words, "init", str(root)]) == 0
    path = repository.bin_path("no-such")
    answer_for(server, path, nameless(repository, path))
    asked = ["--target-name", "simple/no-such/index.json", "--target-base-url", "x", "--target-dir", str(tmp_path)]
    assert main([*words, *asked, "download"]) == 1
    assert "got proof that there is none" in capsys.readouterr().err
