"""Judging: the verdicts are the engine's own, by the right model, and a scan that dies is incomplete."""

from __future__ import annotations

import io
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import orjson
import pytest

import scan_judging
from scan_judging import EARLIER, SHIPPED, UNSEEN, Judged, Models, Opinion, is_able, judge_all
from scan_samples import Sample, benign_samples, malicious_samples
from support.samples import HARMLESS, LOADER, PRINTS, filled
from support.scan import a_wheel, an_sdist, the_ruleset
from wheelmark.scan import ScanBounds, Verdict, scan_stream
from wheelmark.scan.model import SHIPPED as SHIPPED_MODEL

NOBODY = Models(unseen={})


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """The imitations, judged by the shipped model and, those of one fold, by one that calls everything malicious."""
    folder = tmp_path_factory.mktemp("samples")
    made = filled(folder / "places")
    samples = [*malicious_samples(made.malicious_list), *benign_samples(made.places)]
    strict = folder / "strict.json"
    strict.write_bytes(a_strict_model())
    fold = samples[0].fold
    models = Models(unseen={fold: strict}, earlier=strict)
    found = judge_all(samples, mirror=made.places.mirror, models=models)
    return {each.sample.filename: each for each in found}


def a_strict_model() -> bytes:
    """A model for which anything that acts is malicious."""
    document = orjson.loads(SHIPPED_MODEL.read_bytes())
    document["trees"] = [20_000_000]
    return orjson.dumps(document)


def test_the_shipped_opinion_is_the_report_of_the_engine(judged: dict[str, Judged]) -> None:
    report = scan_stream(
        io.BytesIO(an_sdist({"setup.py": LOADER})), filename="aaaa-1.tar.gz", ruleset=the_ruleset(), bounds=ScanBounds()
    )
    assert report.verdict is Verdict.MALICIOUS
    assert judged["aaaa-1.tar.gz"].opinions[SHIPPED] == Opinion(report.verdict, report.score)
    assert set(judged["aaaa-1.tar.gz"].rules) == {finding.rule for finding in report.findings} - {"taken-together"}
    assert judged["calm-1.0.tar.gz"].opinions[SHIPPED].verdict is Verdict.BENIGN


def test_models_judge_what_they_have_not_seen_and_nothing_else(judged: dict[str, Judged]) -> None:
    seen = judged["aaaa-1.tar.gz"].sample.fold
    for each in judged.values():
        assert (UNSEEN in each.opinions) == (each.sample.fold == seen)
        assert (EARLIER in each.opinions) == each.sample.malicious
    assert judged["aaaa-1.tar.gz"].by(UNSEEN).score > 0.99


def test_without_a_model_that_has_not_seen_it_the_shipped_one_answers() -> None:
    sample = Sample(kind="hard", source="dev", group="tool", filename="tool-1.tar.gz")
    said = Opinion(Verdict.BENIGN, 0.25)
    assert Judged(sample=sample, opinions={SHIPPED: said}).by(UNSEEN) is said


def test_of_a_malicious_sample_no_text_is_kept(judged: dict[str, Judged]) -> None:
    kept = judged["aaaa-1.tar.gz"]
    assert kept.causes == ()
    assert "payload.invalid" not in repr(kept)


def test_every_scan_has_its_cost(judged: dict[str, Judged]) -> None:
    for each in judged.values():
        assert 0.0001 < each.cpu_seconds < 30
        assert 10 * 2**20 < each.peak_bytes < 2**30


def test_a_placeholder_is_known_to_do_nothing(judged: dict[str, Judged]) -> None:
    assert not judged["bbbb-1.tar.gz"].able
    assert judged["aaaa-1.tar.gz"].able


@pytest.mark.parametrize(
    ("members", "able"),
    [
        ({"setup.py": "from setuptools import setup\nsetup(name='x', url='http://example.org')\n"}, False),
        ({"pkg/__init__.py": PRINTS + HARMLESS}, False),
        ({"pkg/__init__.py": "import os\nos.system('true')\n"}, True),
        ({"pkg/__init__.py": "e = getattr(__builtins__, 'ev' + 'al')\n"}, True),
        ({"pkg/__init__.py": PRINTS, "pkg/start.sh": "echo hello\n"}, True),
        ({"pkg/__init__.py": PRINTS, "pkg/_x.bin": b"\x7fELF" + bytes(100)}, True),
        ({"pkg/__init__.py": PRINTS, "x.pth": "import pkg\n"}, True),
    ],
)
def test_able_is_whatever_could_hold_a_payload(members: dict[str, str | bytes], able: bool) -> None:
    assert is_able(an_sdist(members), "x-1.tar.gz") is able
    assert is_able(a_wheel(members), "x-1-py3-none-any.whl") is able


def test_an_archive_that_cannot_be_read_is_not_excused() -> None:
    assert is_able(b"\x1f\x8bnot an archive", "x-1.tar.gz")


class _Dying:
    """A pool whose process the kernel has ended."""

    def submit(self, *_: object) -> object:
        raise BrokenProcessPool("killed")

    def shutdown(self) -> None:
        """Nothing is left to end."""


def test_a_scan_that_ends_its_process_is_incomplete_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = filled(tmp_path)
    scanner = scan_judging._Scanner()
    monkeypatch.setattr(scanner, "_pool", _Dying())
    sample = benign_samples(made.places, kinds=("hard",))[0]
    died = scanner.judge(sample, an_sdist({"a.py": HARMLESS}), {})
    alive = scanner.judge(sample, an_sdist({"a.py": HARMLESS}), {})
    scanner.close()
    assert died.by(SHIPPED).verdict is Verdict.INCOMPLETE
    assert died.incomplete_reason == "the scanning process ended: out of memory or of time"
    assert alive.by(SHIPPED).verdict is Verdict.BENIGN


def test_broken_archives_are_incomplete_with_the_reason(tmp_path: Path) -> None:
    made = filled(tmp_path)
    made.add_benign("ordinary", "broken-1.tar.gz", b"\x1f\x8bnot an archive")
    samples = [each for each in benign_samples(made.places) if each.filename == "broken-1.tar.gz"]
    (found,) = judge_all(samples, mirror=made.places.mirror, models=NOBODY)
    assert found.by(SHIPPED).verdict is Verdict.INCOMPLETE
    assert found.incomplete_reason
