"""How names resemble one another, by hand and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.scan.context.names import deletions, look, neighbours, one_edit, word_orders
from wheelmark.scan.context.popular import LOOKS_ALIKE, OTHER_ORDER, OTHER_SEPARATORS, PopularNames

names = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("harbuor", "two letters swapped"),
        ("harbbour", "a letter twice"),
        ("harbpur", "a neighbouring key"),
        ("harbzur", "another character"),
        ("harbor", "a character less"),
        ("harbours", "a character more"),
        ("harbour", None),
        ("habrou", None),
        ("port", None),
    ],
)
def test_one_slip_is_named_and_two_are_none(name: str, how: str | None) -> None:
    assert one_edit(name, "harbour") == how


def test_a_double_letter_once_is_told_from_any_other_letter_less() -> None:
    assert one_edit("hamer", "hammer") == "a double letter once"
    assert one_edit("hmmer", "hammer") == "a character less"


@given(name=names)
def test_every_neighbour_is_one_slip_away_and_the_slip_goes_both_ways(name: str) -> None:
    found = sorted(neighbours(name))
    for other in found[:: max(1, len(found) // 12)]:
        assert one_edit(name, other) is not None
        assert name in neighbours(other)


@given(name=names, known=st.lists(names, max_size=6))
def test_the_index_finds_what_a_look_at_every_name_finds(name: str, known: list[str]) -> None:
    index = PopularNames(tuple(dict.fromkeys(known)))
    found = {near.target for near in index.near(name)}
    if name in known:
        assert found == set()
        return
    for target in known:
        alike = one_edit(name, target) is not None or look(name) == look(target) or target in word_orders(name)
        assert (target in found) == alike


@given(name=names)
def test_deletions_are_each_string_one_character_shorter(name: str) -> None:
    expected = {name[:position] + name[position + 1 :] for position in range(len(name))}
    assert set(deletions(name)) == expected


def test_looks_separators_and_orders_are_told_apart() -> None:
    index = PopularNames(("colorama", "python-dateutil", "modern-harbour"))
    assert [(near.target, near.how) for near in index.near("co1orama")] == [("colorama", LOOKS_ALIKE)]
    assert [(near.target, near.how) for near in index.near("dateutil-python")] == [("python-dateutil", OTHER_ORDER)]
    assert [(near.target, near.how) for near in index.near("py-thondateutil")] == [
        ("python-dateutil", OTHER_SEPARATORS)
    ]
    assert [near.how for near in index.near("modem-harbour")] == [LOOKS_ALIKE]


def test_the_best_known_name_comes_first() -> None:
    index = PopularNames(("harbours", "harbour"))
    assert [near.target for near in index.near("harbourr")] == ["harbours", "harbour"]


def test_a_hostile_name_of_any_length_is_looked_up_at_once() -> None:
    assert PopularNames(("harbour",)).near("a" * 100_000) == []


def test_module_belongs_to_its_listed_project_or_to_the_one_of_its_name() -> None:
    index = PopularNames(("harbour-pilot",), {"hp": "harbour-pilot"}, frozenset({"tests"}))
    assert index.owner_of_module("HP") == "harbour-pilot"
    assert index.owner_of_module("harbour_pilot") == "harbour-pilot"
    assert index.owner_of_module("tests") is None
    assert index.owner_of_module("gulls") is None
