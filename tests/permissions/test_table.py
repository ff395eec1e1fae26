"""Who may do what, in which state: written a second time, by hand, and compared row by row.

The columns are anonymous, user, maintainer, owner, moderator, administrator; `+` may, `.` may not. An action on a file
has rows for the project's states and rows for the file's; both must allow.
"""

from __future__ import annotations

from itertools import combinations, product

import pytest

from wheelmark.server.accounts.rules import (
    RULES,
    Action,
    Kind,
    Place,
    Role,
    State,
    allowed,
    second_factor_demanded,
)
from wheelmark.server.projects.models import ProjectStatus
from wheelmark.server.projects.rules import FOLLOWS, FileState, check_transition

COLUMNS = (Role.ANONYMOUS, Role.USER, Role.MAINTAINER, Role.OWNER, Role.MODERATOR, Role.ADMINISTRATOR)

EXPECTED = """
create project                            index        .+++++
create token                              index        .+++++
see review desk                           index        ....++
manage users                              index        .....+

view project                              active       ++++++
view project                              archived     ++++++
view project                              deprecated   ++++++
view project                              quarantined  ++++++

see the project's settings                active       ..++++
see the project's settings                archived     ..++++
see the project's settings                deprecated   ..++++
see the project's settings                quarantined  ..++++

upload                                    active       ..++..
upload                                    archived     ......
upload                                    deprecated   ..++..
upload                                    quarantined  ......

yank                                      active       ..++..
yank                                      archived     ..++..
yank                                      deprecated   ..++..
yank                                      quarantined  ......

remove release                            active       ...+.+
remove release                            archived     ...+.+
remove release                            deprecated   ...+.+
remove release                            quarantined  .....+

edit collaborators                        active       ...+.+
edit collaborators                        archived     ...+.+
edit collaborators                        deprecated   ...+.+
edit collaborators                        quarantined  .....+

leave project                             active       ..++..
leave project                             archived     ..++..
leave project                             deprecated   ..++..
leave project                             quarantined  ......

archive, deprecate or reactivate project  active       ...+.+
archive, deprecate or reactivate project  archived     ...+.+
archive, deprecate or reactivate project  deprecated   ...+.+
archive, deprecate or reactivate project  quarantined  ......

delete project                            active       ...+.+
delete project                            archived     ...+.+
delete project                            deprecated   ...+.+
delete project                            quarantined  .....+

quarantine project                        active       ....++
quarantine project                        archived     ....++
quarantine project                        deprecated   ....++
quarantine project                        quarantined  ......

lift quarantine                           active       ......
lift quarantine                           archived     ......
lift quarantine                           deprecated   ......
lift quarantine                           quarantined  ....++

view file                                 active       ++++++
view file                                 archived     ++++++
view file                                 deprecated   ++++++
view file                                 quarantined  ..++++
view file                                 uploaded     ..++++
view file                                 validated    ..++++
view file                                 scanned      ..++++
view file                                 held         ..++++
view file                                 published    ++++++
view file                                 rejected     ..++++
view file                                 removed      ..++++

remove file                               active       ...+.+
remove file                               archived     ...+.+
remove file                               deprecated   ...+.+
remove file                               quarantined  .....+
remove file                               uploaded     ......
remove file                               validated    ...+.+
remove file                               scanned      ...+.+
remove file                               held         ...+.+
remove file                               published    ...+.+
remove file                               rejected     ......
remove file                               removed      ......

release held file                         active       ....++
release held file                         archived     ....++
release held file                         deprecated   ....++
release held file                         quarantined  ....++
release held file                         uploaded     ......
release held file                         validated    ......
release held file                         scanned      ......
release held file                         held         ....++
release held file                         published    ......
release held file                         rejected     ......
release held file                         removed      ......

reject held file                          active       ....++
reject held file                          archived     ....++
reject held file                          deprecated   ....++
reject held file                          quarantined  ....++
reject held file                          uploaded     ......
reject held file                          validated    ......
reject held file                          scanned      ......
reject held file                          held         ....++
reject held file                          published    ......
reject held file                          rejected     ......
reject held file                          removed      ......

hold file                                 active       ....++
hold file                                 archived     ....++
hold file                                 deprecated   ....++
hold file                                 quarantined  ....++
hold file                                 uploaded     ......
hold file                                 validated    ....++
hold file                                 scanned      ....++
hold file                                 held         ......
hold file                                 published    ....++
hold file                                 rejected     ....++
hold file                                 removed      ......

scan file again                           active       ....++
scan file again                           archived     ....++
scan file again                           deprecated   ....++
scan file again                           quarantined  ....++
scan file again                           uploaded     ......
scan file again                           validated    ......
scan file again                           scanned      ......
scan file again                           held         ....++
scan file again                           published    ......
scan file again                           rejected     ......
scan file again                           removed      ......
"""


def state_named(text: str) -> State:
    states: list[State] = [*Place, *ProjectStatus, *FileState]
    return next(state for state in states if state.value == text)


