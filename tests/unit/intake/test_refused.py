"""What is refused, with which status and which codes, and that nothing of it is left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs
from twine.commands.upload import skip_upload
from twine.package import PackageFile

from support.distributions import Headers, build_sdist, build_wheel
from support.rows import a_file, a_project, a_release
from support.upload import (
    UV_ACCEPT,
    Change,
    Unread,
    a_token,
    codes_of,
    incoming,
    journal,
    nothing_taken_in,
    post_upload,
    uv_fields,
)
from wheelmark.server.accounts.models import ApiToken, User
from wheelmark.server.config import Config
from wheelmark.server.intake.rules import NEW_PROJECTS_AN_HOUR
from wheelmark.server.projects.journal import record
from wheelmark.server.projects.models import File, Project, ProjectStatus, Release
from wheelmark.server.projects.rules import FileState
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db

Configure = Callable[..., Config]


@pytest.fixture
def configure(settings: Any, config: Config) -> Configure:
    """Change settings of this test's index."""

    def change(**changes: object) -> Config:
        settings.CONFIG = replace(config, **changes)  # type: ignore[arg-type]  # fields by name
        return config

    return change


@pytest.fixture(autouse=True)
def _nothing_is_left_in_incoming(config: Config) -> Iterator[None]:
    yield
    assert incoming(config) == []


def stored() -> list[str]:
    return [found.key for found in current_store().list("")]


# The name is taken.


def test_other_bytes_under_the_same_name_are_refused_for_twine_to_skip(client: Client, config: Config) -> None:
    token = a_token()
    post_upload(client, token, build_wheel())
    before = journal()
    response = post_upload(client, token, build_wheel(files={"other.py": b""}))
    assert (response.status_code, codes_of(response)) == (409, ["file-already-exists"])
    assert b"already exist" in response.content
    assert File.objects.count() == 1 and journal() == before


def test_twine_counts_the_refusal_of_a_taken_name_as_existing(client: Client, config: Config, tmp_path: Any) -> None:
    token = a_token()
    post_upload(client, token, build_wheel())
    response = post_upload(client, token, build_wheel(files={"other.py": b""}))
    seen = type("Response", (), {})()
    seen.status_code, seen.reason, seen.text = response.status_code, "", response.content.decode()
    package = PackageFile.from_filename(str(build_wheel(path=tmp_path)), None)
    assert skip_upload(seen, True, package)


@pytest.mark.parametrize("state", [FileState.REJECTED, FileState.REMOVED])
def test_name_of_a_file_that_is_gone_is_taken_for_ever(client: Client, config: Config, state: FileState) -> None:
    token, wheel = a_token(), build_wheel()
    post_upload(client, token, wheel)
    File.objects.update(state=state)
    for content in (wheel, build_wheel(files={"other.py": b""})):
        response = post_upload(client, token, content)
        assert (response.status_code, codes_of(response)) == (409, ["file-already-exists"])
        assert b"already exist" in response.content and str(state).encode() in response.content
    assert File.objects.get().state == state


def test_broken_transfer_does_not_pass_for_another_file(client: Client, config: Config) -> None:
    token, wheel = a_token(), build_wheel()
    post_upload(client, token, wheel)
    fields = uv_fields(wheel)
    response = post_upload(client, token, wheel[:-1] + b"X", fields=fields, filename="demo-1.0-py3-none-any.whl")
    assert response.status_code == 400
    assert codes_of(response) == ["digest-mismatch", "digest-mismatch"]


