"""Who may do what, in which state: one table. Pure.

A person has several roles at once (a moderator may own a project), and may do what any of them may. An action on a
file looks at two states, the project's and the file's, and both must allow it to the same role.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from wheelmark.server.projects.models import ProjectStatus
from wheelmark.server.projects.rules import FileState


class Role(StrEnum):
    """What somebody is, on this index or on the project in question."""

    ANONYMOUS = "anonymous"
    USER = "user"
    MAINTAINER = "maintainer"
    OWNER = "owner"
    MODERATOR = "moderator"
    ADMINISTRATOR = "administrator"


class Place(StrEnum):
    """The state of an action that is about no project and no file."""

    INDEX = "index"


State = Place | ProjectStatus | FileState


class Kind(Enum):
    """What an action is about, and thereby which states it looks at."""

    INDEX = (tuple(Place),)
    PROJECT = (tuple(ProjectStatus),)
    FILE = (tuple(ProjectStatus), tuple(FileState))

    @property
    def states(self) -> tuple[State, ...]:
        """All states that an action of this kind has a rule for."""
        return tuple(state for states in self.value for state in states)


class Action(StrEnum):
    """What somebody may want to do."""

    # On the index.
    CREATE_PROJECT = "create project"
    CREATE_TOKEN = "create token"  # noqa: S105  (an action, not a token)
    SEE_REVIEW_DESK = "see review desk"
    MANAGE_USERS = "manage users"
    # On a project.
    VIEW_PROJECT = "view project"
    MANAGE_PROJECT = "see the project's settings"
    UPLOAD = "upload"
    YANK = "yank"
    REMOVE_RELEASE = "remove release"
    EDIT_COLLABORATORS = "edit collaborators"
    LEAVE_PROJECT = "leave project"
    CHANGE_STATUS = "archive, deprecate or reactivate project"
    DELETE_PROJECT = "delete project"
    QUARANTINE_PROJECT = "quarantine project"
    LIFT_QUARANTINE = "lift quarantine"
    # On a file.
    VIEW_FILE = "view file"
    REMOVE_FILE = "remove file"
    RELEASE_FILE = "release held file"
    REJECT_FILE = "reject held file"
    HOLD_FILE = "hold file"
    RESCAN_FILE = "scan file again"

    @property
    def kind(self) -> Kind:
        """What it is about."""
        return _KINDS.get(self, Kind.PROJECT)


_KINDS: Mapping[Action, Kind] = {
    Action.CREATE_PROJECT: Kind.INDEX,
    Action.CREATE_TOKEN: Kind.INDEX,
    Action.SEE_REVIEW_DESK: Kind.INDEX,
    Action.MANAGE_USERS: Kind.INDEX,
    Action.VIEW_FILE: Kind.FILE,
    Action.REMOVE_FILE: Kind.FILE,
    Action.RELEASE_FILE: Kind.FILE,
    Action.REJECT_FILE: Kind.FILE,
    Action.HOLD_FILE: Kind.FILE,
    Action.RESCAN_FILE: Kind.FILE,
}

TOKEN_ACTIONS = frozenset({Action.VIEW_PROJECT, Action.VIEW_FILE, Action.CREATE_PROJECT, Action.UPLOAD})
"""All that a token is ever good for, whoever its user is: it uploads, and manages nothing."""

PRIVILEGED = frozenset({Role.MODERATOR, Role.ADMINISTRATOR})
"""Roles that count only with a second factor, see `second_factor_demanded`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may, for one action in one state; and why nobody else."""

    roles: frozenset[Role]
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed; if not, the reason, and the roles that would be (none: nobody may, in this state)."""

    allowed: bool
    reason: str
    needed: frozenset[Role]


_ALL = frozenset(Role)
_USERS = _ALL - {Role.ANONYMOUS}
_TEAM = frozenset({Role.MAINTAINER, Role.OWNER})
_OWNER = frozenset({Role.OWNER})
_DESK = PRIVILEGED
_ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})
_NOBODY: frozenset[Role] = frozenset()

