"""The gate: what `require` lets through for rows in the database, sessions and tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser
from pytest_django.fixtures import Settings

from support.accounts import a_person, with_totp
from support.rows import a_file, a_project
from wheelmark.errors import Refused
from wheelmark.server.accounts.models import User
from wheelmark.server.accounts.permissions import may, require, roles_of
from wheelmark.server.accounts.rules import TOKEN_ACTIONS, Action, Kind, Role, allowed
from wheelmark.server.accounts.tokens import Identity
from wheelmark.server.projects.models import Collaborator, Project, ProjectStatus
from wheelmark.server.projects.rules import FileState

pytestmark = pytest.mark.django_db


def identity(user: User, *projects: str) -> Identity:
    return Identity(user=user, token_id="t", projects=frozenset(projects) or None)


def refusal(who: User | AnonymousUser | Identity, action: Action, *about: object) -> Refused:
    with pytest.raises(Refused) as caught:
        require(who, action, *about)  # type: ignore[arg-type]  # whatever the test passes on
    return caught.value


def a_project_in(status: ProjectStatus) -> Project:
    project = a_project(owner="somebody")
    project.status = status
    project.save()
    return project


def somebody_in(role: Role) -> User | AnonymousUser:
    return AnonymousUser() if role is Role.ANONYMOUS else a_person(f"a-{role}", role=role)


@pytest.mark.parametrize("role", Role)
def test_gate_says_of_rows_what_the_table_says_of_states(role: Role) -> None:
    who = somebody_in(role)
    roles = {Role.ANONYMOUS} if role is Role.ANONYMOUS else {Role.ANONYMOUS, Role.USER, role}
    files = {state: a_file("demo", f"{number}.0", state=state) for number, state in enumerate(FileState)}
    for action in Action:
        if action.kind is Kind.INDEX:
            assert may(who, action) is allowed(roles, action, *action.kind.states).allowed
            continue
        for status in ProjectStatus:
            project = a_project_in(status)
            if action.kind is Kind.PROJECT:
                assert may(who, action, project) is allowed(roles, action, status).allowed, (action, status)
                continue
            for state, file in files.items():
                file.release.project = project
                assert may(who, action, file=file) is allowed(roles, action, status, state).allowed, (action, state)


def test_refusal_names_the_role_that_is_needed_and_the_roles_that_are_there() -> None:
    refused = refusal(a_person("ben"), Action.EDIT_COLLABORATORS, a_project())
    assert refused.code == "not-allowed"
    assert "expected owner or administrator on demo, got user" in str(refused)


def test_refusal_of_a_state_says_that_nobody_may() -> None:
    owner = a_person("olga", role=Role.OWNER)
    refused = refusal(owner, Action.UPLOAD, a_project_in(ProjectStatus.ARCHIVED))
    assert "expected nobody to do this on demo now: an archived project takes no uploads" in str(refused)


def test_right_ends_with_the_row_that_gave_it() -> None:
    owner = a_person("olga", role=Role.OWNER)
    project = a_project()
    require(owner, Action.UPLOAD, project)
    Collaborator.objects.filter(user=owner).delete()
    assert refusal(owner, Action.UPLOAD, project).code == "not-allowed"


def test_role_on_one_project_is_none_on_another() -> None:
    owner = a_person("olga", role=Role.OWNER, project="hers")
    assert not may(owner, Action.UPLOAD, a_project("other", owner="somebody"))


def test_disabled_user_is_a_stranger_even_as_owner_and_administrator() -> None:
    user = a_person("olga", role=Role.OWNER)
    user.is_administrator = True
    user.is_active = False
    user.save()
    assert roles_of(user, a_project()) == {Role.ANONYMOUS}
    assert refusal(user, Action.MANAGE_USERS).code == "not-allowed"


def test_superuser_flag_of_django_gives_nothing() -> None:
    user = a_person("ben")
    user.is_superuser = user.is_staff = True
    user.save()
    assert roles_of(user) == {Role.ANONYMOUS, Role.USER}


# --- Second factors ---------------------------------------------------------------------------------------------------


@pytest.fixture
def public(settings: Settings) -> None:
    """An index that others can reach."""
    settings.CONFIG = replace(django_settings.CONFIG, public_url="https://pypi.example")


@pytest.mark.parametrize(
    ("role", "action"), [(Role.MODERATOR, Action.SEE_REVIEW_DESK), (Role.ADMINISTRATOR, Action.MANAGE_USERS)]
)
def test_privileged_role_counts_only_with_a_second_factor(public: None, role: Role, action: Action) -> None:
    user = a_person("mo", role=role)
    refused = refusal(user, action)
    assert refused.code == "second-factor-needed"
    assert f"expected a {role} with a second factor, got one without: add one first" in str(refused)
    with_totp(user)
    require(user, action)


def test_privileged_role_without_second_factor_takes_nothing_from_the_plain_user(public: None) -> None:
    user = a_person("mo", role=Role.MODERATOR)
    Collaborator.objects.create(user=user, project=a_project(owner="somebody"), role="owner")
    require(user, Action.UPLOAD, a_project())
    assert refusal(a_person("ben"), Action.SEE_REVIEW_DESK).code == "not-allowed"


def test_second_factor_alone_gives_no_role(public: None) -> None:
    user = a_person("ben")
    with_totp(user)
    assert refusal(user, Action.SEE_REVIEW_DESK).code == "not-allowed"


# --- E-mail addresses -------------------------------------------------------------------------------------------------


def test_new_project_needs_a_confirmed_address_where_mail_is_sent(settings: Settings) -> None:
    user = a_person("ben")
    EmailAddress.objects.update(verified=False)
    require(user, Action.CREATE_PROJECT, "new")
    settings.CONFIG = replace(django_settings.CONFIG, email="smtp://mail.example")
    assert refusal(user, Action.CREATE_PROJECT, "new").code == "email-unverified"
    EmailAddress.objects.update(verified=True)
    require(user, Action.CREATE_PROJECT, "new")


# --- Tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted(set(Action) - TOKEN_ACTIONS))
def test_token_manages_nothing_whoever_its_user_is(action: Action) -> None:
    user = a_person("olga", role=Role.OWNER)
    user.is_administrator = True
    user.save()
    about = [] if action.kind is Kind.INDEX else [a_project()]
    if action.kind is Kind.FILE:
        about.append(a_file(state=FileState.HELD))  # type: ignore[arg-type]  # project, then file
    assert refusal(identity(user), action, *about).code == "token-purpose"


def test_token_does_what_its_user_may_and_no_more() -> None:
    olga, ben = a_person("olga", role=Role.OWNER), a_person("ben")
    require(identity(olga), Action.UPLOAD, a_project())
    assert refusal(identity(ben), Action.UPLOAD, a_project()).code == "not-allowed"


def test_scoped_token_uploads_to_its_project_and_no_other() -> None:
    olga = a_person("olga", role=Role.OWNER, project="mine")
    a_person("olga", role=Role.OWNER, project="mine-too")
    require(identity(olga, "mine"), Action.UPLOAD, a_project("mine"))
    refused = refusal(identity(olga, "mine"), Action.UPLOAD, a_project("mine-too"))
    assert refused.code == "token-scope"
    assert "expected a token for mine-too, got one for mine" in str(refused)


def test_scoped_token_creates_its_project_and_no_other() -> None:
    ben = a_person("ben")
    require(identity(ben, "new"), Action.CREATE_PROJECT, "new")
    assert refusal(identity(ben, "new"), Action.CREATE_PROJECT, "newer").code == "token-scope"


def test_token_whose_restrictions_exclude_one_another_is_good_for_nothing() -> None:
    nothing = replace(identity(a_person("ben")), projects=frozenset())
    assert "restrictions exclude one another" in str(refusal(nothing, Action.CREATE_PROJECT, "new"))


def test_scope_that_cannot_be_checked_is_our_mistake_and_not_a_yes() -> None:
    with pytest.raises(RuntimeError, match="scope is checked against a project"):
        require(identity(a_person("ben"), "new"), Action.CREATE_PROJECT)


# --- Wrong questions --------------------------------------------------------------------------------------------------


def test_question_about_nothing_is_our_mistake_and_not_a_yes() -> None:
    ben = a_person("ben")
    with pytest.raises(RuntimeError, match="expected a project, got None"):
        require(ben, Action.UPLOAD)
    with pytest.raises(RuntimeError, match="expected a file, got none"):
        require(ben, Action.RELEASE_FILE, a_project())


def test_file_cannot_be_asked_about_under_another_project() -> None:
    file = a_file("demo", state=FileState.HELD)
    moderator = a_person("mo", role=Role.MODERATOR)
    for wrong in (a_project("other"), "other"):
        with pytest.raises(RuntimeError, match=r"expected the project of demo-1\.0"):
            require(moderator, Action.RELEASE_FILE, wrong, file)