# The form disagrees with the file.


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"summary": "Something else"}, ["form-disagrees"]),
        ({"version": "1.1"}, ["form-disagrees"]),
        ({"name": "other"}, ["form-disagrees"]),
        ({"name": ["demo", "other"]}, ["form-disagrees"]),
        ({"requires_dist": "left-pad"}, ["form-disagrees"]),
        ({"classifiers": "Programming Language :: Python"}, ["form-disagrees"]),
        ({"filetype": "sdist", "pyversion": "source"}, ["form-filetype"]),
        ({"sha256_digest": "0" * 64}, ["digest-mismatch"]),
        ({"blake2_256_digest": "0" * 64}, ["digest-mismatch"]),
        ({"md5_digest": "0" * 32}, ["digest-mismatch"]),
        ({"md5_digest": "0", "sha256_digest": "0", "blake2_256_digest": "0"}, ["digest-mismatch"] * 3),
        ({"sha256_digest": None, "blake2_256_digest": None}, ["form-digest"]),
        ({":action": "submit"}, ["form-action"]),
        ({"protocol_version": "2"}, ["form-protocol"]),
        ({"filetype": "bdist_egg"}, ["form-filetype"]),
        ({"pyversion": None}, ["form-pyversion"]),
        ({"pyversion": ["py3", "py2"]}, ["form-field-twice"]),
        ({"content": "PK"}, ["form-content"]),
    ],
)
def test_form_that_disagrees_with_the_file_is_refused(
    client: Client, config: Config, change: Change, codes: list[str]
) -> None:
    response = post_upload(client, a_token(), build_wheel(), change=change)
    assert (response.status_code, codes_of(response)) == (400, codes)
    assert nothing_taken_in() and stored() == []


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"Classifier": "Nonsense :: x"}, "metadata-classifier-unknown"),
        ({"Author": "a\0b"}, "metadata-nul"),
        ({"Description": "a\0b"}, "metadata-nul"),
        ({"Project-URL": "a\0b, https://example.org"}, "metadata-nul"),
        ({"Requires-Python": ",".join(f"!=3.{minor}.*" for minor in range(60))}, "metadata-too-long"),
    ],
)
def test_metadata_that_breaks_a_rule_is_refused_by_its_code(
    client: Client, config: Config, metadata: Headers, code: str
) -> None:
    response = post_upload(client, a_token(), build_wheel(metadata=metadata))
    assert (response.status_code, codes_of(response)) == (400, [code])
    assert nothing_taken_in() and stored() == []


def test_name_that_its_column_cannot_hold_is_refused(client: Client, config: Config) -> None:
    response = post_upload(client, a_token(), build_wheel("d" * 101))
    assert (response.status_code, codes_of(response)) == (400, ["metadata-too-long"])
    assert nothing_taken_in() and stored() == []


@pytest.mark.parametrize(
    ("filename", "code"),
    [
        ("demo-1.1-py3-none-any.whl", "wheel-dist-info"),
        ("Demo-1.0-py3-none-any.whl", "filename-name"),
        ("../../demo-1.0-py3-none-any.whl", "filename-characters"),
        ("C:\\demo-1.0-py3-none-any.whl", "filename-characters"),
        ("demo&#45;1.0-py3-none-any.whl", "filename-characters"),
        ("demo.py", "filename-extension"),
        ("demo.zip", "filename-extension"),
        ("demo." + "x" * 300, "filename-length"),
        (".", "filename-extension"),
        ("..", "filename-extension"),
    ],
)
def test_file_name_that_breaks_a_rule_is_refused_by_its_code(
    client: Client, config: Config, filename: str, code: str
) -> None:
    wheel = build_wheel()
    response = post_upload(client, a_token(), wheel, filename=filename, fields=uv_fields(wheel))
    assert response.status_code == 400
    assert code in codes_of(response)
    assert nothing_taken_in() and stored() == []


def test_all_faults_are_told_at_once_one_a_line(client: Client, config: Config) -> None:
    a_project("dem0", owner="bob")
    wheel = build_wheel(metadata={"Classifier": ["Nonsense :: x", "Nonsense :: y"]})
    change = {"protocol_version": "2", "md5_digest": "0", "summary": "Something else"}
    response = post_upload(client, a_token("ada"), wheel, change=change)
    assert response.status_code == 400
    assert codes_of(response) == [
        "form-protocol",
        "name-lookalike",
        "digest-mismatch",
        "metadata-classifier-unknown",
        "metadata-classifier-unknown",
    ]
    for line in response.content.decode().splitlines():
        assert ": expected " in line and ", got " in line


def test_who_asks_for_json_gets_the_faults_as_objects(client: Client, config: Config) -> None:
    change = {"protocol_version": "2", "summary": "Something else"}
    response = post_upload(client, a_token(), build_wheel(), change=change, HTTP_ACCEPT=UV_ACCEPT)
    assert (response.status_code, response["Content-Type"]) == (400, "application/json")
    answer = json.loads(response.content)
    assert [(error["code"], error["field"]) for error in answer["errors"]] == [
        ("form-protocol", "protocol_version"),
        ("form-disagrees", "summary"),
    ]
    assert all(error["message"].startswith("expected ") for error in answer["errors"])
    assert "[form-protocol]" in answer["message"] and "[form-disagrees]" in answer["message"]


