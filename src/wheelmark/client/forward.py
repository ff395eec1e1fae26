"""The child's only way to the network: a forward proxy that answers for the verified indexes, under their own names.

Named by `HTTP_PROXY` and `HTTPS_PROXY`, so that tools ask for the index's own addresses and write those into their
lock files. For an https index the proxy plays the index's host, with a certificate of an authority that only the
child trusts; a plain http index arrives as requests in absolute form (RFC 9112 § 3.2.2). Nothing is passed on: each
answer comes from a `Verifier`. Any other host is refused, or, if the user named it, tunnelled unseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from wheelmark.client.answers import READ_METHODS, Route, VerifiedSite, as_ours, is_short, stored_route
from wheelmark.client.counting import Counters
from wheelmark.client.incidents import Incidents
from wheelmark.client.loopback import Answer, LoopbackServer, Playing, Site, Tunnel, text_answer
from wheelmark.client.request_head import Request
from wheelmark.client.sources import NOT_AT_HAND, OwnedPage, Source, Sources
from wheelmark.dist import is_normalized
from wheelmark.errors import Refused, Untrusted

if TYPE_CHECKING:
    from wheelmark.client.address import IndexAddress
    from wheelmark.client.authority import LocalAuthority

MAX_HOST_CHARS = 253  # RFC 1035 § 2.3.4
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host in lower case, port (RFC 6454 § 4)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin | None:
        """The origin of an absolute http or https address; None for anything else."""
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS[parts.scheme]
        except (ValueError, KeyError):
            return None
        return cls(parts.scheme, parts.hostname.lower(), port) if parts.hostname else None


@dataclass(frozen=True, slots=True)
class Gate:
    """One index under its own address."""

    address: IndexAddress
    origin: Origin
    simple_path: str  # ends in a slash
    files_path: str
    source: Source

    @classmethod
    def to(cls, address: IndexAddress, source: Source) -> Gate:
        """The gate to the index of that address."""
        origin = Origin.of(address.simple_url)
        if origin is None:
            raise Refused.because("index-address", "index", f"expected an http address, got {address.simple_url!r}")
        files_url = urljoin(address.simple_url, "../files/")
        return cls(address, origin, urlsplit(address.simple_url).path, urlsplit(files_url).path, source)

    def asked(self, path: str) -> Route | None:
        """What a path asks of this index; None for anything that we do not serve."""
        if path.startswith(self.simple_path):
            match [unquote(part) for part in path.removeprefix(self.simple_path).split("/")]:
                case [name] | [name, ""] if is_normalized(name):
                    return ("simple", name)
        if path.startswith(self.files_path):
            match [unquote(part) for part in path.removeprefix(self.files_path).split("/")]:
                case [sha256, filename]:
                    return stored_route(sha256, filename)
        return None


class ForwardProxy(LoopbackServer):
    """Answers for the gates' indexes; `tunnels` are hosts (in lower case) and ports that may be reached as they are."""

    def __init__(
        self,
        gates: Sequence[Gate],
        incidents: Incidents,
        authority: LocalAuthority,
        *,
        port: int = 0,
        tunnels: Iterable[tuple[str, int]] = (),
    ) -> None:
        self.authority = authority
        self.incidents = incidents
        self.counters = Counters()
        self.sources = Sources([gate.source for gate in gates])
        self.tunnels = frozenset(tunnels)
        self._gates: Mapping[Origin, tuple[Gate, ...]] = {
            origin: tuple(gate for gate in gates if gate.origin == origin)
            for origin in dict.fromkeys(gate.origin for gate in gates)
        }
        super().__init__(port=port)

    def site(self) -> Site:
        """See `LoopbackServer.site`."""
        return _PlainSite(self)

    def gates_at(self, origin: Origin | None) -> tuple[Gate, ...]:
        """The indexes of that origin; usually one or none."""
        return () if origin is None else self._gates.get(origin, ())


