"""What a token is good for, from its caveats alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.errors import Refused
from wheelmark.server.accounts import caveats
from wheelmark.server.accounts.caveats import Scope, caveat_id, row_ids, weigh

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)

names = st.sampled_from(["alpha", "beta", "gamma"])
good_caveats = st.one_of(
    st.builds(caveats.project_names, st.lists(names, max_size=3)),
    st.builds(lambda members: json.dumps([2, members]), st.lists(st.sampled_from(["1", "2", "3"]), max_size=3)),
    st.just(caveats.for_user("7")),
    st.just(caveats.expiration(NOW + SECOND, NOW)),
)
any_caveat = st.one_of(
    good_caveats,
    st.text(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=4)
    ).map(json.dumps),
)


def scope(*texts: str) -> Scope:
    return weigh(texts, user_id="7", now=NOW)


def refusal(*texts: str) -> str:
    with pytest.raises(Refused) as caught:
        scope(*texts)
    return caught.value.code


def test_no_caveat_restricts_nothing() -> None:
    assert scope() == Scope(None, None)


def test_expiration_holds_from_its_first_second_to_the_one_before_its_last() -> None:
    window = caveats.expiration(NOW + 10 * SECOND, NOW)
    for offset, code in ((-1, "token-not-yet"), (0, ""), (9, ""), (10, "token-expired")):
        if code:
            with pytest.raises(Refused, match="expected a live token, got") as caught:
                weigh([window], user_id="7", now=NOW + offset * SECOND)
            assert caught.value.code == code
        else:
            assert weigh([window], user_id="7", now=NOW + offset * SECOND) == Scope()


def test_two_name_caveats_mean_what_both_name() -> None:
    both = scope(caveats.project_names(["alpha", "beta"]), caveats.project_names(["beta", "gamma"]))
    assert both.project_names == frozenset({"beta"})


def test_caveats_that_exclude_one_another_leave_nothing_rather_than_everything() -> None:
    assert scope(caveats.project_names(["alpha"]), caveats.project_names(["beta"])).project_names == frozenset()


def test_caveat_of_another_user_is_refused() -> None:
    assert refusal(caveats.for_user("8")) == "token-user"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[]",
        "[0]",
        "[0, 1]",
        '[0, "1", 0]',
        "[0, 1.0, 0]",
        "[false, 99999999999, 0]",
        "[true, []]",
        "[0, 99999999999, 0, 0]",
        '[1, "alpha"]',
        '[1, ["alpha", 1]]',
        '[2, "1"]',
        "[3, 7]",
        "[4, null, null]",
        '[99, "of the future"]',
        '{"version": 1, "permissions": "user"}',
        '{"exp": 99999999999, "nbf": 0}',
        "[" * 4_000,
        json.dumps([1, ["a" * 5_000]]),
    ],
)
def test_caveat_that_is_not_understood_is_refused(text: str) -> None:
    assert refusal(text) == "token-caveat"


def test_more_caveats_than_anybody_needs_are_refused() -> None:
    few = [caveats.for_user("7")] * caveats.MAX_CAVEATS
    assert scope(*few) == Scope()
    assert refusal(*few, caveats.for_user("7")) == "token-caveat"


@given(before=st.lists(good_caveats, max_size=4), added=any_caveat)
def test_an_added_caveat_only_ever_narrows(before: list[str], added: str) -> None:
    wide = scope(*before)
    try:
        narrow = scope(*before, added)
    except Refused:
        return
    for of_wide, of_narrow in (
        (wide.project_names, narrow.project_names),
        (wide.project_ids, narrow.project_ids),
    ):
        assert of_wide is None or (of_narrow is not None and of_narrow <= of_wide)


@given(st.integers(0, 2**63 - 1))
def test_row_numbers_survive_their_form_in_caveats(row_id: int) -> None:
    assert row_ids([caveat_id(row_id)]) == {row_id}


@pytest.mark.parametrize("text", ["1", "", "junk", caveat_id(2**63), caveat_id(1).upper() + "0", caveat_id(1) + "\n"])
def test_what_is_no_row_number_stands_for_no_row(text: str) -> None:
    assert row_ids([text]) == frozenset()