_ACTIVE, _ARCHIVED = ProjectStatus.ACTIVE, ProjectStatus.ARCHIVED
_DEPRECATED, _QUARANTINED = ProjectStatus.DEPRECATED, ProjectStatus.QUARANTINED
_OPEN = (_ACTIVE, _DEPRECATED)
_UNQUARANTINED = (_ACTIVE, _DEPRECATED, _ARCHIVED)
_ANY_STATUS = tuple(ProjectStatus)

_FROZEN = "a quarantined project stays as it is until a moderator has decided"
_FINAL = "the file is already out of the index for good"
_NOT_HELD = "the file is not held"

_Rows = tuple[tuple[tuple[State, ...], frozenset[Role], str], ...]

_TABLE: Mapping[Action, _Rows] = {
    Action.CREATE_PROJECT: (((Place.INDEX,), _USERS, "projects belong to users"),),
    Action.CREATE_TOKEN: (((Place.INDEX,), _USERS, "tokens belong to users"),),
    Action.SEE_REVIEW_DESK: (((Place.INDEX,), _DESK, "the desk shows what is held"),),
    Action.MANAGE_USERS: (((Place.INDEX,), _ADMINISTRATOR, "roles are given by administrators"),),
    Action.VIEW_PROJECT: ((_ANY_STATUS, _ALL, ""),),
    Action.MANAGE_PROJECT: ((_ANY_STATUS, _TEAM | _DESK, "settings are for those who work on the project"),),
    Action.UPLOAD: (
        (_OPEN, _TEAM, "uploads come from the project's maintainers"),
        ((_ARCHIVED,), _NOBODY, "an archived project takes no uploads; its owner can make it active again"),
        ((_QUARANTINED,), _NOBODY, "a quarantined project takes no uploads"),
    ),
    Action.YANK: (
        (_UNQUARANTINED, _TEAM, "releases are yanked by the project's maintainers"),
        ((_QUARANTINED,), _NOBODY, _FROZEN),
    ),
    Action.REMOVE_RELEASE: (
        (_UNQUARANTINED, _OWNER | _ADMINISTRATOR, "what is removed never comes back"),
        ((_QUARANTINED,), _ADMINISTRATOR, _FROZEN),
    ),
    Action.EDIT_COLLABORATORS: (
        (_UNQUARANTINED, _OWNER | _ADMINISTRATOR, "collaborators are chosen by the project's owners"),
        ((_QUARANTINED,), _ADMINISTRATOR, _FROZEN),
    ),
    Action.LEAVE_PROJECT: (
        (_UNQUARANTINED, _TEAM, "only a collaborator can leave"),
        ((_QUARANTINED,), _NOBODY, _FROZEN),
    ),
    Action.CHANGE_STATUS: (
        (_UNQUARANTINED, _OWNER | _ADMINISTRATOR, "the status is the owners' word to installers"),
        ((_QUARANTINED,), _NOBODY, _FROZEN),
    ),
    Action.DELETE_PROJECT: (
        (_UNQUARANTINED, _OWNER | _ADMINISTRATOR, "what is removed never comes back"),
        ((_QUARANTINED,), _ADMINISTRATOR, _FROZEN),
    ),
    Action.QUARANTINE_PROJECT: (
        (_UNQUARANTINED, _DESK, "quarantine is the moderators' measure"),
        ((_QUARANTINED,), _NOBODY, "the project is quarantined already"),
    ),
    Action.LIFT_QUARANTINE: (
        (_UNQUARANTINED, _NOBODY, "the project is not quarantined"),
        ((_QUARANTINED,), _DESK, "quarantine is the moderators' measure"),
    ),
    Action.VIEW_FILE: (
        (_UNQUARANTINED, _ALL, ""),
        ((_QUARANTINED,), _TEAM | _DESK, "a quarantined project shows no files"),
        ((FileState.PUBLISHED,), _ALL, ""),
        # Strangers learn of a file when a snapshot lists it, and not before; nor that one was held or rejected.
        (
            (FileState.UPLOADED, FileState.VALIDATED, FileState.SCANNED, FileState.HELD),
            _TEAM | _DESK,
            "the file is not published",
        ),
        ((FileState.REJECTED, FileState.REMOVED), _TEAM | _DESK, "the file is not published any more"),
    ),
    Action.REMOVE_FILE: (
        (_UNQUARANTINED, _OWNER | _ADMINISTRATOR, "what is removed never comes back"),
        ((_QUARANTINED,), _ADMINISTRATOR, _FROZEN),
        (
            (FileState.VALIDATED, FileState.SCANNED, FileState.HELD, FileState.PUBLISHED),
            _OWNER | _ADMINISTRATOR,
            "what is removed never comes back",
        ),
        ((FileState.UPLOADED,), _NOBODY, "the file is still being checked"),
        ((FileState.REJECTED, FileState.REMOVED), _NOBODY, _FINAL),
    ),
    Action.RELEASE_FILE: (
        (_ANY_STATUS, _DESK, "held files are decided at the review desk"),
        ((FileState.HELD,), _DESK, "held files are decided at the review desk"),
        (tuple(set(FileState) - {FileState.HELD}), _NOBODY, _NOT_HELD),
    ),
    Action.REJECT_FILE: (
        (_ANY_STATUS, _DESK, "held files are decided at the review desk"),
        ((FileState.HELD,), _DESK, "held files are decided at the review desk"),
        (tuple(set(FileState) - {FileState.HELD}), _NOBODY, _NOT_HELD),
    ),
    Action.HOLD_FILE: (
        (_ANY_STATUS, _DESK, "files are held by the index and its moderators"),
        (
            (FileState.VALIDATED, FileState.SCANNED, FileState.PUBLISHED, FileState.REJECTED),
            _DESK,
            "files are held by the index and its moderators",
        ),
        ((FileState.UPLOADED,), _NOBODY, "the file is still being checked"),
        ((FileState.HELD,), _NOBODY, "the file is held already"),
        ((FileState.REMOVED,), _NOBODY, _FINAL),
    ),
    Action.RESCAN_FILE: (
        (_ANY_STATUS, _DESK, "scans are asked for at the review desk"),
        ((FileState.HELD,), _DESK, "scans are asked for at the review desk"),
        (tuple(set(FileState) - {FileState.HELD}), _NOBODY, "only a held file is scanned again: hold it first"),
    ),
}


