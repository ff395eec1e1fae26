"""Names of distribution files."""

from __future__ import annotations

import pytest
from packaging.tags import Tag
from packaging.version import Version

from wheelmark.dist import parse_filename
from wheelmark.errors import Refused


def codes(text: str, *, strict: bool = True) -> list[str]:
    try:
        parse_filename(text, strict=strict)
    except Refused as refusal:
        return [fault.code for fault in refusal.faults]
    return []


def test_wheel_name_says_project_version_build_and_tags() -> None:
    parsed = parse_filename("my_shop-1.0-2b-cp311.py3-none-any.whl")
    assert (parsed.name, parsed.version, parsed.kind) == ("my-shop", Version("1.0"), "bdist_wheel")
    assert (parsed.python_tag, parsed.build) == ("cp311.py3", (2, "b"))
    assert parsed.tags == {Tag("cp311", "none", "any"), Tag("py3", "none", "any")}
    assert parsed.stem == "my_shop-1.0"
    assert str(parsed) == "my_shop-1.0-2b-cp311.py3-none-any.whl"


def test_sdist_name_says_project_and_version() -> None:
    parsed = parse_filename("my_shop-1.0rc1.tar.gz")
    assert (parsed.name, parsed.version, parsed.kind) == ("my-shop", Version("1.0rc1"), "sdist")
    assert (parsed.python_tag, parsed.build, parsed.tags, parsed.stem) == ("source", (), frozenset(), "my_shop-1.0rc1")


ACCEPTED = [
    "a-1-py3-none-any.whl",
    "a-1!2.0.post1.dev3-py2.py3-none-any.whl",
    "a-1.0+local.1-py3-none-any.whl",
    "a-1-cp311-cp311-win_amd64.whl",
    "a-1-cp311-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
    "a-1-cp311-cp311-musllinux_1_2_x86_64.whl",
    "a-1-cp311-cp311-macosx_11_0_arm64.whl",
    "a-1-cp311-cp311-macosx_10_9_universal2.whl",
    "a-1-cp313-cp313-ios_13_0_arm64_iphonesimulator.whl",
    "a-1-cp313-cp313-android_21_arm64_v8a.whl",
    "a-1-cp313-cp313-pyemscripten_2025_0_wasm32.whl",
    "a-1-cp311-cp311-linux_armv7l.whl",
    "a_b-1.0.tar.gz",
    "a-1.0+local.1.tar.gz",
]

REFUSED = {
    "filename-extension": ["a-1.zip", "a-1.egg", "a-1.tar.bz2", "a-1.exe", "a-1", "a-1.tar.gz.asc", "a-1.WHL", ""],
    "filename-characters": [
        "a/b-1.tar.gz",
        "a\\b-1.tar.gz",
        "a-1\n.tar.gz",
        "a-1\0.tar.gz",
        "größe-1.tar.gz",
        "a b-1.tar.gz",
        "a-1%2f.tar.gz",
        "a:b-1.tar.gz",
    ],
    "filename-length": ["a" * 250 + "-1.tar.gz"],
    "filename-form": [
        "a.tar.gz",
        "-1.tar.gz",
        "a-x.tar.gz",
        "a-1.whl",
        "a-1-py3-none.whl",
        "a-1-b-py3-none-any.whl",
        "a-x-py3-none-any.whl",
        "a__b-1-py3-none-any.whl",
        "a-1-py3-none-any-x-y.whl",
        ".whl",
    ],
    "filename-tags": ["a-1-" + ".".join("abcdefghijklmnopqrs") + "-" + ".".join("abcdefghijklmnopqrs") + "-any.whl"],
    "filename-name": ["A-1.tar.gz", "a.b-1.tar.gz", "a-b-1.tar.gz", "A_b-1-py3-none-any.whl", "a.b-1-py3-none-any.whl"],
    "filename-version": ["a-1.0-rc1.tar.gz", "a-v1.tar.gz", "a-01.0.tar.gz", "a-1.0.RC1-py3-none-any.whl"],
    "filename-platform": [
        "a-1-cp311-cp311-linux_x86_64.whl",
        "a-1-cp311-cp311-linux_aarch64.whl",
        "a-1-cp311-cp311-any.linux_x86_64.whl",
        "a-1-cp311-cp311-solaris_x86.whl",
        "a-1-cp311-cp311-manylinux_x_y_x86_64.whl",
        "a-1-cp311-cp311-macosx_11_0_sparc.whl",
    ],
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_name_by_the_standards_is_accepted(text: str) -> None:
    assert parse_filename(text).text == text


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in REFUSED.items() for text in texts])
def test_name_is_refused_by_its_rule(code: str, text: str) -> None:
    # `a-1.0-rc1.tar.gz` is the project `a-1.0` to a parser: it cannot be spelled wrong in its version only.
    expected = {"a-1.0-rc1.tar.gz": "filename-form"}.get(text, code)
    assert expected in codes(text)


def test_all_faults_of_a_name_are_told_at_once() -> None:
    assert codes("A.B-01.0-cp311-cp311-linux_x86_64.whl") == ["filename-name", "filename-version", "filename-platform"]
    assert codes("a/b.exe") == ["filename-characters", "filename-extension"]


@pytest.mark.parametrize(
    "text", ["A.B-1.0.zip", "A-1.tar.gz", "a-01.tar.gz", "Py.Thing-1-cp311-cp311-linux_x86_64.whl", "a-b-1.tar.gz"]
)
def test_older_names_are_read_without_strictness(text: str) -> None:
    assert codes(text, strict=False) == []
    assert codes(text) != []


def test_egg_is_refused_even_without_strictness() -> None:
    assert codes("a-1-py3.11.egg", strict=False) == ["filename-extension"]


def test_stem_of_an_old_sdist_is_its_top_folder() -> None:
    assert parse_filename("A.B-1.0.zip", strict=False).stem == "A.B-1.0"
