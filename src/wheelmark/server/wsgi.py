"""The WSGI callable: the read path in front, Django behind it in a small pool of threads.

The server gives each request a thread and has hundreds of them, because a slow client occupies one. Django's ORM would
suffer from so many, and each thread would keep a database connection. So pages run on `web_page_slots` threads of
their own, with the request's body read and the answer complete before and after: a slow client never holds one.
Uploads are too large for that; they run on the server's thread, as many at once as half of the threads.
"""

from __future__ import annotations

import io
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from http import HTTPStatus
from typing import Any, Protocol, cast

import structlog

from wheelmark.server.config import Config
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.delivery.responses import STATUS_LINES, Answer, plain
from wheelmark.server.metrics import count_request, upload_seconds
from wheelmark.server.threads import ThreadGroup

UPLOAD_PREFIX = "/legacy"
MAX_FORM_BYTES = 1_000_000
"""The largest body of a page's form; the only larger bodies are uploads."""

PAGE_SECONDS = 30.0
"""A request that has not got its page by then gets a 503: whoever waited so long has pressed reload."""

UPLOAD_WAIT_SECONDS = 5.0
REQUEST_ID = "HTTP_X_REQUEST_ID"
MAX_REQUEST_ID_CHARS = 64

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
log = structlog.get_logger(__name__)


class Wsgi(Protocol):
    """A WSGI application."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """See PEP 3333."""


class Front:
    """Sends each request to the read path, to a page, or to an upload."""

    def __init__(self, delivery: Delivery, django: Wsgi, *, page_slots: int, upload_slots: int) -> None:
        self._delivery = delivery
        self._django = django
        self._page_slots = page_slots
        self._uploads = threading.BoundedSemaphore(upload_slots)
        self._pages: ThreadGroup | None = None
        self._start_lock = threading.Lock()

    def start(self) -> None:
        """Start the threads. Not before: the process that imports this module may fork."""
        with self._start_lock:
            if self._pages is None:
                self._delivery.start()
                self._pages = ThreadGroup(self._page_slots, name="page", at_end=_close_connections)

    def stop(self) -> None:
        """Let the threads go, once they have answered."""
        if self._pages is not None:
            self._pages.close()
            self._delivery.stop()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """See PEP 3333."""
        if self._pages is None:
            self.start()
        path = environ["PATH_INFO"]
        if self._delivery.answers(path):
            return self._delivery(environ, start_response)
        if environ["REQUEST_METHOD"] == "POST" and path.startswith(UPLOAD_PREFIX):
            return self._upload(environ, start_response)
        return self._page(environ, start_response)

    def _page(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = _read_form(environ)
        if body is None:
            message = f"expected a body of at most {MAX_FORM_BYTES} bytes here"
            return _send(plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message), "web", start_response)
        environ = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        if self._pages is None:
            raise RuntimeError("the front is called before it is started")
        waiting = self._pages.submit(lambda: _run(self._django, environ))
        try:
            page = waiting.result(PAGE_SECONDS)
        except FutureTimeout:
            waiting.cancel()
            log.error("page-too-slow", path=environ["PATH_INFO"][:200])
            return _send(_busy(), "web", start_response)
        except Exception:
            # Django answers its own errors; this is one in what it could not.
            log.exception("page-failed", path=environ["PATH_INFO"][:200])
            return _send(_failed(), "web", start_response)
        return page.send("web", start_response)

    def _upload(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self._uploads.acquire(timeout=UPLOAD_WAIT_SECONDS):
            return _send(_busy(), "upload", start_response)
        began, status = time.perf_counter(), HTTPStatus.INTERNAL_SERVER_ERROR.value
        try:
            page = _run(self._django, environ)
            status = page.status
            return page.send("upload", start_response)
        except Exception:
            log.exception("upload-failed")
            return _send(_failed(), "upload", start_response)
        finally:
            # This is one of hundreds of threads: it must not keep its database connection.
            _close_connections()
            self._uploads.release()
            upload_seconds.labels(str(status)).observe(time.perf_counter() - began)


class _Page:
    """What Django answered."""

    __slots__ = ("body", "headers", "status", "status_line")

    def __init__(self) -> None:
        self.status_line = "500 Internal Server Error"
        self.status = 500
        self.headers: list[tuple[str, str]] = []
        self.body: Iterable[bytes] = []

    def start_response(self, status_line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """See PEP 3333. Nothing has been sent when it is called again with an exception."""
        del exc_info
        self.status_line, self.status, self.headers = status_line, int(status_line.split(" ", 1)[0]), headers

    def send(self, route: str, start_response: StartResponse) -> Iterable[bytes]:
        """Hand it to the server."""
        count_request(route, self.status)
        start_response(self.status_line, self.headers)
        return self.body


def _run(django: Wsgi, environ: Environ) -> _Page:
    """Run Django to its end, on the thread that calls: a page is complete, only a streaming answer is still to come."""
    request_id = environ.get(REQUEST_ID, "")
    if not (0 < len(request_id) <= MAX_REQUEST_ID_CHARS and request_id.isascii() and request_id.isalnum()):
        request_id = secrets.token_hex(8)
    page, began = _Page(), time.perf_counter()
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        answered = django(environ, page.start_response)
        if getattr(answered, "streaming", False):
            page.body = _Streamed(answered)
        else:
            page.body = [b"".join(answered)]
            _close(answered)
        page.headers = [*page.headers, ("X-Request-Id", request_id)]
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"} or page.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.info(
                "request",
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"][:200],
                status=page.status,
                milliseconds=round((time.perf_counter() - began) * 1000, 1),
            )
    return page


class _Streamed:
    """An iterator with the `close` that the server calls, whatever Django's object has."""

    def __init__(self, answered: Iterable[bytes]) -> None:
        self._answered = answered

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answered)

    def close(self) -> None:
        """Let Django clean up, and keep no connection on the server's thread."""
        _close(self._answered)
        _close_connections()


