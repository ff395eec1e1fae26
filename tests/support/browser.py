"""A real browser for tests: Chromium driven by playwright, axe-core, and what a page did while one looked away."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright

AXE_VERSION = "4.10.3"
WIDTHS = (360, 768, 1280)
SCHEMES = ("light", "dark")

_ARGUMENTS = [
    "--no-sandbox",  # tests run as root in containers, and open nothing but our own pages
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]

# What makes a page wider than its window, by name: the test's message should say what to mend.
_WIDER = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(e).position !== 'absolute')
  .map(e => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 60)}`).slice(0, 5)"""
_OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"
_FOCUSABLE = """() => {
  const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  const seen = e => e.checkVisibility({checkVisibilityCSS: true}) && !e.disabled;
  // Of a group of radio buttons, Tab reaches one.
  const groups = new Set();
  return [...document.querySelectorAll(all)].filter(seen).filter(e => {
    if (e.type !== 'radio') return true;
    const first = !groups.has(e.name); groups.add(e.name); return first;
  }).map((e, i) => { e.dataset.testTab = i; return i; }).length;
}"""
_FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const radio = e.type === 'radio' && document.querySelector(`[name="${e.name}"][data-test-tab]`);
  const style = getComputedStyle(e);
  return {
    index: (radio || e).dataset.testTab ?? null,
    what: `${e.tagName} ${e.textContent.trim().slice(0, 40)}`,
    outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
  };
}"""
_SMALL_TARGETS = """() => [...document.querySelectorAll('button, .button, header nav a, input:not([type=hidden])')]
  .filter(e => e.checkVisibility() && !['checkbox', 'radio'].includes(e.type) && !e.classList.contains('quiet'))
  .filter(e => e.getBoundingClientRect().height < 43.5)
  .map(e => `${e.tagName} ${e.textContent.trim().slice(0, 40)} ${e.getBoundingClientRect().height}`)"""


@cache
def chromium_path() -> str:
    """Where Chromium is; tests say what to install when it is nowhere."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError("expected Chromium on PATH, found none: apt-get install chromium")


@cache
def axe_source() -> str:
    """axe-core as text, fetched once with npm into the user's cache."""
    folder = user_cache_path("wheelmark-tests") / f"axe-{AXE_VERSION}"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", f"axe-core@{AXE_VERSION}"],
            cwd=folder,
            check=True,
            timeout=120,
        )
    return script.read_text(encoding="utf-8")


def launch(playwright: Playwright) -> Browser:
    """A browser that reaches this machine and nothing else."""
    return playwright.chromium.launch(executable_path=chromium_path(), args=_ARGUMENTS)


@dataclass
class Watched:
    """A page and what went wrong on it: messages of the console, failed and foreign requests."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    expected_statuses: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if any(f"status of {status}" in message.text for status in self.expected_statuses):
            return
        self.faults.append(f"console {message.type}: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.faults.append(f"request to {request.url}")

    def overflow(self) -> list[str]:
        """What makes the page scroll sideways; empty when nothing does."""
        if self.page.evaluate(_OVERFLOW) <= 0:
            return []
        return list(self.page.evaluate(_WIDER)) or ["something that cannot be named"]

    def axe(self) -> list[str]:
        """What axe-core finds, one line for each place."""
        self.page.evaluate(axe_source())
        result = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['target']} {' '.join(node['failureSummary'].split())[:200]}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]

    def unreached(self) -> list[str]:
        """Walk through the page with Tab: what is never focused, and what does not show its focus."""
        count = self.page.evaluate(_FOCUSABLE)
        self.page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
        reached: set[str] = set()
        faults = []
        for _ in range(count + 5):
            self.page.keyboard.press("Tab")
            focused = self.page.evaluate(_FOCUSED)
            if focused is None:
                if reached:
                    break
                continue
            if not focused["outlined"]:
                faults.append(f"no visible focus: {focused['what']}")
            reached.add(str(focused["index"]))
        faults += [f"never focused: element {index}" for index in range(count) if str(index) not in reached]
        return faults

    def small_targets(self) -> list[str]:
        """Controls less than 44 px high."""
        return list(self.page.evaluate(_SMALL_TARGETS))


@contextmanager
def watched_page(
    browser: Browser, base: str, *, width: int = 1280, scheme: str = "light", cookies: dict[str, str] | None = None
) -> Iterator[Watched]:
    """A fresh page of a fresh profile."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        base_url=base,
        reduced_motion="reduce",
        has_touch=width < 700,
    )
    context.add_cookies([{"name": name, "value": value, "url": base} for name, value in (cookies or {}).items()])
    try:
        yield Watched(context.new_page(), base)
    finally:
        context.close()


def screenshot_folder(fallback: Path) -> Path:
    """Where screenshots go: `WHEELMARK_SCREENSHOTS`, or a folder of the test run."""
    folder = Path(os.environ.get("WHEELMARK_SCREENSHOTS") or fallback)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