class _ForwardSite(VerifiedSite):
    def __init__(self, server: ForwardProxy) -> None:
        super().__init__(server.sources, server.incidents, server.counters, strict=True, keeping=False)
        self.server = server

    def url(self, request: Request) -> str | None:
        """The absolute address that the request is for; None when it names no host."""
        raise NotImplementedError

    def answer_at_hand(self, request: Request) -> Answer | None:
        """See `Site`."""
        if stopped := self.stopped():
            return stopped
        if request.method not in READ_METHODS:
            return self.egress_refused(request)  # nothing is written through us, and nothing else asked
        url = self.url(request)
        if url is None:
            # No proxy request at all: a web page that tries ports, say. It must not be able to end the run.
            return text_answer(HTTPStatus.BAD_REQUEST, "expected a request to a proxy: this is not a server")
        gates = self.server.gates_at(Origin.of(url))
        if not gates:
            return self.egress_refused(request)
        return self._at_hand(request, _routes(gates, url), url)

    def answer(self, request: Request) -> Answer | Playing | Tunnel:
        """See `Site`."""
        url = self.url(request) or ""
        routes = _routes(self.server.gates_at(Origin.of(url)), url)
        try:
            match routes:
                case [(gate, ("simple", name)), *_]:
                    return self._page_answer(request, gate, name, self.sources.page(name))
                case [(_, (kind, sha256, filename)), *_]:
                    return self._stored(request, [gate.source for gate, _ in routes], kind, sha256, filename)
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is withheld too, and said
            return self.withheld(as_ours(error))
        return text_answer(HTTPStatus.NOT_FOUND, "only projects' pages and the files that they list are served")

    def _at_hand(self, request: Request, routes: Sequence[tuple[Gate, Route]], url: str) -> Answer | None:
        match routes:
            case [(gate, ("simple", name)), *_]:
                if not urlsplit(url).path.endswith("/"):
                    # The addresses in the page are relative to the one with the slash.
                    location = f"{gate.simple_path}{quote(name)}/"
                    return Answer(status=HTTPStatus.MOVED_PERMANENTLY, location=location)
                owned = self.sources.page_at_hand(name)
                if owned is not NOT_AT_HAND and is_short(owned):
                    return self._page_answer(request, gate, name, owned)
            case [(_, (kind, sha256, filename)), *_]:
                owned = self.sources.page_of_file_at_hand(filename)
                if isinstance(owned, OwnedPage) and any(owned.source is gate.source for gate, _ in routes):
                    file = owned.file(sha256, filename)
                    return None if file is None else self.listed_at_hand(request, kind, owned, file)
        return None

    def _page_answer(self, request: Request, gate: Gate, name: str, owned: OwnedPage | None) -> Answer:
        # What is another index's: whether this one has it, too, is not looked at.
        page = owned.page if owned is not None and owned.source is gate.source else None
        return self.page_answer(request, page, name, gate.address)

    def _stored(self, request: Request, sources: Sequence[Source], kind: str, sha256: str, filename: str) -> Answer:
        """A file or what lies beside it, wherever its address was learnt: from a page, or from a lock file."""
        owned = self.sources.page_of_file(filename)
        file = None if owned is None else owned.file(sha256, filename)
        if owned is None or file is None or owned.source not in sources:
            raise Untrusted(f"{filename}: {_unlisted(owned, sha256, sources)}", code="unlisted")
        return self.listed_answer(request, kind, owned, file)


class _PlainSite(_ForwardSite):
    """What arrives at the proxy itself: absolute addresses, and CONNECT (RFC 9110 § 9.3.6)."""

    def url(self, request: Request) -> str | None:
        return request.target if request.target.startswith(("http://", "https://")) else None

    def answer_at_hand(self, request: Request) -> Answer | None:
        """See `Site`."""
        if request.method != "CONNECT":
            return super().answer_at_hand(request)
        if stopped := self.stopped():
            return stopped
        return None if self._connected(request) is not None else self.egress_refused(request)

    def answer(self, request: Request) -> Answer | Playing | Tunnel:
        """See `Site`."""
        origin = self._connected(request) if request.method == "CONNECT" else None
        if origin is None:
            return super().answer(request)
        if self.server.gates_at(origin):
            return Playing(self.server.authority.context(origin.host), _SecureSite(self.server, origin))
        self.counters.request("tunnel")
        return Tunnel(origin.host, origin.port)

    def _connected(self, request: Request) -> Origin | None:
        """Whom to play, or where to tunnel to; None for whom we refuse."""
        origin = Origin.of(f"https://{request.target[: MAX_HOST_CHARS + 8]}")
        known = origin is not None and (self.server.gates_at(origin) or origin[1:] in self.server.tunnels)
        return origin if known else None


class _SecureSite(_ForwardSite):
    """What arrives inside a connection to an index's host."""

    def __init__(self, server: ForwardProxy, origin: Origin) -> None:
        super().__init__(server)
        self._origin = origin

    def url(self, request: Request) -> str | None:
        host = f"[{self._origin.host}]" if ":" in self._origin.host else self._origin.host
        return f"https://{host}:{self._origin.port}{request.target}" if request.target.startswith("/") else None


def _routes(gates: Sequence[Gate], url: str) -> list[tuple[Gate, Route]]:
    path = urlsplit(url).path
    return [(gate, route) for gate in gates if (route := gate.asked(path)) is not None]


def _unlisted(owned: OwnedPage | None, sha256: str, sources: Sequence[Source]) -> str:
    if owned is not None and owned.source not in sources:
        return f"expected it from the index that {owned.page.name} belongs to, got the address of another"
    return f"expected a file that its project's verified page lists, got one with sha256 {sha256[:64]} that it does not"
