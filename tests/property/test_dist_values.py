"""Names, file names and metadata: what is printed is parsed back, and any text ends in a value or a refusal."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from support.distributions import core_metadata, dist_name, sdist_filename, wheel_filename
from wheelmark.dist import (
    form_faults,
    is_normalized,
    metadata_faults,
    name_faults,
    normalize,
    parse_filename,
    parse_metadata,
    ultra_normalize,
)
from wheelmark.errors import Refused

modest = settings(max_examples=80, deadline=None)

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)
versions = st.builds(
    lambda release, pre, post: Version(".".join(map(str, release)) + pre + post),
    st.lists(st.integers(0, 2000), min_size=1, max_size=4),
    st.sampled_from(["", "a1", "b2", "rc3"]),
    st.sampled_from(["", ".post1", ".dev2", ".post1.dev2"]),
)
visible = st.characters(exclude_categories=["C", "Z"])
printable = st.characters(exclude_categories=["C"])
words = st.text(visible, min_size=1, max_size=12)


@modest
@given(names)
def test_normalizing_twice_changes_nothing(name: str) -> None:
    normalized = normalize(name)
    assert normalize(normalized) == normalized
    assert is_normalized(normalized)
    assert ultra_normalize(normalized) == ultra_normalize(name)


@modest
@given(names, versions)
def test_filename_is_parsed_back(name: str, version: Version) -> None:
    for text in (wheel_filename(name, str(version)), sdist_filename(name, str(version))):
        parsed = parse_filename(text)
        assert (parsed.name, parsed.version, parsed.text) == (normalize(name), version, text)
        assert parsed.stem == f"{dist_name(name)}-{version}"


@modest
@given(st.text(max_size=60) | st.from_regex(r"[a-zA-Z._0-9-]{0,30}(\.whl|\.tar\.gz|\.zip)", fullmatch=True))
def test_any_text_is_a_filename_or_refused(text: str) -> None:
    name_faults(text)
    for strict in (True, False):
        try:
            assert parse_filename(text, strict=strict).text == text
        except Refused as refusal:
            assert refusal.faults


@modest
@given(names, versions, words, st.lists(names, max_size=4), st.text(printable, max_size=40))
def test_metadata_is_parsed_back(name: str, version: Version, summary: str, requires: list[str], body: str) -> None:
    raw = core_metadata(name, str(version), {"Summary": summary, "Description": body}, requires)
    read = parse_metadata(raw)
    assert (read.name, read.version, read.summary, read.raw) == (name, version, summary, raw)
    assert [str(one) for one in read.requires_dist] == requires
    assert (read.description or "") == body
    assert metadata_faults(read) == []


@modest
@given(names, versions, words, st.lists(names, max_size=4), st.lists(names, max_size=3, unique_by=normalize))
def test_form_made_from_the_file_agrees(
    name: str, version: Version, summary: str, requires: list[str], extras: list[str]
) -> None:
    read = parse_metadata(core_metadata(name, str(version), {"Summary": summary, "Provides-Extra": extras}, requires))
    form: dict[str, list[str]] = {
        "name": [read.normalized_name],
        "version": [str(read.version)],
        "summary": [f" {summary} "],
        "requires_dist": list(reversed([str(one) for one in read.requires_dist])),
        "provides_extra": [extra.upper() for extra in extras],
    }
    assert form_faults(read, form) == []
    assert [one.field for one in form_faults(read, form | {"summary": [summary + "x"]})] == ["summary"]


FIELDS = (
    b"Metadata-Version Name Version Summary Requires-Dist Project-URL Author-email Content-Type License-Expression "
    b"Content-Transfer-Encoding Description-Content-Type License-File Requires-Python Dynamic Import-Name Keywords"
).split()


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300)
    | st.lists(
        st.tuples(
            st.sampled_from([*FIELDS, b""]),
            st.binary(max_size=20)
            | st.sampled_from([b"2.4", b"1.0", b"demo", b"=?utf-8?q?x?=", b"=?x?b?!?=", b"text/plain; x*", b"\r\n x"]),
        ),
        max_size=8,
    ).map(lambda fields: b"".join(name + b": " + value + b"\n" for name, value in fields))
)
def test_any_bytes_are_metadata_or_refused(raw: bytes) -> None:
    for candidate in (raw, b"Metadata-Version: 2.4\nName: demo\nVersion: 1\n" + raw):
        try:
            read = parse_metadata(candidate)
        except Refused as refusal:
            assert refusal.faults
        else:
            metadata_faults(read)
            form_faults(read, {"description": ["x"], "author_email": ["y"], "license_expression": ["z"]})
