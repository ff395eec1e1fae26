"""Names of projects and digests of files."""

from __future__ import annotations

import pytest

from wheelmark.dist import is_normalized, name_faults, normalize, parse_sha256, ultra_normalize
from wheelmark.dist.names import MAX_NAME_CHARS
from wheelmark.errors import Refused


@pytest.mark.parametrize(
    ("name", "normalized"),
    [("Django", "django"), ("oslo.config", "oslo-config"), ("A__b.-c", "a-b-c"), ("x", "x"), ("0", "0")],
)
def test_name_has_one_normalized_spelling(name: str, normalized: str) -> None:
    assert normalize(name) == normalized
    assert is_normalized(normalized)
    assert is_normalized(name) == (name == normalized)


@pytest.mark.parametrize("name", ["", "-a", "a-", ".", "a b", "größe", "a\n", "a/b", "../x", "a\0", "\u212a"])
def test_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refusal:
        normalize(name)
    assert refusal.value.code == "name-form"
    assert [fault.code for fault in name_faults(name)] == ["name-form"]
    assert not is_normalized(name)


def test_name_of_bounded_length() -> None:
    assert normalize("a" * MAX_NAME_CHARS)
    assert name_faults("a" * MAX_NAME_CHARS) == []
    with pytest.raises(Refused) as refusal:
        normalize("a" * (MAX_NAME_CHARS + 1))
    assert refusal.value.code == "name-length"
    assert [fault.code for fault in name_faults("a" * (MAX_NAME_CHARS + 1))] == ["name-length"]
    assert not is_normalized("a" * (MAX_NAME_CHARS + 1))


@pytest.mark.parametrize(
    "name", ["json", "JSON", "concurrent", "distutils", "urllib2", "multi.processing", "ConfigParser"]
)
def test_standard_library_module_is_no_name_for_a_project(name: str) -> None:
    expected = [] if name == "multi.processing" else ["name-standard-library"]
    assert [fault.code for fault in name_faults(name)] == expected


def test_prohibited_names_are_the_index_s_choice() -> None:
    assert [fault.code for fault in name_faults("Requirements.txt")] == ["name-prohibited"]
    assert name_faults("requirements.txt", prohibited=()) == []
    assert [fault.code for fault in name_faults("My.Shop", prohibited={"my-shop"})] == ["name-prohibited"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("llama", "1iama"), ("o0", "0O"), ("a-b_c.d", "abcd"), ("Django", "djang0"), ("pillow", "PiIIow")],
)
def test_look_alikes_share_their_ultra_normalized_form(one: str, other: str) -> None:
    assert ultra_normalize(one) == ultra_normalize(other)


def test_different_names_do_not() -> None:
    assert ultra_normalize("flask") != ultra_normalize("flash")


def test_sha256_is_64_lower_case_hexadecimal_characters() -> None:
    digest = "0123456789abcdef" * 4
    assert parse_sha256(digest) == digest
    for wrong in ("", digest.upper(), digest[1:], digest + "0", "g" + digest[1:], digest + "\n", "٠" * 64):
        with pytest.raises(Refused) as refusal:
            parse_sha256(wrong)
        assert refusal.value.code == "digest-form"
