"""A ceremony that is applied while a client refreshes: the question for the next root came just too early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so

from support.repository import Answer, IndexServer, SignedRepository
from wheelmark.client import HttpFetcher
from wheelmark.client.conformance import main
from wheelmark.client.metadata import TrustedMetadata
from wheelmark.errors import Untrusted

DEMO = "simple/demo/index.json"
NEXT_ROOT = "/tuf/2.root.json"
TIMESTAMP = "/tuf/timestamp.json"


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


def client(
    server: IndexServer, repository: SignedRepository, directory: Path, *, strict: bool = False
) -> TrustedMetadata:
    fetcher = HttpFetcher(sleep=lambda _: None)
    url = f"{server.origin}/tuf/"
    return TrustedMetadata(
        url, repository.root_bytes, directory, fetcher=fetcher, now=lambda: datetime.now(UTC), strict=strict
    )


def just_after_the_next_root_was_asked_for(server: IndexServer, event: Callable[[], None]) -> None:
    """`event` happens when the first question for the second root has been answered with 404."""
    answered: list[str] = []

    def switch(path: str, _: bytes | None) -> Answer | None:
        if path != NEXT_ROOT or answered:
            return None
        answered.append(path)
        event()
        return Answer(404, {}, b"not here")

    server.hostile = switch


def rotate(repository: SignedRepository, role: str) -> None:
    repository.rotate_key(role)
    if role == "targets":
        repository.publish_delegators()
    repository.add_wheel("demo", "2.0")
    repository.publish()


def requests_of(server: IndexServer, path: str) -> int:
    return server.requests.count(path)


def state(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*.json")}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("returning", [False, True], ids=["new client", "returning client"])
def test_ceremony_applied_between_two_requests_is_followed_at_once(
    server: IndexServer, repository: SignedRepository, tmp_path: Path, role: str, *, returning: bool
) -> None:
    if returning:
        assert client(server, repository, tmp_path).find(DEMO) is not None
    before = requests_of(server, NEXT_ROOT)
    just_after_the_next_root_was_asked_for(server, lambda: rotate(repository, role))
    found = client(server, repository, tmp_path).find(DEMO)
    assert found is not None
    assert found.length == len(repository.pages["demo"])
    assert requests_of(server, NEXT_ROOT) - before == 2


def test_long_lived_client_follows_the_ceremony_too(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    metadata = client(server, repository, tmp_path)
    metadata.refresh()
    just_after_the_next_root_was_asked_for(server, lambda: rotate(repository, "timestamp"))
    repository.publish()  # so that the timestamp that it sees makes it begin at the root
    metadata.refresh()
    assert state(tmp_path)["timestamp.json"] == repository.objects[TIMESTAMP]


def test_strict_client_refuses_once_and_follows_when_it_is_asked_again(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    just_after_the_next_root_was_asked_for(server, lambda: rotate(repository, "timestamp"))
    with pytest.raises(Untrusted) as caught:
        client(server, repository, tmp_path, strict=True).refresh()
    assert caught.value.code == "signature"
    assert requests_of(server, NEXT_ROOT) == 1
    client(server, repository, tmp_path, strict=True).refresh()


def test_command_of_the_conformance_suite_is_strict(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    root = tmp_path / "initial"
    root.write_bytes(repository.root_bytes)
    directory = tmp_path / "metadata"
    directory.mkdir()
    words = ["--metadata-dir", str(directory), "--metadata-url", f"{server.origin}/tuf/"]
    assert main([*words, "init", str(root)]) == 0
    just_after_the_next_root_was_asked_for(server, lambda: rotate(repository, "timestamp"))
    assert main([*words, "refresh"]) == 1
    assert requests_of(server, TIMESTAMP) == 1
    assert main([*words, "refresh"]) == 0


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_wrong_key_is_refused_after_two_attempts_in_the_words_of_one(
    server: IndexServer, repository: SignedRepository, tmp_path: Path, role: str
) -> None:
    assert client(server, repository, tmp_path).find(DEMO) is not None
    trusted, asked = state(tmp_path), requests_of(server, NEXT_ROOT)
    repository.signers[role] = CryptoSigner.generate_ed25519()
    if role == "targets":
        repository.publish_delegators()
    repository.publish()

    def refusal(*, strict: bool) -> Untrusted:
        with pytest.raises(Untrusted) as caught:
            client(server, repository, tmp_path, strict=strict).find(DEMO)
        return caught.value

    refused = refusal(strict=False)
    assert refused.code == "signature"
    assert requests_of(server, NEXT_ROOT) - asked == 2
    assert state(tmp_path)["root.json"] == trusted["root.json"]
    if role == "timestamp":
        assert state(tmp_path) == trusted
    assert str(refused) == str(refusal(strict=True))


def test_wrong_key_and_then_silence_is_refused_though_the_memory_is_fresh(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    assert client(server, repository, tmp_path).find(DEMO) is not None
    repository.signers["timestamp"] = CryptoSigner.generate_ed25519()
    repository.publish()
    said: list[str] = []

    def falls_silent(path: str, _: bytes | None) -> Answer | None:
        said.append(path)
        return Answer(503) if said.count(NEXT_ROOT) > 1 else None

    server.hostile = falls_silent
    with pytest.raises(Untrusted) as caught:
        client(server, repository, tmp_path).find(DEMO)
    assert caught.value.code == "signature"
    assert said.count(NEXT_ROOT) > 1


def test_ceremony_that_never_stops_is_not_followed_for_ever(
    server: IndexServer, repository: SignedRepository, tmp_path: Path
) -> None:
    """Each question for a root comes just before that root: after the second there is no third."""
    asked: list[str] = []

    def always_too_early(path: str, true: bytes | None) -> Answer | None:
        if not path.endswith(".root.json"):
            return None
        asked.append(path)
        if true is not None:
            return None
        rotate(repository, "timestamp")
        return Answer(404, {}, b"not here")

    server.hostile = always_too_early
    with pytest.raises(Untrusted) as caught:
        client(server, repository, tmp_path).find(DEMO)
    assert caught.value.code == "signature"
    assert asked == [NEXT_ROOT, NEXT_ROOT, "/tuf/3.root.json"]
