"""What a release says of itself, from its core metadata, in the form in which pages show it. Pure.

All of it is the author's word: nothing here was checked, and any field may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MAX_TEXT_CHARS = 300
MAX_ITEMS = 200
"""Classifiers, requirements and links that a page lists."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link with the host that it leads to: the label is the author's, and may promise another."""

    label: str
    url: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The fields that a release page shows; empty where the metadata says nothing."""

    license: str
    author: str
    maintainer: str
    keywords: str
    extras: str
    links: tuple[Link, ...]
    requirements: tuple[str, ...]
    requirements_total: int
    classifiers: tuple[str, ...]
    classifiers_total: int


def about(metadata: Mapping[str, Any]) -> About:
    """Read `Release.metadata`."""
    requirements, classifiers = _texts(metadata, "requires_dist"), _texts(metadata, "classifiers")
    return About(
        license=_text(metadata, "license_expression") or _text(metadata, "license"),
        author=_text(metadata, "author") or _text(metadata, "author_email"),
        maintainer=_text(metadata, "maintainer") or _text(metadata, "maintainer_email"),
        keywords=_cut(", ".join(_texts(metadata, "keywords"))),
        extras=_cut(", ".join(_texts(metadata, "provides_extra"))),
        links=tuple(_links(metadata))[:MAX_ITEMS],
        requirements=tuple(requirements[:MAX_ITEMS]),
        requirements_total=len(requirements),
        classifiers=tuple(classifiers[:MAX_ITEMS]),
        classifiers_total=len(classifiers),
    )


def _text(metadata: Mapping[str, Any], key: str) -> str:
    return _cut(str(metadata.get(key) or ""))


def _texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    return [str(item) for item in metadata.get(key) or ()]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"


def _links(metadata: Mapping[str, Any]) -> list[Link]:
    given = dict(metadata.get("project_urls") or {})
    if metadata.get("home_page"):
        given.setdefault("Homepage", metadata["home_page"])
    links = []
    for label, url in given.items():
        host = _host(str(url))
        if host is not None:
            links.append(Link(_cut(str(label)), str(url), host))
    return links


def _host(url: str) -> str | None:
    """The host of an http or https address; None for everything that is no link to follow."""
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme in {"http", "https"} else None
    except ValueError:
        return None
