"""What every context check must keep: samples that it finds, samples that it leaves alone, and never the last word."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.context import SAMPLES, context_samples
from wheelmark.scan import RuleState, Severity
from wheelmark.scan.context import Check, Level, examine_upload, load_checks, read_sample

CHECKS = load_checks().checks
SUSPECT, BENIGN = "suspect", "benign"


def cases(kind: str) -> list[object]:
    return [
        pytest.param(check, path, id=f"{check.id}-{path.stem}")
        for check in CHECKS
        for path in context_samples(check.id, kind)
    ]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_has_samples_of_both_kinds(check: Check) -> None:
    assert context_samples(check.id, SUSPECT), f"expected a suspect sample in {SAMPLES / check.id}"
    assert context_samples(check.id, BENIGN), f"expected a benign sample in {SAMPLES / check.id}"


@pytest.mark.parametrize(("check", "path"), cases(SUSPECT))
def test_suspect_sample_gives_the_finding_of_its_check(check: Check, path: Path) -> None:
    found = check.findings(read_sample(path.read_text(encoding="utf-8")))
    assert any(finding.severity is not Severity.INFO for finding in found), f"expected a finding of {check.id}"
    assert all(finding.evidence and finding.message and finding.place for finding in found)
    assert all(finding.severity.rank <= check.severity.rank for finding in found)


@pytest.mark.parametrize(("check", "path"), cases(BENIGN))
def test_benign_sample_gives_no_finding_that_speaks_against_it(check: Check, path: Path) -> None:
    found = check.findings(read_sample(path.read_text(encoding="utf-8")))
    assert [finding for finding in found if finding.severity.rank > Severity.LOW.rank] == []
    if check.severity is Severity.LOW:
        assert found == []


@pytest.mark.parametrize(("check", "path"), cases(BENIGN))
def test_benign_sample_is_held_by_no_check_together(check: Check, path: Path) -> None:
    report = examine_upload(read_sample(path.read_text(encoding="utf-8")), load_checks())
    assert report.incomplete_reason is None
    assert report.level.rank < Level.DOUBTFUL.rank, f"expected a quiet context, got {report.findings}"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_no_check_can_say_that_a_file_is_malicious(check: Check) -> None:
    assert check.severity is not Severity.CRITICAL


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_says_what_and_where_to_read(check: Check) -> None:
    assert check.message.endswith(".")
    assert check.reference.startswith("https://")
    assert check.version >= 1
    assert check.state is RuleState.ENABLED


def test_each_sample_folder_belongs_to_a_check() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == {check.id for check in CHECKS}
