"""`wheelmark admin …`: users, tokens, projects, held files and backups, for the operator on the index's own machine.

Whoever can run it can read and write the data folder, so nothing here asks for a role. Each change says in the
journal, or among the user's security events, that the operator made it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmark.errors import Refused, WheelmarkError
from wheelmark.server.bootstrap import bootstrap_existing
from wheelmark.server.commands import backup
from wheelmark.server.commands.garbage import collect_garbage

if TYPE_CHECKING:  # the rows can be imported once Django is set up
    from wheelmark.server.accounts.models import ApiToken, User

FILE_STATES = ["uploaded", "validated", "scanned", "held", "published", "rejected", "removed"]
OPERATOR = "operator"
EXIT_FAILED = 1
MAX_PASSWORD_BYTES = 4_096
MAX_EXPIRES_DAYS = 3_650

Answer = dict[str, Any] | list[dict[str, Any]]
"""What a command gives, as JSON; the text form is made from the same."""


def main(argv: Sequence[str]) -> int:
    """Run one command; return its exit status."""
    arguments = _parser().parse_args(list(argv))
    try:
        arguments.prepare(arguments.data)
        answer: Answer = arguments.run(arguments)
    except WheelmarkError as error:
        if not arguments.json:
            raise
        print(json.dumps({"error": error.code, "message": str(error)}))
        return EXIT_FAILED
    if arguments.json:
        print(json.dumps(answer))
    else:
        _print_text(answer)
    return 0


# --- Users ------------------------------------------------------------------------------------------------------------


def _user_create(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.rules import Role
    from wheelmark.server.accounts.users import create_user

    role = Role.ADMINISTRATOR if arguments.admin else Role.MODERATOR if arguments.moderator else Role.USER
    user = create_user(arguments.name, email=arguments.email, password=_read_password(), role=role, now=_now())
    return _user_row(user)


def _user_list(_: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.models import User

    return [_user_row(user) for user in User.objects.order_by("username")]


def _user_disable(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.users import set_active

    user = _user(arguments.name)
    set_active(user, active=arguments.active, by=OPERATOR)
    return _user_row(user)


def _user_role(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.rules import Role
    from wheelmark.server.accounts.users import set_role

    user = _user(arguments.name)
    set_role(user, Role(arguments.role), by=OPERATOR)
    return _user_row(user)


def _user_password(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.users import set_password

    user = _user(arguments.name)
    set_password(user, _read_password(), by=OPERATOR)
    return _user_row(user)


def _user_remove_factors(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.users import remove_second_factors

    user = _user(arguments.name)
    return {**_user_row(user), "removed": remove_second_factors(user, by=OPERATOR), "second_factor": False}


def _user_row(user: User) -> dict[str, Any]:
    from wheelmark.server.accounts.permissions import has_second_factor
    from wheelmark.server.accounts.users import role_of

    return {
        "name": user.username,
        "email": user.email,
        "role": str(role_of(user)),
        "active": user.is_active,
        "second_factor": has_second_factor(user),
        "created_at": _text(user.date_joined),
    }


# --- Tokens -----------------------------------------------------------------------------------------------------------


def _token_create(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.tokens import mint

    now = _now()
    expires_at = None if arguments.expires is None else now + timedelta(days=arguments.expires)
    row, token = mint(
        _user(arguments.user),
        description=arguments.description,
        project=arguments.project,
        expires_at=expires_at,
        now=now,
    )
    return {"token": token, **_token_row(row)}


def _token_list(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.accounts.models import ApiToken

    rows = ApiToken.objects.select_related("user").order_by("user__username", "-created_at")
    if arguments.user is not None:
        rows = rows.filter(user=_user(arguments.user))
    return [_token_row(row) for row in rows]


def _token_revoke(arguments: argparse.Namespace) -> Answer:
    from django.core.exceptions import ValidationError

    from wheelmark.server.accounts.models import ApiToken
    from wheelmark.server.accounts.tokens import revoke

    try:
        row = ApiToken.objects.select_related("user").get(pk=arguments.id)
    except (ApiToken.DoesNotExist, ValidationError) as error:
        raise _not_found("token", arguments.id, "list them with `wheelmark admin token list`") from error
    revoke(row, now=_now(), by=OPERATOR)
    return _token_row(row)


def _token_row(row: ApiToken) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "user": row.user.username,
        "description": row.description,
        "project": row.project or None,
        "created_at": _text(row.created_at),
        "expires_at": _text(row.expires_at),
        "last_used_at": _text(row.last_used_at),
        "revoked_at": _text(row.revoked_at),
    }


# --- Projects and files -----------------------------------------------------------------------------------------------


def _project_status(arguments: argparse.Namespace) -> Answer:
    from packaging.utils import canonicalize_name

    from wheelmark.server.projects.lifecycle import set_status
    from wheelmark.server.projects.models import Project, ProjectStatus

    name = canonicalize_name(arguments.name)
    try:
        project = Project.objects.get(normalized_name=name)
    except Project.DoesNotExist as error:
        raise _not_found("project", name, "names are shown on the index's first page") from error
    set_status(project, ProjectStatus(arguments.status), actor=OPERATOR, reason=arguments.reason)
    return {"project": project.normalized_name, "status": str(project.status), "reason": project.status_reason}


def _release(arguments: argparse.Namespace) -> Answer:
    from packaging.utils import canonicalize_name, canonicalize_version

    from wheelmark.server.projects.lifecycle import remove_release, yank
    from wheelmark.server.projects.models import Release

    name = canonicalize_name(arguments.name)
    try:
        release = Release.objects.select_related("project").get(
            project__normalized_name=name, version_key=canonicalize_version(arguments.version)
        )
    except Release.DoesNotExist as error:
        raise _not_found("release", f"{name} {arguments.version}", "the project's page lists its releases") from error
    answer: dict[str, Any] = {"project": name, "version": release.version}
    if arguments.change == "remove":
        return answer | {"files_removed": remove_release(release, actor=OPERATOR, reason=arguments.reason, now=_now())}
    yank(release, yanked=arguments.change == "yank", reason=arguments.reason, actor=OPERATOR)
    return answer | {"yanked": release.is_yanked, "reason": release.yanked_reason}


def _file_list(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.projects.models import File

    files = File.objects.filter(state=arguments.state).select_related("release__project").order_by("uploaded_at")
    return [
        {
            "filename": file.filename,
            "project": file.release.project.normalized_name,
            "state": file.state,
            "reason": file.state_reason,
            "uploaded_at": _text(file.uploaded_at),
        }
        for file in files
    ]


def _file_decide(arguments: argparse.Namespace) -> Answer:
    from wheelmark.server.projects.lifecycle import transition
    from wheelmark.server.projects.models import File
    from wheelmark.server.projects.rules import FileState

    targets = {"release": FileState.SCANNED, "reject": FileState.REJECTED}
    try:
        file = File.objects.get(filename=arguments.filename)
    except File.DoesNotExist as error:
        raise _not_found("file", arguments.filename, "give the whole file name, with its ending") from error
    if file.state != FileState.HELD:
        raise Refused.because("file-not-held", "filename", f"expected a held file, got one that is {file.state}")
    file = transition(file.pk, targets[arguments.decision], actor=OPERATOR, now=_now(), reason=arguments.reason)
    return {"filename": file.filename, "state": str(file.state), "reason": file.state_reason}


# --- The command line -------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, metavar="DIR", help="the data folder (WHEELMARK_DATA; default: data)")
    common.add_argument("--json", action="store_true", help="print JSON")
    common.set_defaults(prepare=bootstrap_existing)
    parser = argparse.ArgumentParser(
        prog="wheelmark admin", description="Users, tokens, projects, held files, store and backups, for the operator."
    )
    groups = parser.add_subparsers(required=True, metavar="GROUP")
    _add_users(_group(groups, "user", "who may log in"), common)
    _add_tokens(_group(groups, "token", "what uploads with"), common)
    projects = _group(groups, "project", "lifecycle status")
    status = _command(projects, common, "status", _project_status, "set a project's status (PEP 792)")
    status.add_argument("name", metavar="NAME")
    status.add_argument("status", choices=["active", "archived", "deprecated", "quarantined"])
    status.add_argument("--reason", required=True)
    releases = _group(groups, "release", "yank or remove a release")
    for change, text in (
        ("yank", "installers skip it unless it is asked for by version (PEP 592)"),
        ("unyank", "take a yank back"),
        ("remove", "take its files out of the index, for ever"),
    ):
        command = _command(releases, common, change, _release, text)
        command.add_argument("name", metavar="NAME")
        command.add_argument("version", metavar="VERSION")
        command.add_argument("--reason", required=change != "unyank", default="")
        command.set_defaults(change=change)
    files = _group(groups, "file", "held files, and files in other states")
    listing = _command(files, common, "list", _file_list, "files in a state, oldest first")
    listing.add_argument("--state", default="held", choices=FILE_STATES)
    for decision, text in (("release", "publish a held file"), ("reject", "refuse a held file")):
        command = _command(files, common, decision, _file_decide, text)
        command.add_argument("filename", metavar="FILENAME")
        command.add_argument("--reason", required=True)
        command.set_defaults(decision=decision)
    garbage = _command(
        groups,
        common,
        "collect-garbage",
        collect_garbage,
        "delete what no kept snapshot names; it is done hourly anyway",
    )
    garbage.add_argument("--dry-run", action="store_true", help="delete nothing, only count")
    backup.add_parsers(groups, common)
    return parser


def _add_users(users: Any, common: argparse.ArgumentParser) -> None:
    create = _command(users, common, "create", _user_create, "create a user; the password is read from standard input")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--email", required=True)
    create.add_argument(
        "--password-stdin", action="store_true", required=True, help="read one line; there is no other way"
    )
    role = create.add_mutually_exclusive_group()
    role.add_argument("--moderator", action="store_true", help="may decide held files")
    role.add_argument("--admin", action="store_true", help="may do that, and change roles")
    _command(users, common, "list", _user_list, "all users")
    for word, active, text in (
        ("disable", False, "end sessions and tokens of a user"),
        ("enable", True, "let a disabled user in again"),
    ):
        command = _command(users, common, word, _user_disable, text)
        command.add_argument("name", metavar="NAME")
        command.set_defaults(active=active)
    change = _command(users, common, "role", _user_role, "give or take a role on the index")
    change.add_argument("name", metavar="NAME")
    change.add_argument("role", choices=["user", "moderator", "administrator"])
    password = _command(users, common, "password", _user_password, "set a new password; ends the user's sessions")
    password.add_argument("name", metavar="NAME")
    password.add_argument("--password-stdin", action="store_true", required=True, help="read one line")
    factors = _command(users, common, "remove-second-factors", _user_remove_factors, "for somebody who lost theirs")
    factors.add_argument("name", metavar="NAME")


def _add_tokens(tokens: Any, common: argparse.ArgumentParser) -> None:
    create = _command(tokens, common, "create", _token_create, "create an upload token and print it, once")
    create.add_argument("--user", required=True, metavar="NAME")
    create.add_argument("--project", metavar="P", help="good for this project only, which need not exist yet")
    create.add_argument("--expires", type=_days, metavar="DAYS", help="default: never")
    create.add_argument("--description", default="created on the command line", metavar="D")
    listing = _command(tokens, common, "list", _token_list, "tokens, without their secrets")
    listing.add_argument("--user", metavar="NAME")
    revoke = _command(tokens, common, "revoke", _token_revoke, "end a token at once")
    revoke.add_argument("id", metavar="ID")


def _group(groups: Any, name: str, text: str) -> Any:
    return groups.add_parser(name, help=text, description=text).add_subparsers(required=True, metavar="COMMAND")


def _command(
    group: Any,
    common: argparse.ArgumentParser,
    name: str,
    run: Callable[[argparse.Namespace], Answer],
    text: str,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = group.add_parser(name, parents=[common], help=text, description=text)
    command.set_defaults(run=run)
    return command


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= MAX_EXPIRES_DAYS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MAX_EXPIRES_DAYS} days, got {days}")
    return days


def _user(name: str) -> User:
    from wheelmark.server.accounts.models import User

    try:
        return User.objects.get(username__iexact=name)
    except User.DoesNotExist as error:
        raise _not_found("user", name, "list them with `wheelmark admin user list`") from error


def _not_found(kind: str, got: str, hint: str) -> Refused:
    return Refused.because(f"{kind}-unknown", kind, f"expected a {kind} of this index, got {got!r}: {hint}")


def _read_password() -> str:
    line = sys.stdin.readline(MAX_PASSWORD_BYTES).rstrip("\r\n")
    if not line:
        raise Refused.because(
            "password-missing", "--password-stdin", "expected a password on standard input, got nothing"
        )
    return line


def _now() -> datetime:
    return datetime.now(UTC)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _print_text(answer: Answer) -> None:
    rows = answer if isinstance(answer, list) else [answer]
    if not rows:
        print("none")
    for row in rows:
        if isinstance(answer, list):
            print("  ".join(str(value) if value is not None else "-" for value in row.values()))
        else:
            width = max(len(name) for name in row)
            for name, value in row.items():
                shown = "\n".ljust(width + 3).join(value) if isinstance(value, list) else value
                print(f"{name:<{width}}  {'-' if shown in (None, '') else shown}")
