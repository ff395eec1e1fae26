"""What a look adds to the report of a scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from time import monotonic

from wheelmark.scan.dynamic.look import Look, Looker
from wheelmark.scan.engine import MAX_REASON
from wheelmark.scan.model import Model, shipped_model
from wheelmark.scan.parallel import Target, without_root
from wheelmark.scan.report import Report, Verdict
from wheelmark.scan.verdict import observed_score, verdict_of

_GRAVITY = (Verdict.BENIGN, Verdict.SUSPICIOUS, Verdict.INCOMPLETE, Verdict.MALICIOUS)


def joined(report: Report, look: Look, model: Model) -> Report:
    """The report with what was seen. It is never milder than before: nothing that was not seen speaks for a file."""
    gaps = "; ".join(filter(None, (report.incomplete_reason, *look.gaps)))[:MAX_REASON] or None
    observed = observed_score(look.findings, model)
    verdicts = (report.verdict, verdict_of(observed, model, complete=gaps is None))
    findings = sorted((*report.findings, *look.findings), key=lambda finding: -finding.severity.rank)
    return replace(
        report,
        verdict=max(verdicts, key=_GRAVITY.index),
        score=max(report.score, round(observed, 4)),
        findings=tuple(findings),
        incomplete_reason=gaps,
        dynamic=look.part,
    )


def look_at_all(looker: Looker, targets: Iterable[Target], reports: Iterable[Report]) -> Iterator[Report]:
    """The reports, each with a look at its file; one that could not be read is passed on as it is."""
    model = shipped_model()
    for target, report in zip(targets, reports, strict=True):
        if not report.sha256:
            yield report
            continue
        started = monotonic()
        look = looker.look(target.path, filename=target.filename, sha256=report.sha256)
        whole = joined(report, look, model)
        whole = replace(whole, elapsed_ms=round(report.elapsed_ms + (monotonic() - started) * 1000, 1))
        yield without_root(whole, target.root) if target.root else whole
