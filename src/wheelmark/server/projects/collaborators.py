"""Who works on a project: adding, changing and removing collaborators, each with its journal row."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from wheelmark.errors import Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.projects.journal import record
from wheelmark.server.projects.models import Collaborator, Project, Role

MAX_COLLABORATORS = 100


def set_collaborator(project: Project, user_name: str, role: str, *, actor: str, now: datetime) -> Collaborator:
    """Make a user a collaborator, or give a collaborator the other role.

    Raises:
        Refused: no such active user (`collaborator-unknown`), no such role (`collaborator-role`), too many
            (`collaborator-limit`), or it would leave the project without an owner (`last-owner`).
    """
    if role not in Role.values:
        raise Refused.because("collaborator-role", "role", f"expected {' or '.join(Role.values)}, got {role[:40]!r}")
    user = User.objects.filter(username=user_name.strip().lower(), is_active=True).first()
    if user is None:
        raise Refused.because("collaborator-unknown", "user", f"expected a user of this index, got {user_name[:60]!r}")
    with transaction.atomic():
        _lock(project)
        existing = Collaborator.objects.filter(project=project, user=user).first()
        if existing is not None and existing.role == role:
            return existing
        if existing is not None:
            _keep_an_owner(project, without=existing)
            existing.role = role
            existing.save(update_fields=["role"])
            action = "collaborator-changed"
        else:
            if Collaborator.objects.filter(project=project).count() >= MAX_COLLABORATORS:
                raise Refused.because("collaborator-limit", "user", f"expected at most {MAX_COLLABORATORS}, got more")
            existing = Collaborator.objects.create(project=project, user=user, role=role, created_at=now)
            action = "collaborator-added"
        record(action, actor=actor, project=project.normalized_name, user=user.username, role=role)
    return existing


def remove_collaborator(collaborator: Collaborator, *, actor: str) -> None:
    """Take somebody off a project.

    Raises:
        Refused: it is the last owner (`last-owner`).
    """
    with transaction.atomic():
        project = collaborator.project
        _lock(project)
        _keep_an_owner(project, without=collaborator)
        name = collaborator.user.username
        collaborator.delete()
        record("collaborator-removed", actor=actor, project=project.normalized_name, user=name)


def _lock(project: Project) -> None:
    """Two owners who remove one another at the same time: the second waits, and then is refused."""
    Project.objects.select_for_update().get(pk=project.pk)


def _keep_an_owner(project: Project, *, without: Collaborator) -> None:
    others = Collaborator.objects.filter(project=project, role=Role.OWNER, user__is_active=True).exclude(pk=without.pk)
    if without.role == Role.OWNER and not others.exists():
        raise Refused.because(
            "last-owner", "user", f"expected an owner who stays, got the last one of {project.name}: name another first"
        )
