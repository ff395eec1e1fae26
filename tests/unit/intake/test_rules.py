"""The pure rules of an upload: each code, at its border."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.rows import NOW
from wheelmark.server.intake.faults import RULES
from wheelmark.server.intake.rules import (
    COLUMN_CHARS,
    NO_RELEASE,
    Form,
    Limits,
    ReleaseState,
    column_faults,
    digest_faults,
    form_shape_faults,
    kind_faults,
    release_faults,
    size_faults,
)
from wheelmark.server.projects.models import File, Project, Release

SOUND: dict[str, list[str] | None] = {
    ":action": ["file_upload"],
    "protocol_version": ["1"],
    "filetype": ["bdist_wheel"],
    "pyversion": ["py3"],
    "sha256_digest": ["ab"],
}
DIGESTS = {"md5": "11", "sha256": "22", "blake2b_256": "33"}
LIMITS = Limits(max_file=100, max_project=1_000, release_days=14)


def a_release(**changes: object) -> ReleaseState:
    fields: dict[str, object] = {"opened_at": NOW, "has_sdist": False, "is_yanked": False, "project_bytes": 0}
    return ReleaseState(**{**fields, **changes})  # type: ignore[arg-type]  # fields by name


def shape(change: dict[str, list[str] | None] | None = None, *, content_parts: int = 1) -> list[tuple[str, str]]:
    """Code and field of each fault of the sound form with some fields replaced or (None) left out."""
    replaced = SOUND | (change or {})
    form = {name: values for name, values in replaced.items() if values is not None}
    return [(fault.code, fault.field) for fault in form_shape_faults(form, content_parts=content_parts)]


def test_sound_form_has_no_fault() -> None:
    assert shape() == []


@pytest.mark.parametrize("digest", ["md5_digest", "sha256_digest", "blake2_256_digest"])
def test_any_one_digest_is_enough(digest: str) -> None:
    assert shape({"sha256_digest": None, digest: ["ab"]}) == []


@pytest.mark.parametrize("python", [None, [""], ["source"]])
def test_sdist_may_leave_its_python_version_out(python: list[str] | None) -> None:
    assert shape({"filetype": ["sdist"], "pyversion": python}) == []


def test_protocol_version_may_be_left_out() -> None:
    assert shape({"protocol_version": None}) == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({":action": None}, "form-action", ":action"),
        ({":action": ["submit"]}, "form-action", ":action"),
        ({"protocol_version": ["2"]}, "form-protocol", "protocol_version"),
        ({"filetype": None}, "form-filetype", "filetype"),
        ({"filetype": ["bdist_egg"]}, "form-filetype", "filetype"),
        ({"pyversion": None}, "form-pyversion", "pyversion"),
        ({"pyversion": [""]}, "form-pyversion", "pyversion"),
        ({"filetype": ["sdist"]}, "form-pyversion", "pyversion"),
        ({"sha256_digest": None}, "form-digest", "sha256_digest"),
        ({"sha256_digest": [""]}, "form-digest", "sha256_digest"),
        ({"sha256_digest": ["a", "a"]}, "form-field-twice", "sha256_digest"),
        ({":action": ["file_upload", "submit"]}, "form-field-twice", ":action"),
        ({"content": ["PK"]}, "form-content", "content"),
    ],
)
def test_each_fault_of_the_form_has_its_code_and_field(
    change: dict[str, list[str] | None], code: str, field: str
) -> None:
    assert shape(change) == [(code, field)]


@pytest.mark.parametrize("content_parts", [0, 2])
def test_form_has_one_distribution(content_parts: int) -> None:
    assert shape(content_parts=content_parts) == [("form-content", "content")]


def test_empty_form_is_told_every_fault() -> None:
    found = [fault.code for fault in form_shape_faults({}, content_parts=0)]
    assert found == ["form-action", "form-filetype", "form-digest", "form-content"]


def test_message_does_not_grow_with_what_was_sent() -> None:
    hostile = {":action": ["\x1b[31m\0é" * 100_000], "filetype": ["sdist"], "sha256_digest": ["ab"]}
    [fault] = form_shape_faults(hostile, content_parts=1)
    assert len(str(fault)) < 1_000
    assert str(fault).isascii() and str(fault).isprintable()


@pytest.mark.parametrize(("claimed", "kind"), [("sdist", "bdist_wheel"), ("bdist_wheel", "sdist")])
def test_form_calls_the_file_what_its_name_says(claimed: str, kind: str) -> None:
    assert [fault.code for fault in kind_faults({"filetype": [claimed]}, kind)] == ["form-filetype"]  # type: ignore[arg-type]
    assert kind_faults({"filetype": [kind]}, kind) == []  # type: ignore[arg-type]  # the two kinds


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({"md5_digest": ["11"], "sha256_digest": ["22"], "blake2_256_digest": ["33"]}, []),
        ({"sha256_digest": [" 22 "]}, []),
        ({"md5_digest": [""], "sha256_digest": ["22"]}, []),
        ({"md5_digest": ["12"], "sha256_digest": ["22"]}, ["md5_digest"]),
        ({"md5_digest": ["22"], "sha256_digest": ["11"], "blake2_256_digest": ["é"]}, [*DIGESTS]),
    ],
)
def test_every_digest_that_was_sent_is_compared(form: Form, fields: list[str]) -> None:
    expected = {"md5": "md5_digest", "sha256": "sha256_digest", "blake2b_256": "blake2_256_digest"}
    found = digest_faults(form, DIGESTS)
    assert {fault.field for fault in found} == {expected.get(field, field) for field in fields}
    assert {fault.code for fault in found} <= {"digest-mismatch"}


def test_digest_in_upper_case_is_the_same() -> None:
    assert digest_faults({"sha256_digest": ["AB"]}, {**DIGESTS, "sha256": "ab"}) == []


@pytest.mark.parametrize(
    ("size", "together", "codes"),
    [
        (100, 0, []),
        (101, 0, ["file-too-large"]),
        (100, 900, []),
        (100, 901, ["project-too-large"]),
        (101, 900, ["file-too-large", "project-too-large"]),
    ],
)
def test_sizes_are_bounded_for_the_file_and_for_the_project(size: int, together: int, codes: list[str]) -> None:
    assert [fault.code for fault in size_faults(size, a_release(project_bytes=together), LIMITS)] == codes


def test_release_takes_one_sdist_and_any_number_of_wheels() -> None:
    state = a_release(has_sdist=True)
    assert [fault.code for fault in release_faults("sdist", state, LIMITS, now=NOW)] == ["second-sdist"]
    assert release_faults("bdist_wheel", state, LIMITS, now=NOW) == []


def test_yanked_release_takes_no_files() -> None:
    found = release_faults("bdist_wheel", a_release(is_yanked=True), LIMITS, now=NOW)
    assert [fault.code for fault in found] == ["release-yanked"]


def test_release_closes_after_its_last_day() -> None:
    last = NOW + timedelta(days=14)
    assert release_faults("bdist_wheel", a_release(), LIMITS, now=last) == []
    [fault] = release_faults("bdist_wheel", a_release(), LIMITS, now=last + timedelta(seconds=1))
    assert (fault.code, fault.field) == ("release-closed", "version")
    assert "14 days" in fault.message and f"{NOW:%Y-%m-%d}" in fault.message


def test_release_never_closes_when_days_are_nought() -> None:
    limits = Limits(max_file=1, max_project=1, release_days=0)
    assert release_faults("bdist_wheel", a_release(), limits, now=NOW + timedelta(days=9_999)) == []


def test_new_release_is_open() -> None:
    assert release_faults("sdist", NO_RELEASE, LIMITS, now=NOW) == []


def test_value_that_its_column_cannot_hold_is_a_fault() -> None:
    at_the_border = {field: "x" * chars for field, chars in COLUMN_CHARS.items()}
    assert column_faults(at_the_border, {}) == []
    too_long = {field: text + "x" for field, text in at_the_border.items()}
    found = column_faults(too_long, {})
    assert [(fault.code, fault.field) for fault in found] == [("metadata-too-long", field) for field in COLUMN_CHARS]


def test_nul_in_a_kept_text_is_a_fault() -> None:
    [fault] = column_faults({}, {"summary": "fine", "description": "a\0b"})
    assert (fault.code, fault.field) == ("metadata-nul", "description")


def test_bounds_of_values_are_those_of_the_columns() -> None:
    columns = {
        "name": (Project, "name"),
        "version": (Release, "version"),
        "pyversion": (File, "python_tag"),
        "requires_python": (Release, "requires_python"),
        "description_content_type": (Release, "description_content_type"),
    }
    held = {field: getattr(model._meta.get_field(name), "max_length", None) for field, (model, name) in columns.items()}
    assert held == COLUMN_CHARS


def test_every_rule_of_the_table_says_what_must_hold_and_where_it_is_written() -> None:
    for code, rule in RULES.items():
        assert code == rule.code
        assert rule.rule.endswith(".") and rule.source
