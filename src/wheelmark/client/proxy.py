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
    READ_METHODS,
    WITHHELD,
    Route,
    VerifiedSite,
    as_ours,
    is_short,
    stored_route,
)
from wheelmark.client.counting import Counters
from wheelmark.client.incidents import Incidents
from wheelmark.client.loopback import Answer, LoopbackServer, Site, text_answer
from wheelmark.client.request_head import Request
from wheelmark.client.sources import NOT_AT_HAND, OwnedPage, Source, Sources
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
        self.sources = sources if isinstance(sources, Sources) else Sources([Source(sources)])
        super().__init__(port=port)
        self.incidents = incidents
        self.counters = Counters()
        self.strict = strict
        self._refreshes = refreshes
        self.address = IndexAddress(f"{self.url}simple/")

    def site(self) -> Site:
        """See `LoopbackServer.site`."""
        return _ProxySite(self, strict=self.strict)

    def verifier(self) -> Verifier:
        """The verifier of the first index, made once; call it early in a thread of its own."""
        return self.sources.all[0].verifier()

    def metrics(self) -> str:
        """In Prometheus's text form."""
        return self.counters.text(refreshes=self._refreshes(), unverified_seconds=self.sources.unverified_seconds())


class _ProxySite(VerifiedSite):
    def __init__(self, server: VerifyingProxy, *, strict: bool) -> None:
        super().__init__(server.sources, server.incidents, server.counters, strict=strict, keeping=True)
        self._server = server
        self._own = {f"{host}:{server.server_port}" for host in (LOOPBACK, "localhost")}

    def answer_at_hand(self, request: Request) -> Answer | None:
        """See `Site`."""
        path = self._own_path(request)
        if path is None:
            # We are nobody's way out, and nothing is written through us.
            return self.egress_refused(request)
        if stopped := self.stopped():
            return stopped
        if path == "/healthz":
            return text_answer(HTTPStatus.OK, "ok")
        if path == "/metrics":
            return Answer(content_type=METRICS_TYPE, body=self._server.metrics().encode())
        match parse_path(path):
            case ("simple", name):
                owned = self.sources.page_at_hand(name)
                if owned is not NOT_AT_HAND and is_short(owned):
                    return self._page(request, name, owned)
            case (kind, sha256, filename):
                owned = self.sources.page_of_file_at_hand(filename)
                file = owned.file(sha256, filename) if isinstance(owned, OwnedPage) else None
                if isinstance(owned, OwnedPage) and file is not None:
                    return self.listed_at_hand(request, kind, owned, file)
        return None

    def answer(self, request: Request) -> Answer:
        """See `Site`."""
        route = parse_path(self._own_path(request) or "")
        try:
            match route:
                case ("simple", name):
                    return self._page(request, name, self.sources.page(name))
                case (kind, sha256, filename):
                    return self._stored(request, kind, sha256, filename)
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is withheld too, and said
            return self.withheld(as_ours(error), broken_off=route is not None and route[0] == "simple")
        return text_answer(HTTPStatus.NOT_FOUND, "only /simple/<project>/ and the files of its page are served")

    def _own_path(self, request: Request) -> str | None:
        """The path of a request meant for us; None for one through us to another host, or that would write."""
        try:
            parts = urlsplit(request.target)
        except ValueError:
            return None
        # The Host header keeps a web page in the user's browser from reading a private index by DNS rebinding.
        is_own = (parts.netloc or request.fields.get("host", "")) in self._own and parts.scheme in {"", "http"}
        return parts.path if is_own and request.method in READ_METHODS else None

    def _page(self, request: Request, name: str, owned: OwnedPage | None) -> Answer:
        return self.page_answer(request, None if owned is None else owned.page, name, self._server.address)

    def _stored(self, request: Request, kind: str, sha256: str, filename: str) -> Answer:
        owned = self.sources.page_of_file(filename)
        file = None if owned is None else owned.file(sha256, filename)
        if owned is None or file is None:
            return text_answer(HTTPStatus.NOT_FOUND, f"no verified page lists {filename} with that sha256")
        return self.listed_answer(request, kind, owned, file)