def test_reason_phrase_says_the_fault_in_one_printable_line(client: Client, config: Config) -> None:
    response = post_upload(client, a_token(), build_wheel(), change={":action": "é\n\x1b[31m" * 200})
    assert ":action: expected 'file_upload'" in response.reason_phrase
    assert response.reason_phrase.isascii() and response.reason_phrase.isprintable()
    assert len(response.reason_phrase) <= 200


# The release and the project.


def test_second_sdist_of_a_release_is_refused(client: Client, config: Config) -> None:
    token = a_token()
    post_upload(client, token, build_sdist(version="1.0"))
    response = post_upload(client, token, build_sdist(version="1.0.0"))
    assert (response.status_code, codes_of(response)) == (400, ["second-sdist"])


def test_sdist_is_welcome_when_the_other_one_is_gone(client: Client, config: Config) -> None:
    token = a_token()
    post_upload(client, token, build_sdist(version="1.0"))
    File.objects.update(state=FileState.REMOVED)
    assert post_upload(client, token, build_sdist(version="1.0.0")).status_code == 200


@pytest.mark.parametrize(("days", "status"), [(13, 200), (15, 400)])
def test_release_is_closed_after_some_days(client: Client, config: Config, days: int, status: int) -> None:
    token = a_token()
    post_upload(client, token, build_wheel())
    Release.objects.update(created_at=timezone.now() - timedelta(days=days))
    response = post_upload(client, token, build_sdist())
    assert response.status_code == status
    if status != 200:
        assert codes_of(response) == ["release-closed"]


def test_yanked_release_takes_no_new_file(client: Client, config: Config) -> None:
    token = a_token()
    post_upload(client, token, build_wheel())
    Release.objects.update(is_yanked=True)
    response = post_upload(client, token, build_sdist())
    assert (response.status_code, codes_of(response)) == (400, ["release-yanked"])


def test_file_over_the_limit_is_413(client: Client, configure: Configure) -> None:
    wheel = build_wheel()
    configure(max_file=len(wheel) - 1)
    response = post_upload(client, a_token(), wheel)
    assert (response.status_code, codes_of(response)) == (413, ["file-too-large"])
    configure(max_file=len(wheel))
    assert post_upload(client, a_token(), wheel).status_code == 200


def test_body_over_every_limit_is_413_before_it_is_read(client: Client, config: Config) -> None:
    over = str(config.max_file + 20_000_001)
    response = post_upload(client, a_token(), build_wheel(), stream=Unread(), CONTENT_LENGTH=over)
    assert (response.status_code, codes_of(response)) == (413, ["file-too-large"])


def test_project_with_a_limit_of_its_own_takes_larger_files(client: Client, configure: Configure) -> None:
    a_project("demo", owner="ada")
    Project.objects.update(max_file=10**6)
    configure(max_file=100)
    assert post_upload(client, a_token("ada"), build_wheel()).status_code == 200
    response = post_upload(client, a_token("ada"), build_wheel("other"))
    assert (response.status_code, codes_of(response)) == (413, ["file-too-large"])


def test_body_that_only_a_project_of_ones_own_may_have_is_read(client: Client, config: Config) -> None:
    a_project("demo", owner="ada")
    Project.objects.update(max_file=config.max_file + 10**8)
    over = str(config.max_file + 10**8)
    mine = post_upload(client, a_token("ada"), build_wheel(), stream=BytesIO(), CONTENT_LENGTH=over)
    assert codes_of(mine) == ["form-broken"]
    theirs = post_upload(client, a_token("eve"), build_wheel(), stream=Unread(), CONTENT_LENGTH=over)
    assert codes_of(theirs) == ["file-too-large"]


def test_project_over_its_limit_is_413(client: Client, configure: Configure) -> None:
    first, second = build_wheel(version="1.0"), build_wheel(version="2.0")
    configure(max_project=len(first) + len(second) - 1)
    post_upload(client, a_token(), first)
    response = post_upload(client, a_token(), second)
    assert (response.status_code, codes_of(response)) == (413, ["project-too-large"])
    File.objects.update(state=FileState.REMOVED)
    assert post_upload(client, a_token(), second).status_code == 200


