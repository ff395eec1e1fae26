"""The gate: every view, upload and command that acts for somebody asks `require` and nothing else."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from wheelmark.errors import Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.accounts.rules import (
    PRIVILEGED,
    TOKEN_ACTIONS,
    Action,
    Decision,
    Kind,
    Place,
    Role,
    State,
    allowed,
    second_factor_demanded,
)
from wheelmark.server.accounts.tokens import Identity
from wheelmark.server.projects.models import Collaborator, File, Project, ProjectStatus
from wheelmark.server.projects.rules import FileState


def require(
    who: User | AnonymousUser | Identity, action: Action, project: Project | str | None = None, file: File | None = None
) -> None:
    """Return if they may, and raise if not. `file` brings its project along; a string is a name yet to be created.

    Raises:
        Refused: they may not. `not-allowed` names the role that is needed; `second-factor-needed` and
            `email-unverified` say what stands between them and a role that they have; `token-scope` and
            `token-purpose` say what their token is for.
    """
    project = _project_of(project, file)
    _require_token_scope(who, action, project)
    user = who.user if isinstance(who, Identity) else who
    decision = _decide(roles_of(user, project), action, project, file)
    if not decision.allowed:
        raise _refusal(user, action, project, file, decision)
    if action is Action.CREATE_PROJECT and email_must_be_verified() and not has_verified_email(user):
        raise Refused.because(
            "email-unverified", "user", "expected a user with a confirmed e-mail address, got none: confirm one first"
        )


def may(
    who: User | AnonymousUser | Identity, action: Action, project: Project | str | None = None, file: File | None = None
) -> bool:
    """Whether `require` would return; for showing a button or not. It is no gate."""
    try:
        require(who, action, project, file)
    except Refused:
        return False
    return True


def roles_of(user: User | AnonymousUser, project: Project | str | None = None) -> frozenset[Role]:
    """All roles that count for this user now, on this project.

    A disabled user is a stranger. Moderators and administrators without the second factor that this index demands
    are plain users until they have one.
    """
    if not isinstance(user, User) or not user.is_active:
        return frozenset({Role.ANONYMOUS})
    roles = {Role.ANONYMOUS, Role.USER}
    if isinstance(project, Project):
        # Read each time: a right must not outlive the row that gives it.
        held = Collaborator.objects.filter(project=project, user=user).values_list("role", flat=True)
        roles |= {Role(role) for role in held}
    privileged = privileged_roles_of(user)
    if privileged and (not is_second_factor_demanded() or has_second_factor(user)):
        roles |= privileged
    return frozenset(roles)


def privileged_roles_of(user: User) -> frozenset[Role]:
    """The roles on the index that were given to this user, whether or not they count now."""
    given = {Role.MODERATOR: user.is_moderator, Role.ADMINISTRATOR: user.is_administrator}
    return frozenset(role for role, has in given.items() if has)


def has_second_factor(user: User) -> bool:
    """Whether the user has an authenticator app or a security key (recovery codes alone do not count)."""
    strong = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return bool(Authenticator.objects.filter(user=user, type__in=strong).exists())


def has_verified_email(user: User | AnonymousUser) -> bool:
    """Whether an e-mail address of the user was confirmed."""
    return isinstance(user, User) and bool(EmailAddress.objects.filter(user=user, verified=True).exists())


def email_must_be_verified() -> bool:
    """Whether mails are really sent, so that an address can be confirmed."""
    return not settings.CONFIG.email.startswith("console:")


def is_second_factor_demanded() -> bool:
    """Whether this index lets moderators and administrators act only with a second factor."""
    return second_factor_demanded(settings.CONFIG.host, settings.CONFIG.public_url)


def _project_of(project: Project | str | None, file: File | None) -> Project | str | None:
    if file is None:
        return project
    owner = file.release.project
    if isinstance(project, str) or (project is not None and project.pk != owner.pk):
        raise RuntimeError(f"expected the project of {file.filename}, got {project}")
    return owner


def _require_token_scope(who: User | AnonymousUser | Identity, action: Action, project: Project | str | None) -> None:
    if not isinstance(who, Identity):
        return
    if action not in TOKEN_ACTIONS:
        raise Refused.because(
            "token-purpose", "token", f"expected a token's purpose, which is to upload, got: {action}"
        )
    if who.projects is None or action in {Action.VIEW_PROJECT, Action.VIEW_FILE}:
        return
    if project is None:
        raise RuntimeError("a token's scope is checked against a project: pass the project or its normalized name")
    name = project if isinstance(project, str) else project.normalized_name
    if name not in who.projects:
        scope = ", ".join(sorted(who.projects)[:5]) or "nothing: its restrictions exclude one another"
        raise Refused.because("token-scope", "token", f"expected a token for {name}, got one for {scope}")


def _decide(roles: frozenset[Role], action: Action, project: Project | str | None, file: File | None) -> Decision:
    states: tuple[State, ...]
    if action.kind is Kind.INDEX:
        states = (Place.INDEX,)
    elif not isinstance(project, Project):
        raise RuntimeError(f"{action}: expected a project, got {project!r}")
    elif action.kind is Kind.PROJECT:
        states = (ProjectStatus(project.status),)
    elif file is None:
        raise RuntimeError(f"{action}: expected a file, got none")
    else:
        states = (ProjectStatus(project.status), FileState(file.state))
    return allowed(roles, action, *states)


def _refusal(
    user: User | AnonymousUser, action: Action, project: Project | str | None, file: File | None, decision: Decision
) -> Refused:
    if isinstance(user, User) and user.is_active:
        withheld = privileged_roles_of(user) & decision.needed & PRIVILEGED
        if withheld:
            return Refused.because(
                "second-factor-needed",
                "user",
                f"expected a {_names(withheld)} with a second factor, got one without: add one first",
            )
    subject = file or project
    where = f" on {subject}" if subject else ""
    if not decision.needed:
        return Refused.because("not-allowed", str(action), f"expected nobody to do this{where} now: {decision.reason}")
    got = ", ".join(sorted(roles_of(user, project) - {Role.ANONYMOUS})) or str(Role.ANONYMOUS)
    return Refused.because(
        "not-allowed", str(action), f"expected {_names(decision.needed)}{where}, got {got}: {decision.reason}"
    )


def _names(roles: frozenset[Role]) -> str:
    return " or ".join(role for role in Role if role in roles)
