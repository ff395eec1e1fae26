"""What clients fetch and what publishing costs, for 10,000, 100,000 and 700,000 projects.

All bytes are those of files that were really signed, encoded as delivery encodes them (zstd, gzip) or as its deltas.
Beside them stands PEP 458's own cost table, of two million targets in 16,384 bins, and python-tuf writing that layout:
a few bins and a whole snapshot are measured, and the rest is extrapolated from them.

Not counted: HTTP headers, root (asked for once, 404), and the project pages themselves, which every client fetches.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from figures import Figure
from wheelmark.server.delivery.deltas import make_delta
from wheelmark.server.delivery.encodings import Encoding, encode
from wheelmark.trust import (
    BinContent,
    ChangedBin,
    ExpiryPolicy,
    Layout,
    OfflineRole,
    OfflineRoles,
    OnlineSigners,
    RepositoryState,
    TargetRow,
    choose_bit_length,
    file_target_path,
    found_repository,
    open_signer,
    page_target_path,
    sign_publication,
)

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
POLICY = ExpiryPolicy()
SIZES = (10_000, 100_000, 700_000)
LARGEST = SIZES[-1]
CHANGED = 500
FILES_EACH = 4
"""Files of a project, in the bytes of strict PEP 458 mode (`sign_files`); each wheel has core metadata beside it."""
VERSIONS_BEFORE = 97
"""Bins have versions from 1 to this one, in no order: the snapshot of an index that has been used for long. All at 1 it
would compress to a third."""

PUBLISHES = 300
RNG_SEED = 458


@dataclass
class Index:
    """A signed repository in memory."""

    layout: Layout
    state: RepositoryState
    signers: OnlineSigners
    offline: dict[str, bytes]  # file name -> bytes
    contents: dict[int, BinContent] = field(default_factory=dict)
    bins: dict[int, bytes] = field(default_factory=dict)  # as they were signed last
    snapshot: bytes = b""
    timestamp: bytes = b""

    def publish(self, changed: Iterable[ChangedBin]) -> float:
        """Publish, and return the CPU seconds of the signing (bytes and signatures, nothing written)."""
        listed = list(changed)
        began = time.process_time()
        publication = sign_publication(self.state, listed, burned={}, now=NOW, signers=self.signers, policy=POLICY)
        seconds = time.process_time() - began
        self.state, self.timestamp = publication.state, publication.timestamp
        files = [content for _, content in publication.objects]
        for entry, content in zip(listed, files, strict=False):
            self.contents[entry.index], self.bins[entry.index] = entry.content(self.layout), content
        self.snapshot = files[-1]
        return seconds


def founded(bit_length: int) -> Index:
    """A new repository with keys in memory."""
    bins, publish, offline = (open_signer("memory:ed25519", passphrase=bytes) for _ in range(3))
    signers, layout = OnlineSigners(bins, publish), Layout(bit_length)
    foundation = found_repository(
        layout=layout, now=NOW, offline=OfflineRoles.all_by(OfflineRole((offline,))), online=signers, policy=POLICY
    )
    offline_files = {name: body for name, body in foundation.objects if name.split(".")[1] in {"targets", "bins"}}
    return Index(layout, foundation.state, signers, offline_files)


@cache
def project(number: int) -> str:
    """A made-up name, about as long as real ones and as hard to compress."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return f"{digest[: 4 + number % 9]}-{digest[20 : 24 + number % 5]}"


def page_row(number: int, edition: int = 0) -> TargetRow:
    """The target of a project's page."""
    digest = hashlib.sha256(b"%d/%d" % (number, edition)).hexdigest()
    return TargetRow(page_target_path(f"{project(number)}-{number}"), 1_000 + number % 9_000, digest)


def file_rows(number: int) -> list[TargetRow]:
    """The targets of a project's files and of their core metadata."""
    rows = []
    for build in range(FILES_EACH):
        digest = hashlib.sha256(b"%d:%d" % (number, build)).hexdigest()
        path = file_target_path(digest, f"{project(number).replace('-', '_')}-1.{build}.0-py3-none-any.whl")
        rows.append(TargetRow(path, 20_000 + build, digest))
        rows.append(TargetRow(f"{path}.metadata", 900 + build, digest[::-1]))
    return rows


