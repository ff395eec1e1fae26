"""Promises of the look itself: contrast, nothing inline, nothing from elsewhere, one drawing of the mark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wheelmark.server.web

WEB = Path(wheelmark.server.web.__file__).parent
STATIC = WEB / "static" / "wheelmark"
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
OURS = [path for path in TEMPLATES if path.relative_to(WEB / "templates").parts[0] not in {"account", "mfa"}]

_TOKEN = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
COLOURS = {name: (light, dark) for name, light, dark in _TOKEN.findall((STATIC / "tokens.css").read_text())}


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Source: WCAG 2.2, "contrast ratio"."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


STATES = ("good", "wait", "warn", "stop")
TEXT_PAIRS = [
    *((ink, paper) for ink in ("ink", "ink-soft", "accent") for paper in ("paper", "paper-sunk")),
    *(
        (state, paper)
        for state in ("good", "wait", "warn", "stop")
        for paper in ("paper", "paper-sunk", f"{state}-tint")
    ),
    *(("ink", f"{state}-tint") for state in ("good", "wait", "warn", "stop")),
    *((ink, "warn-tint") for ink in ("ink-soft", "accent")),
    *(("accent", f"{state}-tint") for state in ("good", "wait", "stop")),
    ("accent-ink", "accent"),
]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), TEXT_PAIRS)
def test_text_has_the_contrast_of_aa(ink: str, paper: str, mode: int) -> None:
    assert contrast(COLOURS[ink][mode], COLOURS[paper][mode]) >= 4.5


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_borders_of_controls_and_the_focus_are_seen(mode: int) -> None:
    for colour in ("line-strong", "accent"):
        for paper in ("paper", "paper-sunk"):
            assert contrast(COLOURS[colour][mode], COLOURS[paper][mode]) >= 3


def test_colours_come_from_the_tokens_alone() -> None:
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(", (STATIC / "base.css").read_text())
    used = set(re.findall(r"var\(--([\w-]+)", (STATIC / "base.css").read_text()))
    defined = set(re.findall(r"--([\w-]+):", (STATIC / "tokens.css").read_text() + (STATIC / "base.css").read_text()))
    assert used <= defined


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(WEB / "templates")))
def test_templates_have_nothing_inline(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", source)
    # A block of JSON is no script: the browser runs nothing of it.
    assert all("src=" in tag or 'type="application/json"' in tag for tag in re.findall(r"<script[^>]*>", source))


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(WEB / "templates")))
def test_templates_load_nothing_from_elsewhere_and_trust_no_text(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", source)
    trusted = re.findall(r"\{\{\s*([\w.]+)\s*\|\s*safe", source)
    assert trusted in ([], ["readme.html"])
    assert "autoescape off" not in source


def test_the_mark_in_the_tab_is_the_mark_on_the_page() -> None:
    drawn = [
        re.findall(r' d="([^"]+)"', path.read_text()) for path in (STATIC / "mark.svg", WEB / "templates" / "base.html")
    ]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 1


def test_static_files_are_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 40_000
