"""The proxy answers with what was verified, and with nothing else."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from support.repository import Answer, IndexServer, SignedRepository, flipped
from support.server import eventually
from wheelmark.client import Verifier, VerifyingProxy
from wheelmark.client.answers import WHOLE_BYTES
from wheelmark.client.incidents import Incidents
from wheelmark.client.proxy import WITHHELD, parse_path
from wheelmark.errors import Unavailable
from wheelmark.simple import MediaType, SimpleFile, parse_page_json

JSON = {"Accept": MediaType.JSON.value}
PROVENANCE = b'{"version":1,"attestation_bundles":[]}'


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Setup:
    repository: SignedRepository
    server: IndexServer
    proxy: VerifyingProxy
    file: SimpleFile

    @property
    def port(self) -> int:
        return int(self.proxy.url.rstrip("/").rpartition(":")[2])

    def ask(self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        finally:
            connection.close()


@pytest.fixture(params=[False], ids=[""])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    repository = SignedRepository()
    file = repository.add_wheel("demo", filler=WHOLE_BYTES + 500_000)
    repository.publish()
    with IndexServer(repository) as server:
        incidents = Incidents()
        opened = Verifier(server.index_url, repository.root_bytes, tmp_path)
        with VerifyingProxy(lambda: opened, incidents, strict=request.param) as proxy:
            yield Setup(repository, server, proxy, file)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/simple/demo/", ("simple", "demo")),
        ("/simple/demo", ("simple", "demo")),
        ("/simple/Demo/", None),
        ("/simple/", None),
        ("/", None),
        ("", None),
        ("/simple/demo/x", None),
        ("/simple/..%2Fdemo/", None),
        ("/files/00/demo-1.0.tar.gz", ("file", "00", "demo-1.0.tar.gz")),
        ("/files/00/demo-1.0%2Blocal.tar.gz", ("file", "00", "demo-1.0+local.tar.gz")),
        ("/files/00/demo-1.0-py3-none-any.whl.metadata", ("metadata", "00", "demo-1.0-py3-none-any.whl")),
        ("/files/00/demo-1.0.tar.gz.provenance", ("provenance", "00", "demo-1.0.tar.gz")),
        ("/files/00/", ("file", "00", "")),
        ("/tuf/timestamp.json", None),
    ],
)
def test_path_means_a_page_a_file_or_nothing(path: str, route: tuple[str, ...] | None) -> None:
    assert parse_path(path) == route


def test_json_page_is_the_verified_one(setup: Setup) -> None:
    reply = setup.ask("/simple/demo/", headers=JSON)
    assert (reply.status, reply.headers["Content-Type"]) == (200, MediaType.JSON)
    assert parse_page_json(reply.body, expected_name="demo").files == (setup.file,)
    assert reply.headers["Cache-Control"] == "no-cache"  # may be kept, must be asked for


def test_kept_page_is_asked_for_with_its_tag_and_not_sent_again(setup: Setup) -> None:
    tag = setup.ask("/simple/demo/", headers=JSON).headers["ETag"]
    again = setup.ask("/simple/demo/", headers=JSON | {"If-None-Match": f'"other", {tag}'})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert "Content-Length" not in again.headers
    other_form = setup.ask("/simple/demo/", headers={"If-None-Match": tag})
    assert (other_form.status, other_form.headers["Vary"]) == (200, "Accept")


def test_kept_page_that_has_changed_is_sent_anew(setup: Setup) -> None:
    tag = setup.ask("/simple/demo/", headers=JSON).headers["ETag"]
    added = setup.repository.add_wheel("demo", "2.0")
    setup.repository.publish()
    asking = JSON | {"If-None-Match": tag}
    eventually(lambda: setup.ask("/simple/demo/", headers=asking).status == 200, seconds=10, what="the new page")
    changed = setup.ask("/simple/demo/", headers=asking)
    assert changed.headers["ETag"] != tag
    assert added in parse_page_json(changed.body, expected_name="demo").files


def test_html_page_leads_to_our_own_files(setup: Setup) -> None:
    reply = setup.ask("/simple/demo/")
    assert (reply.status, reply.headers["Content-Type"]) == (200, MediaType.TEXT_HTML)
    assert f'href="../../files/{setup.file.sha256}/{setup.file.filename}#sha256='.encode() in reply.body


def test_what_the_page_does_not_say_in_our_words_is_not_passed_on(setup: Setup) -> None:
    page = orjson.loads(setup.repository.pages["demo"])
    page["<script>"] = page["files"][0]["url2"] = "https://example.invalid"
    setup.repository.pages["demo"] = orjson.dumps(page)
    setup.repository.publish()
    reply = setup.ask("/simple/demo/", headers=JSON)
    assert reply.status == 200
    assert b"example.invalid" not in reply.body


def test_form_that_we_do_not_have_is_not_acceptable(setup: Setup) -> None:
    assert setup.ask("/simple/demo/", headers={"Accept": "text/plain"}).status == 406


def test_unknown_project_is_not_found_and_no_incident(setup: Setup) -> None:
    reply = setup.ask("/simple/nothing/")
    assert reply.status == 404
    assert b"proven" in reply.body
    assert setup.proxy.incidents.worst() is None


def file_path(file: SimpleFile) -> str:
    return f"/files/{file.sha256}/{file.filename}"


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=-100"}, {"Range": "bytes=10-20"}])
def test_file_comes_whole_whatever_range_is_asked(setup: Setup, headers: Mapping[str, str]) -> None:
    reply = setup.ask(file_path(setup.file), headers=headers)
    assert (reply.status, reply.body) == (200, setup.repository.objects[file_path(setup.file)])
    assert "Accept-Ranges" not in reply.headers


def test_head_gives_the_length_and_no_body(setup: Setup) -> None:
    for path, length in ((file_path(setup.file), setup.file.size), ("/simple/demo/", None)):
        reply = setup.ask(path, "HEAD")
        assert (reply.status, reply.body) == (200, b"")
        assert int(reply.headers["Content-Length"]) == (length or int(reply.headers["Content-Length"])) > 0


def test_core_metadata_is_served_beside_the_file(setup: Setup) -> None:
    reply = setup.ask(f"{file_path(setup.file)}.metadata")
    assert (reply.status, reply.body) == (200, setup.repository.objects[f"{file_path(setup.file)}.metadata"])


def attested(setup: Setup, version: str = "2.0") -> SimpleFile:
    """A published file with provenance, beside the one without."""
    file = setup.repository.add_wheel("demo", version, provenance=PROVENANCE)
    setup.repository.publish()
    return file


def test_page_names_provenance_where_the_proxy_answers_for_it(setup: Setup) -> None:
    file = attested(setup)
    expected = f"{setup.proxy.url}files/{file.sha256}/{file.filename}.provenance"
    page = parse_page_json(setup.ask("/simple/demo/", headers=JSON).body, expected_name="demo")
    assert [one.provenance_url for one in page.files] == [None, expected]
    assert setup.ask("/simple/demo/").body.count(f'data-provenance="{expected}"'.encode()) == 1
    reply = setup.ask(expected.removeprefix(setup.proxy.url.rstrip("/")))
    assert (reply.status, reply.body) == (200, PROVENANCE)
    assert reply.headers["Content-Type"] == "application/vnd.pypi.integrity.v1+json"
    assert setup.proxy.incidents.worst() is None
    assert 'wheelmark_proxy_requests_total{kind="provenance"} 1' in setup.proxy.metrics()


@pytest.mark.parametrize(
    ("answer", "code"),
    [(PROVENANCE.replace(b"1", b"2"), "file"), (b"", "file"), (Answer(404), "http-status"), (Answer(200), "file")],
    ids=["changed", "empty", "missing", "nothing"],
)
def test_provenance_that_is_not_what_the_page_names_is_withheld(
    setup: Setup, answer: Answer | bytes, code: str
) -> None:
    file = attested(setup)
    setup.server.hostile = lambda path, _: answer if path.endswith(".provenance") else None
    reply = setup.ask(f"{file_path(file)}.provenance")
    assert reply.status == WITHHELD
    assert reply.body.startswith(b"wheelmark: ")
    worst = setup.proxy.incidents.worst()
    assert worst is not None
    assert worst.error.code == code


def test_file_whose_page_names_no_provenance_has_none_though_the_index_offers_one(setup: Setup) -> None:
    path = f"{file_path(setup.file)}.provenance"
    setup.repository.objects[path] = PROVENANCE
    reply = setup.ask(path)
    assert (reply.status, b"no verified page lists provenance" in reply.body) == (404, True)
    assert path not in setup.server.requests


@pytest.mark.parametrize("suffix", ["", ".metadata", ".provenance"])
def test_file_that_the_page_does_not_list_is_not_found_though_the_index_has_it(setup: Setup, suffix: str) -> None:
    hidden = setup.repository.add_wheel("demo", "2.0", provenance=PROVENANCE)  # added, not published
    reply = setup.ask(file_path(hidden) + suffix)
    assert reply.status == 404
    assert b"no verified page lists" in reply.body
    assert not [path for path in setup.server.requests if path.startswith("/files/")]


@pytest.mark.parametrize("filename", ["", "demo", "demo-1.0.exe", "..%2F..%2Fetc%2Fpasswd", "other-1.0.tar.gz"])
def test_file_name_of_no_listed_file_is_not_found(setup: Setup, filename: str) -> None:
    assert setup.ask(f"/files/{setup.file.sha256}/{filename}").status == 404


def test_wrong_file_never_arrives_complete(setup: Setup) -> None:
    setup.server.hostile = lambda path, true: flipped(true) if true and path.endswith(".whl") else None
    with pytest.raises(http.client.IncompleteRead) as caught:
        setup.ask(file_path(setup.file))
    assert 0 < len(caught.value.partial) < setup.file.size
    worst = setup.proxy.incidents.worst()
    assert worst is not None
    assert worst.refused


def test_only_what_was_verified_before_it_was_sent_may_be_kept(setup: Setup) -> None:
    small = setup.repository.add_wheel("demo", "2.0")
    setup.repository.publish()
    kept = "max-age=31536000, immutable"
    assert setup.ask(file_path(small)).headers["Cache-Control"] == kept
    assert setup.ask(f"{file_path(small)}.metadata").headers["Cache-Control"] == kept
    assert setup.ask(file_path(setup.file)).headers["Cache-Control"] == "no-store"  # its end was open


def test_file_that_was_kept_is_verified_before_it_is_sent_however_long(setup: Setup) -> None:
    first = setup.ask(file_path(setup.file))
    setup.server.requests.clear()
    again = setup.ask(file_path(setup.file))
    assert (again.body, again.headers["Cache-Control"]) == (first.body, "max-age=31536000, immutable")
    assert file_path(setup.file) not in setup.server.requests


def test_what_is_at_hand_is_asked_of_nobody(setup: Setup) -> None:
    small = setup.repository.add_wheel("demo", "2.0")
    setup.repository.publish()
    first = [setup.ask(path).body for path in ("/simple/demo/", f"{file_path(small)}.metadata", file_path(small))]
    setup.server.requests.clear()
    again = [setup.ask(path).body for path in ("/simple/demo/", f"{file_path(small)}.metadata", file_path(small))]
    assert again == first
    assert not [path for path in setup.server.requests if not path.endswith("/timestamp.json")]


def test_small_wrong_file_gets_an_honest_status(setup: Setup) -> None:
    small = setup.repository.add_wheel("demo", "2.0")
    setup.repository.publish()
    setup.server.hostile = lambda path, true: flipped(true) if true and path.endswith(".whl") else None
    assert setup.ask(file_path(small)).status == WITHHELD


@pytest.mark.parametrize("setup", [False, True], indirect=True, ids=["lenient", "strict"])
def test_only_a_strict_proxy_answers_nothing_after_a_refusal(setup: Setup) -> None:
    setup.server.hostile = lambda path, true: flipped(true) if true and "timestamp" in path else None
    with pytest.raises(http.client.IncompleteRead):
        setup.ask("/simple/demo/")
    setup.server.hostile = None
    assert setup.ask("/simple/demo/").status == (WITHHELD if setup.proxy.strict else 200)


def test_withheld_page_says_so_and_breaks_off(setup: Setup) -> None:
    # pip takes any status but 200 for "no files here", and would go on with an older version.
    setup.server.hostile = lambda path, true: flipped(true) if true and "index.json" in path else None
    with socket.create_connection(("127.0.0.1", setup.port), 10) as connection:
        connection.sendall(f"GET /simple/demo/ HTTP/1.1\r\nHost: 127.0.0.1:{setup.port}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 424 ")
    assert b"Content-Length" not in head
    size, _, text = body.partition(b"\r\n")
    assert text.startswith(b"wheelmark: simple/demo/index.json: expected trusted metadata")
    assert len(text) == int(size, 16) + len(b"\r\n")  # and no last chunk


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "http://example.invalid/simple/demo/", {}),
        ("GET", "http://127.0.0.1:9/simple/demo/", {}),
        ("GET", "https://127.0.0.1/simple/demo/", {}),
        ("GET", "/simple/demo/", {"Host": "example.invalid"}),
        ("HEAD", "http://example.invalid/simple/demo/", {}),
        ("CONNECT", "example.invalid:443", {}),
        ("POST", "/simple/demo/", {}),
        ("PUT", "/simple/demo/", {}),
    ],
)
def test_request_to_anybody_else_is_refused(setup: Setup, method: str, path: str, headers: Mapping[str, str]) -> None:
    assert setup.ask(path, method, headers).status == WITHHELD
    worst = setup.proxy.incidents.worst()
    assert worst is not None
    assert worst.error.code == "egress"
    assert setup.server.requests == []


def test_request_through_us_to_ourselves_is_answered(setup: Setup) -> None:
    assert setup.ask(f"{setup.proxy.url}simple/demo/", headers=JSON).status == 200


def test_port_in_use_is_unavailable(setup: Setup) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unavailable) as caught:
            VerifyingProxy(setup.proxy.verifier, Incidents(), port=taken.getsockname()[1])
    assert caught.value.code == "port"
