"""Our writer against its oracle: for any rows, versions, expiries and keys the bytes are those of python-tuf."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import Key, Signature  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports its payloads without saying so
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import CanonicalJSONSerializer, JSONSerializer

from support.trust import a_signer
from wheelmark.errors import Refused
from wheelmark.trust import (
    Delegation,
    Layout,
    OnlineSigner,
    PublicKey,
    RoleKeys,
    TargetRow,
    bin_bytes,
    bins_bytes,
    envelope,
    root_bytes,
    snapshot_bytes,
    targets_bytes,
    timestamp_bytes,
)
from wheelmark.trust.layout import PATH_CHARACTERS, is_target_path
from wheelmark.trust.metadata import MAX_INTEGER

SIGNERS = tuple(a_signer(f"{kind} {number}", kind) for kind in ("ed25519", "ecdsa-p256") for number in range(2))

versions = st.integers(1, MAX_INTEGER)
lengths = st.integers(0, MAX_INTEGER)
expiries = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - zones follow
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
segments = st.text(PATH_CHARACTERS, min_size=1, max_size=30).filter(lambda segment: not segment.startswith("."))
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)
row_lists = st.dictionaries(paths, st.tuples(lengths, digests), max_size=20).map(
    lambda rows: [TargetRow(path, *rows[path]) for path in sorted(rows)]
)
signer_lists = st.lists(st.sampled_from(SIGNERS), min_size=1, max_size=4, unique_by=lambda signer: signer.keyid)
key_tuples = signer_lists.map(lambda signers: tuple(signer.public for signer in signers))
role_keys = key_tuples.flatmap(lambda keys: st.builds(RoleKeys, st.just(keys), st.integers(1, len(keys))))
role_names = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12)


def tuf_key(key: PublicKey) -> Key:
    return Key.from_dict(key.keyid, dict(key.as_tuf()))


def tuf_keys(*roles: RoleKeys) -> dict[str, Key]:
    return {key.keyid: tuf_key(key) for role in roles for key in role.keys}


def assert_same(ours: bytes, theirs: Signed, signers: Sequence[OnlineSigner]) -> None:
    """The signed part and the whole file are byte for byte python-tuf's, and its keys verify our signatures."""
    assert ours == CanonicalJSONSerializer().serialize(theirs)
    signatures = [signer.sign(ours) for signer in signers]
    wrapped = {each["keyid"]: Signature(each["keyid"], each["sig"]) for each in signatures}
    content = envelope(ours, signatures)
    assert content == Metadata[Any](theirs, wrapped).to_bytes(JSONSerializer(compact=True))
    read = Metadata[Any].from_bytes(content)
    assert read.signed == theirs
    assert read.signed_bytes == ours
    for signer in signers:
        tuf_key(signer.public).verify_signature(read.signatures[signer.keyid], read.signed_bytes)


@given(versions, expiries, row_lists, signer_lists)
def test_bin_is_what_python_tuf_writes(
    version: int, expires: datetime, rows: list[TargetRow], signers: list[OnlineSigner]
) -> None:
    targets = {row.path: TargetFile(row.length, {"sha256": row.sha256}, row.path) for row in rows}
    named = {"x-wheelmark-role": "bins-0"}
    theirs = Targets(version=version, expires=expires, targets=targets, unrecognized_fields=named)
    assert_same(bin_bytes("bins-0", version=version, expires=expires, rows=rows), theirs, signers)


@given(versions, expiries, st.integers(1, 6).map(Layout), st.dictionaries(role_names, versions, max_size=5), st.data())
def test_snapshot_is_what_python_tuf_writes(
    version: int, expires: datetime, layout: Layout, roles: dict[str, int], data: st.DataObject
) -> None:
    roles = {name: value for name, value in roles.items() if not layout.bin_names[0] <= name <= layout.bin_names[-1]}
    bins = data.draw(st.lists(versions, min_size=layout.bin_count, max_size=layout.bin_count))
    listed = {**dict(zip(layout.bin_names, bins, strict=True)), **roles}
    theirs = Snapshot(
        version=version, expires=expires, meta={f"{name}.json": MetaFile(value) for name, value in listed.items()}
    )
    ours = snapshot_bytes(version=version, expires=expires, layout=layout, bin_versions=bins, role_versions=roles)
    assert_same(ours, theirs, SIGNERS[:1])


