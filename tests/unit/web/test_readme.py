"""Descriptions are written by strangers."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wheelmark.server.web.descriptions import MAX_HTML_CHARS, WALL_SECONDS, rendered
from wheelmark.server.web.readme import MAX_CHARS, render


class _Judge(HTMLParser):
    """Collects the elements and attributes that have no business in a description."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {
            "script",
            "style",
            "img",
            "svg",
            "math",
            "iframe",
            "form",
            "meta",
            "base",
            "link",
            "object",
            "picture",
        }:
            self.faults.append(tag)
        for name, value in attrs:
            if name == "href" and not str(value).startswith(("https://", "http://", "mailto:", "#")):
                self.faults.append(f"{tag} {name}={value}")
            if name in {"style", "class", "src", "srcset", "action", "name"} or name.startswith("on"):
                self.faults.append(f"{tag} {name}={value}")


def faults_of(html: str) -> list[str]:
    judge = _Judge()
    judge.feed(html)
    judge.close()
    return judge.faults


def markdown(text: str) -> str:
    return render(text, "text/markdown").html


def test_markdown_rst_and_plain_text_are_rendered() -> None:
    assert "<strong>a</strong>" in markdown("**a**")
    rst = render("Title\n=====\n\n*a* and `b <https://b.example>`_", "text/x-rst")
    assert "<em>a</em>" in rst.html
    assert 'rel="nofollow noopener noreferrer"' in rst.html
    plain = render("a <b>\nc", "text/plain")
    assert plain.html == "<pre>a &lt;b&gt;\nc</pre>"
    assert not plain.is_plain


def test_nothing_is_none_and_no_content_type_is_rst() -> None:
    assert rendered("  \n", "text/markdown") is None
    readme = render("*a*", "")
    assert "<em>a</em>" in readme.html


def test_what_cannot_be_rendered_is_shown_as_text_and_says_so() -> None:
    for text, content_type in (("broken `link", "text/x-rst"), ("<b>x</b>", "text/html"), ("x", "nonsense")):
        readme = render(text, content_type)
        assert readme.is_plain
        assert "<b>" not in readme.html


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "<iframe src=https://evil.example></iframe>",
        "<form action=https://evil.example><input name=password></form>",
        "<style>body{display:none}</style>",
        "<div style='position:fixed'>x</div>",
        "<svg onload=alert(1)>",
        "<math><mtext><script>alert(1)</script></mtext></math>",
        "<meta http-equiv=refresh content='0;url=https://evil.example'>",
        "<base href=https://evil.example>",
        "[log out](/account/logout/) and [x](docs/x.md) and <a href=//evil.example>y</a>",
        "<a href=x><img src='https://evil.example/\"><script>alert(1)</script>'></a>",
        "<img alt='\"><script>alert(1)</script>' src=https://evil.example/x>",
    ],
)
def test_nothing_of_an_author_runs_or_loads(attack: str) -> None:
    assert faults_of(markdown(attack)) == []


def test_the_judge_of_these_tests_knows_the_attacks() -> None:
    assert faults_of("<p onclick=x>")
    assert faults_of("<img src=x>")
    assert faults_of("<a href=javascript:x>")
    assert faults_of("<script>x</script>")
    assert not faults_of('<p>&lt;script&gt; <a href="https://a.example">onclick=</a></p>')


def test_a_description_cannot_dress_up_as_our_marks_nor_take_our_ids() -> None:
    html = markdown('<p class="state good">verified by Wheelmark</p><div id="content" class="notice">x</div>\n\n# Mine')
    assert "class=" not in html
    assert 'id="content"' not in html
    assert 'id="user-content-mine"' in html


def test_pictures_become_links_that_load_nothing() -> None:
    text = "![badge](https://badge.example/x.svg) [![in](https://b.example/y.png)](https://c.example)"
    readme = render(text, "text/markdown")
    assert readme.pictures == 2
    assert "<img" not in readme.html
    assert '<a href="https://badge.example/x.svg" rel="nofollow noopener noreferrer">[badge]</a>' in readme.html
    assert "<span>[in]</span></a>" in readme.html


def test_task_lists_keep_their_boxes_with_a_name_for_screen_readers() -> None:
    html = markdown("- [x] done\n- [ ] open")
    assert html.count('aria-label="task"') == 2
    assert html.count("disabled") == 2


def test_right_to_left_and_emoji_survive() -> None:
    assert "שלום" in markdown("# שלום 👩‍👩‍👧 world")
    assert "👩‍👩‍👧" in markdown("# שלום 👩‍👩‍👧 world")


def test_long_description_is_cut_between_paragraphs_and_says_so() -> None:
    readme = render("word word\n\n" * 20_000, "text/markdown")
    assert readme.is_cut
    assert len(readme.html) < 3 * MAX_CHARS


@pytest.mark.parametrize(
    ("name", "text", "content_type"),
    [
        (
            "substitutions that double",
            ".. |a0| replace:: ha\n"
            + "".join(f".. |a{n}| replace:: {f'|a{n - 1}| ' * 10}\n" for n in range(1, 12))
            + "\n|a11|",
            "text/x-rst",
        ),
        ("nested quotes", "> " * 20_000 + "x", "text/markdown"),
        ("open brackets", "[" * 50_000, "text/markdown"),
        ("emphasis", "*a **a " * 8_000, "text/markdown"),
        ("nested lists", "\n".join("  " * n + "- x" for n in range(150)), "text/markdown"),
        ("open tags", "<div>" * 10_000, "text/markdown"),
        ("a table that grows", "|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + "a\n" * 2000, "text/markdown"),
        ("marks that are opened again", "".join(f"<b id=fn-{n}>" for n in range(3000)) + "<p>" * 6000, "text/markdown"),
        ("rst backticks", "`a" * 15_000, "text/x-rst"),
        ("rst sections", "".join(f"{c}\n{c}\n\n" for c in "=-`:'\"~^_*+#<>" * 50), "text/x-rst"),
    ],
)
def test_hostile_descriptions_cost_a_bounded_time_and_become_a_bounded_page(
    name: str, text: str, content_type: str
) -> None:
    started = time.monotonic()
    readme = rendered(text, content_type)
    assert time.monotonic() - started < WALL_SECONDS + 2, name
    assert readme is not None
    assert len(readme.html) <= MAX_HTML_CHARS
    assert readme.html == "" or readme.html.startswith("<")


def test_description_that_breaks_a_limit_is_shown_as_text() -> None:
    readme = rendered("|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + "a\n" * 2000, "text/markdown")
    assert readme is not None
    assert readme.is_plain


@pytest.mark.parametrize("content_type", ["text/markdown", "text/x-rst", "text/plain", "", "nonsense"])
def test_the_process_of_its_own_makes_what_render_makes(content_type: str) -> None:
    assert rendered("*a* \u05d0 \U0001f469", content_type) == render("*a* \u05d0 \U0001f469", content_type)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>\"'&/=!-[]()`*#\n abimgscriptonerr:"), max_size=120))
def test_no_text_gets_a_script_or_a_handler_through(text: str) -> None:
    assert faults_of(markdown(f"x {text}")) == []


def test_headings_keep_their_ids_without_an_empty_link() -> None:
    html = markdown("# Mine\n\n[to it](#mine)")
    assert 'id="user-content-mine"' in html
    assert 'href="#user-content-mine"' in html
    assert "></a>" not in html
