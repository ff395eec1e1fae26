"""Files that an older rule set looked at are scanned again, while no upload waits.

A new report is evidence, not a decision: what is listed stays listed, and the desk shows it among what was noticed,
unless the operator chose `hold_on_rescan`. A change of rules can be wrong about a thousand files at once, and taking
them off the index breaks everybody who installs them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django_tasks import task

from wheelmark.errors import Unavailable
from wheelmark.scan import Report, Verdict
from wheelmark.server.jobs import waiting_first_arguments
from wheelmark.server.projects.journal import INDEX
from wheelmark.server.projects.lifecycle import transition
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import LISTED, FileState
from wheelmark.server.review.models import Decision, Scan
from wheelmark.server.review.rules import Hold, decide
from wheelmark.server.review.scanning import Bench, keep, report_on_stored
from wheelmark.server.review.tasks import bench

BATCH = 20
"""Rescans that wait at once: few, so that a batch in front of an upload is short."""
PRIORITY = -50
"""Below every other job."""

_LISTED_VALUES = frozenset(state.value for state in LISTED)
_LOOKED_AT = [*sorted(_LISTED_VALUES), FileState.HELD.value]

log = structlog.get_logger(__name__)


@task(priority=PRIORITY)
def rescan_file(file_id: int) -> None:
    """Scan one file again, if its newest reports are still of another rule set."""
    try:
        rescan_one(file_id, bench())
    except Unavailable as error:
        log.warning("rescan-put-off", file_id=file_id, error=str(error))


def ask_for_rescans(*, ruleset: str) -> int | None:
    """Ask for the next rescans, the newest files first; None when every file was seen by this rule set.

    Nothing is asked for (0) while an upload waits for its scan, or while earlier rescans do.
    """
    if File.objects.filter(state=FileState.VALIDATED).exists():
        return 0
    file_ids = list(_outdated(ruleset).order_by("-uploaded_at").values_list("pk", flat=True)[:BATCH])
    if not file_ids:
        return None
    with transaction.atomic():
        if waiting_first_arguments(rescan_file, file_ids):
            return 0
        for file_id in file_ids:
            rescan_file.enqueue(file_id)
    log.info("rescans-asked-for", files=len(file_ids), ruleset=ruleset)
    return len(file_ids)


def rescan_one(file_id: int, bench: Bench) -> Scan | None:
    """Scan one listed or held file again and keep the report; None when there was nothing to do.

    Raises:
        Unavailable: the store is away. The reconciler asks again.
    """
    ruleset = bench.scanner.ruleset()
    file = _outdated(ruleset).filter(pk=file_id).first()
    if file is None:
        return None
    # Under today's rule set whatever came of it, or a file whose bytes are gone would be asked for for ever.
    report = replace(report_on_stored(file, bench), ruleset=ruleset)
    with transaction.atomic():
        locked = File.objects.select_for_update().get(pk=file_id)
        scan = keep(locked, report, bench)
        held = _must_be_held(locked, report, bench)
        if held is not None:
            transition(
                locked.pk, FileState.HELD, actor=INDEX, now=bench.clock(), reason=held.reason, scan=scan.pk, by="rescan"
            )
    log.info(
        "file-rescanned",
        file=locked.filename,
        sha256=locked.sha256,
        verdict=report.verdict.value,
        rules=sorted({finding.rule for finding in report.findings}),
        ruleset=ruleset,
        decision="hold" if held else "keep",
    )
    return scan


def _must_be_held(file: File, report: Report, bench: Bench) -> Hold | None:
    """The hold, where the operator wants one: never against what a moderator has released."""
    if not bench.policy.hold_on_rescan or report.verdict is not Verdict.MALICIOUS or file.state not in _LISTED_VALUES:
        return None
    if Decision.objects.filter(file=file, action="release").exists():
        return None
    decision = decide(report, bench.policy, sha256=file.sha256)
    return decision if isinstance(decision, Hold) else None


def _outdated(ruleset: str):  # type: ignore[no-untyped-def]  # the manager's own type, which only the plugin can name
    seen = Scan.objects.filter(file=OuterRef("pk"), ruleset=ruleset[:100])
    return File.objects.filter(~Exists(seen), state__in=_LOOKED_AT)


class Rescans:
    """One worker's looks for files to scan again. Once none is left, it does not look any more.

    New files are scanned by the same rule set, so nothing becomes outdated while the process lives.
    """

    def __init__(self) -> None:
        self._done = False

    def look(self, *, now: datetime) -> bool:
        """Ask for some, if there are any; say whether it looked."""
        if self._done or not File.objects.filter(state__in=_LOOKED_AT).exists():
            return False  # an index without files needs no scanner started
        self._done = ask_for_rescans(ruleset=bench().scanner.ruleset()) is None
        if self._done:
            log.info("every-file-seen-by-the-rule-set", at=now.isoformat())
        return True
