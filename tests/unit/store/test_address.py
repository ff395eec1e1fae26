"""What `open_store` takes, and what it must never repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.s3 import answering_server
from wheelmark.errors import Refused
from wheelmark.store import LocalStore, MemoryStore, open_store
from wheelmark.store.s3 import S3Store

S3_URL = "s3://bucket/some/prefix?endpoint=https://store.example:9000&region=eu-central-1"


def test_file_address_opens_the_folder_it_names(tmp_path: Path) -> None:
    root = tmp_path / "with space" / "objects"
    store = open_store(root.as_uri())
    assert isinstance(store, LocalStore)
    assert store.url == root.as_uri()
    store.put("a", [b"1"], immutable=True)
    assert (root / "a").read_bytes() == b"1"


def test_memory_address_opens_a_fresh_store() -> None:
    one, other = open_store("memory://"), open_store("memory://")
    assert isinstance(one, MemoryStore)
    assert one.url == "memory://"
    one.put("a", [b"1"], immutable=True)
    assert other.head("a") is None


@pytest.mark.parametrize("url", [S3_URL, "s3://bucket", "s3://bucket/prefix", "s3://bucket?region=us-east-1"])
def test_s3_address_comes_back_as_url(url: str) -> None:
    store = open_store(url)
    assert isinstance(store, S3Store)
    assert store.url == url


def test_opening_s3_asks_the_server_nothing() -> None:
    asked: list[str] = []
    with answering_server(lambda request: asked.append(request.path)) as server:
        open_store(server.url("prefix"))
    assert asked == []


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("", "the scheme ''"),
        ("/var/lib/objects", "the scheme ''"),
        ("https://bucket.example", "the scheme 'https'"),
        ("file://objects", "a file address with a host"),
        ("file:relative", "a relative folder"),
        ("file:///objects?x=1", "a query"),
        ("memory://named", "the scheme 'memory'"),
        ("s3:///prefix", "no bucket"),
        ("s3://bucket#x", "a #fragment"),
        ("s3://bucket?color=red", "the unknown parameters color"),
        ("s3://bucket?region=", "an empty parameter"),
        ("s3://bucket?region=a&region=b", "one given twice"),
        ("s3://bucket?endpoint=ftp://store.example", "an endpoint that is no http"),
        ("s3://bucket?endpoint=store.example", "an endpoint that is no http"),
        ("s3://bucket?endpoint=http://[", "an endpoint that is no http"),
        ("s3://bucket?endpoint=http://store.example:port", "an endpoint that is no http"),
        ("s3://[bucket", "an address that cannot be taken apart"),
    ],
)
def test_other_address_is_refused_with_the_forms_that_work(url: str, got: str) -> None:
    with pytest.raises(Refused, match=r"expected file:///absolute/folder, s3://bucket/prefix") as told:
        open_store(url)
    assert told.value.code == "store-url"
    assert got in str(told.value)


@pytest.mark.parametrize("prefix", ["a//b", "../a", "a b", "x" * 128])
def test_prefix_is_held_to_the_rules_of_keys(prefix: str) -> None:
    with pytest.raises(Refused, match="prefix: expected "):
        open_store(f"s3://bucket/{prefix}")


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAEXAMPLE:hunter2secret@bucket/prefix",
        "s3://bucket?endpoint=http://AKIAEXAMPLE:hunter2secret@store.example",
        "s3://bucket?endpoint=http://store.example?secret=hunter2secret",
        "s3://bucket?secret_access_key=hunter2secret",
        "file://AKIAEXAMPLE:hunter2secret@/objects",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Refused) as told:
        open_store(url)
    assert "hunter2" not in str(told.value)
    assert "AKIA" not in str(told.value)
