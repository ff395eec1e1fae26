"""A project's description as HTML that is safe inside our page. Pure but for a bounded cache.

Authors are strangers. readme_renderer's output is cleaned once more, more strictly: no classes (a description could
dress up as our state marks), no ids but its own headings', no form fields but the boxes of task lists, and pictures
become links, since the page may load nothing from other hosts and a broken picture says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from html.parser import HTMLParser

import nh3
import readme_renderer.markdown
import readme_renderer.rst
import readme_renderer.txt
from readme_renderer.clean import ALLOWED_ATTRIBUTES, ALLOWED_TAGS

MAX_CHARS = 60_000
"""What is rendered of a description; the whole text is in the core metadata."""
MAX_RST_CHARS = 40_000
"""docutils takes about ten times longer than the Markdown renderer."""
_CACHED = 64

_TAGS = (set(ALLOWED_TAGS) | {"s"}) - {"picture", "nav", "section", "aside"}
_ATTRIBUTES = {tag: names - {"class"} for tag, names in ALLOWED_ATTRIBUTES.items()}
_OWN_IDS = ("user-content-", "fn-", "fnref-")


@dataclass(frozen=True, slots=True)
class Readme:
    """A rendered description."""

    html: str  # safe to put into a page as it is
    is_plain: bool  # it is shown as text, because it could not be rendered as what it says it is
    is_cut: bool
    pictures: int  # that were turned into links


def render(description: str, content_type: str) -> Readme | None:
    """A description as HTML; None when there is none. `content_type` is that of the core metadata (PEP 566)."""
    return _render(description, content_type.strip().lower()) if description.strip() else None


@lru_cache(maxsize=_CACHED)
def _render(description: str, content_type: str) -> Readme:
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip() or "text/x-rst"  # the default, if nothing is said (core metadata specification)
    limit = MAX_RST_CHARS if media_type == "text/x-rst" else MAX_CHARS
    text = _cut(description, limit)
    html: str | None = None
    if media_type == "text/markdown":
        variant = "CommonMark" if "variant=commonmark" in parameters.replace(" ", "") else "GFM"
        html = readme_renderer.markdown.render(text, variant=variant)
    elif media_type == "text/x-rst":
        html = _render_rst(text)
    is_cut = len(text) < len(description)
    links = _PicturesAsLinks()
    if html is not None:
        links.feed(html)
        links.close()
    cleaned = _clean("".join(links.parts)) if html is not None else None
    if cleaned is None:
        plain = f"<pre>{escape(text)}</pre>"
        return Readme(plain, is_plain=media_type != "text/plain", is_cut=is_cut, pictures=0)
    return Readme(cleaned, is_plain=False, is_cut=is_cut, pictures=links.pictures)


def _cut(text: str, limit: int) -> str:
    """The text up to the last empty line before the limit."""
    if len(text) <= limit:
        return text
    end = text.rfind("\n\n", 0, limit)
    return text[: end if end > 0 else limit]


def _render_rst(text: str) -> str | None:
    try:
        return readme_renderer.rst.render(text)
    except Exception:  # noqa: BLE001  docutils fails in its own ways on hostile input; the text is then shown as it is
        return None


def _clean(html: str) -> str | None:
    def keep(tag: str, name: str, value: str) -> str | None:
        return value if name != "id" or value.startswith(_OWN_IDS) else None

    try:
        return nh3.clean(
            html,
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            attribute_filter=keep,
            link_rel="nofollow noopener noreferrer",
            url_schemes={"http", "https", "mailto"},
            set_tag_attribute_values={"input": {"type": "checkbox", "disabled": "", "aria-label": "task"}},
        )
    except ValueError:
        return None


class _PicturesAsLinks(HTMLParser):
    """Writes HTML out again, with a link (or, inside of a link, a word) in the place of each picture.

    Its output is cleaned afterwards, so nothing depends on its reading the HTML as a browser would.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self.pictures = 0
        self._links = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self._picture(dict(attrs))
            return
        if tag == "a":
            self._links += 1
        self.parts.append(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._links -= 1
        self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.parts.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.parts.append(f"&#{name};")

    def _picture(self, attributes: dict[str, str | None]) -> None:
        self.pictures += 1
        words = escape(attributes.get("alt") or "picture")
        source = attributes.get("src") or ""
        if self._links > 0 or not source.startswith(("https://", "http://")):
            self.parts.append(f"<span>[{words}]</span>")
        else:
            self.parts.append(f'<a href="{escape(source)}" rel="nofollow noopener noreferrer">[{words}]</a>')
