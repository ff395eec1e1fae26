"""The exact bytes of pages: a change here changes every signature, and must be meant."""

from __future__ import annotations

import pytest

from support.simple import a_file, a_page, sha256_of
from wheelmark.dist import NormalizedName
from wheelmark.errors import Refused
from wheelmark.simple import (
    ProjectList,
    Status,
    render_list_html,
    render_list_json,
    render_page_html,
    render_page_json,
)

WHEEL = "demo-1.0-py3-none-any.whl"
HASH = sha256_of(WHEEL)
FULL = a_page(
    a_file(
        WHEEL,
        requires_python=">=3.11",
        yanked='breaks "everything" & more',
        core_metadata_sha256="a" * 64,
        provenance_sha256="b" * 64,
        provenance_url="https://example.org/integrity/demo",
    ),
    status=Status.ARCHIVED,
    status_reason="<no> time",
)
LIST = ProjectList(names=(NormalizedName("a"), NormalizedName("b-c")), serial=3)


def test_json_page_has_exactly_these_bytes() -> None:
    assert render_page_json(FULL).decode() == (
        '{"meta":{"api-version":"1.4","_last-serial":7},"name":"demo",'
        '"project-status":{"status":"archived","reason":"<no> time"},"versions":["1.0"],"files":['
        f'{{"filename":"{WHEEL}","url":"../../files/{HASH}/{WHEEL}","hashes":{{"sha256":"{HASH}"}},"size":1234,'
        '"upload-time":"2026-03-01T12:30:45.123456Z","requires-python":">=3.11",'
        '"yanked":"breaks \\"everything\\" & more",'
        f'"core-metadata":{{"sha256":"{"a" * 64}"}},"provenance":"https://example.org/integrity/demo",'
        f'"_provenance-sha256":"{"b" * 64}"}}]}}'
    )


def test_keys_that_say_nothing_are_left_out() -> None:
    written = render_page_json(a_page(a_file())).decode()
    for key in ("requires-python", "yanked", "core-metadata", "provenance", "reason"):
        assert key not in written


def test_upload_time_without_fraction_still_has_six_digits() -> None:
    page = a_page(a_file(upload_time=a_file().upload_time.replace(microsecond=0)))
    assert '"upload-time":"2026-03-01T12:30:45.000000Z"' in render_page_json(page).decode()


def test_html_page_has_exactly_these_bytes() -> None:
    assert render_page_html(FULL).decode() == (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        '<meta name="pypi:project-status" content="archived">\n'
        '<meta name="pypi:project-status-reason" content="&lt;no&gt; time">\n'
        "<title>Links for demo</title>\n</head>\n<body>\n<h1>Links for demo</h1>\n"
        f'<a href="../../files/{HASH}/{WHEEL}#sha256={HASH}" data-requires-python="&gt;=3.11" '
        'data-yanked="breaks &quot;everything&quot; &amp; more" '
        f'data-core-metadata="sha256={"a" * 64}" data-provenance="https://example.org/integrity/demo">{WHEEL}</a><br>\n'
        "</body>\n</html>\n<!--SERIAL 7-->\n"
    )


def test_lists_name_every_project() -> None:
    assert render_list_json(LIST) == (
        b'{"meta":{"api-version":"1.4","_last-serial":3},"projects":[{"name":"a"},{"name":"b-c"}]}'
    )
    assert b'<a href="a/">a</a><br>\n<a href="b-c/">b-c</a><br>\n' in render_list_html(LIST)


@pytest.mark.parametrize("render", [render_page_json, render_page_html])
def test_page_that_a_verifier_would_refuse_is_not_rendered(render: object) -> None:
    assert callable(render)
    with pytest.raises(Refused) as caught:
        render(a_page(a_file(size=-1), a_file("other-1.0.tar.gz")))
    assert {fault.code for fault in caught.value.faults} == {"page-file-size", "page-foreign-file"}
