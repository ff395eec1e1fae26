"""Which index speaks for a project: the first that has it, and no other; never one after an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from wheelmark.client.sources import Source, Sources
from wheelmark.client.verifier import Verifier
from wheelmark.dist import NormalizedName
from wheelmark.errors import Refused, Unavailable, Untrusted, WheelmarkError
from wheelmark.simple import ProjectPage


@dataclass
class AnIndex:
    """A verifier that has some projects, or fails."""

    names: set[str]
    error: WheelmarkError | None = None
    asked: list[str] = field(default_factory=list)

    def page(self, name: str) -> ProjectPage | None:
        self.asked.append(name)
        if self.error is not None:
            raise self.error
        return ProjectPage(name=NormalizedName(name), serial=1) if name in self.names else None

    def source(self, *namespaces: str) -> Source:
        return Source(lambda: cast(Verifier, self), namespaces=namespaces)


def owner(sources: Sources, name: str) -> int | None:
    owned = sources.page(name)
    return None if owned is None else sources.all.index(owned.source)


def test_first_index_that_has_a_project_owns_it_and_the_next_is_not_asked() -> None:
    first, second = AnIndex({"demo"}), AnIndex({"demo", "other"})
    sources = Sources([first.source(), second.source()])
    assert owner(sources, "demo") == 0
    assert second.asked == []


def test_proven_absence_lets_the_next_be_asked() -> None:
    sources = Sources([AnIndex(set()).source(), AnIndex({"demo"}).source()])
    assert owner(sources, "demo") == 1
    assert owner(sources, "nowhere") is None


@pytest.mark.parametrize("error", [Unavailable("away", code="connection"), Untrusted("expected a", code="signature")])
def test_error_of_the_first_is_an_error_and_not_an_absence(error: WheelmarkError) -> None:
    second = AnIndex({"demo"})
    sources = Sources([AnIndex(set(), error).source(), second.source()])
    with pytest.raises(type(error)):
        sources.page("demo")
    assert second.asked == []


@pytest.mark.parametrize(
    ("name", "expected"), [("acme", 1), ("acme-tools", 1), ("acmetools", 0), ("acme-lab-x", 0), ("acme-missing", None)]
)
def test_name_in_a_namespace_is_asked_of_its_holder_only(name: str, expected: int | None) -> None:
    squatter = AnIndex({"acme", "acme-tools", "acmetools", "acme-lab-x", "acme-missing"})
    own = AnIndex({"acme", "acme-tools"})
    sources = Sources([squatter.source("acme-lab"), own.source("acme")])
    assert owner(sources, name) == expected
    if expected != 0:
        assert squatter.asked == []


def test_namespace_given_twice_or_written_wrongly_is_refused_with_all_faults() -> None:
    with pytest.raises(Refused) as caught:
        Sources([AnIndex(set()).source("acme", "No_Good"), AnIndex(set()).source("acme")])
    assert [fault.code for fault in caught.value.faults] == ["namespace", "namespace"]


def test_name_of_a_file_leads_to_its_project_and_what_is_no_file_name_to_none() -> None:
    index = AnIndex({"demo"})
    sources = Sources([index.source()])
    owned = sources.page_of_file("Demo-1.0-py3-none-any.whl")
    assert owned is not None
    assert owned.page.name == "demo"
    assert sources.page_of_file("demo.exe") is None
    assert index.asked == ["demo"]


def test_age_counts_from_the_last_answer_that_was_verified() -> None:
    clock = [100.0]
    index = AnIndex(set())
    sources = Sources([index.source()], monotonic=lambda: clock[0])
    assert sources.unverified_seconds() is None
    sources.page("demo")
    index.error = Unavailable("away", code="connection")
    clock[0] = 107.0
    with pytest.raises(Unavailable):
        sources.page("demo")
    assert sources.unverified_seconds() == 7.0
