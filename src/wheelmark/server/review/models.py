"""What scans found and what moderators decided. These rows outlive the state of the file they speak of."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from wheelmark.server.projects.models import File


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

    class Meta:
        """Newest first, as the desk shows them."""

        ordering: ClassVar = ["-pk"]
        indexes: ClassVar = [models.Index(name="scan_by_verdict", fields=["verdict", "at"])]


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
