"""Each rule that keeps the chain from the page's signature to the file's bytes has a page that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from support.simple import a_file, a_page
from wheelmark.errors import Untrusted
from wheelmark.simple import MAX_PAGE_BYTES, Status, parse_page_json, render_page_json

Change = Callable[[dict[str, Any]], object]
SECOND = "demo-1.0.tar.gz"


def test_other_keys_and_minor_versions_are_passed_over() -> None:
    page = a_page(a_file())
    document = orjson.loads(render_page_json(page))
    document["meta"]["api-version"] = "1.99"
    document["namespaces"] = ["later"]
    document["files"][0]["gpg-sig"] = True
    assert parse_page_json(orjson.dumps(document), expected_name="demo") == page


def test_project_without_a_status_is_active() -> None:
    document = orjson.loads(render_page_json(a_page()))
    del document["project-status"]
    assert parse_page_json(orjson.dumps(document), expected_name="demo").status is Status.ACTIVE


def _in_file(key: str, value: object) -> Change:
    return lambda document: document["files"][0].__setitem__(key, value)


def _in_page(key: str, value: object) -> Change:
    return lambda document: document.__setitem__(key, value)


def _file_twice(document: dict[str, Any]) -> None:
    document["files"].append(document["files"][0])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_in_page("name", "other"), "page-foreign"),
        (_in_page("name", None), "page-form"),
        (_in_page("meta", {"api-version": "2.0", "_last-serial": 1}), "page-form"),
        (_in_page("meta", {"api-version": "1.4", "_last-serial": True}), "page-form"),
        (_in_page("meta", {"api-version": "1.4", "_last-serial": -1}), "page-serial"),
        (_in_page("meta", []), "page-form"),
        (_in_page("files", {}), "page-form"),
        (_in_page("files", ["demo"]), "page-form"),
        (_in_page("versions", [1]), "page-form"),
        (_in_page("versions", []), "page-version"),
        (_in_page("versions", ["1.0", "1.0.0"]), "page-version"),
        (_in_page("versions", ["1.0", "no version"]), "page-version"),
        (_in_page("versions", ["1.0", "1" * 129]), "page-version"),
        (_in_page("versions", ["1.0"] * 50_001), "page-size"),
        (_in_page("project-status", {"status": "haunted"}), "page-form"),
        (_in_page("project-status", {"status": "quarantined"}), "page-quarantined"),
        (_in_page("project-status", {"status": "active", "reason": "\x1b[2J"}), "page-text"),
        (_in_file("hashes", {}), "page-form"),
        (_in_file("hashes", {"md5": "0" * 32}), "page-form"),
        (_in_file("hashes", {"sha256": "A" * 64}), "page-hash"),
        (_in_file("hashes", {"sha256": "0" * 64}), "page-url"),
        (_in_file("size", None), "page-form"),
        (_in_file("size", 1.5), "page-form"),
        (_in_file("size", -1), "page-file-size"),
        (_in_file("size", (1 << 40) + 1), "page-file-size"),
        (_in_file("url", "https://example.invalid/demo-1.0-py3-none-any.whl"), "page-url"),
        (_in_file("filename", "other-1.0-py3-none-any.whl"), "page-foreign-file"),
        (_in_file("filename", "demo_extra-1.0.tar.gz"), "page-foreign-file"),
        (_in_file("filename", "demo-2.0-py3-none-any.whl"), "page-version"),
        (_in_file("filename", "../../demo-1.0-py3-none-any.whl"), "page-filename"),
        (_in_file("filename", "demo"), "page-filename"),
        (_in_file("filename", "demo-1.0\n.tar.gz"), "page-filename"),
        (_in_file("filename", f"demo-1.0-{'x' * 250}.whl"), "page-filename"),
        (_in_file("upload-time", "2026-03-01T12:30:45+01:00"), "page-form"),
        (_in_file("upload-time", "2026-02-31T12:30:45Z"), "page-form"),
        (_in_file("yanked", ""), "page-yanked"),
        (_in_file("yanked", 1), "page-form"),
        (_in_file("requires-python", "\x00"), "page-text"),
        (_in_file("core-metadata", True), "page-form"),
        (_in_file("core-metadata", {"sha256": "short"}), "page-hash"),
        (_in_file("provenance", "https://example.org/p"), "page-hash"),
        (_in_file("_provenance-sha256", "short"), "page-hash"),
        (_file_twice, "page-duplicate"),
    ],
)
def test_page_that_breaks_a_rule_is_untrusted(change: Change, code: str) -> None:
    document = orjson.loads(render_page_json(a_page(a_file())))
    change(document)
    with pytest.raises(Untrusted) as caught:
        parse_page_json(orjson.dumps(document), expected_name="demo")
    assert caught.value.code == code
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "../p", "https://example.org/a b", "https://example.org/" + "x" * 2048]
)
def test_provenance_address_that_is_no_web_address_is_untrusted(url: str) -> None:
    document = orjson.loads(render_page_json(a_page(a_file(provenance_sha256="b" * 64))))
    document["files"][0]["provenance"] = url
    with pytest.raises(Untrusted) as caught:
        parse_page_json(orjson.dumps(document), expected_name="demo")
    assert caught.value.code == "page-url"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "page-json"),
        (b"[]", "page-form"),
        (b'{"name": NaN}', "page-json"),
        (b"\xff", "page-json"),
        (b"[" * 100_000, "page-json"),
        (b" " * (MAX_PAGE_BYTES + 1), "page-size"),
    ],
    ids=["empty", "array", "nan", "not-utf8", "deep", "too-long"],
)
def test_bytes_that_are_no_page_are_untrusted(raw: bytes, code: str) -> None:
    with pytest.raises(Untrusted) as caught:
        parse_page_json(raw, expected_name="demo")
    assert caught.value.code == code
