"""What both proxies have in common: a server on this machine that sends only what was verified.

Pages are rendered anew from the parsed value (so no two parsers can disagree about the signed bytes), files are sent
only if their project's page lists them, and a file's last bytes are sent only when its hash is right.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from types import TracebackType
from typing import Self

from wheelmark import __version__
from wheelmark.client.address import IndexAddress
from wheelmark.client.counting import Counters
from wheelmark.client.incidents import Incidents
from wheelmark.client.sources import OwnedPage, Sources
from wheelmark.errors import Unavailable, Untrusted, WheelmarkError
from wheelmark.simple import (
    MediaType,
    ProjectPage,
    SimpleFile,
    negotiate,
    render_page_html,
    render_page_json,
)

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 120
WRITE_BUFFER_BYTES = 64 * 1024
# For what is refused or away. Not 5xx, which pip and uv repeat for many seconds; not 401, 403 or 404, which uv
# takes for "not here, look elsewhere". uv stops at any other 4xx, pip treats the page as missing.
WITHHELD = HTTPStatus.FAILED_DEPENDENCY
TEXT_TYPE = "text/plain; charset=utf-8"
PROVENANCE_TYPE = "application/vnd.pypi.integrity.v1+json"  # of the public index's Integrity API

Route = tuple[str, ...]  # ("simple", name), or ("file" or what lies beside it, sha256, filename)
_BESIDE = {".metadata": "metadata", ".provenance": "provenance"}


def stored_route(sha256: str, name: str) -> Route:
    """What the last two parts of a file's address ask for: the file, or its core metadata or provenance."""
    for suffix, kind in _BESIDE.items():
        if name.endswith(suffix):
            return (kind, sha256, name.removesuffix(suffix))
    return ("file", sha256, name)


