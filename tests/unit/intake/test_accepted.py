"""What an accepted upload leaves behind: bytes, rows, journal and job; and what the same bytes again leave: nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from support.distributions import build_sdist, build_wheel, core_metadata
from support.upload import (
    CLIENTS,
    UV_ACCEPT,
    Part,
    a_token,
    encoded,
    flit_fields,
    incoming,
    journal,
    post_body,
    post_upload,
    twine_fields,
    waiting_scans,
)
from wheelmark.server.accounts.models import ApiToken, User
from wheelmark.server.config import Config
from wheelmark.server.projects.models import File, JournalEntry, Project, Release
from wheelmark.server.publishing.keys import file_key, metadata_key
from wheelmark.server.review.tasks import enqueue_scan
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db

METADATA = {
    "Author": "Ann Author",
    "Author-Email": "ann@example.org",
    "Keywords": "one,two",
    "Classifier": ["Programming Language :: Python :: 3", "Topic :: Utilities"],
    "Project-URL": ["Home, https://example.org/"],
    "Requires-Python": ">=3.8",
    "License-Expression": "MIT",
    "Description-Content-Type": "text/markdown",
    "Description": "# Demo\n\nGrüße.\n",
    "Provides-Extra": ["more"],
}


def all_rows() -> list[object]:
    """Everything that an upload can change, as values."""
    return [list(model.objects.order_by("pk").values()) for model in (Project, Release, File, JournalEntry)]


def test_first_upload_makes_project_release_file_and_owner(client: Client, config: Config) -> None:
    wheel = build_wheel("My.Shop", "1.0", metadata=METADATA, requires=["six>=1"])
    response = post_upload(client, a_token("ada"), wheel, HTTP_USER_AGENT="twine/7.0.0")
    assert response.status_code == 200, response.content
    assert b"my_shop-1.0-py3-none-any.whl accepted" in response.content
    project = Project.objects.get()
    assert (project.name, project.normalized_name, project.lookalike_name) == ("My.Shop", "my-shop", "mysh0p")
    assert list(project.collaborators.values_list("user__username", "role")) == [("ada", "owner")]
    release = project.releases.get()
    assert (release.version, release.requires_python) == ("1.0", ">=3.8")
    assert release.description.startswith("# Demo") and "Grüße" in release.description
    assert release.metadata["classifiers"] == METADATA["Classifier"]
    assert release.metadata["requires_dist"] == ["six>=1"]
    assert release.metadata["project_urls"] == {"Home": "https://example.org/"}
    file = release.files.get()
    assert (file.filename, file.kind, file.state) == ("my_shop-1.0-py3-none-any.whl", "bdist_wheel", "validated")
    assert (file.size, file.sha256) == (len(wheel), hashlib.sha256(wheel).hexdigest())
    assert file.blake2b_256 == hashlib.blake2b(wheel, digest_size=32).hexdigest()
    assert (file.uploaded_by, file.user_agent) == (User.objects.get(username="ada"), "twine/7.0.0")
    assert file.uploaded_with == f"token:{ApiToken.objects.get().pk}"


def test_bytes_and_core_metadata_lie_in_the_store(client: Client, config: Config) -> None:
    wheel = build_wheel(metadata=METADATA)
    post_upload(client, a_token(), wheel)
    file, store = File.objects.get(), current_store()
    assert store.read_all(file_key(file.sha256), max_bytes=10**6) == wheel
    metadata = store.read_all(metadata_key(file.metadata_sha256), max_bytes=10**6)
    assert metadata == core_metadata("demo", "1.0", METADATA)
    assert file.metadata_size == len(metadata)
    assert incoming(config) == []


def test_journal_tells_the_story_in_order(client: Client, config: Config) -> None:
    token = a_token()
    post_upload(client, token, build_wheel())
    assert journal() == ["project-created", "release-created", "file-uploaded", "file-validated"]
    post_upload(client, token, build_sdist())
    assert journal()[4:] == ["file-uploaded", "file-validated"]
    entry = JournalEntry.objects.filter(action="file-uploaded").first()
    assert entry is not None
    assert (entry.actor, entry.project, entry.version) == ("ada", "demo", "1.0")
    assert entry.detail["sha256"] == hashlib.sha256(build_wheel()).hexdigest()


def test_scan_is_asked_for_in_the_same_transaction(client: Client, config: Config) -> None:
    post_upload(client, a_token(), build_wheel())
    assert waiting_scans() == {File.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_rolled_back_upload_leaves_no_row_and_no_job(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []

    def ask_then_fail(file_id: int) -> None:
        enqueue_scan(file_id)
        seen.append(waiting_scans())
        transaction.set_rollback(True)

    monkeypatch.setattr("wheelmark.server.intake.accept.enqueue_scan", ask_then_fail)
    post_upload(client, a_token(), build_wheel())
    assert len(seen[0]) == 1
    assert not File.objects.exists() and journal() == [] and waiting_scans() == set()


def test_second_file_joins_the_release_and_keeps_its_metadata(client: Client, config: Config) -> None:
    token = a_token()
    post_upload(client, token, build_wheel(metadata=METADATA))
    response = post_upload(client, token, build_sdist(metadata={**METADATA, "Author": "Somebody Else"}))
    assert response.status_code == 200, response.content
    release = Release.objects.get()
    assert release.metadata["author"] == "Ann Author"
    assert release.files.count() == 2


def test_version_that_is_spelled_with_more_zeros_is_the_same_release(client: Client, config: Config) -> None:
    token = a_token()
    post_upload(client, token, build_wheel(version="1.0"))
    response = post_upload(client, token, build_wheel(version="1.0.0"))
    assert response.status_code == 200, response.content
    assert Release.objects.get().files.count() == 2


@pytest.mark.parametrize("build", [build_wheel, build_sdist])
@pytest.mark.parametrize("name", CLIENTS)
def test_form_of_every_client_is_accepted(
    client: Client, config: Config, name: str, build: Callable[..., bytes]
) -> None:
    content = build("My.Shop", "1.0", metadata=METADATA, requires=["six>=1", 'more; extra == "more"'])
    response = post_upload(client, a_token(), content, fields=CLIENTS[name](content))
    assert response.status_code == 200, response.content


def test_same_bytes_again_change_nothing(client: Client, config: Config) -> None:
    token, wheel = a_token(), build_wheel()
    post_upload(client, token, wheel)
    before = all_rows()
    response = post_upload(client, token, wheel)
    assert response.status_code == 200
    assert b"is already here, and validated" in response.content
    assert all_rows() == before
    assert incoming(config) == []


@pytest.mark.parametrize("change", [{}, {"sha256_digest": None}, {"sha256_digest": None, "blake2_256_digest": None}])
def test_same_sdist_again_is_no_second_sdist(client: Client, config: Config, change: dict[str, None]) -> None:
    token, sdist = a_token(), build_sdist()
    fields = flit_fields(sdist)
    post_upload(client, token, sdist, fields=fields)
    assert post_upload(client, token, sdist, fields=fields, change=change).status_code == 200


def test_same_bytes_again_are_welcome_when_the_release_takes_no_others(client: Client, config: Config) -> None:
    token, wheel = a_token(), build_wheel()
    post_upload(client, token, wheel)
    Release.objects.update(created_at=timezone.now() - timedelta(days=400), is_yanked=True)
    assert post_upload(client, token, wheel).status_code == 200


def test_old_signature_beside_the_file_is_passed_over(client: Client, config: Config) -> None:
    wheel = build_wheel()
    signature = Part(b"signature", "demo-1.0-py3-none-any.whl.asc", name="gpg_signature")
    body = encoded(twine_fields(wheel), [signature, Part(wheel, "demo-1.0-py3-none-any.whl")])
    assert post_body(client, a_token(), body).status_code == 200
    assert incoming(config) == []


def test_sender_of_attestations_is_told_that_they_are_not_kept(client: Client, config: Config) -> None:
    response = post_upload(client, a_token(), build_wheel(), change={"attestations": "[{}]"}, HTTP_ACCEPT=UV_ACCEPT)
    assert response.status_code == 200
    assert b"attestations were not kept" in response.content
    assert b"attestations" not in post_upload(client, a_token(), build_wheel()).content


def test_use_of_the_token_is_noted_with_its_address(client: Client, config: Config) -> None:
    post_upload(client, a_token(), build_wheel(), REMOTE_ADDR="192.0.2.7")
    assert ApiToken.objects.get().last_used_from == "192.0.2.7"


def test_get_is_told_what_this_address_is_for(client: Client) -> None:
    response = client.get("/legacy/")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert b"twine and uv" in response.content
