"""Which form a client gets, for the headers that real clients send and for those of the standard."""

from __future__ import annotations

import pytest

from wheelmark.simple import MediaType, negotiate

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
PIP = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
UV = f"{JSON}, {HTML};q=0.2, text/html;q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, MediaType.TEXT_HTML),
        ("", MediaType.TEXT_HTML),
        ("  ", MediaType.TEXT_HTML),
        ("*/*", MediaType.TEXT_HTML),
        (PIP, MediaType.JSON),
        (UV, MediaType.JSON),
        (BROWSER, MediaType.TEXT_HTML),
        (JSON, MediaType.JSON),
        (HTML, MediaType.HTML),
        ("text/html", MediaType.TEXT_HTML),
        ("TEXT/HTML", MediaType.TEXT_HTML),
        ("application/vnd.pypi.simple.latest+json", MediaType.JSON),
        ("application/vnd.pypi.simple.latest+html", MediaType.HTML),
        (f"text/html, {JSON}", MediaType.JSON),
        ("text/*", MediaType.TEXT_HTML),
        ("application/*", MediaType.JSON),
        (f"*/*, {HTML}", MediaType.HTML),
        (f"*/*;q=0.5, {JSON};q=0.4", MediaType.TEXT_HTML),
        (f"{JSON};q=0, */*", MediaType.TEXT_HTML),
        (f"text/html;q=0, {HTML};q=0, */*", MediaType.JSON),
        (f"{JSON} ; charset=utf-8 ; q=0.9", MediaType.JSON),
        (f"{JSON};q=zero, text/html;q=0.1", MediaType.TEXT_HTML),
        (f"{JSON};q=0", None),
        ("application/vnd.pypi.simple.v2+json", None),
        ("application/json", None),
        ("text/plain", None),
        (",;q=1,", None),
        (JSON + "," * 3000, None),
    ],
)
def test_accept_header_gets_the_form_it_asks_for(accept: str | None, expected: MediaType | None) -> None:
    assert negotiate(accept) is expected
