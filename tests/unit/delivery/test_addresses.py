"""Addresses: what has exactly one of our forms asks for something, everything else for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.server.delivery.addresses import (
    FileAddress,
    PageAddress,
    ProjectListAddress,
    RoleAddress,
    TargetAddress,
    TimestampAddress,
    parse_address,
)

HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/simple/", ProjectListAddress()),
        ("/simple", ProjectListAddress(canonical=False)),
        ("/simple/demo/", PageAddress("demo")),
        ("/simple/demo", PageAddress("demo", canonical=False)),
        ("/simple/Demo.Pro_ject/", PageAddress("demo-pro-ject", canonical=False)),
        ("/simple/a--b/", PageAddress("a-b", canonical=False)),
        ("/tuf/timestamp.json", TimestampAddress()),
        ("/tuf/12.snapshot.json", RoleAddress("snapshot", 12)),
        ("/tuf/1.bins-0a3.json", RoleAddress("bins-0a3", 1)),
        (f"/tuf/targets/simple/demo/{HASH}.index.json", TargetAddress("demo", HASH)),
        (f"/files/{HASH}/demo-1.0-py3-none-any.whl", FileAddress(HASH, "demo-1.0-py3-none-any.whl")),
        (f"/files/{HASH}/demo-1.0.tar.gz.metadata", FileAddress(HASH, "demo-1.0.tar.gz", metadata=True)),
        (f"/files/{HASH}/demo-1!2.0+local.tar.gz", FileAddress(HASH, "demo-1!2.0+local.tar.gz")),
        (
            f"/tuf/targets/files/{HASH}/{HASH}.demo-1.0-py3-none-any.whl",
            FileAddress(HASH, "demo-1.0-py3-none-any.whl", target_sha256=HASH),
        ),
        (
            f"/tuf/targets/files/{HASH}/{HASH[::-1]}.demo-1.0-py3-none-any.whl.metadata",
            FileAddress(HASH, "demo-1.0-py3-none-any.whl", metadata=True, target_sha256=HASH[::-1]),
        ),
    ],
)
def test_address_of_each_kind(path: str, expected: object) -> None:
    assert parse_address(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//simple/demo/",
        "/simple//",
        "/simple//demo/",
        "/simple/../demo/",
        "/simple/demo/..",
        "/simple/demo//",
        "/simple/-demo/",
        "/simple/demo\x00/",
        "/simple/d\u00e9mo/",
        "/simple/demo/\n",
        "/simple/demo\n",
        "/Simple/demo/",
        "/tuf/",
        "/tuf/0.root.json",
        "/tuf/01.root.json",
        "/tuf/-1.root.json",
        "/tuf/9999999999999999999999.root.json",
        "/tuf/1.timestamp.json",
        "/tuf/1.../root.json",
        "/tuf/1.root.json/",
        f"/tuf/targets/simple/Demo/{HASH}.index.json",
        f"/tuf/targets/simple/demo/{HASH.upper()}.index.json",
        f"/tuf/targets/simple/demo/{HASH}.index.json.gz",
        f"/files/{HASH}",
        f"/files/{HASH}/",
        f"/files/{HASH}/.hidden",
        f"/files/{HASH}/../../secrets/django",
        f"/files/{HASH}/a/b",
        f"/files/{HASH}/a\\b",
        f"/files/{HASH[:-1]}/demo.whl",
        f"/files/{HASH}/" + "a" * 256,
        "/simple/" + "a" * 2000 + "/",
    ],
)
def test_anything_else_asks_for_nothing(path: str) -> None:
    assert parse_address(path) is None


@given(st.text(st.characters(max_codepoint=255), max_size=60), st.sampled_from(["/simple/", "/tuf/", "/files/"]))
def test_no_path_gives_an_address_outside_its_alphabet(rest: str, prefix: str) -> None:
    match parse_address(prefix + rest):
        case PageAddress(name) | TargetAddress(name):
            assert name.strip("abcdefghijklmnopqrstuvwxyz0123456789-") == ""
        case FileAddress(_, filename):
            assert "/" not in filename
            assert not filename.startswith(".")
        case RoleAddress(role, version):
            assert role.isascii()
            assert version > 0
