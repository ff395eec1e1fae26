"""Uploads that come at the same moment: one wins, the others are told what they would have been told a moment later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client

from support.distributions import build_sdist, build_wheel
from support.rows import NOW, a_project, a_user
from support.upload import (
    a_token,
    codes_of,
    database_for_threads,
    in_threads,
    incoming,
    journal,
    post_upload,
    waiting_scans,
)
from wheelmark.dist import parse_filename
from wheelmark.server.accounts.tokens import Identity
from wheelmark.server.config import Config
from wheelmark.server.intake.admission import Candidate, admission_faults
from wheelmark.server.projects.collaborators import set_collaborator
from wheelmark.server.projects.lifecycle import set_status
from wheelmark.server.projects.models import File, Project, ProjectStatus
from wheelmark.server.review.desk import quarantine

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 6


@pytest.fixture(autouse=True)
def _threads_share_a_database(config: Config, tmp_path: Path) -> Iterator[None]:
    with database_for_threads(tmp_path):
        yield


def uploads(*contents: bytes, users: list[str] | None = None) -> Counter[str]:
    """How often the uploads ended how, all made at once: `200`, or status and codes."""
    [tokens] = in_threads(lambda: [a_token(user) for user in users or ["ada"] * len(contents)])

    def upload(token: str, content: bytes) -> Callable[[], str]:
        def call() -> str:
            response = post_upload(Client(), token, content)
            return " ".join([str(response.status_code), *(codes_of(response) if response.status_code != 200 else [])])

        return call

    calls = [upload(token, content) for token, content in zip(tokens, contents, strict=True)]
    return Counter(in_threads(*calls))


def test_of_two_files_with_one_name_one_wins(config: Config) -> None:
    wheels = [build_wheel(files={f"demo/v{number}.py": b""}) for number in range(AT_ONCE)]
    assert uploads(*wheels) == {"200": 1, "409 file-already-exists": AT_ONCE - 1}
    [kept] = in_threads(lambda: (File.objects.count(), journal(), len(waiting_scans())))
    assert kept == (1, ["project-created", "release-created", "file-uploaded", "file-validated"], 1)
    assert incoming(config) == []


def test_same_file_many_times_is_taken_in_once(config: Config) -> None:
    assert uploads(*[build_wheel()] * AT_ONCE) == {"200": AT_ONCE}
    [kept] = in_threads(lambda: (File.objects.count(), journal().count("file-uploaded"), len(waiting_scans())))
    assert kept == (1, 1, 1)
    assert incoming(config) == []


def test_files_of_one_new_project_all_get_in(config: Config) -> None:
    wheels = [build_wheel(version=f"{number}.0") for number in range(1, AT_ONCE + 1)]
    assert uploads(*wheels) == {"200": AT_ONCE}
    [actions] = in_threads(journal)
    assert (actions.count("project-created"), actions.count("release-created")) == (1, AT_ONCE)


def test_of_two_new_names_that_read_alike_one_wins(config: Config) -> None:
    names = ["colour1", "colourl", "colouri", "co1our1", "c-olour1", "col0url"]
    users = [f"user{number}" for number in range(len(names))]
    ended = uploads(*[build_wheel(name) for name in names], users=users)
    assert ended == {"200": 1, "400 name-lookalike": len(names) - 1}
    [projects] = in_threads(Project.objects.count)
    assert projects == 1


def test_of_two_users_who_want_one_name_one_gets_it(config: Config) -> None:
    wheels = [build_wheel(version=f"{number}.0") for number in range(1, AT_ONCE + 1)]
    ended = uploads(*wheels, users=[f"user{number}" for number in range(AT_ONCE)])
    assert ended == {"200": 1, "403 not-allowed": AT_ONCE - 1}


def test_of_two_sdists_of_a_release_one_wins(config: Config) -> None:
    in_threads(lambda: a_project("demo", owner="ada"))
    ended = uploads(*[build_sdist(version="1" + ".0" * zeros) for zeros in range(1, 4)])
    assert ended == {"200": 1, "400 second-sdist": 2}


def test_no_file_follows_a_quarantine(config: Config) -> None:
    """The journal tells which came first; what came second was refused."""
    in_threads(lambda: a_project("demo", owner="ada"))
    [token] = in_threads(lambda: a_token("ada"))

    def upload() -> object:
        return post_upload(Client(), token, build_wheel()).status_code

    def stop() -> object:
        project = Project.objects.get()
        moderator = project.collaborators.get().user
        moderator.is_moderator = True
        moderator.save()
        quarantine(project, moderator=moderator, reason="a test")
        return project.status

    status, _ = in_threads(upload, stop)
    [(actions, ended)] = in_threads(lambda: (journal(), Project.objects.get().status))
    assert ended == ProjectStatus.QUARANTINED
    if status == 200:
        assert actions.index("file-uploaded") < actions.index("project-quarantined")
    else:
        assert status == 403 and "file-uploaded" not in actions


def test_uploads_beside_other_changes_of_the_project_wait_for_one_another_and_all_succeed(config: Config) -> None:
    """Whoever holds the project's row takes the journal's lock after it: PostgreSQL would find a circle else."""
    in_threads(lambda: (a_project("demo", owner="ada"), a_user("bob")))
    [token] = in_threads(lambda: a_token("ada"))
    rounds = range(1, 9)

    def upload(major: int) -> Callable[[], set[object]]:
        return lambda: {
            post_upload(Client(), token, build_wheel(version=f"{major}.{minor}")).status_code for minor in rounds
        }

    def hire() -> set[object]:
        project = Project.objects.get()
        for count in rounds:
            set_collaborator(project, "bob", ["owner", "maintainer"][count % 2], actor="ada", now=NOW)
        return {200}

    def deprecate() -> set[object]:
        for _ in rounds:
            set_status(Project.objects.get(), ProjectStatus.DEPRECATED, actor="ada")
        return {200}

    assert in_threads(upload(1), upload(2), upload(3), hire, deprecate) == [{200}] * 5


def test_project_that_came_up_since_we_looked_is_no_look_alike_of_itself(config: Config) -> None:
    content = build_wheel()

    def look() -> list[str]:
        a_project("demo")
        candidate = Candidate(
            filename=parse_filename("demo-1.0-py3-none-any.whl"), name="Demo", size=len(content), sha256="0" * 64
        )
        identity = Identity(user=a_user("ada"), token_id="t", projects=None)
        return [fault.code for fault in admission_faults(candidate, None, identity, config=config, now=NOW)]

    assert in_threads(look) == [[]]
