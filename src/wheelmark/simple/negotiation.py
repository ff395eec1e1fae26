"""Which form of a page the client asked for. Source: PEP 691 § Version + Format Selection, RFC 9110 § 12.5.1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

MAX_ACCEPT_CHARS = 2048

_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class MediaType(StrEnum):
    """The forms that we serve; the value is the `Content-Type` of the answer, which is never `latest`."""

    JSON = "application/vnd.pypi.simple.v1+json"
    HTML = "application/vnd.pypi.simple.v1+html"
    TEXT_HTML = "text/html"


# Each form under every name that a client may ask for it by, the most specific first.
_ALIASES: dict[MediaType, tuple[tuple[str, ...], ...]] = {
    MediaType.JSON: (
        ("application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json"),
        ("application/*",),
        ("*/*",),
    ),
    MediaType.HTML: (
        ("application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.latest+html"),
        ("application/*",),
        ("*/*",),
    ),
    MediaType.TEXT_HTML: (("text/html",), ("text/*",), ("*/*",)),
}
# Between forms of the same weight: who names a form gets the richest of those named; who takes anything is
# a browser or a script from before PEP 691, and gets HTML.
_NAMED_ORDER = (MediaType.JSON, MediaType.HTML, MediaType.TEXT_HTML)
_WILDCARD_ORDER = (MediaType.TEXT_HTML, MediaType.JSON, MediaType.HTML)


def negotiate(accept: str | None) -> MediaType | None:
    """The form to answer with, or None when nothing that we have is acceptable (406).

    No header, or an empty one, asks for HTML. A range that we cannot read counts as not sent.
    """
    if accept is None or not accept.strip():
        return MediaType.TEXT_HTML
    if len(accept) > MAX_ACCEPT_CHARS:
        return None
    weights = dict(_ranges(accept))
    best: tuple[float, int, int] | None = None
    chosen: MediaType | None = None
    for media_type in MediaType:
        for specificity, names in enumerate(_ALIASES[media_type]):
            found = [weights[name] for name in names if name in weights]
            if not found:
                continue
            order = _NAMED_ORDER if specificity == 0 else _WILDCARD_ORDER
            rank = (max(found), -specificity, -order.index(media_type))
            if max(found) > 0 and (best is None or rank > best):
                best, chosen = rank, media_type
            break  # RFC 9110: the most specific range that matches is the one that counts
    return chosen


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                if not _WEIGHT.fullmatch(value.strip()):
                    break
                weight = float(value.strip())
        else:
            yield name, weight
