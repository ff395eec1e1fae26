"""Builders of rows: projects, releases and files in any state, with as little said as the test needs."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from django.db import transaction

from wheelmark.dist import ultra_normalize
from wheelmark.server.accounts.models import User
from wheelmark.server.projects.journal import record
from wheelmark.server.projects.models import Collaborator, File, Project, Release, Role
from wheelmark.server.projects.rules import FileState

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_user(name: str = "ada", **fields: object) -> User:
    """A user with this name: the one that is there, or a new one."""
    return User.objects.get_or_create(username=name, defaults={"email": f"{name}@example.org", **fields})[0]


def a_project(name: str = "demo", *, owner: str = "ada") -> Project:
    """A project with an owner: the one that is there, or a new one."""
    project, created = Project.objects.get_or_create(
        normalized_name=name, defaults={"name": name, "lookalike_name": ultra_normalize(name), "created_at": NOW}
    )
    if created:
        Collaborator.objects.create(project=project, user=a_user(owner), role=Role.OWNER, created_at=NOW)
    return project


def a_release(project: str = "demo", version: str = "1.0", **fields: object) -> Release:
    """A release of a project: the one that is there, or a new one."""
    return Release.objects.get_or_create(
        project=a_project(project), version_key=version, defaults={"version": version, "created_at": NOW, **fields}
    )[0]


def a_file(
    project: str = "demo",
    version: str = "1.0",
    *,
    state: FileState = FileState.SCANNED,
    content: bytes | None = None,
    metadata: bytes = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    tag: str = "py3-none-any",
    kind: str = "bdist_wheel",
) -> File:
    """A file row in a state, with a journal row that makes the publisher look at its project."""
    release = a_release(project, version)
    stem = f"{project.replace('-', '_')}-{version}"
    filename = f"{stem}-{tag}.whl" if kind == "bdist_wheel" else f"{stem}.tar.gz"
    body = content if content is not None else filename.encode()
    with transaction.atomic():
        file = File.objects.create(
            release=release,
            filename=filename,
            kind=kind,
            python_tag=tag.split("-", maxsplit=1)[0] if kind == "bdist_wheel" else "source",
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            blake2b_256=hashlib.blake2b(body, digest_size=32).hexdigest(),
            metadata_sha256=hashlib.sha256(metadata).hexdigest(),
            metadata_size=len(metadata),
            state=state,
            state_changed_at=NOW,
            uploaded_at=NOW,
            uploaded_by=a_user(),
            uploaded_with="token test",
        )
        record(f"file-{state}", actor="test", project=project, version=version, filename=filename)
    return file
