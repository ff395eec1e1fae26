"""Which project do I mean?"""

from __future__ import annotations

import pytest
from django.test import Client

from support.publishing import FoundedIndex
from support.rows import a_file, a_project, a_release
from wheelmark.server.web import queries
from wheelmark.server.web.queries import search

pytestmark = pytest.mark.django_db


def names(query: str) -> list[str]:
    return [project.normalized_name for project in search(query).projects]


@pytest.fixture
def projects(index: FoundedIndex) -> None:
    for name, summary in (
        ("wheel-marks", "Marks on wheels"),
        ("wheel", "Builds wheels"),
        ("my-wheel", "Mine"),
        ("round-thing", "Like a wheel, or 100% of one"),
        ("unrelated", "Nothing"),
    ):
        a_release(name, "1.0", summary=summary)
        a_file(name, "1.0")
    index.publisher().publish_due()


@pytest.mark.usefixtures("projects")
def test_exact_name_comes_first_then_names_then_summaries() -> None:
    assert names("wheel") == ["wheel", "wheel-marks", "my-wheel", "round-thing"]
    assert names("WHEEL_marks") == ["wheel-marks"]


@pytest.mark.usefixtures("projects")
@pytest.mark.parametrize("query", ["%", "_", "'", '"', "\\", "\0", "' OR 1=1 --", "💥", "-", "."])
def test_signs_of_the_query_language_are_only_signs(query: str, client: Client) -> None:
    assert client.get("/search", {"q": query}).status_code == 200


@pytest.mark.usefixtures("projects")
def test_percent_finds_only_what_has_a_percent() -> None:
    assert names("100%") == ["round-thing"]


@pytest.mark.usefixtures("projects")
def test_empty_query_finds_nothing_and_asks(client: Client) -> None:
    assert names("") == []
    assert names("   ") == []
    assert "Write a project" in client.get("/search").content.decode()


@pytest.mark.usefixtures("projects")
def test_nothing_found_says_what_that_means(client: Client) -> None:
    assert "never falls back to another index" in client.get("/search?q=zzz").content.decode()


def test_lookalike_is_pointed_out_whether_or_not_the_exact_name_exists(index: FoundedIndex, client: Client) -> None:
    a_file("tool1", "1.0")
    index.publisher().publish_due()
    page = client.get("/search?q=too1l").content.decode()
    assert "There is no project" in page
    assert "/project/tool1/" in page
    a_file("to0l1", "1.0")
    index.publisher().publish_due()
    assert "Besides" in client.get("/search?q=tool1").content.decode()


def test_lookalike_that_is_not_published_is_not_pointed_out(index: FoundedIndex, client: Client) -> None:
    a_project("tool1")
    assert "Mind the name" not in client.get("/search?q=too1l").content.decode()


def test_summary_of_an_unpublished_release_neither_finds_nor_shows(index: FoundedIndex) -> None:
    a_release("demo", "1.0", summary="old words")
    a_file("demo", "1.0")
    index.publisher().publish_due()
    a_release("demo", "2.0", summary="secret words")
    found = search("demo").projects.object_list
    assert [project.summary for project in found] == ["old words"]  # type: ignore[attr-defined]  # annotated
    assert names("secret") == []


def test_many_results_are_cut_and_come_in_pages(
    index: FoundedIndex, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MAX_RESULTS", 30)
    for number in range(35):
        a_file(f"many-{number}", "1.0")
    index.publisher().publish_due()
    page = client.get("/search?q=many").content.decode()
    assert "There are more" in page
    assert "1 to 20 of 30 projects" in page
    assert "?q=many&amp;page=2" in page
    assert client.get("/search?q=many&page=2").status_code == 200


def test_project_named_in_a_query_is_escaped(client: Client, index: FoundedIndex) -> None:
    page = client.get("/search", {"q": "<script>alert(1)</script>"}).content.decode()
    assert "<script>alert" not in page
    assert "U+202E" in client.get("/search", {"q": "a\u202eb"}).content.decode()
