"""What both proxies have in common: they answer installers on this machine, and only with what was verified.

Pages are rendered anew from the parsed value (so no two parsers can disagree about the signed bytes), files are sent
only if their project's page lists them, and a file's last bytes are sent only when its hash is right.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from http import HTTPStatus
from itertools import chain

from wheelmark.client.address import IndexAddress
from wheelmark.client.counting import Counters
from wheelmark.client.incidents import Incidents
from wheelmark.client.loopback import LOOPBACK, Answer, text_answer
from wheelmark.client.request_head import Request
from wheelmark.client.sources import OwnedPage, Sources
from wheelmark.errors import Untrusted, WheelmarkError
from wheelmark.simple import (
    MediaType,
    ProjectPage,
    SimpleFile,
    negotiate,
    render_page_html,
    render_page_json,
)

__all__ = ["LOOPBACK", "WITHHELD", "Route", "VerifiedSite", "as_ours", "stored_route"]

# For what is refused or away. Not 5xx, which pip and uv repeat for many seconds; not 401, 403 or 404, which uv
# takes for "not here, look elsewhere". uv stops at any other 4xx, pip treats the page as missing.
WITHHELD = HTTPStatus.FAILED_DEPENDENCY
PROVENANCE_TYPE = "application/vnd.pypi.integrity.v1+json"  # of the public index's Integrity API
BYTES_TYPE = "application/octet-stream"
READ_METHODS = frozenset({"GET", "HEAD"})
MAX_FILES_AT_HAND = 200  # a longer page takes so long to render that others would notice
WHOLE_BYTES = 4 * 1024 * 1024  # a file that fits is verified before its first byte is sent, and sent at once
PATIENCE_SECONDS = 3.0  # unless it takes so long; pip waits 15 s for a first byte, uv 30 s
AT_HAND_BYTES = 1024 * 1024  # read and hashed in no time

Route = tuple[str, ...]  # ("simple", name), or ("file" or what lies beside it, sha256, filename)
_BESIDE = {".metadata": "metadata", ".provenance": "provenance"}


def stored_route(sha256: str, name: str) -> Route:
    """What the last two parts of a file's address ask for: the file, or its core metadata or provenance."""
    for suffix, kind in _BESIDE.items():
        if name.endswith(suffix):
            return (kind, sha256, name.removesuffix(suffix))
    return ("file", sha256, name)


