"""What follows a scan: only a complete scan of the right bytes lets a file go on."""

from __future__ import annotations

import pytest

from support.reports import SHA256, a_finding, a_report
from wheelmark.scan import Severity, Verdict
from wheelmark.server.review.rules import MAX_REASON_CHARS, Hold, Release, ReviewPolicy, decide

POLICY = ReviewPolicy()


def test_benign_file_is_released() -> None:
    assert decide(a_report(), POLICY, sha256=SHA256) == Release("nothing found")


def test_malicious_file_is_held_and_the_worst_rules_are_named() -> None:
    report = a_report(
        Verdict.MALICIOUS, a_finding("mild", Severity.LOW), a_finding("grave", Severity.CRITICAL), a_finding("mild")
    )
    assert decide(report, POLICY, sha256=SHA256) == Hold("malicious: grave, mild")


def test_suspicious_file_is_published_unless_the_policy_holds_it() -> None:
    report = a_report(Verdict.SUSPICIOUS, a_finding("odd"))
    assert decide(report, POLICY, sha256=SHA256) == Release("suspicious: odd")
    assert decide(report, ReviewPolicy(hold_suspicious=True), sha256=SHA256) == Hold("suspicious: odd")


@pytest.mark.parametrize("findings", [(), (a_finding("odd", Severity.INFO),)])
def test_incomplete_scan_is_held_whatever_it_found(findings: tuple[object, ...]) -> None:
    report = a_report(Verdict.INCOMPLETE, *findings, incomplete_reason="timed out after 60 s")  # type: ignore[arg-type]
    assert decide(report, POLICY, sha256=SHA256) == Hold("scan incomplete: timed out after 60 s")


@pytest.mark.parametrize("verdict", [Verdict.BENIGN, Verdict.SUSPICIOUS])
def test_scan_of_other_bytes_is_held(verdict: Verdict) -> None:
    decision = decide(a_report(verdict, sha256="b" * 64), POLICY, sha256=SHA256)
    assert isinstance(decision, Hold)
    assert f"expected bytes with sha256 {SHA256}, the scanner read {'b' * 64}" in decision.reason


def test_reason_fits_into_its_column() -> None:
    report = a_report(Verdict.MALICIOUS, *(a_finding("r" * 200 + str(number)) for number in range(20)))
    decision = decide(report, POLICY, sha256=SHA256)
    assert len(decision.reason) <= MAX_REASON_CHARS
    assert decide(a_report(Verdict.MALICIOUS), POLICY, sha256=SHA256).reason == "malicious: score alone"
