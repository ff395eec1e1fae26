"""What the last committed snapshot says: the only rows that delivery reads.

They change in one transaction, the publisher's commit (see `commit.py`), so that a reader sees either the previous
snapshot whole or the new one whole.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class Repository(models.Model):
    """What holds for the index as a whole; one row."""

    bit_length = models.PositiveSmallIntegerField(
        help_text="2 to this power bins; re-binning is not transparent to clients"
    )
    begun_at = models.DateTimeField(default=timezone.now)
    signs_files = models.BooleanField(default=False, help_text="files are targets too: what the bins hold now")
    founded_at = models.DateTimeField(
        null=True, blank=True, help_text="empty: the first start was cut short, and goes on"
    )


class Heartbeat(models.Model):
    """The publisher that holds the lock says every few seconds that it lives; one row."""

    at = models.DateTimeField()
    holder = models.CharField(max_length=200, help_text="host and process")


class Snapshot(models.Model):
    """One committed publication: a timestamp, and the snapshot that it names. The rows are kept as a log.

    The row with the greatest timestamp version is the current one: `Snapshot.current()`. When only the timestamp was
    signed again, two rows have the same snapshot version.
    """

    timestamp_version = models.BigIntegerField(primary_key=True)
    version = models.BigIntegerField(help_text="of snapshot.json")
    timestamp = models.BinaryField(help_text="the bytes of timestamp.json")
    length = models.BigIntegerField(help_text="bytes of the snapshot's file")
    sha256 = models.CharField(max_length=64, help_text="of the snapshot's file")
    serial = models.BigIntegerField(help_text="the journal is published up to here")
    at = models.DateTimeField(default=timezone.now)
    projects = models.BigIntegerField(help_text="pages that it lists")

    @classmethod
    def current(cls) -> Snapshot | None:
        """The snapshot that is served; nothing before the index is founded."""
        return cls.objects.order_by("-timestamp_version").first()


class RoleVersion(models.Model):
    """The current version of one TUF role's metadata."""

    role = models.CharField(max_length=64, primary_key=True)
    version = models.BigIntegerField()
    expires_at = models.DateTimeField()


class PublishedPage(models.Model):
    """A project page of the current snapshot: a TUF target."""

    name = models.CharField(max_length=100, primary_key=True, help_text="normalized project name")
    bin = models.IntegerField(db_index=True)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    serial = models.BigIntegerField(help_text="journal serial that the page's bytes carry")
    snapshot = models.BigIntegerField(help_text="version of the snapshot that changed it last")


class SupersededPage(models.Model):
    """A page that an earlier snapshot named: still served by its hash for clients that are on their way."""

    name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    at = models.DateTimeField(help_text="when a later page took its place")

    class Meta:
        """Found by what the address says."""

        constraints: ClassVar = [models.UniqueConstraint(name="superseded_once", fields=["name", "sha256"])]


class PublishedFile(models.Model):
    """A distribution that a page of the current snapshot lists; bytes that no row names are not served."""

    filename = models.CharField(max_length=255, primary_key=True)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    metadata_sha256 = models.CharField(max_length=64, blank=True, help_text="empty: none is served (sdists)")
    metadata_size = models.BigIntegerField(default=0, help_text="bytes")
    page = models.ForeignKey(PublishedPage, on_delete=models.CASCADE, related_name="files")
    snapshot = models.BigIntegerField(help_text="version of the snapshot that listed it first")
    at = models.DateTimeField(default=timezone.now)


class FileTarget(models.Model):
    """A distribution or its core metadata as a target of its own (`sign_files`); otherwise there are no rows."""

    path = models.CharField(max_length=512, primary_key=True)
    bin = models.IntegerField(db_index=True)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    file = models.ForeignKey(PublishedFile, on_delete=models.CASCADE, related_name="targets")


class Attempt(models.Model):
    """A publication that has begun to write. One that is found later has died: its versions are never used again."""

    started_at = models.DateTimeField(default=timezone.now)
    versions = models.JSONField(help_text="role name -> the version that it may have written")


class OfflineChange(models.Model):
    """A completed ceremony: new root, targets or bins, which the publisher applies. The rows are kept as a log."""

    fingerprint = models.CharField(max_length=64, unique=True, help_text="of the ceremony, as its holders compared it")
    ceremony = models.BinaryField(help_text="the ceremony's file, with all signatures")
    finished_at = models.DateTimeField(default=timezone.now)
    waiting = models.BooleanField(default=True, help_text="the publisher has not applied it yet")
    begun_at = models.DateTimeField(null=True, blank=True, help_text="parts of it may be written: it must be applied")
    applied_at = models.DateTimeField(null=True, blank=True)
    snapshot = models.BigIntegerField(null=True, blank=True, help_text="version of the snapshot that came with it")

    class Meta:
        """One change after the other: each is built on the one before."""

        constraints: ClassVar = [
            models.UniqueConstraint(name="one_change_waits", fields=["waiting"], condition=models.Q(waiting=True))
        ]