class VerifiedSite:
    """Makes the answers; what a request asks for is a subclass's to say.

    After the first incident a `strict` site answers nothing more: an installer that went on with what it has got could
    be led to other versions by withholding pages from it. `keeping`: installers may keep files that were verified.
    """

    def __init__(
        self, sources: Sources, incidents: Incidents, counters: Counters, *, strict: bool, keeping: bool
    ) -> None:
        self.sources = sources
        self.incidents = incidents
        self.counters = counters
        self._strict = strict
        self._keeping = keeping

    def stopped(self) -> Answer | None:
        """The answer when an earlier incident has ended this run."""
        if not self._strict or self.incidents.worst() is None:
            return None
        return text_answer(WITHHELD, "wheelmark: stopped after an earlier refusal")

    def broke(self, error: Exception) -> None:
        """What was being sent turned out to be wrong, or ended."""
        known = as_ours(error)
        self.incidents.add(known)
        self.counters.incident(known)

    def withheld(self, error: WheelmarkError, *, broken_off: bool = False) -> Answer:
        """Note the incident, and say it to the installer too.

        `broken_off` is for pages where nobody ends the installer: whatever the status, pip takes a page that does not
        come for one without files, and chooses an older version that does not need it. An answer whose end is missing
        (RFC 9112 § 8) makes it stop. In chunks, because older pips do not compare lengths.
        """
        self.broke(error)
        text = text_answer(WITHHELD, f"wheelmark: {error}")
        return replace(text, broken_off=True) if broken_off else text

    def egress_refused(self, request: Request) -> Answer:
        """For a request to somebody that we do not verify."""
        asked = f"{request.method} {request.target[:200]!r}"
        return replace(
            self.withheld(Untrusted(f"expected requests to the verified index only, got {asked}", code="egress")),
            closes=request.method not in READ_METHODS,  # it may still want to send a body
        )

    def page_answer(self, request: Request, page: ProjectPage | None, name: str, address: IndexAddress) -> Answer:
        """The page in the form that the client wants, as the index at `address` would say it, or 404."""
        self.counters.request("page")
        media_type = negotiate(request.fields.get("accept"))
        if media_type is None:
            return text_answer(HTTPStatus.NOT_ACCEPTABLE, f"expected one of {', '.join(MediaType)}")
        if page is None:
            return text_answer(HTTPStatus.NOT_FOUND, f"the index has no project {name}: proven by its signed metadata")
        render = render_page_json if media_type is MediaType.JSON else render_page_html
        body = render(_with_provenance_at(address, page))
        if not self._keeping:
            return Answer(content_type=media_type, body=body)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if tag in request.fields.get("if-none-match", ""):
            return Answer(status=HTTPStatus.NOT_MODIFIED, content_type=media_type, tag=tag)
        return Answer(content_type=media_type, body=body, tag=tag)

    def listed_answer(self, request: Request, kind: str, owned: OwnedPage, file: SimpleFile) -> Answer:
        """A listed file or what lies beside it, verified; 404 when its page says that there is no such thing."""
        if _hash_of(kind, file) is None:
            return text_answer(HTTPStatus.NOT_FOUND, f"no verified page lists {kind} of {file.filename}")
        self.counters.request(kind)
        verifier = owned.source.verifier()
        if kind == "metadata":
            return Answer(content_type=BYTES_TYPE, body=verifier.metadata(file), lasting=self._keeping)
        if kind == "provenance":
            return Answer(content_type=PROVENANCE_TYPE, body=verifier.provenance(file), lasting=self._keeping)
        # The whole file, whatever range was asked for: a part of it cannot be verified (RFC 9110 § 14.2 allows it).
        if request.method == "HEAD":
            return Answer(content_type=BYTES_TYPE, length=file.size)
        kept = verifier.open_kept(file)
        if kept is not None and file.size > WHOLE_BYTES:
            return Answer(content_type=BYTES_TYPE, pieces=kept, length=file.size, lasting=self._keeping)
        pieces = kept or verifier.open_file(file)
        # A part before the status line: what cannot be had at all still gets an honest answer.
        first, is_all = _beginning(pieces, PATIENCE_SECONDS if file.size <= WHOLE_BYTES else 0.0)
        if is_all:
            return Answer(content_type=BYTES_TYPE, body=first, lasting=self._keeping)
        return Answer(content_type=BYTES_TYPE, pieces=_chained(first, pieces), length=file.size)

    def listed_at_hand(self, request: Request, kind: str, owned: OwnedPage, file: SimpleFile) -> Answer | None:
        """The same from what is kept, when it is and is small."""
        sha256 = _hash_of(kind, file)
        if sha256 is None or (kind == "file" and file.size > AT_HAND_BYTES) or request.method == "HEAD":
            return None
        kept = owned.source.verifier().kept(sha256, AT_HAND_BYTES)
        if kept is None or (kind == "file" and len(kept) != file.size):
            return None
        self.counters.request(kind)
        content_type = PROVENANCE_TYPE if kind == "provenance" else BYTES_TYPE
        return Answer(content_type=content_type, body=kept, lasting=self._keeping)


def is_short(owned: OwnedPage | None) -> bool:
    """True for a page that is rendered in no time."""
    return owned is None or len(owned.page.files) <= MAX_FILES_AT_HAND


def _beginning(pieces: Generator[bytes], seconds: float) -> tuple[bytes, bool]:
    """The first piece and what follows within that time; and whether that was all."""
    until, parts = time.monotonic() + seconds, []
    for piece in pieces:
        parts.append(piece)
        if time.monotonic() >= until:
            return b"".join(parts), False
    return b"".join(parts), True


def _hash_of(kind: str, file: SimpleFile) -> str | None:
    """The sha256 that the page gives; None when it says that there is no such thing."""
    if kind == "file":
        return file.sha256
    return file.core_metadata_sha256 if kind == "metadata" else file.provenance_sha256


def _chained(first: bytes, pieces: Generator[bytes]) -> Generator[bytes]:
    try:
        yield from chain([first], pieces)
    finally:
        pieces.close()


def _with_provenance_at(address: IndexAddress, page: ProjectPage) -> ProjectPage:
    """The page with provenance named where we answer for it: elsewhere it would be asked for around us."""
    if all(file.provenance_sha256 is None for file in page.files):
        return page
    files: Sequence[SimpleFile] = [
        file if file.provenance_sha256 is None else replace(file, provenance_url=address.provenance_url(file))
        for file in page.files
    ]
    return replace(page, files=tuple(files))


def as_ours(error: Exception) -> WheelmarkError:
    """An error that a hostile answer provoked in a place where none was expected stops the run like any other."""
    if isinstance(error, WheelmarkError):
        return error
    return Untrusted(f"expected an answer that can be read, got one that led to {error!r}", code="unreadable")
