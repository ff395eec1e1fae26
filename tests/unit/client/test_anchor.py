"""Where trust begins, and that it never begins without somebody having said so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.repository import Answer, IndexServer, SignedRepository, endless
from wheelmark.client import HttpFetcher
from wheelmark.client.address import IndexAddress
from wheelmark.client.anchor import Ask, RootChoice, trusted_root
from wheelmark.errors import Refused, Unavailable, Untrusted

REPOSITORY = SignedRepository()
ROOT = REPOSITORY.root_bytes
FINGERPRINT = hashlib.sha256(ROOT).hexdigest()


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with IndexServer(REPOSITORY) as running:
        yield running


def settle(server: IndexServer, directory: Path, choice: RootChoice, ask: Ask | None = None) -> bytes:
    return trusted_root(choice, IndexAddress.parse(server.index_url), directory, fetcher=HttpFetcher(), ask=ask)


def test_root_file_is_taken_without_asking_the_index(server: IndexServer, tmp_path: Path) -> None:
    (tmp_path / "root.json").write_bytes(b"by hand")
    assert settle(server, tmp_path, RootChoice(file=tmp_path / "root.json")) == b"by hand"
    assert server.requests == []


def test_missing_root_file_is_unavailable(server: IndexServer, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        settle(server, tmp_path, RootChoice(file=tmp_path / "none.json"))
    assert caught.value.code == "root-file"


def as_printed(hexadecimal: str) -> str:
    return " ".join(hexadecimal[start : start + 8].upper() for start in range(0, 64, 8))


@pytest.mark.parametrize("written", [FINGERPRINT, as_printed(FINGERPRINT)], ids=["plain", "as-printed"])
def test_root_of_the_fingerprint_is_taken_and_remembered(server: IndexServer, tmp_path: Path, written: str) -> None:
    assert settle(server, tmp_path, RootChoice(fingerprint=written)) == ROOT
    assert settle(server, tmp_path, RootChoice(fingerprint=written)) == ROOT
    assert settle(server, tmp_path, RootChoice()) == ROOT
    assert server.requests == ["/tuf/1.root.json"]


def test_root_of_another_fingerprint_is_untrusted_and_not_remembered(server: IndexServer, tmp_path: Path) -> None:
    with pytest.raises(Untrusted) as caught:
        settle(server, tmp_path, RootChoice(fingerprint="0" * 64))
    assert caught.value.code == "root-fingerprint"
    assert f"expected the root with sha256 {'0' * 64}, got {FINGERPRINT}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_outweighs_a_remembered_root(server: IndexServer, tmp_path: Path) -> None:
    (tmp_path / "trusted.root.json").write_bytes(b"of an earlier index")
    assert settle(server, tmp_path, RootChoice(fingerprint=FINGERPRINT)) == ROOT


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "0" * 63])
def test_fingerprint_that_is_none_is_refused(server: IndexServer, tmp_path: Path, text: str) -> None:
    with pytest.raises(Refused) as caught:
        settle(server, tmp_path, RootChoice(fingerprint=text))
    assert caught.value.code == "root-fingerprint"


@pytest.mark.parametrize("ask", [None, lambda *_: False], ids=["nobody", "no"])
def test_first_contact_without_a_yes_is_refused_and_not_remembered(
    server: IndexServer, tmp_path: Path, ask: Ask | None
) -> None:
    with pytest.raises(Refused) as caught:
        settle(server, tmp_path, RootChoice(), ask)
    assert caught.value.code == "root-unknown"
    assert FINGERPRINT in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_person_sees_the_fingerprint_and_is_asked_once(server: IndexServer, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def ask(index_url: str, fingerprint: str) -> bool:
        asked.append((index_url, fingerprint))
        return True

    for _ in range(2):
        assert settle(server, tmp_path / "state", RootChoice(), ask) == ROOT
    assert asked == [(server.index_url, FINGERPRINT)]


def test_first_use_is_trusted_when_told_so(server: IndexServer, tmp_path: Path) -> None:
    assert settle(server, tmp_path, RootChoice(trust_on_first_use=True)) == ROOT
    assert settle(server, tmp_path, RootChoice()) == ROOT


def test_endless_root_is_cut_off(server: IndexServer, tmp_path: Path) -> None:
    server.hostile = lambda *_: Answer(200, {}, endless())
    with pytest.raises(Untrusted) as caught:
        settle(server, tmp_path, RootChoice(trust_on_first_use=True))
    assert caught.value.code == "endless-data"


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("https://index.example.org/simple/", True),
        ("http://127.0.0.1:8000/simple", True),
        ("https://index.example.org/team/simple/", True),
        ("index.example.org/simple/", False),
        ("file:///simple/", False),
        ("https:///simple/", False),
        ("https://index.example.org/simple/?x=1", False),
        ("https://index.example.org/simple/#x", False),
        ("https://user:secret@index.example.org/simple/", False),
    ],
)
def test_index_address_is_plain(text: str, fine: bool) -> None:
    if fine:
        address = IndexAddress.parse(text)
        assert address.simple_url == text.rstrip("/") + "/"
        assert address.metadata_url == text.rstrip("/").removesuffix("simple") + "tuf/"
        return
    with pytest.raises(Refused) as caught:
        IndexAddress.parse(text)
    assert caught.value.code == "index-address"
    assert "secret" not in str(caught.value)