def _spread(table: Mapping[Action, _Rows]) -> dict[tuple[Action, State], Rule]:
    rules: dict[tuple[Action, State], Rule] = {}
    for action, rows in table.items():
        for states, roles, reason in rows:
            for state in states:
                if (action, state) in rules or state not in action.kind.states:
                    raise RuntimeError(f"{action}, {state}: expected one rule, got two or one too many")
                rules[action, state] = Rule(roles, reason)
    return rules


RULES: Mapping[tuple[Action, State], Rule] = _spread(_TABLE)
"""The table, a row for each action and state."""


def allowed(roles: Iterable[Role], action: Action, *states: State) -> Decision:
    """Say whether somebody with these roles may do it, while the things it is about are in these states.

    Raises:
        RuntimeError: the states are not those that this kind of action looks at.
    """
    expected = action.kind.value
    if len(states) != len(expected) or any(state not in of for state, of in zip(states, expected, strict=True)):
        raise RuntimeError(f"{action}: expected one state of each of {expected}, got {states}")
    may = _ALL
    reason = ""
    for state in states:
        rule = RULES[action, state]
        if may & rule.roles != may:
            # The state that excludes most is the one worth naming.
            may, reason = may & rule.roles, rule.reason
    return Decision(allowed=bool(may & frozenset(roles)), reason=reason, needed=may)


def second_factor_demanded(host: str, public_url: str) -> bool:
    """Whether moderators and administrators need a second factor: yes, unless only this machine can reach the index.

    Somebody who tries it out on a laptop can go to the review desk at once; an index with a public address, or one
    that listens on the network, cannot be taken over with a password alone.
    """
    return bool(public_url) or host not in {"127.0.0.1", "localhost", "::1"}
