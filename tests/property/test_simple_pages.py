"""What is rendered is what is read, and the HTML page says what the JSON page says."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from support.simple import pages
from wheelmark.errors import Untrusted
from wheelmark.simple import MediaType, ProjectPage, negotiate, parse_page_json, render_page_html, render_page_json


@given(pages())
def test_parsed_page_is_the_rendered_page(page: ProjectPage) -> None:
    assert parse_page_json(render_page_json(page), expected_name=page.name) == page


@given(pages())
def test_html_page_says_what_the_json_page_says(page: ProjectPage) -> None:
    document = orjson.loads(render_page_json(page))
    read = _ReadPage(render_page_html(page).decode())
    assert read.meta["pypi:repository-version"] == document["meta"]["api-version"]
    assert read.meta["pypi:project-status"] == document["project-status"]["status"]
    assert read.meta.get("pypi:project-status-reason") == document["project-status"].get("reason")
    assert read.files == document["files"]


@given(pages(), st.data())
def test_damaged_page_is_untrusted_or_still_a_page(page: ProjectPage, data: st.DataObject) -> None:
    raw = bytearray(render_page_json(page))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        parsed = parse_page_json(bytes(raw), expected_name=page.name)
    except Untrusted:
        return
    assert parsed.name == page.name
    render_page_json(parsed)  # what the reader lets through, the writer would sign


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*MediaType, "*/*", "text/*", "x/y", "q=0", ";q=0.5"])).map(",".join)
)
def test_any_accept_header_has_an_answer(accept: str) -> None:
    assert negotiate(accept) in {*MediaType, None}


class _ReadPage(HTMLParser):
    """Reads an HTML page back into the objects of the JSON page, as far as HTML can say them (PEP 833)."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.meta: dict[str, str] = {}
        self.files: list[dict[str, Any]] = []
        self._file: dict[str, Any] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "meta" and "name" in attributes:
            self.meta[attributes["name"]] = attributes["content"]
        if tag == "a":
            self._file = {"filename": "", "attributes": attributes}

    def handle_data(self, data: str) -> None:
        if self._file is not None:
            self._file["filename"] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._file is not None:
            self.files.append(_FileOf(self._file["filename"], self._file["attributes"]))
            self._file = None


class _FileOf(dict[str, Any]):
    """One anchor as a JSON object; equal to the JSON file when all that HTML can carry is the same."""

    def __init__(self, filename: str, attributes: dict[str, str]) -> None:
        url, _, fragment = attributes["href"].partition("#sha256=")
        super().__init__(filename=filename, url=url, hashes={"sha256": fragment})
        if "data-requires-python" in attributes:
            self["requires-python"] = attributes["data-requires-python"]
        if "data-yanked" in attributes:
            self["yanked"] = attributes["data-yanked"] or True
        if "data-core-metadata" in attributes:
            self["core-metadata"] = {"sha256": attributes["data-core-metadata"].removeprefix("sha256=")}
        if "data-provenance" in attributes:
            self["provenance"] = attributes["data-provenance"]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict):
            return NotImplemented
        only_in_json = {"size", "upload-time", "_provenance-sha256"}
        return dict(self) == {key: value for key, value in other.items() if key not in only_in_json}

    __hash__ = None