def built(projects: int, *, files: bool = False, bit_length: int | None = None) -> tuple[Index, float]:
    """An index of so many projects, and the CPU seconds that its first signing took, from rows to signed files."""
    index = founded(bit_length or choose_bit_length(projects))
    rows: dict[int, list[TargetRow]] = {number: [] for number in range(index.layout.bin_count)}
    for number in range(projects):
        for row in [page_row(number), *(file_rows(number) if files else [])]:
            rows[index.layout.bin_of(row.path)].append(row)
    for listed in rows.values():
        listed.sort(key=lambda row: row.path)
    return index, index.publish(ChangedBin(number, listed) for number, listed in rows.items())


def aged(index: Index) -> None:
    """Give the bins the versions that they have after a while, and sign all of them under these."""
    rng = random.Random(RNG_SEED)
    versions = tuple(rng.randrange(VERSIONS_BEFORE) for _ in range(index.layout.bin_count))
    index.state = replace(index.state, bin_versions=versions)
    index.publish(ChangedBin(number, content) for number, content in sorted(index.contents.items()))


def change_pages(index: Index, numbers: Iterable[int], edition: int) -> float:
    """Publish a new page of each of these projects together."""
    new: dict[int, list[TargetRow]] = {}
    for number in numbers:
        row = page_row(number, edition)
        new.setdefault(index.layout.bin_of(row.path), []).append(row)
    began = time.process_time()
    changed = [
        ChangedBin(number, index.contents[number].changed(index.layout, number, new=rows))
        for number, rows in sorted(new.items())
    ]
    prepared = time.process_time() - began
    return prepared + index.publish(changed)


def wire(body: bytes, encoding: Encoding = Encoding.ZSTD) -> int:
    """Bytes of a file as delivery sends it."""
    return min(len(encode(body, encoding)), len(body))


def new_user(index: Index, projects: Iterable[int], encoding: Encoding) -> int:
    """What a client without anything fetches to verify the pages of these projects."""
    bins = {index.layout.bin_of(page_row(number).path) for number in projects}
    files = [index.timestamp, index.snapshot, *index.offline.values(), *(index.bins[number] for number in bins)]
    return sum(wire(body, encoding) for body in files)


@dataclass(frozen=True, slots=True)
class Returning:
    """Bytes of a client that comes back after `CHANGED` projects changed, its own one among them."""

    gzip: int
    zstd: int
    deltas: int


def returning_user(index: Index, projects: int) -> Returning:
    """A client that has a snapshot and a bin, and comes for the same project, which has changed meanwhile."""
    rng = random.Random(RNG_SEED + 1)
    changed = [0, *rng.sample(range(1, projects), CHANGED - 1)]
    mine = index.layout.bin_of(page_row(0).path)
    old_snapshot, old_bin = index.snapshot, index.bins[mine]
    change_pages(index, changed, 7)
    whole = [index.timestamp, index.snapshot, index.bins[mine]]
    gzip, zstd = (sum(wire(body, encoding) for body in whole) for encoding in (Encoding.GZIP, Encoding.ZSTD))
    deltas = len(make_delta(old_snapshot, index.snapshot)) + len(make_delta(old_bin, index.bins[mine]))
    return Returning(gzip, zstd, wire(index.timestamp) + deltas)


def figures(quick: bool) -> list[Figure]:
    """Bytes and CPU of all sizes, beside PEP 458 and python-tuf; then the publisher with its database."""
    from scale_peers import pep458_figures

    found = pep458_figures(quick)
    for projects in SIZES[:1] if quick else SIZES:
        found += size_figures(projects)
        found += publisher_figures(projects)
    return found


