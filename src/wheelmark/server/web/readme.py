"""A project's description as HTML that is safe inside our page. Pure: text in, HTML out.

The renderers have no bounds of their own: twelve kilobytes of a Markdown table make forty megabytes of HTML in half a
minute. So a page never calls `render`, but `descriptions.rendered`, which calls it in a process with limits.

Authors are strangers. readme_renderer's output is cleaned once more, more strictly: no classes (a description could
dress up as our state marks), no ids but its own headings', no form fields but the boxes of task lists, and pictures
become links, since the page may load nothing from other hosts and a broken picture says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser

import nh3
from readme_renderer.clean import ALLOWED_ATTRIBUTES, ALLOWED_TAGS

RST = "text/x-rst"
MAX_CHARS = 40_000
"""What is rendered of a description; the whole text is in the core metadata."""
MAX_RST_CHARS = 30_000
"""docutils takes about ten times longer than the Markdown renderer."""

_TAGS = (set(ALLOWED_TAGS) | {"s"}) - {"picture", "nav", "section", "aside"}
_ATTRIBUTES = {tag: names - {"class", "lang"} for tag, names in ALLOWED_ATTRIBUTES.items()}
_LINKS = ("https://", "http://", "mailto:", "#")
_OWN_IDS = ("user-content-", "fn-", "fnref-")


@dataclass(frozen=True, slots=True)
class Readme:
    """A rendered description."""

    html: str  # safe to put into a page as it is
    is_plain: bool  # it is shown as text, because it could not be rendered as what it says it is
    is_cut: bool
    pictures: int  # that were turned into links


def render(description: str, content_type: str) -> Readme:
    """A description as HTML. `content_type` is that of the core metadata; nothing means reStructuredText.

    Source: core metadata specification, "Description-Content-Type".
    """
    media_type, _, parameters = content_type.strip().lower().partition(";")
    media_type = media_type.strip() or RST
    text = _cut(description, MAX_RST_CHARS if media_type == RST else MAX_CHARS)
    html: str | None = None
    if media_type == "text/markdown":
        html = _render_markdown(text, "CommonMark" if "variant=commonmark" in parameters.replace(" ", "") else "GFM")
    elif media_type == RST:
        html = _render_rst(text)
    links = _PicturesAsLinks()
    if html is not None:
        links.feed(html)
        links.close()
    cleaned = _clean("".join(links.parts)) if html is not None else None
    if cleaned is None:
        return plain(description, as_meant=media_type == "text/plain")
    return Readme(cleaned, is_plain=False, is_cut=len(text) < len(description), pictures=links.pictures)


def plain(description: str, *, as_meant: bool = False) -> Readme:
    """A description as it is; `as_meant` if it says that it is plain text."""
    text = _cut(description, MAX_CHARS)
    html = f"<pre>{escape(text)}</pre>"
    return Readme(html, is_plain=not as_meant, is_cut=len(text) < len(description), pictures=0)


def _cut(text: str, limit: int) -> str:
    """The text up to the last empty line before the limit."""
    if len(text) <= limit:
        return text
    end = text.rfind("\n\n", 0, limit)
    return text[: end if end > 0 else limit]


def _render_markdown(text: str, variant: str) -> str | None:
    from readme_renderer.markdown import render as render_markdown

    html: str | None = render_markdown(text, variant=variant)
    return html


def _render_rst(text: str) -> str | None:
    from readme_renderer.rst import render as render_rst  # docutils: loaded only for those who need it

    try:
        html: str | None = render_rst(text)
    except Exception:  # noqa: BLE001  docutils fails in its own ways on hostile input; the text is then shown as it is
        return None
    return html


def _clean(html: str) -> str | None:
    try:
        return nh3.clean(
            html,
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            attribute_filter=_keep,
            link_rel="nofollow noopener noreferrer",
            url_schemes={"http", "https", "mailto"},
            set_tag_attribute_values={"input": {"type": "checkbox", "disabled": "", "aria-label": "task"}},
        )
    except ValueError:
        return None


def _keep(_tag: str, name: str, value: str) -> str | None:
    if name == "id":
        return value if value.startswith(_OWN_IDS) else None
    if name == "href":
        # A relative link means a file of the author's repository; here it would lead to one of our own pages.
        return value if value.lower().startswith(_LINKS) else None
    return value


class _PicturesAsLinks(HTMLParser):
    """Writes HTML out again, with a link (or, inside of a link, a word) in the place of each picture.

    A link without content keeps only its id.

    Its output is cleaned afterwards, so nothing depends on its reading the HTML as a browser would.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self.pictures = 0
        self._links = 0
        self._anchor: tuple[int, str | None] = (-1, None)  # where the last link was opened, and its id

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self._picture(dict(attrs))
            return
        if tag == "a":
            self._links += 1
            self._anchor = (len(self.parts), dict(attrs).get("id"))
        self.parts.append(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._links -= 1
            if self._anchor[0] == len(self.parts) - 1:
                # A link without a word in it, as renderers put before headings: Tab would stop at nothing.
                self.parts[-1] = f'<span id="{escape(self._anchor[1] or "")}"></span>'
                return
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
