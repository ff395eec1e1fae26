"""Bins follow from paths as python-tuf computes them, and their number from the cost model."""

from __future__ import annotations

import hashlib

import pytest
from tuf.api.metadata import SuccinctRoles  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.errors import Refused
from wheelmark.trust import Layout, choose_bit_length, page_target_path
from wheelmark.trust.layout import BINS_PATHS, MAX_BIT_LENGTH, MAX_PATH_LENGTH, is_target_path


@pytest.mark.parametrize("bit_length", range(1, MAX_BIT_LENGTH + 1))
def test_bin_names_and_choice_are_those_of_python_tuf(bit_length: int) -> None:
    layout, oracle = Layout(bit_length), SuccinctRoles([], 1, bit_length, "bins")
    assert list(layout.bin_names) == list(oracle.get_roles())
    assert layout.bin_count == len(layout.bin_names)
    for name in ("flask", "a", "zope-interface", "x" * 100):
        path = page_target_path(name)
        assert layout.bin_name(layout.bin_of(path)) == oracle.get_role_for_target(path)


def test_bin_names_are_sorted_so_that_index_order_is_snapshot_order() -> None:
    for bit_length in (4, 5, 8, 13):
        names = Layout(bit_length).bin_names
        assert list(names) == sorted(names)


@pytest.mark.parametrize("bit_length", [0, -1, MAX_BIT_LENGTH + 1, True, 3.0, None])
def test_impossible_bit_length_is_refused(bit_length: int) -> None:
    with pytest.raises(Refused, match=f"expected a whole number from 1 to 16, got {bit_length!r}") as refusal:
        Layout(bit_length)
    assert refusal.value.code == "bit-length"


@pytest.mark.parametrize("index", [-1, 8, 1 << 40])
def test_a_bin_that_does_not_exist_has_no_name(index: int) -> None:
    with pytest.raises(Refused, match=f"expected 0 to 7, got {index}"):
        Layout(3).bin_name(index)


@pytest.mark.parametrize(
    ("projects", "bins"),
    [
        (0, {256}),
        (1, {256}),
        (100, {256}),
        (1_000, {256}),
        (5_000, {512, 1_024}),
        (50_000, {1_024, 2_048}),
        (700_000, {4_096}),
        (1_000_000, {8_192}),
        (1_000_000_000, {8_192}),
    ],
)
def test_number_of_bins_follows_the_cost_model(projects: int, bins: set[int]) -> None:
    assert 1 << choose_bit_length(projects) in bins


def test_more_projects_never_mean_fewer_bins() -> None:
    chosen = [choose_bit_length(projects) for projects in range(0, 2_000_000, 7_919)]
    assert chosen == sorted(chosen)


def test_fewer_than_zero_projects_are_refused() -> None:
    with pytest.raises(Refused, match="expected 0 or more, got -1"):
        choose_bit_length(-1)


def test_page_target_path_is_that_of_the_simple_api() -> None:
    assert page_target_path("zope-interface") == "simple/zope-interface/index.json"


@pytest.mark.parametrize("name", ["Flask", "a_b", "a.b", "a--b", "-a", "", "a/b", "..", "a\n", "ünicode", "a b"])
def test_another_spelling_of_a_name_has_no_target(name: str) -> None:
    with pytest.raises(Refused, match="expected a normalized name") as refusal:
        page_target_path(name)
    assert refusal.value.code == "name-not-normalized"


def test_a_name_too_long_for_a_target_is_refused() -> None:
    longest = "a" * (MAX_PATH_LENGTH - len("simple//index.json"))
    assert is_target_path(page_target_path(longest))
    with pytest.raises(Refused, match="expected a path of at most 512"):
        page_target_path(longest + "a")


def test_bins_speak_for_pages_and_files_and_never_for_claims() -> None:
    layout = Layout(3)
    digest = hashlib.sha256(b"").hexdigest()
    assert _delegated("simple/flask/index.json")
    assert _delegated("simple/index.json")
    assert _delegated(f"files/{digest}/flask-3.0.tar.gz")
    assert not _delegated("claims/flask.json")
    assert not _delegated("claims")
    assert not _delegated("simple/flask/extra/index.json")
    assert layout.bin_of("claims/flask.json") in range(8)  # a bin exists for any path: the patterns keep it out


def _delegated(path: str) -> bool:
    from tuf.api.metadata import DelegatedRole  # type: ignore[attr-defined]  # tuf re-exports without saying so

    role = DelegatedRole("bins", [], 1, True, paths=list(BINS_PATHS))
    return bool(role.is_delegated_path(path))
