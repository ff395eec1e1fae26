"""The child's only way to the network: a forward proxy that answers for the verified indexes, under their own names.

Named by `HTTP_PROXY` and `HTTPS_PROXY`, so that tools ask for the index's own addresses and write those into their
lock files. For an https index the proxy plays the index's host, with a certificate of an authority that only the
child trusts; a plain http index arrives as requests in absolute form (RFC 9112 § 3.2.2). Nothing is passed on: each
answer comes from a `Verifier`. Any other host is refused, or, if the user named it, tunnelled unseen.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from wheelmark.client.answers import LoopbackServer, Route, VerifiedHandler, as_ours, stored_route
from wheelmark.client.incidents import Incidents
from wheelmark.client.sources import OwnedPage, Source, Sources
from wheelmark.client.tunnel import splice
from wheelmark.dist import is_normalized
from wheelmark.errors import Refused, Untrusted

if TYPE_CHECKING:
    from wheelmark.client.address import IndexAddress
    from wheelmark.client.authority import LocalAuthority

HANDSHAKE_SECONDS = 20
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
        self.tunnels = frozenset(tunnels)
        self._gates: Mapping[Origin, tuple[Gate, ...]] = {
            origin: tuple(gate for gate in gates if gate.origin == origin)
            for origin in dict.fromkeys(gate.origin for gate in gates)
        }
        super().__init__(_PlainHandler, Sources([gate.source for gate in gates]), incidents, port=port, strict=True)

    def gates_at(self, origin: Origin | None) -> tuple[Gate, ...]:
        """The indexes of that origin; usually one or none."""
        return () if origin is None else self._gates.get(origin, ())


class _ForwardHandler(VerifiedHandler):
    server: ForwardProxy

    def do_GET(self) -> None:
        if self.stopped():
            return
        url = self.url()
        if url is None:
            # No proxy request at all: a web page that tries ports, say. It must not be able to end the run.
            self.answer_text(HTTPStatus.BAD_REQUEST, "expected a request to a proxy: this is not a server")
            return
        gates = self.server.gates_at(Origin.of(url))
        if not gates:
            self.refuse_egress()
            return
        try:
            self._answer(gates, urlsplit(url).path)
        except OSError:
            raise  # the installer hung up
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is withheld too, and said
            self.withhold(as_ours(error))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Nothing is written through us, and nothing else asked."""
        if not self.stopped():
            self.refuse_egress()

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST

    def url(self) -> str | None:
        """The absolute address that the request is for; None when it names no host."""
        raise NotImplementedError

    def _answer(self, gates: Sequence[Gate], path: str) -> None:
        routes = [(gate, route) for gate in gates if (route := gate.asked(path)) is not None]
        match routes:
            case [(_, ("simple", name)), *_]:
                self._answer_page(routes, path, name)
            case [(_, (kind, sha256, filename)), *_]:
                self._answer_stored([gate.source for gate, _ in routes], kind, sha256, filename)
            case _:
                self.answer_text(HTTPStatus.NOT_FOUND, "only projects' pages and the files that they list are served")

    def _answer_page(self, routes: Sequence[tuple[Gate, Route]], path: str, name: str) -> None:
        gate = routes[0][0]
        if not path.endswith("/"):
            # The addresses in the page are relative to the one with the slash.
            url = f"{gate.simple_path}{quote(name)}/"
            self.answer_bytes("text/plain", b"", HTTPStatus.MOVED_PERMANENTLY, location=url)
            return
        owned = self.server.sources.page(name)
        if owned is not None and owned.source is not gate.source:
            # It is another index's: whether this one has it, too, is not looked at.
            owned = None
        self.answer_page(None if owned is None else owned.page, name, gate.address)

    def _answer_stored(self, sources: Sequence[Source], kind: str, sha256: str, filename: str) -> None:
        """A file or what lies beside it, wherever its address was learnt: from a page, or from a lock file."""
        owned = self.server.sources.page_of_file(filename)
        file = None if owned is None else owned.file(sha256, filename)
        if owned is None or file is None or owned.source not in sources:
            raise Untrusted(f"{filename}: {_unlisted(owned, sha256, sources)}", code="unlisted")
        self.answer_listed(kind, owned, file)


class _PlainHandler(_ForwardHandler):
    """What arrives at the proxy itself: absolute addresses, and CONNECT."""

    def url(self) -> str | None:
        return self.path if self.path.startswith(("http://", "https://")) else None

    def do_CONNECT(self) -> None:
        """Play the index's host, or tunnel, or refuse (RFC 9110 § 9.3.6)."""
        if self.stopped():
            return
        origin = Origin.of(f"https://{self.path[: MAX_HOST_CHARS + 8]}")
        if self.server.gates_at(origin) and origin is not None:
            self._play(origin)
        elif origin is not None and (origin.host, origin.port) in self.server.tunnels:
            self.server.counters.request("tunnel")
            self._established(close=True)
            splice(self.connection, origin.host, origin.port)
        else:
            self.refuse_egress()

    def _established(self, *, close: bool) -> None:
        self.send_response_only(HTTPStatus.OK, "Connection established")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = close

    def _play(self, origin: Origin) -> None:
        self._established(close=True)
        self.connection.settimeout(HANDSHAKE_SECONDS)
        try:
            secure = self.server.authority.context(origin.host).wrap_socket(self.connection, server_side=True)
        except (OSError, ssl.SSLError):
            return  # the child does not trust us, and says so itself
        with secure:
            _SecureHandler(secure, self.client_address, self.server, origin)


class _SecureHandler(_ForwardHandler):
    """What arrives inside a connection to an index's host."""

    def __init__(self, secure: ssl.SSLSocket, client: object, server: ForwardProxy, origin: Origin) -> None:
        self._origin = origin
        super().__init__(secure, client, server)

    def url(self) -> str | None:
        host = f"[{self._origin.host}]" if ":" in self._origin.host else self._origin.host
        return f"https://{host}:{self._origin.port}{self.path}" if self.path.startswith("/") else None


def _unlisted(owned: OwnedPage | None, sha256: str, sources: Sequence[Source]) -> str:
    if owned is not None and owned.source not in sources:
        return f"expected it from the index that {owned.page.name} belongs to, got the address of another"
    return f"expected a file that its project's verified page lists, got one with sha256 {sha256[:64]} that it does not"