def size_figures(projects: int) -> list[Figure]:
    """One size, pages alone and with files (the latter only where it is a choice that somebody would make)."""
    bounds = projects == LARGEST
    index, build = built(projects)
    name = f"{projects:,} projects"
    fresh = new_user(index, [0], Encoding.ZSTD)
    aged(index)
    found = [
        Figure(f"{name}: bins", f"{index.layout.bin_count:,}"),
        Figure(f"{name}: new user, 1 project, of an index just built (zstd)", _kb(fresh)),
    ]
    for encoding in (Encoding.GZIP, Encoding.ZSTD):
        for count, most in ((1, 32_000), (10, 120_000)):
            size = new_user(index, range(count), encoding)
            # The bound is for what our client asks for: zstd before gzip.
            bound = most if bounds and encoding is Encoding.ZSTD else None
            found.append(_bytes(f"{name}: new user, {count} project(s) ({encoding})", size, bound))
    turns = sorted(change_pages(index, [number], 1) for number in range(PUBLISHES))
    back = returning_user(index, projects)
    found += [
        Figure(f"{name}: returning after {CHANGED} changed projects (gzip)", _kb(back.gzip)),
        Figure(f"{name}: returning after {CHANGED} changed projects (zstd)", _kb(back.zstd)),
        _bytes(f"{name}: returning after {CHANGED} changed projects (deltas)", back.deltas, 3_000 if bounds else None),
        _seconds(f"{name}: full build, rows to signed files (CPU)", build, 15.0 if bounds else None),
        _milliseconds(f"{name}: one publish, trust work (CPU, least)", turns[0], 1.0 if bounds else None),
        _milliseconds(f"{name}: one publish, trust work (CPU, median)", turns[PUBLISHES // 2], None),
    ]
    if projects <= SIZES[1]:
        found += files_figures(projects, index)
    return found


def files_figures(projects: int, pages: Index) -> list[Figure]:
    """The same index in strict PEP 458 mode, beside its pages alone."""
    index, build = built(projects, files=True)
    name = f"{projects:,} projects, sign_files ({FILES_EACH} wheels each)"
    aged(index)
    # A client that verifies a wheel by its path needs two bins: that of the wheel and that of its metadata.
    bins = {index.layout.bin_of(row.path) for row in file_rows(0)[:2]}
    files = [index.timestamp, index.snapshot, *index.offline.values(), *(index.bins[number] for number in bins)]
    turns = sorted(change_pages(index, [number], 1) for number in range(50))
    grown = sum(map(len, index.bins.values())) / sum(map(len, pages.bins.values()))
    return [
        Figure(f"{name}: new user, page of 1 project (zstd)", _kb(new_user(index, [0], Encoding.ZSTD))),
        Figure(f"{name}: new user, pages of 10 projects (zstd)", _kb(new_user(index, range(10), Encoding.ZSTD))),
        Figure(f"{name}: new user, one wheel and its metadata by path (zstd)", _kb(sum(map(wire, files)))),
        Figure(f"{name}: full build (CPU)", f"{build:.2f} s"),
        Figure(f"{name}: one publish of a page, trust work (CPU)", f"{turns[25] * 1000:.2f} ms"),
        Figure(f"{name}: all bins, times those of pages alone", f"{grown:.1f} x"),
    ]


def publisher_figures(projects: int) -> list[Figure]:
    """The whole publisher, with SQLite and files, in a process of its own."""
    script = [sys.executable, str(Path(__file__).with_name("scale_index.py")), "--projects", str(projects)]
    with tempfile.TemporaryDirectory(prefix="wheelmark-bench-") as folder:
        script += ["--data", str(Path(folder) / "data")]
        subprocess.run([*script, "--make"], check=True, stdout=subprocess.DEVNULL)
        cost: Mapping[str, float] = json.loads(
            subprocess.run(script, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
    name, bounds = f"{projects:,} projects, publisher with SQLite and files", projects == LARGEST
    megabytes = cost["max_rss"] / 1e6
    return [
        Figure(f"{name}: all bins signed, rows to commit (CPU)", f"{cost['build']:.1f} s"),
        Figure(f"{name}: one changed page, whole publication (CPU, median)", f"{cost['publish'] * 1000:.1f} ms"),
        Figure(f"{name}: 50 changed pages together, for each (CPU)", f"{cost['batch_of_50'] * 1000 / 50:.2f} ms"),
        Figure(
            f"{name}: memory at most (RSS)",
            f"{megabytes:.0f} MB",
            "<= 500 MB" if bounds else "",
            megabytes <= 500 if bounds else None,
        ),
    ]


def _bytes(name: str, size: int, most: int | None) -> Figure:
    return Figure(name, _kb(size), f"<= {_kb(most)}" if most else "", size <= most if most else None)


def _kb(size: int) -> str:
    return f"{size / 1000:.1f} kB"


def _seconds(name: str, seconds: float, most: float | None) -> Figure:
    return Figure(name, f"{seconds:.2f} s", f"<= {most:g} s" if most else "", seconds <= most if most else None)


def _milliseconds(name: str, seconds: float, most: float | None) -> Figure:
    value = seconds * 1000
    return Figure(name, f"{value:.2f} ms", f"<= {most:g} ms" if most else "", value <= most if most else None)
