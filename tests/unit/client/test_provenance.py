"""The provenance object of a file: only the bytes that the signed page names by hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.repository import Answer, IndexServer, SignedRepository
from wheelmark.client import Verifier
from wheelmark.client.checks import MAX_PROVENANCE_BYTES
from wheelmark.errors import Refused, Unavailable, Untrusted

PROVENANCE = b'{"version":1,"attestation_bundles":[]}'


@pytest.fixture
def repository() -> SignedRepository:
    made = SignedRepository()
    made.add_wheel("demo", provenance=PROVENANCE)
    made.add_wheel("plain")
    made.publish()
    return made


def provenance_of(name: str, repository: SignedRepository, server: IndexServer, cache: Path) -> bytes:
    verifier = Verifier(server.index_url, repository.root_bytes, cache)
    page = verifier.page(name)
    assert page is not None
    return verifier.provenance(page.files[0])


def test_provenance_is_the_bytes_of_the_hash_in_the_page(repository: SignedRepository, tmp_path: Path) -> None:
    with IndexServer(repository) as server:
        assert provenance_of("demo", repository, server, tmp_path) == PROVENANCE


def test_provenance_is_fetched_beside_the_file_and_not_from_the_address_in_the_page(
    repository: SignedRepository, tmp_path: Path
) -> None:
    with IndexServer(repository) as server:
        provenance_of("demo", repository, server, tmp_path)
        assert server.requests[-1].startswith("/files/")
        assert server.requests[-1].endswith("/demo-1.0-py3-none-any.whl.provenance")


@pytest.mark.parametrize(
    ("answer", "code"),
    [(PROVENANCE.replace(b"1", b"2"), "file"), (b"", "file"), (b"x" * (MAX_PROVENANCE_BYTES + 1), "endless-data")],
    ids=["other", "empty", "endless"],
)
def test_other_provenance_is_untrusted(repository: SignedRepository, tmp_path: Path, answer: bytes, code: str) -> None:
    with IndexServer(repository) as server:
        server.hostile = lambda path, _: answer if path.endswith(".provenance") else None
        with pytest.raises(Untrusted) as caught:
            provenance_of("demo", repository, server, tmp_path)
    assert caught.value.code == code


def test_withheld_provenance_is_not_taken_for_none(repository: SignedRepository, tmp_path: Path) -> None:
    with IndexServer(repository) as server:
        server.hostile = lambda path, _: Answer(404) if path.endswith(".provenance") else None
        with pytest.raises(Unavailable):
            provenance_of("demo", repository, server, tmp_path)


def test_file_without_provenance_is_said_to_have_none(repository: SignedRepository, tmp_path: Path) -> None:
    with IndexServer(repository) as server, pytest.raises(Refused) as caught:
        provenance_of("plain", repository, server, tmp_path)
    assert caught.value.code == "no-provenance"
