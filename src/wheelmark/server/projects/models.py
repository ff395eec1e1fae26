"""Projects, releases and files as rows. Rules that a database can hold are constraints here.

State changes only through `lifecycle.py`, which writes the journal in the same transaction.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from wheelmark.server.projects.rules import FileState

SHA256_PATTERN = r"^[0-9a-f]{64}$"


class ProjectStatus(models.TextChoices):
    """PEP 792's project status markers."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    DEPRECATED = "deprecated"


class Role(models.TextChoices):
    """What a collaborator is on a project."""

    OWNER = "owner"
    MAINTAINER = "maintainer"


class Project(models.Model):
    """A name that somebody owns. Rows are never deleted: a name, once used, stays spoken for."""

    name = models.CharField(max_length=100, help_text="as its owner spelled it")
    normalized_name = models.CharField(max_length=100, unique=True, help_text="PEP 503")
    lookalike_name = models.CharField(max_length=100, db_index=True, help_text="confusable characters folded")
    created_at = models.DateTimeField(default=timezone.now)
    status = models.CharField(max_length=16, choices=ProjectStatus.choices, default=ProjectStatus.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    max_file = models.BigIntegerField(null=True, blank=True, help_text="bytes; empty: the index's limit")
    max_total = models.BigIntegerField(null=True, blank=True, help_text="bytes; empty: the index's limit")

    class Meta:
        """Constraints that hold whoever writes."""

        constraints: ClassVar = [
            models.CheckConstraint(
                name="project_name_normalized", condition=Q(normalized_name__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$")
            ),
            models.CheckConstraint(name="project_status_known", condition=Q(status__in=ProjectStatus.values)),
        ]

    def __str__(self) -> str:
        return self.name


class Collaborator(models.Model):
    """A user's role on a project."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="collaborators")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="collaborations")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """One role for a person on a project."""

        constraints: ClassVar = [
            models.UniqueConstraint(name="collaborator_once", fields=["project", "user"]),
            models.CheckConstraint(name="collaborator_role_known", condition=Q(role__in=Role.values)),
        ]


class Release(models.Model):
    """One version of a project; its core metadata is that of the first file that made it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="releases")
    version = models.CharField(max_length=100, help_text="canonical form (PEP 440), trailing zeros kept")
    version_key = models.CharField(max_length=100, help_text="canonical form without trailing zeros: 1.0 equals 1")
    created_at = models.DateTimeField(default=timezone.now)
    is_yanked = models.BooleanField(default=False)
    yanked_reason = models.CharField(max_length=500, blank=True)
    summary = models.CharField(max_length=512, blank=True)
    description = models.TextField(blank=True)
    description_content_type = models.CharField(max_length=100, blank=True)
    requires_python = models.CharField(max_length=200, blank=True)
    metadata = models.JSONField(default=dict, help_text="the other core metadata fields, by their JSON names (PEP 566)")

    class Meta:
        """One release for a version."""

        constraints: ClassVar = [models.UniqueConstraint(name="release_once", fields=["project", "version_key"])]

    def __str__(self) -> str:
        return f"{self.project.name} {self.version}"


class File(models.Model):
    """One uploaded distribution. Rows are never deleted: a file name is never used for other bytes again."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="files")
    filename = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=16, choices=[("sdist", "sdist"), ("bdist_wheel", "wheel")])
    python_tag = models.CharField(max_length=100)
    size = models.BigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64, db_index=True)
    blake2b_256 = models.CharField(max_length=64)
    metadata_sha256 = models.CharField(max_length=64)
    metadata_size = models.BigIntegerField(help_text="bytes")
    requires_python = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=[(state.value, state.value) for state in FileState])
    state_reason = models.CharField(max_length=500, blank=True)
    state_changed_at = models.DateTimeField(default=timezone.now)
    uploaded_at = models.DateTimeField(default=timezone.now)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="uploads")
    uploaded_with = models.CharField(max_length=100, help_text="token id or publisher, for the page and the audit")
    user_agent = models.CharField(max_length=300, blank=True)
    scan_attempts = models.PositiveSmallIntegerField(default=0)
    scan_lease_until = models.DateTimeField(null=True, blank=True, help_text="a worker scans it until then")

    class Meta:
        """Hash forms and known states, and the index that queues are read by."""

        indexes: ClassVar = [models.Index(name="file_by_state", fields=["state", "uploaded_at"])]
        constraints: ClassVar = [
            models.CheckConstraint(name="file_state_known", condition=Q(state__in=[s.value for s in FileState])),
            models.CheckConstraint(name="file_sha256_form", condition=Q(sha256__regex=SHA256_PATTERN)),
            models.CheckConstraint(name="file_metadata_form", condition=Q(metadata_sha256__regex=SHA256_PATTERN)),
            models.CheckConstraint(name="file_size_positive", condition=Q(size__gt=0)),
        ]

    def __str__(self) -> str:
        return self.filename


class JournalEntry(models.Model):
    """One change of state, written with it. Serials rise in commit order; nothing is ever changed or deleted here."""

    serial = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=150, help_text="user name, or `index` for what the index does by itself")
    action = models.CharField(max_length=40, help_text="what happened: `file-published`, `project-created`, …")
    project = models.CharField(max_length=100, db_index=True, help_text="normalized name")
    version = models.CharField(max_length=100, blank=True)
    filename = models.CharField(max_length=255, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        """Read in order."""

        ordering: ClassVar = ["serial"]