class LoopbackServer(ThreadingHTTPServer):
    """Listens from the moment it is made, and answers inside the `with` block.

    After the first incident a `strict` server answers nothing more: an installer that went on with what it has got
    could be led to other versions by withholding pages from it.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        handler: type[VerifiedHandler],
        sources: Sources,
        incidents: Incidents,
        *,
        port: int,
        strict: bool,
    ) -> None:
        self.sources = sources
        self.incidents = incidents
        self.strict = strict
        self.counters = Counters()
        try:
            super().__init__((LOOPBACK, port), handler)
        except OSError as error:
            raise Unavailable(f"cannot listen on {LOOPBACK}:{port}: {error}", code="port") from error
        self.url = f"http://{LOOPBACK}:{self.server_port}/"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the resolver for our own name and may wait for it.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # AF_INET: (str, int)

    def handle_error(self, request: object, client_address: object) -> None:
        """An installer that hangs up is not worth a traceback."""


class VerifiedHandler(BaseHTTPRequestHandler):
    """Answers one connection; what a request asks for is a subclass's to say."""

    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    server_version = f"wheelmark/{__version__}"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Headers and a small body leave together; otherwise each answer waits 40 ms for a delayed acknowledgement.
    wbufsize = WRITE_BUFFER_BYTES
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """The installer prints what it asks for; we print what we refuse."""

    def stopped(self) -> bool:
        """True, with an answer given, when an earlier incident has ended this run."""
        if not self.server.strict or self.server.incidents.worst() is None:
            return False
        self.answer_text(WITHHELD, "wheelmark: stopped after an earlier refusal")
        return True

    def withhold(self, error: WheelmarkError, *, broken_off: bool = False) -> None:
        """Note the incident, and say it to the installer too.

        `broken_off` is for pages where nobody ends the installer: whatever the status, pip takes a page that does not
        come for one without files, and chooses an older version that does not need it. An answer whose end is missing
        (RFC 9112 § 8) makes it stop. In chunks, because older pips do not compare lengths.
        """
        self.server.incidents.add(error)
        self.server.counters.incident(error)
        text = f"wheelmark: {error}"
        if not broken_off:
            self.answer_text(WITHHELD, text)
            return
        self.close_connection = True
        self._start(WITHHELD, TEXT_TYPE, None)
        if self.command != "HEAD":
            body = f"{text}\n".encode(errors="replace")
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))

    def refuse_egress(self) -> None:
        """For a request to somebody that we do not verify."""
        asked = f"{self.command} {self.path[:200]!r}"
        self.withhold(Untrusted(f"expected requests to the verified index only, got {asked}", code="egress"))

    def answer_page(self, page: ProjectPage | None, name: str, address: IndexAddress) -> None:
        """The page in the form that the client wants, as the index at `address` would say it, or 404."""
        self.server.counters.request("page")
        media_type = negotiate(self.headers.get("Accept"))
        if media_type is None:
            self.answer_text(HTTPStatus.NOT_ACCEPTABLE, f"expected one of {', '.join(MediaType)}")
        elif page is None:
            self.answer_text(HTTPStatus.NOT_FOUND, f"the index has no project {name}: proven by its signed metadata")
        else:
            render = render_page_json if media_type is MediaType.JSON else render_page_html
            self.answer_bytes(media_type, render(_with_provenance_at(address, page)))

    def answer_listed(self, kind: str, owned: OwnedPage, file: SimpleFile) -> None:
        """A listed file or what lies beside it, verified; 404 when its page says that there is no such thing."""
        sha256 = {
            "file": file.sha256,
            "metadata": file.core_metadata_sha256,
            "provenance": file.provenance_sha256,
        }[kind]
        if sha256 is None:
            self.answer_text(HTTPStatus.NOT_FOUND, f"no verified page lists {kind} of {file.filename}")
            return
        self.server.counters.request(kind)
        if kind == "metadata":
            self.answer_bytes("application/octet-stream", owned.source.verifier().metadata(file))
        elif kind == "provenance":
            self.answer_bytes(PROVENANCE_TYPE, owned.source.verifier().provenance(file))
        else:
            self._answer_file(owned, file)

    def _answer_file(self, owned: OwnedPage, file: SimpleFile) -> None:
        """The whole file, whatever range was asked for: a part of it cannot be verified (RFC 9110 § 14.2 allows it)."""
        if self.command == "HEAD":
            self._start(HTTPStatus.OK, "application/octet-stream", file.size)
            return
        with closing(owned.source.verifier().open_file(file)) as pieces:
            # The first piece before the status line: a small file that is wrong still gets an honest answer.
            first = next(pieces, b"")
            self._start(HTTPStatus.OK, "application/octet-stream", file.size)
            self._send(chain([first], pieces))

    def answer_text(self, status: HTTPStatus, text: str) -> None:
        """A short answer for people."""
        # Whoever was refused may still want to send a body: the connection is of no more use.
        self.close_connection = self.close_connection or self.command not in {"GET", "HEAD"}
        self.answer_bytes(TEXT_TYPE, f"{text}\n".encode(errors="replace"), status)

    def answer_bytes(
        self,
        content_type: str,
        body: bytes,
        status: HTTPStatus = HTTPStatus.OK,
        *,
        location: str | None = None,
    ) -> None:
        """A whole answer."""
        self._start(status, content_type, len(body), location=location)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self.wfile.write(piece)
        except OSError:
            raise  # the installer hung up
        except Exception as error:  # noqa: BLE001  # what nobody foresaw ends the run, too
            # The length was promised and the end is missing, so the installer sees that the transfer failed.
            known = as_ours(error)
            self.server.incidents.add(known)
            self.server.counters.incident(known)
            self.close_connection = True

    def _start(self, status: HTTPStatus, content_type: str, length: int | None, *, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        if location is not None:
            self.send_header("Location", location)
        # What an installer keeps for later it would use without asking us again.
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _with_provenance_at(address: IndexAddress, page: ProjectPage) -> ProjectPage:
    """The page with provenance named where we answer for it: elsewhere it would be asked for around us."""
    if all(file.provenance_sha256 is None for file in page.files):
        return page
    files = (
        file if file.provenance_sha256 is None else replace(file, provenance_url=address.provenance_url(file))
        for file in page.files
    )
    return replace(page, files=tuple(files))


def as_ours(error: Exception) -> WheelmarkError:
    """An error that a hostile answer provoked in a place where none was expected stops the run like any other."""
    if isinstance(error, WheelmarkError):
        return error
    return Untrusted(f"expected an answer that can be read, got one that led to {error!r}", code="unreadable")