def _close(answered: Iterable[bytes]) -> None:
    close = getattr(answered, "close", None)
    if close is not None:
        close()


def _close_connections() -> None:
    from django.db import connections

    connections.close_all()


def _read_form(environ: Environ) -> bytes | None:
    """The body of a request for a page; None when it is too long."""
    if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
        return b""
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) > MAX_FORM_BYTES:
        return None
    body: bytes = environ["wsgi.input"].read(MAX_FORM_BYTES + 1)
    return body if len(body) <= MAX_FORM_BYTES else None


def _busy() -> Answer:
    return plain(
        HTTPStatus.SERVICE_UNAVAILABLE, "too many people are here at once; try again", extra=[("Retry-After", "5")]
    )


def _failed() -> Answer:
    return plain(HTTPStatus.INTERNAL_SERVER_ERROR, "this went wrong here, not on your side; it is in the log")


def _send(answer: Answer, route: str, start_response: StartResponse) -> Iterable[bytes]:
    count_request(route, answer.status)
    start_response(STATUS_LINES[answer.status], answer.headers)
    return [answer.body] if isinstance(answer.body, bytes) else answer.body


def _pages() -> Wsgi:
    """Django's own callable, which answers a nonsensical Content-Type with a refusal and not with a failure."""
    from django.core.handlers.wsgi import WSGIRequest
    from django.core.wsgi import get_wsgi_application

    class TolerantRequest(WSGIRequest):
        def _set_content_type_params(self, meta: dict[str, Any]) -> None:
            # Django lets the error of a parameter that cannot be decoded (RFC 2231) through, before any view runs.
            try:
                super()._set_content_type_params(meta)  # type: ignore[misc]  # Django's own, and the only place to catch it
            except ValueError:
                self.content_type, self.content_params = "", {}

    handler = get_wsgi_application()
    handler.request_class = TolerantRequest
    return cast(Wsgi, handler)


def create_application(config: Config) -> Front:
    """The front of an index with these settings, with Django set up already."""
    from wheelmark.server.stores import current_store

    return Front(
        Delivery(current_store()),
        _pages(),
        page_slots=config.web_page_slots,
        upload_slots=max(1, config.web_threads // 2),
    )


def __getattr__(name: str) -> Any:
    """`application`, for any WSGI server: made when it is asked for, so that importing this module does nothing."""
    if name == "application":
        from wheelmark.server.bootstrap import bootstrap

        front = globals()["application"] = create_application(bootstrap())
        return front
    if name == "django_application":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wheelmark.server.settings")
        return _pages()
    raise AttributeError(name)