def expected_rows() -> list[tuple[Action, State, frozenset[Role]]]:
    rows = []
    for line in filter(None, EXPECTED.splitlines()):
        action, state, marks = (part.strip() for part in (line[:42], line[42:55], line[55:]))
        assert len(marks) == len(COLUMNS)
        roles = frozenset(role for role, mark in zip(COLUMNS, marks, strict=True) if mark == "+")
        rows.append((Action(action), state_named(state), roles))
    return rows


ROWS = expected_rows()
CELLS = [(action, state, role, role in roles) for action, state, roles in ROWS for role in COLUMNS]


@pytest.mark.parametrize(
    ("action", "state", "role", "may"), CELLS, ids=lambda value: str(value) if not isinstance(value, bool) else ""
)
def test_cell(action: Action, state: State, role: Role, may: bool) -> None:
    assert (role in RULES[action, state].roles) is may


def test_table_has_a_row_for_each_action_and_state_and_no_other() -> None:
    wanted = {(action, state) for action in Action for state in action.kind.states}
    assert set(RULES) == wanted
    assert {(action, state) for action, state, _ in ROWS} == wanted
    assert len(ROWS) == len(wanted)
    assert len(CELLS) == len(wanted) * len(Role)


def test_every_denial_says_why() -> None:
    silent = [key for key, rule in RULES.items() if rule.roles != frozenset(Role) and not rule.reason]
    assert silent == []


def states_of(action: Action) -> list[tuple[State, ...]]:
    return list(product(*action.kind.value))


@pytest.mark.parametrize("action", Action)
def test_somebody_with_several_roles_may_what_any_of_them_may(action: Action) -> None:
    for states in states_of(action):
        single = {role: allowed({role}, action, *states).allowed for role in Role}
        for roles in combinations(Role, 2):
            assert allowed(roles, action, *states).allowed is any(single[role] for role in roles)


@pytest.mark.parametrize("action", [action for action in Action if action.kind is Kind.FILE])
def test_action_on_a_file_needs_both_its_project_and_itself_to_allow_it(action: Action) -> None:
    for status, state in states_of(action):
        decision = allowed(Role, action, status, state)
        assert decision.needed == RULES[action, status].roles & RULES[action, state].roles
        assert decision.allowed is bool(decision.needed)


@pytest.mark.parametrize(
    ("action", "target"),
    [
        (Action.RELEASE_FILE, FileState.SCANNED),
        (Action.REJECT_FILE, FileState.REJECTED),
        (Action.HOLD_FILE, FileState.HELD),
        (Action.RESCAN_FILE, FileState.VALIDATED),
        (Action.REMOVE_FILE, FileState.REMOVED),
    ],
)
def test_whoever_may_change_a_file_finds_the_transition_there(action: Action, target: FileState) -> None:
    for state in FileState:
        if RULES[action, state].roles:
            check_transition(state, target)
        elif target in FOLLOWS[state]:
            # What the table forbids to people, only the index itself does: a scan's verdict, a failed check.
            assert (state, target) in {
                (FileState.UPLOADED, FileState.REJECTED),
                (FileState.VALIDATED, FileState.SCANNED),
                (FileState.UPLOADED, FileState.VALIDATED),
            }


def test_nobody_uploads_to_an_archived_or_quarantined_project_whatever_their_roles() -> None:
    for status in (ProjectStatus.ARCHIVED, ProjectStatus.QUARANTINED):
        decision = allowed(Role, Action.UPLOAD, status)
        assert (decision.allowed, decision.needed) == (False, frozenset())
        assert status in decision.reason


def test_strangers_change_nothing() -> None:
    changing = set(Action) - {Action.VIEW_PROJECT, Action.VIEW_FILE}
    assert not [key for key, rule in RULES.items() if key[0] in changing and Role.ANONYMOUS in rule.roles]


@pytest.mark.parametrize(
    ("action", "states"),
    [
        (Action.UPLOAD, ()),
        (Action.UPLOAD, (FileState.HELD,)),
        (Action.RELEASE_FILE, (FileState.HELD,)),
        (Action.RELEASE_FILE, (FileState.HELD, ProjectStatus.ACTIVE)),
        (Action.CREATE_TOKEN, (ProjectStatus.ACTIVE,)),
    ],
)
def test_question_without_its_states_is_our_mistake_and_not_a_yes(action: Action, states: tuple[State, ...]) -> None:
    with pytest.raises(RuntimeError, match="expected one state of each of"):
        allowed(Role, action, *states)


@pytest.mark.parametrize(
    ("host", "public_url", "demanded"),
    [
        ("127.0.0.1", "", False),
        ("localhost", "", False),
        ("::1", "", False),
        ("0.0.0.0", "", True),
        ("192.0.2.1", "", True),
        ("127.0.0.1", "https://pypi.example", True),
    ],
)
def test_second_factor_is_demanded_unless_only_this_machine_reaches_the_index(
    host: str, public_url: str, demanded: bool
) -> None:
    assert second_factor_demanded(host, public_url) is demanded
