"""How fast metadata is written and signed, beside python-tuf in the same run: `python bench/bench_trust.py`.

Each row signs the same content twice with the same Ed25519 key: once through `wheelmark.trust`, once through objects of
python-tuf that are built before the clock starts (kept in memory, as python-tuf is at its best). Both files must be the
same bytes. Times are the least of many runs, in CPU milliseconds; the ratio is what counts. The last column is what the
signature alone takes of our time: nobody's writer can save that.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports its payloads without saying so
    Metadata,
    MetaFile,
    Snapshot,
    TargetFile,
    Targets,
)
from tuf.api.serialization.json import JSONSerializer

from figures import Figure
from wheelmark.trust import (
    ChangedBin,
    ExpiryPolicy,
    Layout,
    OfflineRole,
    OfflineRoles,
    OnlineSigners,
    TargetRow,
    bin_bytes,
    envelope,
    found_repository,
    open_signer,
    page_target_path,
    sign_publication,
    snapshot_bytes,
)
from wheelmark.trust.signers import KeySigner

EXPIRES = datetime(2027, 1, 1, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # Ed25519 is deterministic: the files can be compared
OURS = KeySigner.of("memory:ed25519", KEY)
THEIRS = CryptoSigner(KEY)


def page_rows(count: int) -> list[TargetRow]:
    """Rows of made-up projects, with names about as long as real ones."""
    rows = []
    for number in range(count):
        digest = hashlib.sha256(b"%d" % number).hexdigest()
        rows.append(TargetRow(page_target_path(f"project-{digest[:8]}"), 1_000 + number, digest))
    return sorted(rows, key=lambda row: row.path)


def write_bin(rows: list[TargetRow]) -> Callable[[], bytes]:
    def write() -> bytes:
        signed = bin_bytes("bins-000", version=7, expires=EXPIRES, rows=rows)
        return envelope(signed, [OURS.sign(signed)])

    return write


def write_snapshot(layout: Layout) -> Callable[[], bytes]:
    versions = tuple(1 + index % 97 for index in range(layout.bin_count))

    def write() -> bytes:
        signed = snapshot_bytes(
            version=7, expires=EXPIRES, layout=layout, bin_versions=versions, role_versions={"targets": 1, "bins": 1}
        )
        return envelope(signed, [OURS.sign(signed)])

    return write


def tuf_bin(rows: list[TargetRow]) -> Callable[[], bytes]:
    targets = {row.path: TargetFile(row.length, {"sha256": row.sha256}, row.path) for row in rows}
    return tuf_write(Metadata(Targets(7, expires=EXPIRES, targets=targets)))


def tuf_snapshot(layout: Layout) -> Callable[[], bytes]:
    versions = {f"{name}.json": MetaFile(1 + index % 97) for index, name in enumerate(layout.bin_names)}
    versions |= {"targets.json": MetaFile(1), "bins.json": MetaFile(1)}
    return tuf_write(Metadata(Snapshot(7, expires=EXPIRES, meta=versions)))


def tuf_write(metadata: Metadata[Any]) -> Callable[[], bytes]:
    serializer = JSONSerializer(compact=True)

    def write() -> bytes:
        metadata.sign(THEIRS)
        return metadata.to_bytes(serializer)

    return write


def least_milliseconds(work: Callable[[], object], *, seconds: float) -> float:
    """The least CPU time of one call, in as many as fit into `seconds`, but five at least."""
    least, until, runs = float("inf"), time.perf_counter() + seconds, 0
    while runs < 5 or time.perf_counter() < until:
        began = time.process_time_ns()
        work()
        least, runs = min(least, (time.process_time_ns() - began) / 1e6), runs + 1
    return least


def publication(layout: Layout, projects: int, changed: int) -> Callable[[], object]:
    """One whole publication: some bins, the snapshot and the timestamp of an index of that size."""

    def no_passphrase() -> bytes:
        return b""

    offline, publish = (open_signer("memory:ed25519", passphrase=no_passphrase) for _ in range(2))
    signers, policy, now = OnlineSigners(OURS, publish), ExpiryPolicy(), datetime(2026, 5, 4, tzinfo=UTC)
    foundation = found_repository(
        layout=layout, now=now, offline=OfflineRoles.all_by(OfflineRole((offline,))), online=signers, policy=policy
    )
    bins: dict[int, list[TargetRow]] = {}
    for row in page_rows(projects):
        bins.setdefault(layout.bin_of(row.path), []).append(row)
    contents = [ChangedBin(index, bins[index]) for index in sorted(bins)[:changed]]
    return lambda: sign_publication(foundation.state, contents, burned={}, now=now, signers=signers, policy=policy)


def figures(quick: bool) -> list[Figure]:
    """The writer beside python-tuf, for `bench/run.py`."""
    found = []
    for name, ours, theirs in pairs():
        mine, other = (least_milliseconds(work, seconds=0.2 if quick else 1.0) for work in (ours, theirs))
        found.append(Figure(f"{name}: times as fast as python-tuf", f"{other / mine:.1f} x"))
    return found


def pairs() -> list[tuple[str, Callable[[], bytes], Callable[[], bytes]]]:
    """What is measured: name, our writer, python-tuf's."""
    return [
        *((f"bin, {count} pages", write_bin(page_rows(count)), tuf_bin(page_rows(count))) for count in (20, 171, 850)),
        *(
            (f"snapshot, {1 << bits} bins", write_snapshot(Layout(bits)), tuf_snapshot(Layout(bits)))
            for bits in (8, 10, 12, 13)
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement (default: 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()

    for name, ours, theirs in pairs():
        content = ours()
        if content != theirs():
            raise SystemExit(f"{name}: the files differ")
        signing = functools.partial(KEY.sign, content)
        mine, other, bare = (least_milliseconds(work, seconds=arguments.seconds) for work in (ours, theirs, signing))
        row = {
            "what": name,
            "bytes": len(content),
            "wheelmark_ms": mine,
            "python_tuf_ms": other,
            "ratio": other / mine,
            "signature_ms": bare,
        }
        text = (
            f"{name:20} {len(content):>9,} B  {mine:7.3f} ms  python-tuf {other:7.3f} ms  "
            f"{other / mine:5.1f}x  (signature {bare:.3f} ms)"
        )
        print(json.dumps(row) if arguments.json else text)

    for bits, projects, changed in ((8, 1_000, 1), (12, 175_000, 1), (12, 175_000, 20)):
        work = publication(Layout(bits), projects, changed)
        mine = least_milliseconds(work, seconds=arguments.seconds)
        name = f"publication, {1 << bits} bins, {projects:,} projects, {changed} changed"
        row = {"what": name, "wheelmark_ms": mine, "bins": changed}
        print(json.dumps(row) if arguments.json else f"{name:56} {mine:8.3f} ms   {mine / changed:7.3f} ms a bin")
    return 0


if __name__ == "__main__":
    sys.exit(main())
