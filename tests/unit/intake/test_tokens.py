"""Who may upload what: tokens of every kind, in every condition."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from support.accounts import a_person, basic, narrowed
from support.distributions import build_wheel
from support.rows import a_project
from support.upload import Unread, a_token, codes_of, incoming, nothing_taken_in, post_body, post_upload
from wheelmark.server.accounts.models import ApiToken
from wheelmark.server.accounts.rules import Role
from wheelmark.server.config import Config
from wheelmark.server.projects.models import Collaborator, File, Project

pytestmark = pytest.mark.django_db


def test_no_token_is_401_with_the_way_to_give_one_and_the_body_stays_unread(client: Client, config: Config) -> None:
    response = post_body(client, None, b"", stream=Unread(), CONTENT_LENGTH="5000000")
    assert (response.status_code, codes_of(response)) == (401, ["token-missing"])
    assert response["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ====",
        "Basic " + "A" * 20_000,
        "Basic bm8gY29sb24=",
        "Digest username=x",
        "Bearer wheelmark-AgEAAAAA",
        "Bearer pypi-AgEIcHlwaS5vcmc",
        "\0\x1b[31m",
        "Basic gICA",
        basic("wheelmark-" + "A" * 400),
        basic("x", user_name="ada"),
    ],
)
def test_garbage_in_place_of_a_token_is_refused_with_the_body_unread(
    client: Client, config: Config, header: str
) -> None:
    response = post_body(client, None, b"", stream=Unread(), HTTP_AUTHORIZATION=header, CONTENT_LENGTH="5000000")
    assert response.status_code in {401, 403}
    assert all(code.startswith("token-") for code in codes_of(response))


def test_token_that_was_cut_or_altered_is_refused(client: Client, config: Config) -> None:
    token = a_token()
    for wrong in (token[:-4], token[:-1] + ("A" if token[-1] != "A" else "B")):
        response = post_upload(client, wrong, build_wheel())
        assert response.status_code == 403
        assert codes_of(response)[0] in {"token-malformed", "token-unknown"}
    assert nothing_taken_in()


def test_revoked_token_is_refused(client: Client, config: Config) -> None:
    token = a_token()
    ApiToken.objects.update(revoked_at=timezone.now())
    assert codes_of(post_upload(client, token, build_wheel())) == ["token-revoked"]


def test_expired_token_is_refused(client: Client, config: Config) -> None:
    token = a_token(expires_at=timezone.now() + timedelta(seconds=5))
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=5))
    assert codes_of(post_upload(client, token, build_wheel())) == ["token-expired"]


def test_token_of_a_disabled_user_is_refused(client: Client, config: Config) -> None:
    token = a_token("ada")
    ApiToken.objects.get().user.__class__.objects.update(is_active=False)
    assert codes_of(post_upload(client, token, build_wheel())) == ["token-user-inactive"]


@pytest.mark.parametrize("role", [Role.OWNER, Role.MAINTAINER])
def test_collaborator_may_upload(client: Client, config: Config, role: Role) -> None:
    a_person("ada", role=role, project="demo")
    assert post_upload(client, a_token("ada"), build_wheel()).status_code == 200
    assert File.objects.get().uploaded_by.username == "ada"


def test_nobody_else_may_upload(client: Client, config: Config) -> None:
    a_project("demo", owner="ada")
    response = post_upload(client, a_token("eve"), build_wheel())
    assert (response.status_code, codes_of(response)) == (403, ["not-allowed"])
    assert not File.objects.exists()


def test_who_was_a_collaborator_may_not_any_more(client: Client, config: Config) -> None:
    token = a_token("ada")
    a_project("demo", owner="ada")
    assert post_upload(client, token, build_wheel()).status_code == 200
    Collaborator.objects.all().delete()
    assert codes_of(post_upload(client, token, build_wheel())) == ["not-allowed"]
    assert codes_of(post_upload(client, token, build_wheel(version="2.0"))) == ["not-allowed"]


def test_token_for_a_project_uploads_there_and_nowhere_else(client: Client, config: Config) -> None:
    a_project("demo", owner="ada")
    a_project("shop", owner="ada")
    token = a_token("ada", project="Demo")
    assert post_upload(client, token, build_wheel("demo")).status_code == 200
    for other in ("shop", "brand-new"):
        response = post_upload(client, token, build_wheel(other))
        assert (response.status_code, codes_of(response)) == (403, ["token-scope"])
    assert set(Project.objects.values_list("normalized_name", flat=True)) == {"demo", "shop"}


def test_token_for_a_project_that_is_yet_to_be_created_creates_it(client: Client, config: Config) -> None:
    token = a_token("ada", project="brand-new")
    assert codes_of(post_upload(client, token, build_wheel("other"))) == ["token-scope"]
    assert post_upload(client, token, build_wheel("Brand.New")).status_code == 200
    assert Project.objects.get().collaborators.get().user.username == "ada"


def test_token_for_a_project_gives_no_right_that_its_user_has_not(client: Client, config: Config) -> None:
    a_project("demo", owner="ada")
    token = a_token("eve", project="demo")
    assert codes_of(post_upload(client, token, build_wheel())) == ["not-allowed"]


def test_token_that_its_holder_narrowed_uploads_less(client: Client, config: Config) -> None:
    token = narrowed(a_token("ada"), '[1, ["shop"]]')
    assert codes_of(post_upload(client, token, build_wheel("demo"))) == ["token-scope"]
    assert post_upload(client, token, build_wheel("shop")).status_code == 200


def test_form_that_names_another_project_gets_no_more_than_the_file(client: Client, config: Config) -> None:
    a_project("theirs", owner="bob")
    a_project("mine", owner="ada")
    response = post_upload(client, a_token("ada"), build_wheel("theirs"), change={"name": "mine"})
    assert codes_of(response) == ["not-allowed"]
    response = post_upload(client, a_token("ada"), build_wheel("theirs"), filename="mine-1.0-py3-none-any.whl")
    assert response.status_code == 400
    assert "wheel-dist-info" in codes_of(response)
    assert not File.objects.exists() and incoming(config) == []
