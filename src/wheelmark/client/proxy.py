"""A Simple API on this machine that answers only with what was verified; any installer can use it.

The addresses in the pages are relative, and so lead here. `forward` is the other proxy: under it, installers keep
the index's own addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from wheelmark.client.address import IndexAddress
from wheelmark.client.answers import (
    LOOPBACK,
    WITHHELD,
    LoopbackServer,
    Route,
    VerifiedHandler,
    as_ours,
    stored_route,
)
from wheelmark.client.incidents import Incidents
from wheelmark.client.sources import Source, Sources
from wheelmark.dist import is_normalized

if TYPE_CHECKING:
    from wheelmark.client.verifier import Verifier

__all__ = ["WITHHELD", "Route", "VerifyingProxy", "parse_path"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def parse_path(path: str) -> Route | None:
    """What a request path asks for; None for anything that we do not serve."""
    match [unquote(part) for part in path.split("/")]:
        case ["", "simple", name] | ["", "simple", name, ""] if is_normalized(name):
            return ("simple", name)
        case ["", "files", sha256, filename]:
            return stored_route(sha256, filename)
    return None


class VerifyingProxy(LoopbackServer):
    """Several indexes in order of priority, as one; or a single one, by how to open its verifier."""

    def __init__(
        self,
        sources: Sources | Callable[[], Verifier],
        incidents: Incidents,
        *,
        port: int = 0,
        strict: bool = False,
        refreshes: Callable[[], int] = lambda: 0,
    ) -> None:
        merged = sources if isinstance(sources, Sources) else Sources([Source(sources)])
        super().__init__(_Handler, merged, incidents, port=port, strict=strict)
        self._refreshes = refreshes
        self.address = IndexAddress(f"{self.url}simple/")

    def verifier(self) -> Verifier:
        """The verifier of the first index, made once; call it early in a thread of its own."""
        return self.sources.all[0].verifier()

    def metrics(self) -> str:
        """In Prometheus's text form."""
        return self.counters.text(refreshes=self._refreshes(), unverified_seconds=self.sources.unverified_seconds())


class _Handler(VerifiedHandler):
    server: VerifyingProxy

    def do_GET(self) -> None:
        path = self._own_path()
        if path is None or self.stopped():
            return
        if path == "/healthz":
            self.answer_text(HTTPStatus.OK, "ok")
        elif path == "/metrics":
            self.answer_bytes(METRICS_TYPE, self.server.metrics().encode())
        else:
            route = parse_path(path)
            try:
                self._answer(route)
            except OSError:
                raise  # the installer hung up
            except Exception as error:  # noqa: BLE001  # what nobody foresaw is withheld too, and said
                self.withhold(as_ours(error), broken_off=route is not None and route[0] == "simple")

    do_HEAD = do_GET

    def do_CONNECT(self) -> None:
        """We are nobody's way out."""
        self.refuse_egress()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT

    def _own_path(self) -> str | None:
        """The path of a request meant for us; a request through us to another host is refused."""
        parts = urlsplit(self.path)
        own = {f"{host}:{self.server.server_port}" for host in (LOOPBACK, "localhost")}
        # The Host header keeps a web page in the user's browser from reading a private index by DNS rebinding.
        if (parts.netloc or self.headers.get("Host", "")) in own and parts.scheme in {"", "http"}:
            return parts.path
        self.refuse_egress()
        return None

    def _answer(self, route: Route | None) -> None:
        match route:
            case ("simple", name):
                owned = self.server.sources.page(name)
                self.answer_page(None if owned is None else owned.page, name, self.server.address)
            case (kind, sha256, filename):
                self._answer_stored(kind, sha256, filename)
            case _:
                self.answer_text(HTTPStatus.NOT_FOUND, "only /simple/<project>/ and the files of its page are served")

    def _answer_stored(self, kind: str, sha256: str, filename: str) -> None:
        owned = self.server.sources.page_of_file(filename)
        file = None if owned is None else owned.file(sha256, filename)
        if owned is None or file is None:
            self.answer_text(HTTPStatus.NOT_FOUND, f"no verified page lists {filename} with that sha256")
        else:
            self.answer_listed(kind, owned, file)
