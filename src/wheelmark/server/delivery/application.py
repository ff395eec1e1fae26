"""The read path as a WSGI callable: methods, errors, and nothing that is not needed for one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.db import connections
from django.utils import timezone

from wheelmark.errors import Unavailable, WheelmarkError
from wheelmark.server.delivery.addresses import (
    DeltaAddress,
    FileAddress,
    PageAddress,
    ProjectListAddress,
    RoleAddress,
    TargetAddress,
    TimestampAddress,
    parse_address,
)
from wheelmark.server.delivery.cache import SingleFlight, TwoSegmentCache
from wheelmark.server.delivery.catalog import Catalog, DatabaseCatalog
from wheelmark.server.delivery.generation import HotAnswer, Snapshots
from wheelmark.server.delivery.health import Health
from wheelmark.server.delivery.readpath import ReadPath, not_found
from wheelmark.server.delivery.responses import NEVER, STATUS_LINES, Answer, plain
from wheelmark.server.metrics import count_request, exposition, request_tally
from wheelmark.store import Store

StartResponse = Callable[..., Any]

CACHE_BYTES = 64 * 1024 * 1024
"""Rendered and compressed bodies in memory; a page of 50 files costs about 20 kB plain and 6 kB compressed."""

READERS = 6
"""Threads that read database and store for what is not in memory; each holds one database connection."""

PATIENCE_SECONDS = 10.0
RETRY_SECONDS = 5

PREFIXES = ("/simple/", "/tuf/", "/files/")
EXACT = frozenset({"/simple", "/healthz", "/readyz", "/metrics"})

_ROUTES = {
    PageAddress: "page",
    FileAddress: "file",
    TimestampAddress: "timestamp",
    RoleAddress: "role",
    DeltaAddress: "delta",
    TargetAddress: "target",
    ProjectListAddress: "list",
}

_HEATED = frozenset({"page", "list", "role", "target"})
"""Routes whose answers are remembered whole. Not files: theirs depend on `Range`, too."""

_OK = STATUS_LINES[HTTPStatus.OK]

log = structlog.get_logger(__name__)


class Delivery:
    """Answers the addresses of `PREFIXES` and `EXACT`. `start()` belongs into the process that serves."""

    def __init__(
        self, store: Store, catalog: Catalog | None = None, *, clock: Callable[[], datetime] = timezone.now
    ) -> None:
        catalog = catalog or DatabaseCatalog()
        self._flights = SingleFlight(READERS, patience=PATIENCE_SECONDS, at_end=connections.close_all)
        self.snapshots = Snapshots(catalog, self._flights)
        self._path = ReadPath(self.snapshots, catalog, store, TwoSegmentCache(CACHE_BYTES), self._flights)
        self._health = Health(self.snapshots, catalog, store, self._flights, clock=clock)

    def start(self) -> None:
        """Start watching for new snapshots."""
        self.snapshots.start()

    def stop(self) -> None:
        """Stop the threads."""
        self.snapshots.stop()
        self._flights.close()

    @staticmethod
    def answers(path: str) -> bool:
        """Whether a path is ours; everything else is Django's."""
        return path.startswith(PREFIXES) or path in EXACT

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """See PEP 3333."""
        method = environ["REQUEST_METHOD"]
        # Most requests are a plain GET of what was asked for a moment ago: then nothing is decided a second time.
        plain_get = method == "GET" and not (environ.get("QUERY_STRING") or "HTTP_IF_NONE_MATCH" in environ)
        generation = self.snapshots.known
        key = (environ["PATH_INFO"], environ.get("HTTP_ACCEPT"), environ.get("HTTP_ACCEPT_ENCODING"))
        hot = generation.hot.get(key) if plain_get and generation is not None else None
        if hot is not None:
            hot.count()
            start_response(_OK, hot.headers)
            return hot.body
        route, answer = "other", None
        try:
            if method in {"GET", "HEAD"}:
                route, answer = self._answer(environ)
            else:
                extra = [("Allow", "GET, HEAD")]
                answer = plain(HTTPStatus.METHOD_NOT_ALLOWED, "expected GET or HEAD here", extra=extra)
        except Unavailable as error:
            log.warning("delivery-unavailable", path=environ["PATH_INFO"][:200], error=str(error), code=error.code)
            answer = _away()
        except WheelmarkError as error:
            # A key that the store refuses, or a damaged page: ours to mend, and never the client's fault.
            log.error("delivery-failed", path=environ["PATH_INFO"][:200], error=str(error), code=error.code)
            answer = _away()
        count_request(route, answer.status)
        start_response(STATUS_LINES[answer.status], answer.headers)
        body = answer.body
        if method == "HEAD":
            return []
        if not isinstance(body, bytes):
            return body
        # An answer that another generation gave than the one we began with must not be remembered under it.
        heated = plain_get and route in _HEATED and answer.status == HTTPStatus.OK
        if heated and generation is not None and generation is self.snapshots.known:
            generation.heat(key, HotAnswer(answer.headers, [body], request_tally(route, answer.status)))
        return [body]

    def _answer(self, environ: Mapping[str, Any]) -> tuple[str, Answer]:
        path: str = environ["PATH_INFO"]
        address = parse_address(path)
        if address is not None:
            return _ROUTES[type(address)], self._path.answer(address, environ)
        if path == "/healthz":
            return "healthz", plain(HTTPStatus.OK, "ok")
        if path == "/readyz":
            ready, report = self._health.readiness()
            return "readyz", _json(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, report)
        if path == "/metrics":
            body, content_type = self._flights.load("metrics", exposition)
            headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Cache-Control", NEVER)]
            return "metrics", Answer(HTTPStatus.OK, headers, body)
        return "other", not_found("there is nothing at this address")


def _away() -> Answer:
    message = "the index cannot answer this at the moment; try again"
    return plain(HTTPStatus.SERVICE_UNAVAILABLE, message, extra=[("Retry-After", str(RETRY_SECONDS))])


def _json(status: HTTPStatus, document: Mapping[str, Any]) -> Answer:
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", NEVER)]
    return Answer(status, headers, body)
