"""The files that the scanner is measured on: where they lie, and one way to open them all.

No sample is part of this project. Three places are named by option or by environment variable:

- `WHEELMARK_SAMPLES_LISTS`: a folder with `dev-malicious.tsv` (family, representative, git blob, year, path) and
  `dev-benign.tsv` (kind, file name, bytes, sha256).
- `WHEELMARK_SAMPLES_MIRROR`: a bare git mirror of the malicious samples. They are read from it into memory, blob by
  blob, and are never written to disk, unpacked by anything but the scanner's own reader, imported, built or run.
- `WHEELMARK_SAMPLES_CORPUS`: a folder with the benign distributions: `benign/hard`, `benign/ordinary`, and
  `wide/manifest.tsv` and `micro/manifest.tsv` (kind, project, file name, sha256, path from the corpus' folder).

What counts once is the group: a family of near-identical malicious archives, or a project.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

MALICIOUS = "malicious"
BENIGN_KINDS = ("hard", "ordinary", "micro", "wide")
FOLDS = 5  # of every cross-validation: training and judging must agree on who has seen what
MAX_SAMPLE_BYTES = 512 * 1024 * 1024
_MEMORY = Path("/dev/shm")
LISTS, MIRROR, CORPUS = "WHEELMARK_SAMPLES_LISTS", "WHEELMARK_SAMPLES_MIRROR", "WHEELMARK_SAMPLES_CORPUS"


class SamplesMissing(Exception):
    """The samples, or a part of them, are not on this machine. The message says what to provide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One distribution to scan. `blob` or `path` says where its bytes lie."""

    kind: str  # "malicious", or one of BENIGN_KINDS
    source: str  # finer than the kind: "dev", or where a wide or micro distribution comes from
    group: str  # family, or normalized project: what counts once and must not be on both sides of a split
    filename: str
    year: int | None = None  # of the archive; known for malicious samples
    representative: bool = True  # False: another archive of a family
    sha256: str = ""  # of a file in the corpus
    blob: str = ""  # git object of a malicious sample
    path: Path | None = None

    @property
    def malicious(self) -> bool:
        """True for a sample of malware."""
        return self.kind == MALICIOUS

    @property
    def fold(self) -> int:
        """Which part of a cross-validation judges it."""
        return fold_of(self.group)

    @property
    def form(self) -> str:
        """`wheel` or `sdist`, by the file name."""
        return "wheel" if self.filename.endswith(".whl") else "sdist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the lists, the mirror and the corpus lie."""

    lists: Path
    mirror: Path
    corpus: Path

    @classmethod
    def named(cls, *, lists: str | None = None, mirror: str | None = None, corpus: str | None = None) -> Places:
        """The places that the options, or else the environment, name.

        Raises: SamplesMissing when one is not named or is not there.
        """
        found = {}
        for key, given, variable in (("lists", lists, LISTS), ("mirror", mirror, MIRROR), ("corpus", corpus, CORPUS)):
            value = given or os.environ.get(variable)
            if not value:
                raise SamplesMissing(
                    f"expected --{key} or {variable}, got neither; see docs/reference/scanner-figures.md"
                )
            found[key] = Path(value)
            if not found[key].is_dir():
                raise SamplesMissing(
                    f"expected a folder as --{key}, got {value}; see docs/reference/scanner-figures.md"
                )
        return cls(**found)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--lists`, `--mirror` and `--corpus`."""
    parser.add_argument("--lists", metavar="DIR", help=f"the folder with the lists of samples; default: ${LISTS}")
    parser.add_argument("--mirror", metavar="DIR", help=f"the bare git mirror of malicious samples; default: ${MIRROR}")
    parser.add_argument("--corpus", metavar="DIR", help=f"the folder with benign distributions; default: ${CORPUS}")


def malicious_samples(listed: Path, *, representatives_only: bool = True) -> list[Sample]:
    """The malicious samples that one list names, in its order: one a family, or all."""
    found = []
    for family, representative, blob, year, path in _rows(listed, 5):
        if representatives_only and representative != "yes":
            continue
        found.append(
            Sample(
                kind=MALICIOUS,
                source=listed.stem,
                group=family,
                filename=path.rpartition("/")[2],
                year=int(year) if year.isdecimal() else None,
                representative=representative == "yes",
                blob=blob,
            )
        )
    return found


def benign_samples(places: Places, *, kinds: Iterable[str] = BENIGN_KINDS) -> list[Sample]:
    """The benign distributions of the kinds that are asked for.

    Raises: SamplesMissing when a file that a list names is not in the corpus; one missing false alarm is one too few.
    """
    wanted = frozenset(kinds)
    found = []
    for kind, filename, _, sha256 in benign_rows(places.lists):
        if kind in wanted:
            path = places.corpus / "benign" / kind / filename
            found.append(
                Sample(kind=kind, source="dev", group=project_of(filename), filename=filename, sha256=sha256, path=path)
            )
    for kind in ("micro", "wide"):
        if kind in wanted:
            for source, project, filename, sha256, path_text in _rows(places.corpus / kind / "manifest.tsv", 5):
                path = places.corpus / path_text
                found.append(
                    Sample(kind=kind, source=source, group=project, filename=filename, sha256=sha256, path=path)
                )
    missing = [sample.filename for sample in found if sample.path is None or not sample.path.is_file()]
    if missing:
        raise SamplesMissing(
            f"expected {len(found)} files in {places.corpus}, {len(missing)} are missing: {missing[:5]}"
        )
    return found


def open_samples(samples: Iterable[Sample], mirror: Path) -> Iterator[tuple[Sample, BinaryIO]]:
    """Each sample with its bytes, open for reading, in the order given. Malicious ones are only ever in memory.

    Raises: SamplesMissing when a blob or file is not there or is not the one that the list names.
    """
    with GitBlobs(mirror) as blobs:
        for sample in samples:
            yield sample, io.BytesIO(read_sample(sample, blobs))


def read_sample(sample: Sample, blobs: GitBlobs) -> bytes:
    """The bytes of one sample. Raises: SamplesMissing, as `open_samples`."""
    if sample.blob:
        return blobs.read(sample.blob)
    if sample.path is None:
        raise SamplesMissing(f"expected a blob or a path for {sample.filename}, got neither")
    try:
        raw = sample.path.read_bytes()
    except OSError as error:
        raise SamplesMissing(f"expected {sample.path}, got {error.strerror}") from error
    if sample.sha256 and hashlib.sha256(raw).hexdigest() != sample.sha256:
        raise SamplesMissing(f"expected {sample.filename} with the sha256 {sample.sha256}, got another")
    return raw


class GitBlobs(AbstractContextManager["GitBlobs"]):
    """Reads objects of a bare git repository, one process for all of them."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._git: subprocess.Popen[bytes] | None = None

    def read(self, blob: str) -> bytes:
        """The bytes of one blob, verified by its object name. Raises: SamplesMissing when it is not there."""
        if re.fullmatch(r"[0-9a-f]{40}", blob) is None:
            raise SamplesMissing(f"expected the 40 hex digits of a git blob, got {blob[:60]!r}")
        asked, answered = self._pipes()
        asked.write(blob.encode() + b"\n")
        asked.flush()
        name, kind, size = (*answered.readline().split(), b"", b"", b"")[:3]
        if kind != b"blob" or name != blob.encode() or int(size) > MAX_SAMPLE_BYTES:
            self.close()  # what else lies in the pipe is of no use
            raise SamplesMissing(f"expected the blob {blob} of at most {MAX_SAMPLE_BYTES} bytes, got {kind!r} {size!r}")
        raw = answered.read(int(size))
        answered.read(1)  # the newline after each object
        if hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest() != blob:
            raise SamplesMissing(f"expected the blob {blob}, got other bytes")
        return raw

    def close(self) -> None:
        """End the process."""
        if self._git is not None:
            git, self._git = self._git, None
            for pipe in (git.stdin, git.stdout):
                if pipe is not None:
                    pipe.close()
            git.wait()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._git is None:
            command = ["git", "-C", str(self._repository), "cat-file", "--batch"]
            self._git = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        git = self._git
        if git.stdin is None or git.stdout is None:
            raise RuntimeError("expected pipes to git, got none")
        return git.stdin, git.stdout


def working_folder() -> AbstractContextManager[str]:
    """A temporary folder for a sample that another program reads: in memory where the system has such a place."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)


def fold_of(group: str) -> int:
    """The part of a cross-validation that a family or project belongs to: by name, so that more samples move none."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % FOLDS


def drawn(samples: Iterable[Sample], at_most: int | None) -> list[Sample]:
    """At most so many of the samples, the same ones each time, as if drawn; in the order given. None: all."""
    everything = list(samples)
    if at_most is None or len(everything) <= at_most:
        return everything
    ranked = sorted(everything, key=lambda each: hashlib.sha256(f"{each.group}/{each.filename}".encode()).digest())
    chosen = {id(sample) for sample in ranked[:at_most]}
    return [sample for sample in everything if id(sample) in chosen]


def project_of(filename: str) -> str:
    """The normalized project of a wheel's or sdist's file name. Old sdists have hyphens in their project's name."""
    name = filename.partition("-")[0] if filename.endswith(".whl") else re.split(r"-(?=\d)", filename, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def benign_rows(lists: Path) -> Iterator[list[str]]:
    """The rows of the development list: kind, file name, bytes, sha256. Raises: SamplesMissing without it."""
    return _rows(lists / "dev-benign.tsv", 4)


def _rows(listed: Path, columns: int) -> Iterator[list[str]]:
    try:
        text = listed.read_text(encoding="utf-8")
    except OSError as error:
        raise SamplesMissing(f"expected the list {listed}, got {error.strerror}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line and not line.startswith("#"):
            row = line.split("\t")
            if len(row) != columns:
                raise SamplesMissing(f"expected {columns} columns in {listed}:{number}, got {len(row)}")
            yield row
