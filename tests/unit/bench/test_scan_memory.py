"""Memory: the neediest files of each kind, measured in a process as users have it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from scan_judging import SHIPPED, Judged, Opinion
from scan_memory import neediest, peak_of_own_process
from scan_samples import Sample, benign_samples, malicious_samples
from support.samples import SamplePlaces, filled
from support.scan import an_sdist
from wheelmark.scan import Verdict

TOLD = Path("/proc/self/status").exists()  # elsewhere nobody tells the memory of another process


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SamplePlaces:
    return filled(tmp_path_factory.mktemp("samples"))


def judged(kind: str, number: int, peak_bytes: int) -> Judged:
    sample = Sample(kind=kind, source="dev", group=f"{kind}-{number}", filename=f"{kind}-{number}.tar.gz")
    return Judged(sample=sample, opinions={SHIPPED: Opinion(Verdict.BENIGN, 0.1)}, peak_bytes=peak_bytes)


def test_of_each_kind_those_that_need_most_are_measured() -> None:
    found = neediest([judged("hard", number, number) for number in range(5)] + [judged("micro", 7, 2)], of_a_kind=2)
    assert [sample.filename for sample in found] == ["hard-4.tar.gz", "hard-3.tar.gz", "micro-7.tar.gz"]


def test_the_peak_is_that_of_a_scanning_process(made: SamplePlaces) -> None:
    samples = [*malicious_samples(made.malicious_list), *benign_samples(made.places)]
    peak = peak_of_own_process(samples, mirror=made.places.mirror)
    if TOLD:
        assert peak is not None
        assert 20e6 < peak < 300e6
    else:
        assert peak is None


def test_a_file_that_needs_more_shows(made: SamplePlaces, tmp_path: Path) -> None:
    small, *_ = benign_samples(made.places)
    large = tmp_path / "large-1.0.tar.gz"
    large.write_bytes(an_sdist({"large/data.py": f"VALUES = {list(range(300_000))}\n"}))
    needs = replace(small, filename=large.name, path=large, sha256=hashlib.sha256(large.read_bytes()).hexdigest())
    little, much = (peak_of_own_process([sample], mirror=made.places.mirror) or 0 for sample in (small, needs))
    assert (much > little + 10e6) == TOLD