def test_name_that_reads_like_another_is_refused(client: Client, config: Config) -> None:
    a_project("requests", owner="bob")
    response = post_upload(client, a_token("eve"), build_wheel("reque-sts"))
    assert (response.status_code, codes_of(response)) == (400, ["name-lookalike"])
    assert b"'requests'" in response.content


def test_name_of_a_standard_module_is_refused(client: Client, config: Config) -> None:
    response = post_upload(client, a_token(), build_wheel("asyncio"))
    assert (response.status_code, codes_of(response)) == (400, ["name-standard-library"])


def test_new_projects_can_be_switched_off(client: Client, configure: Configure) -> None:
    configure(new_projects=False)
    a_project("demo", owner="ada")
    assert codes_of(post_upload(client, a_token("ada"), build_wheel("other"))) == ["new-projects-disabled"]
    assert post_upload(client, a_token("ada"), build_wheel("demo")).status_code == 200


def test_uploads_can_be_switched_off(client: Client, configure: Configure) -> None:
    configure(uploads=False)
    response = post_upload(client, a_token(), build_wheel())
    assert (response.status_code, codes_of(response)) == (403, ["uploads-disabled"])
    assert nothing_taken_in()


def test_user_creates_a_bounded_number_of_projects_in_an_hour(client: Client, config: Config) -> None:
    for number in range(NEW_PROJECTS_AN_HOUR):
        record("project-created", actor="ada", project=f"made-{number}")
    response = post_upload(client, a_token("ada"), build_wheel())
    assert (response.status_code, codes_of(response)) == (429, ["too-many-projects"])
    assert int(response["Retry-After"]) > 0
    assert post_upload(client, a_token("bob"), build_wheel()).status_code == 200


def test_administrator_may_create_as_many_as_needed(client: Client, config: Config) -> None:
    for number in range(NEW_PROJECTS_AN_HOUR):
        record("project-created", actor="ada", project=f"made-{number}")
    token = a_token("ada")
    User.objects.update(is_administrator=True)
    assert post_upload(client, token, build_wheel()).status_code == 200


@pytest.mark.parametrize("status", [ProjectStatus.ARCHIVED, ProjectStatus.QUARANTINED])
def test_project_that_is_archived_or_quarantined_takes_no_uploads(
    client: Client, config: Config, status: ProjectStatus
) -> None:
    token, wheel = a_token(), build_wheel()
    post_upload(client, token, wheel)
    Project.objects.update(status=status)
    for content in (wheel, build_wheel(version="2.0")):
        response = post_upload(client, token, content)
        assert (response.status_code, codes_of(response)) == (403, ["not-allowed"])
        assert str(status).encode() in response.content
    assert File.objects.count() == 1


def test_deprecated_project_still_takes_uploads(client: Client, config: Config) -> None:
    a_project("demo", owner="ada")
    Project.objects.update(status=ProjectStatus.DEPRECATED)
    assert post_upload(client, a_token("ada"), build_wheel()).status_code == 200


def test_stranger_learns_nothing_of_the_file_nor_of_what_is_there(client: Client, config: Config) -> None:
    a_release("demo", "1.0")
    a_file("demo", "1.0", state=FileState.HELD)
    hostile = build_wheel(metadata={"Classifier": "Nonsense :: x"})
    response = post_upload(client, a_token("eve"), hostile, change={"protocol_version": "2"})
    assert (response.status_code, codes_of(response)) == (403, ["not-allowed"])


def test_each_decision_is_logged_with_token_id_file_hash_and_codes_and_no_secret(
    client: Client, config: Config
) -> None:
    token, wheel = a_token(), build_wheel()
    with capture_logs() as lines:
        post_upload(client, token, wheel)
        post_upload(
            client, token, wheel, change={":action": "submit"}, filename="\x1b[31m.whl", fields=uv_fields(wheel)
        )
    accepted, refused = lines
    known = {"token": str(ApiToken.objects.get().pk), "sha256": hashlib.sha256(wheel).hexdigest()}
    assert known.items() <= accepted.items() and accepted["event"] == "upload accepted"
    assert known.items() <= refused.items() and refused["event"] == "upload refused"
    assert "form-action" in refused["codes"] and refused["filename"].isprintable()
    assert token not in str(lines)
