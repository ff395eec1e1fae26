"""Core metadata: its form, what an index wants of it, and the form that must agree with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from support.distributions import core_metadata
from wheelmark.dist import CoreMetadata, form_faults, metadata_faults, parse_metadata
from wheelmark.dist.metadata import MAX_EXPRESSION_CHARS, MAX_METADATA_BYTES, MAX_VALUES
from wheelmark.errors import Refused

Headers = Mapping[str, str | Sequence[str]]

FULL: Headers = {
    "Metadata-Version": "2.5",
    "Name": "My.Shop",
    "Version": "1.0",
    "Summary": "Sells things",
    "Keywords": "shop,till",
    "Author-email": "Ann <ann@example.org>, bob@example.org",
    "Maintainer": "Zoë",
    "License-Expression": "MIT and apache-2.0",
    "License-File": ["LICENSE", "licenses/OTHER"],
    "Classifier": ["Programming Language :: Python :: 3", "Typing :: Typed"],
    "Home-page": "https://example.org",
    "Project-URL": ["Source, https://example.org/source", "Docs, https://example.org/docs"],
    "Requires-Python": ">=3.11, <4",
    "Requires-Dist": ["Flask (>=2)", "rich[Jupyter_X]>=1; extra == 'Fancy_Out'"],
    "Provides-Extra": "Fancy_Out",
    "Description-Content-Type": "text/markdown; charset=UTF-8",
    "Import-Name": "my_shop",
    "Import-Namespace": "my",
    "Dynamic": "Classifier",
    "Description": "# Shop\n\nSells things.\n",
}


def metadata(headers: Headers | None = None) -> CoreMetadata:
    return parse_metadata(core_metadata(headers=headers or {}))


def full() -> CoreMetadata:
    return metadata(FULL)


def refused(raw: bytes) -> set[tuple[str, str]]:
    with pytest.raises(Refused) as refusal:
        parse_metadata(raw)
    return {(fault.code, fault.field) for fault in refusal.value.faults}


def test_every_field_is_read_from_the_file() -> None:
    read = full()
    assert (read.name, read.normalized_name, read.version) == ("My.Shop", "my-shop", Version("1.0"))
    assert (read.summary, read.keywords, read.maintainer) == ("Sells things", ("shop", "till"), "Zoë")
    assert (read.license_expression, read.license_files) == ("MIT AND Apache-2.0", ("LICENSE", "licenses/OTHER"))
    assert read.project_urls == (("Source", "https://example.org/source"), ("Docs", "https://example.org/docs"))
    assert read.requires_python == SpecifierSet("<4,>=3.11")
    assert read.requires_dist[0] == Requirement("flask>=2")
    assert read.provides_extra == ("fancy-out",)
    assert (read.import_names, read.import_namespaces, read.dynamic) == (("my_shop",), ("my",), ("classifier",))
    assert read.description == "# Shop\n\nSells things.\n"
    assert read.raw.startswith(b"Metadata-Version: 2.5\n")


def test_least_metadata_is_read_and_the_rest_is_absent() -> None:
    read = parse_metadata(b"Metadata-Version: 1.0\nName: demo\nVersion: 1\n")
    assert (read.summary, read.author_email, read.requires_python, read.import_names) == (None, None, None, None)
    assert (read.requires_dist, read.project_urls, read.license_files) == ((), (), ())


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5"])
def test_every_metadata_version_is_taken(version: str) -> None:
    assert metadata({"Metadata-Version": version, "Requires-Dist": []}).metadata_version == version


def test_unknown_field_is_left_out() -> None:
    assert metadata({"X-Custom": "1"}).name == "demo"


def test_license_fields_before_their_version_are_taken_as_old_tools_wrote_them() -> None:
    read = metadata({"Metadata-Version": "2.1", "License-File": "../LICENSE", "License-Expression": "mit"})
    assert (read.license_files, read.license_expression) == (("../LICENSE",), "MIT")
    assert not read.license_files_are_defined


def test_unknown_of_old_setuptools_is_absent() -> None:
    read = metadata({"Metadata-Version": "2.1", "Description-Content-Type": "UNKNOWN", "License": "UNKNOWN"})
    assert (read.description_content_type, read.license) == (None, None)


MALFORMED: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "metadata-version", "metadata-version"),
    "unknown metadata version": (
        core_metadata(headers={"Metadata-Version": "9.9"}),
        "metadata-version",
        "metadata-version",
    ),
    "no name": (core_metadata(headers={"Name": []}), "metadata-name", "name"),
    "bad name": (core_metadata(name="-demo"), "metadata-name", "name"),
    "two names": (core_metadata(headers={"Name": ["demo", "evil"]}), "metadata-form", "name"),
    "bad version": (core_metadata(version="one"), "metadata-release-version", "version"),
    "summary of two lines": (core_metadata(headers={"Summary": "a\n b"}), "metadata-form", "summary"),
    "bad requirement": (core_metadata(requires=["flask >"]), "metadata-form", "requires-dist"),
    "bad specifier": (core_metadata(headers={"Requires-Python": "three"}), "metadata-form", "requires-python"),
    "bad license": (core_metadata(headers={"License-Expression": "Mine"}), "metadata-form", "license-expression"),
    "bad early license": (
        core_metadata(headers={"Metadata-Version": "2.1", "License-Expression": "Mine"}),
        "metadata-form",
        "license-expression",
    ),
    "license file outside": (core_metadata(headers={"License-File": "../x"}), "metadata-form", "license-file"),
    "absolute license file": (core_metadata(headers={"License-File": "/x"}), "metadata-form", "license-file"),
    "bad extra": (core_metadata(headers={"Provides-Extra": "a b"}), "metadata-form", "provides-extra"),
    "bad content type": (
        core_metadata(headers={"Description-Content-Type": "text/html"}),
        "metadata-form",
        "description-content-type",
    ),
    "field newer than its version": (
        core_metadata(headers={"Metadata-Version": "1.0", "Dynamic": "classifier", "Requires-Dist": []}),
        "metadata-form",
        "dynamic",
    ),
    "label twice": (core_metadata(headers={"Project-URL": ["a, x", "a, y"]}), "metadata-form", "project-url"),
    "not UTF-8": (core_metadata().replace(b"made", b"m\xff\xfe"), "metadata-form", "summary"),
    "a line that is no header": (
        b"Metadata-Version: 2.1\nhidden\nName: demo\nVersion: 1\n",
        "metadata-form",
        "metadata",
    ),
    "encoded body": (
        core_metadata(headers={"Content-Transfer-Encoding": "base64", "Description": "aGVsbG8="}),
        "metadata-form",
        "content-transfer-encoding",
    ),
    "multipart": (
        core_metadata(headers={"Content-Type": "multipart/mixed; boundary=x", "Description": "--x\n\na\n--x--\n"}),
        "metadata-form",
        "metadata",
    ),
    "too large": (b"x" * (MAX_METADATA_BYTES + 1), "metadata-size", "metadata"),
    "requirement too long": (
        core_metadata(requires=["a" * (MAX_EXPRESSION_CHARS + 1)]),
        "metadata-size",
        "requires-dist",
    ),
    "too many values": (
        core_metadata(headers={"Classifier": ["x"] * (MAX_VALUES + 1)}),
        "metadata-size",
        "classifiers",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_metadata_is_refused_by_field(name: str) -> None:
    raw, code, field = MALFORMED[name]
    assert (code, field) in refused(raw)


@pytest.mark.parametrize(
    "headers",
    [
        {"Requires-Dist": "a; " + "(" * 4000 + "python_version > '3'" + ")" * 4000},
        {"License-Expression": "(" * 4000 + "MIT" + ")" * 4000},
        {"Metadata-Version": "2.1", "License-Expression": "(" * 4000 + "MIT" + ")" * 4000},
    ],
)
def test_deep_nesting_is_refused_not_a_crash(headers: Headers) -> None:
    assert {code for code, _ in refused(core_metadata(headers=headers))} == {"metadata-form"}


def test_all_faults_are_told_at_once() -> None:
    raw = core_metadata(name="-x", version="one", headers={"Requires-Python": "?", "Provides-Extra": "a b"})
    assert {field for _, field in refused(raw)} == {"name", "version", "requires-python", "provides-extra"}


def test_well_formed_metadata_breaks_no_rule() -> None:
    assert metadata_faults(full()) == []
    assert metadata_faults(metadata()) == []


RULES: dict[str, list[tuple[Headers, Headers]]] = {
    # rule: pairs of what it refuses and what it accepts
    "metadata-local-version": [({"Version": "1.0+local"}, {"Version": "1.0.post1"})],
    "metadata-summary": [({"Summary": "x" * 513}, {"Summary": "x" * 512})],
    "metadata-classifier-unknown": [
        ({"Classifier": "Mine :: Own"}, {"Classifier": "Typing :: Typed"}),
        ({"Classifier": "Private :: Do Not Upload"}, {"Classifier": "Topic :: Internet"}),
    ],
    "metadata-classifier-deprecated": [
        ({"Classifier": "Natural Language :: Ukranian"}, {"Classifier": "Natural Language :: Ukrainian"})
    ],
    "metadata-license-twice": [
        ({"License": "MIT", "License-Expression": "MIT"}, {"License-Expression": "MIT"}),
        (
            {"License": "MIT", "License-Expression": "MIT"},
            {"License-Expression": "MIT", "Classifier": "License :: OSI Approved :: MIT License"},
        ),
    ],
    "metadata-url": [
        ({"Home-page": "javascript:alert(1)"}, {"Home-page": "http://example.org/a?b#c"}),
        ({"Download-URL": "example.org"}, {"Download-URL": "https://example.org:8443/"}),
        ({"Project-URL": "Docs, ftp://example.org"}, {"Project-URL": "Docs, https://example.org"}),
        ({"Project-URL": "Docs, https://"}, {"Project-URL": "Docs, https://[::1]/"}),
        ({"Project-URL": "Docs, https://example.org:port"}, {"Project-URL": "Docs, https://example.org:80"}),
        ({"Project-URL": "Docs, https://exa mple.org"}, {"Project-URL": "Docs, https://example.org/%20"}),
        ({"Project-URL": "Docs"}, {"Project-URL": "Docs, https://example.org/a,b"}),
    ],
    "metadata-url-label": [
        ({"Project-URL": "x" * 33 + ", https://example.org"}, {"Project-URL": "x" * 32 + ", https://example.org"}),
        ({"Project-URL": ", https://example.org"}, {"Project-URL": "a b, https://example.org"}),
    ],
    "metadata-email": [
        ({"Author-email": "ann"}, {"Author-email": "ann@example.org"}),
        ({"Maintainer-email": "Ann <ann@>"}, {"Maintainer-email": '"Lee, Ann" <ann@example.org>, b@example.org'}),
        ({"Author-email": "a@example.org, b"}, {"Author-email": "a@example.org, b@localhost"}),
    ],
    "metadata-direct-url": [
        ({"Requires-Dist": "a @ https://example.invalid/a.whl"}, {"Requires-Dist": "a>=1"}),
        ({"Provides-Dist": "a @ https://example.invalid/a.whl"}, {"Provides-Dist": "a (1.0)"}),
        ({"Obsoletes-Dist": "a @ https://example.invalid/a.whl"}, {"Obsoletes-Dist": "a"}),
    ],
}


@pytest.mark.parametrize(
    ("code", "bad", "good"), [(code, bad, good) for code, pairs in RULES.items() for bad, good in pairs]
)
def test_rule_refuses_one_and_accepts_its_twin(code: str, bad: Headers, good: Headers) -> None:
    assert [fault.code for fault in metadata_faults(metadata(bad))] == [code]
    assert metadata_faults(metadata(good)) == []


AGREEING: dict[str, dict[str, list[str]]] = {
    "nothing": {},
    "other fields": {":action": ["file_upload"], "pyversion": ["py3"], "sha256_digest": ["0"], "comment": ["x"]},
    "empty fields": {"summary": [""], "keywords": ["UNKNOWN"], "classifiers": [], "author": [" "]},
    "as twine sends": {
        "metadata_version": ["2.5"],
        "name": ["my-shop"],
        "version": ["1.0"],
        "keywords": ["shop, till"],
        "project_urls": ["Docs, https://example.org/docs", "Source, https://example.org/source"],
        "requires_dist": ["Flask (>=2)", "rich[Jupyter_X]>=1; extra == 'Fancy_Out'"],
        "provides_extra": ["Fancy_Out"],
        "license_expression": ["MIT and apache-2.0"],
        "license_file": ["licenses/OTHER", "LICENSE"],
        "description": ["# Shop\n\nSells things.\n"],
        "dynamic": ["Classifier"],
    },
    "what flit makes up": {"metadata_version": ["2.3"], "provides": ["my_shop"]},
    "spelled another way": {
        "name": ["My_Shop"],
        "version": ["v1.0.0"],
        "keywords": ["shop till"],
        "requires_python": ["<4,>=3.11"],
        "requires_dist": ['rich[jupyter-x]>=1 ; extra == "fancy-out"', "flask>=2"],
        "provides_extra": ["fancy-out"],
        "license_expression": ["MIT AND Apache-2.0"],
        "classifiers": ["Typing :: Typed", "Programming Language :: Python :: 3"],
        "description": ["# Shop\r\n\r\nSells things."],
        "description_content_type": ["text/markdown; charset=utf-8"],
        "maintainer": [" Zoë "],
        "project_urls": ["Source,https://example.org/source", "Docs,https://example.org/docs"],
        "import_names": ["my_shop"],
    },
}

DISAGREEING: dict[str, list[str]] = {
    "name": ["other"],
    "version": ["1.0.1"],
    "summary": ["Sells other things"],
    "description": ["Something else"],
    "description_content_type": ["text/x-rst"],
    "keywords": ["shop"],
    "author": ["Mallory"],
    "author_email": ["mallory@example.org"],
    "maintainer": ["Mallory"],
    "maintainer_email": ["mallory@example.org"],
    "license": ["MIT"],
    "license_expression": ["MIT"],
    "license_file": ["LICENSE"],
    "license_files": ["LICENSE"],
    "classifiers": ["Typing :: Typed"],
    "platform": ["any"],
    "supported_platform": ["any"],
    "home_page": ["https://example.invalid"],
    "download_url": ["https://example.invalid"],
    "project_urls": ["Source, https://example.invalid"],
    "requires_python": [">=3.12"],
    "requires_dist": ["flask>=2"],
    "requires_external": ["C"],
    "provides_extra": ["other"],
    "provides_dist": ["x"],
    "obsoletes_dist": ["x"],
    "import_name": ["other"],
    "import_names": ["other"],
    "import_namespace": ["other"],
    "import_namespaces": ["other"],
    "dynamic": ["version"],
}


@pytest.mark.parametrize("name", AGREEING)
def test_form_that_means_the_same_agrees(name: str) -> None:
    assert form_faults(full(), AGREEING[name]) == []


@pytest.mark.parametrize("field", DISAGREEING)
def test_form_field_that_says_something_else_is_refused(field: str) -> None:
    faults = form_faults(full(), {field: DISAGREEING[field]})
    assert [(fault.code, fault.field) for fault in faults] == [("form-disagrees", field)]
    assert faults[0].message.startswith("expected ")


def test_all_disagreements_are_told_at_once() -> None:
    assert {fault.field for fault in form_faults(full(), DISAGREEING)} == set(DISAGREEING)


def test_field_sent_twice_with_different_values_disagrees() -> None:
    assert [fault.field for fault in form_faults(full(), {"name": ["my-shop", "evil"]})] == ["name"]


@pytest.mark.parametrize("field", ["requires_dist", "requires_python", "license_expression", "version"])
def test_form_value_that_cannot_be_parsed_disagrees(field: str) -> None:
    for value in ("(" * 5000, "a; " + "(" * 4000, "\0", "x" * (1 << 20)):
        assert [fault.code for fault in form_faults(full(), {field: [value]})] == ["form-disagrees"]