@given(version=versions, expires=expiries, snapshot=versions, length=lengths, digest=digests, signers=signer_lists)
def test_timestamp_is_what_python_tuf_writes(
    *, version: int, expires: datetime, snapshot: int, length: int, digest: str, signers: list[OnlineSigner]
) -> None:
    theirs = Timestamp(version=version, expires=expires, snapshot_meta=MetaFile(snapshot, length, {"sha256": digest}))
    ours = timestamp_bytes(
        version=version, expires=expires, snapshot_version=snapshot, snapshot_length=length, snapshot_sha256=digest
    )
    assert_same(ours, theirs, signers)


@given(version=versions, expires=expiries, root=role_keys, targets=role_keys, snapshot=role_keys, timestamp=role_keys)
def test_root_is_what_python_tuf_writes(
    *, version: int, expires: datetime, root: RoleKeys, targets: RoleKeys, snapshot: RoleKeys, timestamp: RoleKeys
) -> None:
    roles = {"root": root, "targets": targets, "snapshot": snapshot, "timestamp": timestamp}
    theirs = Root(
        version=version,
        expires=expires,
        keys=tuf_keys(*roles.values()),
        roles={name: Role(role.keyids, role.threshold) for name, role in roles.items()},
        consistent_snapshot=True,
    )
    ours = root_bytes(version=version, expires=expires, **roles)
    assert_same(ours, theirs, SIGNERS)


@given(
    versions,
    expiries,
    st.lists(
        st.builds(Delegation, role_names, role_keys, st.lists(paths, min_size=1, max_size=3).map(tuple), st.booleans()),
        max_size=3,
        unique_by=lambda delegation: delegation.name,
    ),
)
def test_targets_is_what_python_tuf_writes(version: int, expires: datetime, delegations: list[Delegation]) -> None:
    theirs = Targets(
        version=version,
        expires=expires,
        delegations=Delegations(
            tuf_keys(*(delegation.keys for delegation in delegations)),
            {
                each.name: DelegatedRole(
                    each.name, each.keys.keyids, each.keys.threshold, each.terminating, paths=list(each.paths)
                )
                for each in delegations
            },
        ),
    )
    assert_same(targets_bytes(version=version, expires=expires, delegations=delegations), theirs, SIGNERS)


@given(versions, expiries, st.integers(1, 16).map(Layout), role_keys)
def test_bins_is_what_python_tuf_writes(version: int, expires: datetime, layout: Layout, keys: RoleKeys) -> None:
    succinct = SuccinctRoles(keys.keyids, keys.threshold, layout.bit_length, "bins")
    theirs = Targets(version=version, expires=expires, delegations=Delegations(tuf_keys(keys), succinct_roles=succinct))
    assert_same(bins_bytes(version=version, expires=expires, layout=layout, keys=keys), theirs, SIGNERS)


@given(st.integers(1, 16), st.text())
def test_bin_of_any_path_is_python_tufs(bit_length: int, path: str) -> None:
    layout = Layout(bit_length)
    try:
        expected = SuccinctRoles([], 1, bit_length, "bins").get_role_for_target(path)
    except UnicodeEncodeError:  # a lone surrogate is no path for either
        with pytest.raises(UnicodeEncodeError):
            layout.bin_of(path)
        return
    assert layout.bin_name(layout.bin_of(path)) == expected


@given(st.lists(st.one_of(paths, st.text(max_size=12), st.text("./a\n", max_size=6)), max_size=6))
def test_whole_columns_are_checked_as_single_paths_are(candidates: list[str]) -> None:
    """The writer checks all paths in one go; the answer is that of `is_target_path` for each."""
    rows = [TargetRow(path, 1, "0" * 64) for path in sorted(set(candidates))]
    bad = {row.path for row in rows if not is_target_path(row.path)}
    try:
        bin_bytes("bins-0", version=1, expires=datetime(2026, 1, 1, tzinfo=UTC), rows=rows)
    except Refused as refusal:
        assert len(refusal.faults) == len(bad) > 0
    else:
        assert not bad
