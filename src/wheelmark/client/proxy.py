"""A Simple API on this machine that answers only with what was verified; any installer can use it.

It never says more than a verified page says: pages are rendered anew from the parsed value (so no two parsers can
disagree about the signed bytes), files are sent only if their project's page lists them, and a file's last bytes
are sent only when its hash is right. The addresses in the pages are relative, and so lead here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from wheelmark import __version__
from wheelmark.client.incidents import Incidents
from wheelmark.dist import is_normalized, parse_filename
from wheelmark.errors import Refused, Unavailable, Untrusted, WheelmarkError
from wheelmark.simple import (
    MediaType,
    ProjectPage,
    SimpleFile,
    negotiate,
    render_page_html,
    render_page_json,
)

if TYPE_CHECKING:
    from wheelmark.client.verifier import Verifier

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 120
WRITE_BUFFER_BYTES = 64 * 1024
# For what is refused or away. Not 5xx, which pip and uv repeat for many seconds; not 401, 403 or 404, which uv
# takes for "not here, look elsewhere". uv stops at any other 4xx, pip treats the page as missing.
WITHHELD = HTTPStatus.FAILED_DEPENDENCY

Route = tuple[str, ...]  # ("simple", name) · ("file", sha256, filename) · ("metadata", sha256, filename)


def parse_path(path: str) -> Route | None:
    """What a request path asks for; None for anything that we do not serve."""
    match [unquote(part) for part in path.split("/")]:
        case ["", "simple", name] | ["", "simple", name, ""] if is_normalized(name):
            return ("simple", name)
        case ["", "files", sha256, filename] if filename.endswith(".metadata"):
            return ("metadata", sha256, filename.removesuffix(".metadata"))
        case ["", "files", sha256, filename]:
            return ("file", sha256, filename)
    return None


class VerifyingProxy:
    """Listens from the moment it is made; `open_verifier` is called once, at the first need of it.

    After the first incident a `strict` proxy answers nothing more: an installer that went on with what it has got
    could be led to other versions by withholding pages from it.
    """

    def __init__(
        self, open_verifier: Callable[[], Verifier], incidents: Incidents, *, port: int = 0, strict: bool = False
    ) -> None:
        self._open_verifier = open_verifier
        self._verifier: Verifier | None = None
        self._verifier_lock = threading.Lock()
        self.incidents = incidents
        self.strict = strict
        try:
            self._server = _Server((LOOPBACK, port), self)
        except OSError as error:
            raise Unavailable(f"cannot listen on {LOOPBACK}:{port}: {error}", code="port") from error
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> VerifyingProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def verifier(self) -> Verifier:
        """The verifier, made once; call it early in a thread of its own to have it ready for the first request."""
        with self._verifier_lock:
            if self._verifier is None:
                self._verifier = self._open_verifier()
            return self._verifier

    def page(self, name: str) -> ProjectPage | None:
        """The verified page, or None for a project that provably is not there."""
        return self.verifier().page(name)

    def listed_file(self, sha256: str, filename: str) -> SimpleFile | None:
        """The file, if the verified page of its project lists it with this hash."""
        try:
            name = parse_filename(filename, strict=False).name
        except Refused:
            return None
        page = self.page(name)
        files = () if page is None else page.files
        return next((file for file in files if file.filename == filename and file.sha256 == sha256), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: VerifyingProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the resolver for our own name and may wait for it.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # AF_INET: (str, int)

    def handle_error(self, request: object, client_address: object) -> None:
        """An installer that hangs up is not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = f"wheelmark/{__version__}"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Headers and a small body leave together; otherwise each answer waits 40 ms for a delayed acknowledgement.
    wbufsize = WRITE_BUFFER_BYTES
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        proxy = self.server.proxy
        path = self._own_path()
        if path is None:
            return
        if proxy.strict and proxy.incidents.worst() is not None:
            self._answer_text(WITHHELD, "wheelmark: stopped after an earlier refusal")
            return
        try:
            self._answer(parse_path(path))
        except OSError:
            raise  # the installer hung up
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is withheld too, and said
            known = _as_ours(error)
            proxy.incidents.add(known)
            self._answer_text(WITHHELD, f"wheelmark: {known}")

    do_HEAD = do_GET

    def do_CONNECT(self) -> None:
        """We are also the installer's way out (see `installers`), and there is none."""
        self._refuse_egress()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT

    def log_message(self, *_: object) -> None:
        """The installer prints what it asks for; we print what we refuse."""

    def _own_path(self) -> str | None:
        """The path of a request meant for us; a request through us to another host is refused."""
        parts = urlsplit(self.path)
        own = {f"{host}:{self.server.server_port}" for host in (LOOPBACK, "localhost")}
        # The Host header keeps a web page in the user's browser from reading a private index by DNS rebinding.
        if (parts.netloc or self.headers.get("Host", "")) in own and parts.scheme in {"", "http"}:
            return parts.path
        self._refuse_egress()
        return None

    def _refuse_egress(self) -> None:
        asked = f"{self.command} {self.path[:200]!r}"
        error = Untrusted(f"expected requests to the verified index only, got {asked}", code="egress")
        self.server.proxy.incidents.add(error)
        self._answer_text(WITHHELD, f"wheelmark: {error}")

    def _answer(self, route: Route | None) -> None:
        match route:
            case ("simple", name):
                self._answer_page(name)
            case ("metadata", sha256, filename):
                file = self.server.proxy.listed_file(sha256, filename)
                if file is None or file.core_metadata_sha256 is None:
                    self._answer_text(HTTPStatus.NOT_FOUND, f"no verified page lists core metadata of {filename}")
                else:
                    self._answer_bytes("application/octet-stream", self.server.proxy.verifier().metadata(file))
            case ("file", sha256, filename):
                file = self.server.proxy.listed_file(sha256, filename)
                if file is None:
                    self._answer_text(HTTPStatus.NOT_FOUND, f"no verified page lists {filename} with that sha256")
                else:
                    self._answer_file(file)
            case _:
                self._answer_text(HTTPStatus.NOT_FOUND, "only /simple/<project>/ and the files of its page are served")

    def _answer_page(self, name: str) -> None:
        media_type = negotiate(self.headers.get("Accept"))
        if media_type is None:
            self._answer_text(HTTPStatus.NOT_ACCEPTABLE, f"expected one of {', '.join(MediaType)}")
            return
        page = self.server.proxy.page(name)
        if page is None:
            self._answer_text(HTTPStatus.NOT_FOUND, f"the index has no project {name}: proven by its signed metadata")
            return
        render = render_page_json if media_type is MediaType.JSON else render_page_html
        self._answer_bytes(media_type, render(page))

    def _answer_file(self, file: SimpleFile) -> None:
        """The whole file, whatever range was asked for: a part of it cannot be verified (RFC 9110 § 14.2 allows it)."""
        if self.command == "HEAD":
            self._start(HTTPStatus.OK, "application/octet-stream", file.size)
            return
        with closing(self.server.proxy.verifier().open_file(file)) as pieces:
            # The first piece before the status line: a small file that is wrong still gets an honest answer.
            first = next(pieces, b"")
            self._start(HTTPStatus.OK, "application/octet-stream", file.size)
            self._send(chain([first], pieces))

    def _send(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self.wfile.write(piece)
        except OSError:
            raise  # the installer hung up
        except Exception as error:  # noqa: BLE001  # as in `do_GET`
            # The length was promised and the end is missing, so the installer sees that the transfer failed.
            self.server.proxy.incidents.add(_as_ours(error))
            self.close_connection = True

    def _answer_text(self, status: HTTPStatus, text: str) -> None:
        # Whoever was refused may still want to send a body: the connection is of no more use.
        self.close_connection = self.close_connection or self.command not in {"GET", "HEAD"}
        self._answer_bytes("text/plain; charset=utf-8", f"{text}\n".encode(errors="replace"), status)

    def _answer_bytes(self, content_type: str, body: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._start(status, content_type, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _start(self, status: HTTPStatus, content_type: str, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        # What an installer keeps for later it would use without asking us again.
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _as_ours(error: Exception) -> WheelmarkError:
    """An error that a hostile answer provoked in a place where none was expected stops the run like any other."""
    if isinstance(error, WheelmarkError):
        return error
    return Untrusted(f"expected an answer that can be read, got one that led to {error!r}", code="unreadable")
