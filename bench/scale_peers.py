"""PEP 458's own cost table, and python-tuf writing the layout that it prescribes, for `bench_scale.py`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports its payloads without saying so
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from figures import Figure
from wheelmark.server.delivery.encodings import Encoding, encode

PEP_BINS = 16_384
PEP_TARGETS = 2_273_539
TARGETS_TODAY = 14_000_000
"""Files and pages of an index with 700,000 projects of about 19 files."""

_SIGNER = CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
_EXPIRES = datetime(2027, 1, 1, tzinfo=UTC)
_COMPACT = JSONSerializer(compact=True)


def pep458_figures(quick: bool) -> list[Figure]:
    """What the PEP computes, then what python-tuf makes of its layout at that and at today's size."""
    found = [
        Figure("PEP 458's table (2.3 M targets, 16,384 bins): new user", "1,517.7 kB"),
        Figure("PEP 458's table: returning user, new snapshot", "207.0 kB"),
        Figure("PEP 458's table: returning user, same snapshot", "108.7 kB"),
    ]
    for targets in (PEP_TARGETS,) if quick else (PEP_TARGETS, TARGETS_TODAY):
        found += _python_tuf(targets)
    return found


def _python_tuf(targets: int) -> list[Figure]:
    """python-tuf at its best: everything in memory, compact JSON. Three bins, the delegations and the snapshot are
    written, and what follows from them is computed: an install looks at two bins for each project."""
    bins = [_bin(targets // PEP_BINS, number) for number in range(3)]
    snapshot = _snapshot()
    bin_seconds, bin_bytes = _least(bins, 3)
    snapshot_seconds, snapshot_bytes = _least([snapshot], 3)
    timestamp = len(Metadata(Timestamp(1, expires=_EXPIRES, snapshot_meta=MetaFile(1))).to_bytes(_COMPACT))
    delegations = _written(_delegations())
    packed_bin, packed_snapshot = (len(encode(_written(each), Encoding.GZIP)) for each in (bins[0], snapshot))
    fixed = timestamp + snapshot_bytes + len(delegations)
    packed = timestamp + packed_snapshot + len(encode(delegations, Encoding.GZIP))
    name = f"python-tuf, PEP 458's layout, {targets / 1e6:.1f} M targets"
    # An upload changes two bins: that of the file and that of the page.
    publish, build = 2 * bin_seconds + snapshot_seconds, PEP_BINS * bin_seconds + snapshot_seconds
    return [
        Figure(f"{name}: new user, 1 project (as sent)", _kb(fixed + 2 * bin_bytes)),
        Figure(f"{name}: new user, 1 project (gzip)", _kb(packed + 2 * packed_bin)),
        Figure(f"{name}: new user, 10 projects (gzip)", _kb(packed + 20 * packed_bin)),
        Figure(
            f"{name}: returning, 1 project, new snapshot (as sent)", _kb(snapshot_bytes + 2 * bin_bytes + timestamp)
        ),
        Figure(f"{name}: the same in gzip", _kb(packed_snapshot + 2 * packed_bin + timestamp)),
        Figure(f"{name}: one publish, 2 bins (CPU)", f"{publish * 1000:.0f} ms"),
        Figure(f"{name}: full build, extrapolated from 3 bins (CPU)", f"{build:.0f} s"),
    ]


def _bin(count: int, number: int) -> Metadata[Any]:
    paths = {}
    for each in range(count):
        digest = hashlib.sha512(b"%d/%d" % (number, each)).hexdigest()
        path = f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:64]}/project_{digest[64:72]}-1.{each}.0-py3-none-any.whl"
        paths[path] = TargetFile(1_000_000 + each, {"sha512": digest}, path)
    return Metadata(Targets(7, expires=_EXPIRES, targets=paths))


def _snapshot() -> Metadata[Any]:
    names = {f"bins-{index:04x}.json": MetaFile(1 + index * 7919 % 97) for index in range(PEP_BINS)}
    return Metadata(Snapshot(7, expires=_EXPIRES, meta={**names, "targets.json": MetaFile(1)}))


def _delegations() -> Metadata[Any]:
    """`bins` without succinct delegations: 16,384 roles with four prefixes of hashes each."""
    key, roles = _SIGNER.public_key, {}
    for index in range(PEP_BINS):
        prefixes = [f"{4 * index + each:04x}" for each in range(4)]
        name = f"bins-{index:04x}"
        roles[name] = DelegatedRole(name, [key.keyid], 1, False, path_hash_prefixes=prefixes)
    return Metadata(Targets(1, expires=_EXPIRES, delegations=Delegations({key.keyid: key}, roles)))


def _written(metadata: Metadata[Any]) -> bytes:
    metadata.sign(_SIGNER)
    return metadata.to_bytes(_COMPACT)


def _least(files: list[Metadata[Any]], turns: int) -> tuple[float, int]:
    """The least CPU seconds that writing one of these took, and its bytes."""
    work: list[Callable[[], bytes]] = [lambda each=each: _written(each) for each in files]  # type: ignore[misc]
    least, size = float("inf"), 0
    for _ in range(turns):
        for write in work:
            began = time.process_time()
            size = len(write())
            least = min(least, time.process_time() - began)
    return least, size


def _kb(size: float) -> str:
    return f"{size / 1000:,.1f} kB"
