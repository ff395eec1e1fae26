"""What the writer refuses, so that the signed form and the wire form can never differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tuf.api.metadata import SPECIFICATION_VERSION  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.trust import NOON, a_page, a_row, a_signer
from wheelmark.errors import Refused
from wheelmark.trust import (
    Layout,
    PublicKey,
    RoleKeys,
    TargetRow,
    bin_bytes,
    envelope,
    root_bytes,
    snapshot_bytes,
    timestamp_bytes,
)
from wheelmark.trust.keys import MAX_KEYS_PER_ROLE
from wheelmark.trust.metadata import MAX_BIN_BYTES, MAX_INTEGER, SPEC_VERSION

DIGEST = "0" * 64
VERSIONS = {"targets": 1, "bins": 1}


def test_the_announced_specification_is_the_verifiers() -> None:
    assert SPEC_VERSION.split(".") == SPECIFICATION_VERSION


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/absolute",
        "trailing/",
        "a//b",
        "a/../b",
        "..",
        ".hidden",
        "a/.b",
        'quo"te',
        "back\\slash",
        "per%2fcent",
        "line\nbreak",
        "a\n",
        "\na",
        "nul\x00",
        "del\x7f",
        "sp ace",
        "ünicode",
        "a?b",
        "a#b",
        "\ud800",
        "x" * 513,
    ],
)
def test_a_path_that_needs_escaping_is_refused_and_named(path: str) -> None:
    rows = [TargetRow(path, 1, DIGEST)]
    with pytest.raises(Refused, match="expected a plain relative path, got") as refusal:
        bin_bytes("bins-0", version=1, expires=NOON, rows=rows)
    assert [fault.code for fault in refusal.value.faults] == ["target-path"]
    with pytest.raises(Refused):
        bin_bytes("bins-0", version=1, expires=NOON, rows=[a_page("a"), TargetRow(path, 1, DIGEST), a_page("z")])


@pytest.mark.parametrize(
    "digest", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 63 + "\n", "é" * 64, "\ud800" * 64]
)
def test_a_digest_that_is_none_is_refused(digest: str) -> None:
    with pytest.raises(Refused, match="expected 64 lower-case hex characters") as refusal:
        bin_bytes("bins-0", version=1, expires=NOON, rows=[TargetRow("a", 1, digest)])
    assert refusal.value.code == "sha256"


def test_two_wrong_digests_do_not_make_a_right_one() -> None:
    with pytest.raises(Refused) as refusal:
        bin_bytes("bins-0", version=1, expires=NOON, rows=[TargetRow("a", 1, "0" * 63), TargetRow("b", 1, "0" * 65)])
    assert [fault.field for fault in refusal.value.faults] == ["a", "b"]


@pytest.mark.parametrize("length", [-1, MAX_INTEGER + 1, 1.0, True, None, "1"])
def test_a_length_that_is_none_is_refused(length: Any) -> None:
    with pytest.raises(Refused, match=r"expected 0 to 9007199254740991 bytes, got") as refusal:
        bin_bytes("bins-0", version=1, expires=NOON, rows=[TargetRow("a", length, DIGEST)])
    assert refusal.value.code == "length"


def test_all_faulty_rows_are_named_at_once() -> None:
    rows = [TargetRow("a b", 1, DIGEST), a_row("fine"), TargetRow("x", -1, "no")]
    with pytest.raises(Refused) as refusal:
        bin_bytes("bins-0", version=1, expires=NOON, rows=rows)
    assert [fault.code for fault in refusal.value.faults] == ["target-path", "sha256", "length"]


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a"), ("a", "c", "b")])
def test_unsorted_or_repeated_rows_are_refused(names: Sequence[str]) -> None:
    with pytest.raises(Refused, match="expected sorted and different paths") as refusal:
        bin_bytes("bins-0", version=1, expires=NOON, rows=[a_row(name) for name in names])
    assert refusal.value.code == "rows-unsorted"


def test_a_bin_that_no_client_would_read_is_refused() -> None:
    rows = [TargetRow(f"files/{index:06}", 1, DIGEST) for index in range(MAX_BIN_BYTES // 100)]
    with pytest.raises(Refused, match=r"expected at most 4990000 bytes, got \d+ of 49900 targets") as refusal:
        bin_bytes("bins-0", version=1, expires=NOON, rows=rows)
    assert refusal.value.code == "bin-too-large"


@pytest.mark.parametrize("version", [0, -1, True, 1.5, MAX_INTEGER + 1, None])
def test_a_version_that_is_none_is_refused_everywhere(version: Any) -> None:
    layout = Layout(1)
    writers: list[Callable[[], bytes]] = [
        lambda: bin_bytes("bins-0", version=version, expires=NOON, rows=()),
        lambda: snapshot_bytes(
            version=version, expires=NOON, layout=layout, bin_versions=(1, 1), role_versions=VERSIONS
        ),
        lambda: snapshot_bytes(
            version=1, expires=NOON, layout=layout, bin_versions=(1, version), role_versions=VERSIONS
        ),
        lambda: snapshot_bytes(
            version=1, expires=NOON, layout=layout, bin_versions=(1, 1), role_versions={"targets": version}
        ),
        lambda: timestamp_bytes(
            version=version, expires=NOON, snapshot_version=1, snapshot_length=1, snapshot_sha256=DIGEST
        ),
        lambda: timestamp_bytes(
            version=1, expires=NOON, snapshot_version=version, snapshot_length=1, snapshot_sha256=DIGEST
        ),
    ]
    for write in writers:
        with pytest.raises(Refused, match="expected whole numbers from 1 to") as refusal:
            write()
        assert refusal.value.code == "version"


@pytest.mark.parametrize(
    ("length", "digest", "code"), [(-1, DIGEST, "length"), (1, "x", "sha256"), (1.0, DIGEST, "length")]
)
def test_a_snapshot_that_is_none_gets_no_timestamp(length: Any, digest: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        timestamp_bytes(version=1, expires=NOON, snapshot_version=1, snapshot_length=length, snapshot_sha256=digest)
    assert refusal.value.code == code


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_snapshot_lists_exactly_the_bins(count: int) -> None:
    with pytest.raises(Refused, match=f"expected 2 versions, got {count}"):
        snapshot_bytes(version=1, expires=NOON, layout=Layout(1), bin_versions=(1,) * count, role_versions=VERSIONS)


@pytest.mark.parametrize("name", ["bins-0", "bins-1", 'a"b', "a/b", "", "..", "a\nb"])
def test_a_role_name_that_is_none_is_not_listed(name: str) -> None:
    with pytest.raises(Refused, match="expected a role that is no bin") as refusal:
        snapshot_bytes(version=1, expires=NOON, layout=Layout(1), bin_versions=(1, 1), role_versions={name: 1})
    assert refusal.value.code == "role-name"


@pytest.mark.parametrize("bits", [1, 6, 7, 9])
def test_each_bin_has_its_own_version_however_many_there_are(bits: int) -> None:
    layout = Layout(bits)
    for first in (1, 1_000):  # and once more, when most of it has been written before
        versions = [first + index for index in range(layout.bin_count)]
        signed = snapshot_bytes(version=1, expires=NOON, layout=layout, bin_versions=versions, role_versions=VERSIONS)
        meta = {name: entry["version"] for name, entry in json.loads(signed)["meta"].items()}
        assert [meta[f"{name}.json"] for name in layout.bin_names] == versions
        assert list(meta) == sorted(meta)


def test_roles_of_claims_find_their_place_in_the_snapshot() -> None:
    signed = snapshot_bytes(
        version=1,
        expires=NOON,
        layout=Layout(1),
        bin_versions=(1, 2),
        role_versions={"targets": 3, "bins": 4, "claims": 5, "claims-0": 6, "a": 7, "claims-1": 8},
    )
    meta = json.loads(signed)["meta"]
    assert list(meta) == sorted(meta)
    assert {name: entry["version"] for name, entry in meta.items()} == {
        "a.json": 7, "bins-0.json": 1, "bins-1.json": 2, "bins.json": 4,
        "claims-0.json": 6, "claims-1.json": 8, "claims.json": 5, "targets.json": 3,
    }  # fmt: skip


def test_expiry_is_written_in_utc_and_whole_seconds() -> None:
    elsewhere = datetime(2026, 5, 4, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    signed = json.loads(bin_bytes("bins-0", version=1, expires=elsewhere, rows=()))
    assert signed["expires"] == "2026-05-04T12:00:00Z"


def test_an_expiry_without_time_zone_is_our_own_mistake() -> None:
    with pytest.raises(RuntimeError, match="expected an aware datetime"):
        bin_bytes("bins-0", version=1, expires=datetime(2026, 5, 4), rows=())  # noqa: DTZ001 - the naive one is the point


def test_an_expiry_before_the_year_1000_is_refused() -> None:
    with pytest.raises(Refused, match="expected a year of four digits"):
        bin_bytes("bins-0", version=1, expires=datetime(999, 1, 1, tzinfo=UTC), rows=())


def test_a_pem_key_is_signed_raw_and_sent_escaped() -> None:
    key = RoleKeys((a_signer("pem", "ecdsa-p256").public,))
    signed = root_bytes(version=1, expires=NOON, root=key, targets=key, snapshot=key, timestamp=key)
    assert b"-----BEGIN PUBLIC KEY-----\n" in signed
    sent = json.loads(envelope(signed, []))
    assert sent["signed"]["keys"][key.keyids[0]]["keyval"]["public"] == key.keys[0].public


@pytest.mark.parametrize("public", ["ünicode", "tab\t", "del\x7f", "return\r\n"])
def test_a_key_that_json_dialects_write_differently_is_refused(public: str) -> None:
    key = RoleKeys((PublicKey("00", "ed25519", "ed25519", public),))
    with pytest.raises(Refused, match="expected printable ASCII") as refusal:
        root_bytes(version=1, expires=NOON, root=key, targets=key, snapshot=key, timestamp=key)
    assert refusal.value.code == "characters"


def test_a_backslash_in_a_key_survives_both_forms() -> None:
    key = RoleKeys((PublicKey("00", "ed25519", "ed25519", 'a\\n"b\nc'),))
    sent = envelope(root_bytes(version=1, expires=NOON, root=key, targets=key, snapshot=key, timestamp=key), [])
    assert json.loads(sent)["signed"]["keys"]["00"]["keyval"]["public"] == 'a\\n"b\nc'


@pytest.mark.parametrize("threshold", [0, -1, 3, True, 1.0])
def test_a_threshold_that_cannot_be_reached_is_refused(threshold: Any) -> None:
    keys = (a_signer("a").public, a_signer("b").public)
    with pytest.raises(Refused, match="expected 1 to 2, got"):
        RoleKeys(keys, threshold)


def test_one_key_does_not_count_twice() -> None:
    with pytest.raises(Refused, match="different keys"):
        RoleKeys((a_signer("a").public, a_signer("a").public), 2)


def test_a_role_without_keys_is_refused() -> None:
    with pytest.raises(Refused, match=f"expected 1 to {MAX_KEYS_PER_ROLE} different keys, got 0"):
        RoleKeys(())
