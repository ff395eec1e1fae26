"""Memory of the scanner's own process, as `wheelmark scan` and the index run it.

The process that judges every sample holds up to seven models and the bytes of the file beside the scan, so its peak is
not the scanner's. It tells which files need most; those are scanned again, one after the other, by one such process as
users have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scan_judging import Judged
from scan_samples import GitBlobs, Sample, read_sample, working_folder
from wheelmark.scan import IsolatedScanner

FILES_OF_A_KIND = 10


def neediest(judged: Sequence[Judged], of_a_kind: int = FILES_OF_A_KIND) -> list[Sample]:
    """Of each kind the samples that took most memory when they were judged, the neediest first."""
    ranked = sorted(judged, key=lambda each: each.peak_bytes, reverse=True)
    kinds = dict.fromkeys(each.sample.kind for each in ranked)
    return [each.sample for kind in kinds for each in [one for one in ranked if one.sample.kind == kind][:of_a_kind]]


def peak_of_own_process(samples: Sequence[Sample], *, mirror: Path) -> int | None:
    """The most resident memory of a scanning process over all these files, in bytes; None where nobody tells it."""
    with GitBlobs(mirror) as blobs, IsolatedScanner() as scanner, working_folder() as folder:
        working_copy = Path(folder) / "sample"
        for sample in samples:
            working_copy.write_bytes(read_sample(sample, blobs))
            scanner.scan(working_copy, sample.filename)
        return scanner.peak_bytes or None
