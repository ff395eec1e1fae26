"""The forward proxy answers for the indexes under their own addresses, and lets nothing else through."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.repository import IndexServer, SignedRepository, flipped
from wheelmark.client import Verifier
from wheelmark.client.address import IndexAddress
from wheelmark.client.answers import WITHHELD
from wheelmark.client.authority import LocalAuthority
from wheelmark.client.forward import ForwardProxy, Gate, Origin
from wheelmark.client.incidents import Incidents
from wheelmark.client.sources import Source
from wheelmark.simple import MediaType, SimpleFile, parse_page_json

JSON = {"Accept": MediaType.JSON.value}
PROVENANCE = b'{"version":1,"attestation_bundles":[]}'
SECURE = "https://index.example.org/simple/"
SECOND = "https://second.example.org/pypi/simple/"


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Setup:
    """A plain http index, and two https ones that exist only as names: their bytes come from test servers."""

    plain: IndexServer
    repositories: list[SignedRepository]
    servers: list[IndexServer]
    proxy: ForwardProxy
    authority: LocalAuthority
    file: SimpleFile

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=10)

    def ask(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        """As an HTTP client with a proxy does: CONNECT for https, the absolute form for http."""
        if url.startswith("https://"):
            origin = Origin.of(url)
            assert origin is not None
            context = ssl.create_default_context(cadata=self.authority.certificate_pem.decode())
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.proxy.server_port, timeout=10, context=context
            )
            connection.set_tunnel(origin.host, origin.port)
            target = "/" + url.split("/", 3)[3]
        else:
            connection, target = self.connection(), url
        try:
            connection.request(method, target, headers=dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def raw(self, method: str, target: str) -> int:
        """The status of a request with exactly this target."""
        with closing(self.connection()) as connection:
            connection.request(method, target)
            with connection.getresponse() as response:
                response.read()
                return response.status

    def incident(self) -> str | None:
        worst = self.proxy.incidents.worst()
        return None if worst is None else worst.error.code


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    repositories = [SignedRepository() for _ in range(3)]
    file = repositories[0].add_wheel("demo", filler=200_000)
    repositories[0].add_wheel("plain-only")
    repositories[1].add_wheel("demo")  # belongs to the first index: never seen
    repositories[1].add_wheel("secure-only", provenance=PROVENANCE)
    repositories[2].add_wheel("acme-tools", provenance=PROVENANCE)
    repositories[0].add_wheel("acme-tools")  # a squatter: the name is the third index's
    with ExitStack() as stack:
        servers, gates = [], []
        for number, repository in enumerate(repositories):
            repository.publish()
            server = stack.enter_context(IndexServer(repository))
            verifier = Verifier(server.index_url, repository.root_bytes, tmp_path / str(number))
            source = Source(lambda opened=verifier: opened, namespaces=["acme"] if number == 2 else [])  # type: ignore[misc]
            url = (server.index_url, SECURE, SECOND)[number]
            gates.append(Gate.to(IndexAddress.parse(url), source))
            servers.append(server)
        authority = LocalAuthority([gate.origin.host for gate in gates[1:]], now=datetime.now(UTC))
        proxy = stack.enter_context(ForwardProxy(gates, Incidents(), authority, tunnels=[("localhost", 443)]))
        yield Setup(servers[0], repositories, servers, proxy, authority, file)


def test_http_index_answers_under_its_own_address(setup: Setup) -> None:
    page = setup.ask(f"{setup.plain.index_url}demo/", headers=JSON)
    assert page.status == 200
    assert parse_page_json(page.body, expected_name="demo").files == (setup.file,)
    url = f"{setup.plain.origin}/files/{setup.file.sha256}/{setup.file.filename}"
    assert setup.ask(url).body == setup.plain.objects[url.removeprefix(setup.plain.origin)]
    assert setup.ask(f"{url}.metadata").status == 200
    assert setup.incident() is None


def test_https_index_answers_under_its_own_name_and_path(setup: Setup) -> None:
    page = setup.ask(f"{SECURE}secure-only/", headers=JSON)
    [file] = parse_page_json(page.body, expected_name="secure-only").files
    assert setup.ask(f"https://index.example.org/files/{file.sha256}/{file.filename}").status == 200
    page = setup.ask(f"{SECOND}acme-tools/", headers=JSON)
    [file] = parse_page_json(page.body, expected_name="acme-tools").files
    assert setup.ask(f"https://second.example.org/pypi/files/{file.sha256}/{file.filename}").status == 200
    assert setup.incident() is None


def test_provenance_is_named_and_served_at_the_indexs_own_address(setup: Setup) -> None:
    page = setup.ask(f"{SECOND}acme-tools/", headers=JSON)
    [file] = parse_page_json(page.body, expected_name="acme-tools").files
    expected = f"https://second.example.org/pypi/files/{file.sha256}/{file.filename}.provenance"
    assert file.provenance_url == expected
    reply = setup.ask(expected)
    assert (reply.status, reply.body) == (200, PROVENANCE)
    assert setup.incident() is None


def test_changed_provenance_ends_the_run(setup: Setup) -> None:
    [file] = setup.repositories[1].page_files["secure-only"].values()
    setup.servers[1].hostile = lambda path, true: flipped(true) if true and path.endswith(".provenance") else None
    url = f"https://index.example.org/files/{file.sha256}/{file.filename}.provenance"
    assert (setup.ask(url).status, setup.incident()) == (WITHHELD, "file")
    assert setup.ask(f"{setup.plain.index_url}demo/").status == WITHHELD


def test_provenance_of_a_file_that_its_page_does_not_list_ends_the_run(setup: Setup) -> None:
    hidden = setup.repositories[1].add_wheel("secure-only", "2.0", provenance=PROVENANCE)  # stored, not published
    url = f"https://index.example.org/files/{hidden.sha256}/{hidden.filename}.provenance"
    assert (setup.ask(url).status, setup.incident()) == (WITHHELD, "unlisted")
    assert not [path for path in setup.servers[1].requests if path.startswith("/files/")]


def test_one_connection_carries_many_requests(setup: Setup) -> None:
    with closing(setup.connection()) as connection:
        for _ in range(3):
            connection.request("GET", f"{setup.plain.index_url}demo/", headers=JSON)
            assert connection.getresponse().read()
        assert connection.sock is not None  # kept alive


def test_file_is_verified_though_its_page_was_never_asked_for(setup: Setup) -> None:
    setup.plain.hostile = lambda path, true: flipped(true) if true and path.endswith(".whl") else None
    url = f"{setup.plain.origin}/files/{setup.file.sha256}/{setup.file.filename}"
    assert setup.ask(url).status == WITHHELD  # small: it is verified before its first byte is sent
    assert setup.incident() == "file"


def test_what_comes_through_it_is_not_kept(setup: Setup) -> None:
    reply = setup.ask(f"{setup.plain.origin}/files/{setup.file.sha256}/{setup.file.filename}")
    assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")


def test_file_that_its_page_does_not_list_ends_the_run(setup: Setup) -> None:
    hidden = setup.repositories[0].add_wheel("demo", "2.0")  # stored, not published: as after a removal
    reply = setup.ask(f"{setup.plain.origin}/files/{hidden.sha256}/{hidden.filename}")
    assert reply.status == WITHHELD
    assert b"expected a file that its project's verified page lists" in reply.body
    assert setup.incident() == "unlisted"
    assert not [path for path in setup.plain.requests if path.startswith("/files/")]


def test_project_is_seen_only_under_the_index_that_it_belongs_to(setup: Setup) -> None:
    assert setup.ask(f"{SECURE}demo/", headers=JSON).status == 404
    assert setup.ask(f"{setup.plain.index_url}acme-tools/", headers=JSON).status == 404
    assert setup.ask(f"{SECOND}demo/", headers=JSON).status == 404
    assert setup.incident() is None
    assert not [path for path in setup.servers[1].requests if "demo" in path]


def test_file_of_another_index_than_the_projects_own_is_refused(setup: Setup) -> None:
    [squatted] = setup.repositories[0].page_files["acme-tools"].values()
    reply = setup.ask(f"{setup.plain.origin}/files/{squatted.sha256}/{squatted.filename}")
    assert (reply.status, setup.incident()) == (WITHHELD, "unlisted")
    assert b"expected it from the index that acme-tools belongs to" in reply.body


def test_page_without_its_slash_leads_to_the_one_with_it(setup: Setup) -> None:
    reply = setup.ask(f"{setup.plain.index_url}demo")
    assert (reply.status, reply.headers["Location"]) == (301, "/simple/demo/")


@pytest.mark.parametrize("path", ["", "simple/", "simple/Demo/", "simple/..%2Fdemo/", "tuf/timestamp.json", "login"])
def test_what_is_neither_page_nor_file_is_not_found(setup: Setup, path: str) -> None:
    assert setup.ask(f"{setup.plain.origin}/{path}").status == 404
    assert setup.incident() is None


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "http://example.invalid/simple/demo/"),
        ("GET", "http://127.0.0.1:9/simple/demo/"),
        ("GET", "http://index.example.org/simple/demo/"),  # the https index, asked without TLS
        ("CONNECT", "example.invalid:443"),
        ("CONNECT", "index.example.org:8443"),
        ("CONNECT", "index.example.org.:443"),
        ("CONNECT", "localhost:8443"),  # a tunnel leads to one port
        ("CONNECT", "nonsense"),
        ("POST", "http://example.invalid/"),
    ],
)
def test_anything_else_is_refused_and_ends_the_run(setup: Setup, method: str, target: str) -> None:
    assert setup.raw(method, target) == WITHHELD
    assert setup.incident() == "egress"
    assert setup.ask(f"{setup.plain.index_url}demo/").status == WITHHELD
    assert setup.plain.requests == []


def test_write_to_the_index_itself_is_refused(setup: Setup) -> None:
    assert setup.ask(f"{setup.plain.origin}/legacy/", "POST").status == WITHHELD
    assert setup.incident() == "egress"


def test_request_that_is_meant_for_a_server_is_answered_without_ending_the_run(setup: Setup) -> None:
    assert setup.raw("GET", "/simple/demo/") == 400
    assert setup.incident() is None


def test_child_that_does_not_trust_the_authority_gets_nothing(setup: Setup) -> None:
    with socket.create_connection(("127.0.0.1", setup.proxy.server_port), 10) as connection:
        connection.sendall(b"CONNECT index.example.org:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(connection, server_hostname="index.example.org")
    assert setup.ask(f"{setup.plain.index_url}demo/").status == 200
