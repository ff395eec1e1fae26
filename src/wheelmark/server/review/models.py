"""What scans found and what moderators decided. These rows outlive the state of the file they speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from wheelmark.server.projects.models import File, Project

if TYPE_CHECKING:
    from wheelmark.scan import Finding


class Scan(models.Model):
    """One finished scan of one file: the report as the scanner gave it, never changed afterwards."""

    file = models.ForeignKey(File, on_delete=models.PROTECT, related_name="scans")
    at = models.DateTimeField(default=timezone.now)
    verdict = models.CharField(max_length=16)
    score = models.FloatField()
    ruleset = models.CharField(max_length=100)
    elapsed_ms = models.FloatField()
    worker = models.CharField(max_length=100, help_text="host and process that scanned")
    incomplete_reason = models.CharField(max_length=500, blank=True)
    findings = models.JSONField(default=list, help_text="list of rule, severity, member, line, message, evidence, flow")
    model = models.CharField(max_length=100, blank=True, help_text="version of the model; empty: before there was one")
    reasons = models.JSONField(
        default=list, help_text="list of what, effect, member, line, needed: what the score rests on"
    )
    layers = models.JSONField(default=list, help_text="list of member, line, depth, decoders, text: decoded code")
    facts = models.JSONField(default=dict, help_text="what the file holds and does, in short (`FactsSummary`)")

    class Meta:
        """Newest first, as the desk shows them."""

        ordering: ClassVar = ["-pk"]
        indexes: ClassVar = [models.Index(name="scan_by_verdict", fields=["verdict", "at"])]

    def report_findings(self) -> tuple[Finding, ...]:
        """The findings as values."""
        from wheelmark.scan.report import finding_from_mapping  # late: the web process needs no scanner

        return tuple(finding_from_mapping(finding) for finding in self.findings)


class ContextReport(models.Model):
    """What the context checks said beside one scan. Never changed afterwards."""

    scan = models.OneToOneField(Scan, on_delete=models.PROTECT, related_name="context")
    level = models.CharField(max_length=16, help_text="nothing, noted, doubtful, strong")
    checkset = models.CharField(max_length=100, help_text="version of the checks and lists")
    elapsed_ms = models.FloatField()
    incomplete_reason = models.CharField(max_length=500, blank=True)
    runs = models.JSONField(default=list, help_text="list of check, version, state, elapsed_ms, findings, fault")


class ContextFinding(models.Model):
    """One check's evidence at one place. A row, so that a check can be measured by what moderators decided."""

    report = models.ForeignKey(ContextReport, on_delete=models.PROTECT, related_name="findings")
    check_name = models.CharField(max_length=100, help_text="id of the check")
    check_version = models.PositiveIntegerField()
    family = models.CharField(max_length=16)
    subject = models.CharField(max_length=16, help_text="project, release or file")
    severity = models.CharField(max_length=16)
    counts = models.BooleanField(help_text="no: in evaluation, or let be by a moderator for this project")
    place = models.CharField(max_length=300, help_text="field of the metadata, or member")
    line = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=400)
    evidence = models.CharField(max_length=300)
    other = models.CharField(max_length=128, blank=True, help_text="normalized name of another project")

    class Meta:
        """In the order in which they were written: gravest first."""

        ordering: ClassVar = ["pk"]
        indexes: ClassVar = [models.Index(name="context_finding_by_check", fields=["check_name", "check_version"])]


class Mark(models.Model):
    """Something by which a project is known, beside its name; see `context/marks.py`."""

    MAX_VALUE = 300

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="marks")
    kind = models.CharField(max_length=16, help_text="repository, email or module")
    value = models.CharField(max_length=MAX_VALUE)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Found by value; each once for a project."""

        constraints: ClassVar = [models.UniqueConstraint(name="mark_once", fields=["kind", "value", "project"])]


class Decision(models.Model):
    """What a moderator did with a held file, and why."""

    file = models.ForeignKey(File, on_delete=models.PROTECT, related_name="decisions")
    at = models.DateTimeField(default=timezone.now)
    moderator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions")
    action = models.CharField(
        max_length=16, choices=[("release", "release"), ("reject", "reject"), ("hold", "hold"), ("rescan", "rescan")]
    )
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        """Newest first."""

        ordering: ClassVar = ["-pk"]
