"""The public pages: each says what is true, and strangers learn of nothing that no snapshot lists."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from support.publishing import FoundedIndex
from support.rows import a_file, a_project, a_release
from support.web import HELD_VERSION, a_maintainer, client_of, held_file, logged_in_user, published
from wheelmark.server.projects.lifecycle import set_status, transition, yank
from wheelmark.server.projects.models import File, Project, ProjectStatus, Release
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.models import Heartbeat, PublishedFile, RoleVersion, Snapshot

pytestmark = pytest.mark.django_db

STRANGERS_PAGES = (
    "/",
    "/search?q=demo",
    "/search?q=held",
    "/project/demo/",
    "/project/demo/1.0/",
    "/project/demo/releases/",
    "/journal/",
    "/trust/",
)


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return response.content.decode()


def test_home_of_a_founded_index_says_how_to_use_it_at_its_real_address(index: FoundedIndex, client: Client) -> None:
    page = text(client, "/")
    assert "wheelmark pip --index http://127.0.0.1:8000/simple/ --root-fingerprint" in page
    assert "twine upload --repository-url http://127.0.0.1:8000/legacy/" in page
    assert "Nothing is published yet." in page


def test_home_of_an_index_that_was_never_founded_says_so(config: object, client: Client) -> None:
    assert "has not published anything yet" in text(client, "/")


def test_home_warns_when_the_publisher_is_silent(index: FoundedIndex, client: Client) -> None:
    RoleVersion.objects.filter(role="timestamp").update(expires_at=timezone.now() + timedelta(days=1))
    Heartbeat.objects.create(at=timezone.now() - timedelta(minutes=5), holder="here")
    assert "New uploads wait" in text(client, "/")
    Heartbeat.objects.update(at=timezone.now())
    assert "New uploads wait" not in text(client, "/")


def test_home_says_that_an_expired_snapshot_is_refused(index: FoundedIndex, client: Client) -> None:
    RoleVersion.objects.filter(role="timestamp").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "The current snapshot has expired" in text(client, "/")


def test_project_page_answers_its_questions(index: FoundedIndex, client: Client) -> None:
    file = published(index, description="# Marks\n\nfor *wheels*", description_content_type="text/markdown")
    page = text(client, "/project/demo/")
    assert "published in snapshot 2" in page
    assert "wheelmark pip --index http://127.0.0.1:8000/simple/ install demo" in page
    assert f'href="/files/{file.sha256}/{file.filename}"' in page
    assert file.sha256 in page
    assert "by ada with an API token" in page
    assert "<em>wheels</em>" in page
    assert 'href="https://source.example.org/demo" rel="nofollow noopener noreferrer"' in page
    assert "javascript:" not in page


def test_version_page_installs_that_version_and_points_to_the_latest(index: FoundedIndex, client: Client) -> None:
    published(index, version="1.0")
    published(index, version="2.0")
    page = text(client, "/project/demo/1.0/")
    assert "install demo==1.0" in page
    assert "The latest release is" in page
    assert "demo-2.0-py3-none-any.whl" not in page


def test_latest_release_is_neither_yanked_nor_a_pre_release_if_there_is_another(
    index: FoundedIndex, client: Client
) -> None:
    for version in ("1.0", "1.5", "2.0rc1"):
        published(index, version=version)
    with transaction.atomic():
        yank(Release.objects.get(version="1.5"), yanked=True, reason="broken", actor="ada")
    assert "demo-1.0-py3-none-any.whl" in text(client, "/project/demo/")
    page = text(client, "/project/demo/1.5/")
    assert "This release is yanked" in page
    assert "broken" in page


@pytest.mark.parametrize("spelling", ["Demo", "DEMO", "de_mo", "de.mo", "De--mo"])
def test_other_spellings_lead_to_the_normalized_name(index: FoundedIndex, client: Client, spelling: str) -> None:
    name = "demo" if "mo" not in spelling.lower().removeprefix("demo") else "de-mo"
    published(index, name)
    response = client.get(f"/project/{spelling}/")
    assert response.status_code == 301
    assert response["Location"] == f"/project/{name}/"


def test_other_spelling_of_a_version_leads_to_the_canonical_one(index: FoundedIndex, client: Client) -> None:
    published(index, version="1.0rc1")
    response = client.get("/project/demo/1.0-RC1/")
    assert response["Location"] == "/project/demo/1.0rc1/"
    assert client.get("/project/demo/9.9/").status_code == 404
    assert client.get("/project/demo/no version/").status_code == 404


@pytest.mark.parametrize("state", sorted(set(FileState) - {FileState.PUBLISHED}))
def test_strangers_never_learn_of_an_unlisted_file(index: FoundedIndex, client: Client, state: FileState) -> None:
    published(index)
    a_release("demo", HELD_VERSION, summary="A held summary", description="held words")
    hidden = a_file("demo", HELD_VERSION, state=state, content=b"hidden")
    beside = a_file("demo", "1.0", state=state, content=b"hidden too", tag="cp311-cp311-linux_x86_64")
    eve = client_of(logged_in_user("eve"))
    for viewer, address in [(viewer, address) for viewer in (client, eve) for address in STRANGERS_PAGES]:
        page = text(viewer, address)
        for secret in (HELD_VERSION, hidden.sha256, beside.filename, beside.sha256, "A held summary"):
            assert secret not in page


@pytest.mark.parametrize("state", sorted(set(FileState) - {FileState.PUBLISHED}))
def test_project_with_nothing_listed_looks_to_strangers_like_no_project(
    index: FoundedIndex, client: Client, state: FileState
) -> None:
    a_file("ghost", "1.0", state=state)
    absent = client.get("/project/nothing-at-all/")
    for address in ("/project/ghost/", "/project/ghost/1.0/", "/project/ghost/releases/", "/project/GHOST/"):
        response = client.get(address)
        assert response.status_code == 404
        strip = (b"ghost", b"GHOST", b"nothing-at-all", b"1.0/", b"releases/")
        bodies = [response.content, absent.content]
        for word in strip:
            bodies = [body.replace(word, b"") for body in bodies]
        assert bodies[0] == bodies[1]
    assert "ghost" not in text(client, "/search?q=host")
    assert "ghost" not in text(client, "/journal/")


def test_file_that_is_held_after_publication_is_shown_as_listed_until_the_next_snapshot(
    index: FoundedIndex, client: Client
) -> None:
    file = published(index)
    with transaction.atomic():
        transition(file.pk, FileState.HELD, actor="mod", now=timezone.now(), reason="secret suspicion")
    page = text(client, "/project/demo/")
    assert file.filename in page
    assert "held" not in page.split("<main")[1]
    assert "secret suspicion" not in page
    mary = client_of(a_maintainer())
    assert "held for review; leaves with the next snapshot" in text(mary, "/project/demo/")
    assert index.publisher().publish_due()
    assert file.filename not in text(client, "/project/demo/")
    assert file.filename not in text(client, "/journal/")


@pytest.mark.parametrize("who", ["maintainer", "moderator"])
def test_insiders_see_what_is_held_and_are_told_that_others_do_not(index: FoundedIndex, who: str) -> None:
    published(index)
    file = held_file()
    user = a_maintainer() if who == "maintainer" else logged_in_user("mod", is_moderator=True)
    page = text(client_of(user), f"/project/demo/{HELD_VERSION}/")
    assert file.filename in page
    assert "held for review" in page
    assert f"/files/{file.sha256}" not in page
    assert "Only the project's collaborators and moderators see this" in page


def test_moderator_without_the_demanded_second_factor_sees_what_strangers_see(
    index: FoundedIndex, settings: object, config: object
) -> None:
    from wheelmark.server.config import Config

    published(index)
    held_file()
    assert isinstance(config, Config)
    settings.CONFIG = Config(data=config.data, host="0.0.0.0")  # type: ignore[attr-defined]  # any name goes
    client = client_of(logged_in_user("mod", is_moderator=True))
    assert client.get(f"/project/demo/{HELD_VERSION}/").status_code == 404


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ProjectStatus.QUARANTINED, "Do not install this."),
        (ProjectStatus.ARCHIVED, "Archived:"),
        (ProjectStatus.DEPRECATED, "Deprecated:"),
    ],
)
def test_status_is_said_with_its_reason(index: FoundedIndex, client: Client, status: ProjectStatus, words: str) -> None:
    published(index)
    with transaction.atomic():
        set_status(Project.objects.get(), status, actor="ada", reason="because <b>")
    index.publisher().publish_due()
    page = text(client, "/project/demo/")
    assert words in page
    assert "because &lt;b&gt;" in page


def test_quarantined_project_keeps_its_page_and_lists_nothing(index: FoundedIndex, client: Client) -> None:
    file = published(index)
    with transaction.atomic():
        set_status(Project.objects.get(), ProjectStatus.QUARANTINED, actor="mod", reason="stolen account")
    assert index.publisher().publish_due()
    page = text(client, "/project/demo/")
    assert file.filename not in page
    assert "install demo" not in page


def test_trust_page_shows_the_fingerprint_of_the_root_that_is_served(index: FoundedIndex, client: Client) -> None:
    import hashlib

    page = text(client, "/trust/")
    assert hashlib.sha256(index.root).hexdigest() in page
    assert "One key alone can replace all others (1 of 1)" in page
    assert "8 bins list the project pages" in page


def test_trust_page_names_what_has_expired(index: FoundedIndex, client: Client) -> None:
    RoleVersion.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert "is current" in text(client, "/trust/")
    RoleVersion.objects.filter(role="snapshot").update(expires_at=timezone.now() - timedelta(days=1))
    assert "Expired: snapshot." in text(client, "/trust/")


def test_trust_page_names_every_key_and_the_snapshot_so_that_two_people_can_compare(
    index: FoundedIndex, client: Client
) -> None:
    page = text(client, "/trust/")
    for keyid in (index.signers.bins.keyid, index.signers.publish.keyid):
        assert keyid in page
    snapshot = Snapshot.current()
    assert snapshot is not None
    assert snapshot.sha256 in page
    assert f'href="/tuf/{snapshot.version}.snapshot.json"' in page


def test_trust_page_tells_administrators_what_to_do_and_nobody_else(index: FoundedIndex, client: Client) -> None:
    RoleVersion.objects.update(expires_at=timezone.now() + timedelta(days=30))
    admin = client_of(logged_in_user("root", is_administrator=True))
    page = text(admin, "/trust/")
    assert "For administrators" in page
    assert "root, targets, bins will expire, the first in 29 days" in page
    assert "wheelmark trust ceremony begin --renew" in page
    for other in (client, client_of(logged_in_user("eve")), client_of(logged_in_user("mod", is_moderator=True))):
        assert "For administrators" not in text(other, "/trust/")


def test_trust_page_without_the_offline_files_still_says_what_is_current(index: FoundedIndex, client: Client) -> None:
    index.store.delete("tuf/1.targets.json")
    page = text(client, "/trust/")
    assert "The root cannot be read just now" in page
    assert "bins list the project pages" in page


def test_journal_of_strangers_is_without_names_and_that_of_moderators_is_whole(
    index: FoundedIndex, client: Client
) -> None:
    published(index)
    held_file()
    assert HELD_VERSION not in text(client, "/journal/")
    assert "by ada" not in text(client, "/journal/")
    assert f"demo-{HELD_VERSION}" in text(client_of(logged_in_user("mod", is_moderator=True)), "/journal/")


def test_journal_goes_back_in_steps(index: FoundedIndex, client: Client) -> None:
    for number in range(60):
        a_file("demo", f"1.{number}")
    assert index.publisher().publish_due()
    first = text(client, "/journal/")
    assert first.count("journal-line") == 50
    older = first.split("?before=")[1].split('"')[0]
    assert text(client, f"/journal/?before={older}").count("journal-line") == 10
    for nonsense in ("x", "-1", "9" * 40, "%00", "1.5", "١"):
        assert client.get(f"/journal/?before={nonsense}").status_code == 200


def test_many_files_come_in_pages_below_100_kb(index: FoundedIndex, client: Client) -> None:
    a_release("demo", "1.0", description="word " * 30_000, description_content_type="text/plain")
    a_file("demo", "1.0")
    for number in range(75):
        a_file("demo", "1.0", tag=f"cp311-cp311-manylinux_2_17_{'x' * 100}{number}")
    assert index.publisher().publish_due()
    response = client.get("/project/demo/")
    assert response.content.decode().count('class="row-head"') == 30
    assert "1 to 30 of 76 files" in response.content.decode()
    assert len(response.content) < 100_000
    assert client.get("/project/demo/?page=3").content.decode().count('class="row-head"') == 16
    assert client.get("/project/demo/?page=nonsense").status_code == 200


def test_number_of_queries_does_not_grow_with_what_is_shown(
    index: FoundedIndex, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        a_file("demo", f"1.{number}")
        a_file("demo", "2.0", tag=f"cp3{number}-none-any")
        a_project(f"demo-{number}")
        a_file(f"demo-{number}", "1.0")
    assert index.publisher().publish_due()
    for address, most in (
        ("/", 7),
        ("/project/demo/", 9),
        ("/project/demo/releases/", 4),
        ("/search?q=demo", 2),
        ("/journal/", 1),
        ("/trust/", 8),
    ):
        with django_assert_max_num_queries(most):
            text(client, address)


def test_500_page_needs_nothing_that_may_be_broken(client: Client) -> None:
    from django.test import RequestFactory
    from django.views.defaults import server_error

    response = server_error(RequestFactory().get("/"))
    assert response.status_code == 500
    assert b"Something broke on our side" in response.content


def test_unknown_address_is_a_page_of_ours(client: Client) -> None:
    response = client.get("/no/such/thing")
    assert response.status_code == 404
    assert b"There is no such page" in response.content


@pytest.mark.parametrize(
    ("address", "method"),
    [("/", "post"), ("/project/demo/", "post"), ("/search", "delete"), ("/appearance", "get"), ("/trust/", "put")],
)
def test_pages_answer_only_the_methods_that_they_have(client: Client, address: str, method: str) -> None:
    assert getattr(client, method)(address).status_code == 405


def test_colours_are_a_cookie_and_lead_back_to_where_one_was(client: Client) -> None:
    response = client.post("/appearance", {"theme": "dark", "next": "/trust/"})
    assert response["Location"] == "/trust/"
    assert 'data-theme="dark"' in client.get("/no-such-page").content.decode()
    client.post("/appearance", {"theme": "system", "next": "/"})
    assert "data-theme" not in client.get("/no-such-page").content.decode()


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_colours_never_lead_elsewhere(client: Client, elsewhere: str) -> None:
    assert client.post("/appearance", {"theme": "light", "next": elsewhere})["Location"] == "/"


def test_unknown_colour_is_refused_and_an_unknown_cookie_ignored(client: Client) -> None:
    assert client.post("/appearance", {"theme": '"><script>', "next": "/"}).status_code == 400
    client.cookies["wheelmark_theme"] = '"><script>alert(1)</script>'
    page = client.get("/no-such-page").content.decode()
    assert "data-theme" not in page
    assert "<script>alert" not in page


def test_public_pages_set_no_cookie(index: FoundedIndex, client: Client) -> None:
    published(index)
    for address in STRANGERS_PAGES:
        response = client.get(address)
        assert not response.cookies, address
        assert "Set-Cookie" not in response


def test_published_row_without_a_file_row_breaks_no_page(index: FoundedIndex, client: Client) -> None:
    published(index)
    PublishedFile.objects.create(
        filename="demo-9.9.tar.gz", sha256="0" * 64, size=1, page_id="demo", snapshot=2, at=timezone.now()
    )
    text(client, "/project/demo/")
    assert not File.objects.filter(filename="demo-9.9.tar.gz").exists()
