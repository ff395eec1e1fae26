"""What goes over the wire: bodies with their headers made once, and the decisions of HTTP about them.

Source: RFC 9110 (conditional requests § 13, ranges § 14), RFC 9111, RFC 5861 (stale answers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from wheelmark.server.delivery.encodings import Encoding

Headers = list[tuple[str, str]]

FOREVER = "public, max-age=31536000, immutable"
"""For a name that holds a hash or a version."""

SHORT = "public, max-age=0, s-maxage=5, stale-while-revalidate=30, stale-if-error=86400"
"""For a name whose content changes: clients ask each time (304 is cheap), a cache asks every few seconds, or is purged
by `Surrogate-Key`. A cache may go on with an old answer while we are away: what it says is signed, and it expires."""

NEVER = "no-store"

# Uploaded bytes share an origin with the pages on which people log in: nothing here may run as a page.
_INERT = [("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "default-src 'none'; sandbox")]

MAX_CONDITION_CHARS = 2048


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. `body` is bytes, or an iterator that is closed when it is sent or given up."""

    status: int
    headers: Headers
    body: bytes | Iterable[bytes] = b""


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """A body that fits into memory, with the headers of its 200 and its 304."""

    etag: str
    headers: Headers
    unchanged: Headers
    body: bytes

    def answer(self, environ: Mapping[str, object]) -> Answer:
        """200, or 304 when the client has it."""
        condition = environ.get("HTTP_IF_NONE_MATCH")
        if condition is not None and matches(str(condition), self.etag):
            return Answer(304, self.unchanged)
        return Answer(200, self.headers, self.body)

    @property
    def held_bytes(self) -> int:
        """About what it costs to keep."""
        return len(self.body) + 2048


def represent(
    body: bytes,
    *,
    content_type: str,
    tag: str,
    cache: str,
    encoding: Encoding = Encoding.IDENTITY,
    vary: str = "",
    extra: Iterable[tuple[str, str]] = (),
) -> Representation:
    """A representation; `tag` names the content, and the encoding is added to it, since each has its own bytes."""
    suffix = "" if encoding is Encoding.IDENTITY else f"-{encoding}"
    etag = f'"{tag}{suffix}"'
    unchanged = [("ETag", etag), ("Cache-Control", cache), *([("Vary", vary)] if vary else []), *extra]
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), *unchanged, *_INERT]
    if encoding is not Encoding.IDENTITY:
        headers.append(("Content-Encoding", encoding.value))
    return Representation(etag, headers, unchanged, body)


def file_headers(size: int, etag: str, cache: str, extra: Iterable[tuple[str, str]] = ()) -> Headers:
    """The headers of a file that is streamed whole."""
    return [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(size)),
        ("ETag", etag),
        ("Cache-Control", cache),
        ("Accept-Ranges", "bytes"),
        *extra,
        *_INERT,
    ]


def matches(condition: str, etag: str) -> bool:
    """Whether an If-None-Match names this ETag (weak comparison, RFC 9110 § 13.1.2)."""
    if len(condition) > MAX_CONDITION_CHARS:
        return False
    if condition.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == etag for candidate in condition.split(","))


def plain(status: HTTPStatus, message: str, *, cache: str = NEVER, extra: Iterable[tuple[str, str]] = ()) -> Answer:
    """A sentence for people."""
    body = f"{message}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    return Answer(status.value, [*headers, ("Cache-Control", cache), *extra, *_INERT], body)


def redirect(location: str) -> Answer:
    """301 to a path that we made ourselves."""
    return plain(HTTPStatus.MOVED_PERMANENTLY, location, cache=SHORT, extra=[("Location", location)])


STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
