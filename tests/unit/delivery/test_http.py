"""What HTTP asks of the read path: methods, conditions, ranges, encodings, forms, redirects, hostile requests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.delivery import ask, delivering, published_file
from support.publishing import FoundedIndex, found_index
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.delivery.encodings import Encoding, choose_encoding
from wheelmark.server.delivery.ranges import Part, Unsatisfiable, choose_part
from wheelmark.server.delivery.responses import FOREVER
from wheelmark.server.projects.models import File
from wheelmark.store import CHUNK_BYTES

pytestmark = pytest.mark.django_db(transaction=True)

JSON = "application/vnd.pypi.simple.v1+json"
BIG = bytes(range(256)) * 1200  # several chunks


@pytest.fixture
def index() -> FoundedIndex:
    return found_index()


@pytest.fixture
def delivery(index: FoundedIndex) -> Iterator[Delivery]:
    with delivering(index) as delivery:
        yield delivery


@pytest.fixture
def big(index: FoundedIndex) -> File:
    assert len(BIG) > 4 * CHUNK_BYTES
    return published_file(index, content=BIG)


def test_page_has_the_signed_bytes_and_headers_that_caches_live_by(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    got = ask(delivery, "/simple/demo/", accept=JSON)
    assert got.headers["content-type"] == JSON
    assert got.headers["vary"] == "Accept, Accept-Encoding"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert int(got.headers["x-pypi-last-serial"]) == json.loads(got.body)["meta"]["_last-serial"]
    assert got.headers["surrogate-key"] == "simple simple/demo"
    assert "max-age=0" in got.headers["cache-control"]
    assert int(got.headers["content-length"]) == len(got.body)


@pytest.mark.parametrize(
    "target",
    ["/simple/demo/", "/simple/", "/tuf/timestamp.json", "/tuf/1.root.json", "FILE", "FILE.metadata"],
)
def test_condition_and_head_on_every_kind(index: FoundedIndex, delivery: Delivery, target: str) -> None:
    file = published_file(index)
    target = target.replace("FILE", f"/files/{file.sha256}/{file.filename}")
    whole = ask(delivery, target)
    etag = whole.headers["etag"]
    assert whole.status == 200
    assert whole.body
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        got = ask(delivery, target, if_none_match=condition)
        assert (got.status, got.body) == (304, b"")
        assert got.headers["etag"] == etag
        assert "content-length" not in got.headers
    assert ask(delivery, target, if_none_match='"other"').status == 200
    head = ask(delivery, target, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers == whole.headers


@pytest.mark.parametrize("target", ["/simple/demo/", "/tuf/1.root.json", "FILE.metadata"])
def test_compressed_bodies_hold_the_same_bytes_under_their_own_etag(
    index: FoundedIndex, delivery: Delivery, target: str
) -> None:
    for version in range(9):
        file = published_file(index, "demo", f"{version}.0")
    target = target.replace("FILE", f"/files/{file.sha256}/{file.filename}")
    plain = ask(delivery, target, accept=JSON)
    tags = {plain.headers["etag"]}
    for name, decode in (("gzip", gzip.decompress), ("zstd", zstandard.ZstdDecompressor().decompress)):
        got = ask(delivery, target, accept=JSON, accept_encoding=name)
        assert "Accept-Encoding" in got.headers["vary"]
        if got.headers.get("content-encoding") is None:
            assert got.body == plain.body  # too small to gain
            continue
        assert got.headers["content-encoding"] == name
        assert decode(got.body) == plain.body
        assert len(got.body) < len(plain.body)
        tags.add(got.headers["etag"])
        assert ask(delivery, target, accept=JSON, accept_encoding=name, if_none_match=got.headers["etag"]).status == 304
        assert ask(delivery, target, accept=JSON, if_none_match=got.headers["etag"]).status == 200
    assert len(tags) == 3 or target.endswith(".metadata")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, Encoding.IDENTITY),
        ("", Encoding.IDENTITY),
        ("gzip", Encoding.GZIP),
        ("gzip, deflate", Encoding.GZIP),
        ("gzip, deflate, br, zstd", Encoding.ZSTD),
        ("gzip;q=1.0, zstd;q=0.5", Encoding.GZIP),
        ("*", Encoding.ZSTD),
        ("zstd;q=0, *", Encoding.GZIP),
        ("gzip;q=0", Encoding.IDENTITY),
        ("identity;q=1, gzip;q=0.5", Encoding.IDENTITY),
        ("gzip;q=nonsense", Encoding.IDENTITY),
        ("," * 600, Encoding.IDENTITY),
    ],
)
def test_encoding_is_the_one_that_the_client_weighs_most(accepted: str | None, expected: Encoding) -> None:
    assert choose_encoding(accepted) is expected


def test_file_is_streamed_in_chunks_and_cached_for_ever(delivery: Delivery, big: File) -> None:
    body = delivery(
        {"REQUEST_METHOD": "GET", "PATH_INFO": f"/files/{big.sha256}/{big.filename}"}, lambda status, headers: None
    )
    sizes = [len(chunk) for chunk in body]
    assert max(sizes) <= CHUNK_BYTES
    assert sum(sizes) == len(BIG)
    got = ask(delivery, f"/files/{big.sha256}/{big.filename}")
    assert got.headers["cache-control"] == FOREVER
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in got.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, len(BIG)),
        ("bytes=-10", len(BIG) - 10, len(BIG)),
        ("bytes=65530-65550", 65530, 65551),
        (f"bytes=0-{len(BIG) * 2}", 0, len(BIG)),
        (f"bytes=-{len(BIG) * 2}", 0, len(BIG)),
    ],
)
def test_one_range_gives_exactly_those_bytes(delivery: Delivery, big: File, asked: str, start: int, stop: int) -> None:
    got = ask(delivery, f"/files/{big.sha256}/{big.filename}", range=asked)
    assert got.status == 206
    assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BIG)}"
    assert got.headers["content-length"] == str(stop - start)
    assert got.body == BIG[start:stop]


def test_range_of_a_small_file_gives_exactly_those_bytes(index: FoundedIndex, delivery: Delivery) -> None:
    file = published_file(index, content=b"0123456789")
    got = ask(delivery, f"/files/{file.sha256}/{file.filename}", range="bytes=2-4")
    assert (got.status, got.body, got.headers["content-length"]) == (206, b"234", "3")


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=" + "9" * 200]
)
def test_range_that_we_do_not_serve_gives_the_whole_file(delivery: Delivery, big: File, asked: str) -> None:
    got = ask(delivery, f"/files/{big.sha256}/{big.filename}", range=asked)
    assert (got.status, got.body) == (200, BIG)


@pytest.mark.parametrize("asked", [f"bytes={len(BIG)}-", "bytes=999999999999-", "bytes=-0"])
def test_range_beyond_the_end_is_refused_with_the_size(delivery: Delivery, big: File, asked: str) -> None:
    got = ask(delivery, f"/files/{big.sha256}/{big.filename}", range=asked)
    assert got.status == 416
    assert got.headers["content-range"] == f"bytes */{len(BIG)}"


def test_if_range_of_another_file_gives_the_whole_file(delivery: Delivery, big: File) -> None:
    target = f"/files/{big.sha256}/{big.filename}"
    assert ask(delivery, target, range="bytes=0-0", if_range=f'"{big.sha256}"').status == 206
    assert ask(delivery, target, range="bytes=0-0", if_range='"other"').status == 200
    assert ask(delivery, target, range="bytes=0-0", if_range="Wed, 21 Oct 2015 07:28:00 GMT").status == 200


@given(st.text(max_size=40), st.integers(0, 1000))
def test_no_range_header_gives_a_part_outside_the_file(asked: str, size: int) -> None:
    for header in (asked, f"bytes={asked}"):
        part = choose_part(header, size, if_range=None, etag='"x"')
        if isinstance(part, Part):
            assert 0 <= part.start < part.stop <= size
        else:
            assert part is None or isinstance(part, Unsatisfiable)


@pytest.mark.parametrize(
    ("target", "accept", "expected"),
    [
        ("/simple/demo/", None, "text/html"),
        ("/simple/demo/", JSON, JSON),
        ("/simple/demo/", "application/vnd.pypi.simple.latest+json", JSON),
        (f"/simple/demo/?format={JSON}", "text/html", JSON),
        (f"/simple/demo/?format={JSON.replace('+', '%2B')}", None, JSON),
        ("/simple/?format=application/vnd.pypi.simple.v1+html", JSON, "application/vnd.pypi.simple.v1+html"),
    ],
)
def test_form_is_what_format_or_accept_asks_for(
    index: FoundedIndex, delivery: Delivery, target: str, accept: str | None, expected: str
) -> None:
    published_file(index)
    got = ask(delivery, target, **({"accept": accept} if accept else {}))
    assert (got.status, got.headers["content-type"]) == (200, expected)


@pytest.mark.parametrize("accept", ["image/png", "application/vnd.pypi.simple.v9+json", "x" * 5000])
def test_form_that_we_do_not_have_is_not_acceptable(index: FoundedIndex, delivery: Delivery, accept: str) -> None:
    published_file(index)
    assert ask(delivery, "/simple/demo/", accept=accept).status == 406
    assert ask(delivery, "/simple/", accept=accept).status == 406


def test_html_says_what_json_says(index: FoundedIndex, delivery: Delivery) -> None:
    file = published_file(index)
    entry = json.loads(ask(delivery, "/simple/demo/", accept=JSON).body)["files"][0]
    html = ask(delivery, "/simple/demo/").body.decode()
    assert f'href="{entry["url"]}#sha256={file.sha256}"' in html
    assert f"sha256={entry['core-metadata']['sha256']}" in html


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/simple/demo", "/simple/demo/"),
        ("/simple/Demo/", "/simple/demo/"),
        ("/simple/DEMO", "/simple/demo/"),
        ("/simple", "/simple/"),
        (f"/simple/Demo/?format={JSON}", f"/simple/demo/?format={JSON}"),
    ],
)
def test_other_spelling_is_sent_to_the_normalized_address(
    index: FoundedIndex, delivery: Delivery, target: str, location: str
) -> None:
    published_file(index)
    got = ask(delivery, target)
    assert (got.status, got.headers["location"]) == (301, location)


def test_redirect_never_leaves_this_host_or_splits_the_header(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    for target in ("/simple//evil.example/", "/simple/%2F%2Fevil.example", "/simple/demo%0d%0aSet-Cookie:x"):
        got = ask(delivery, target)
        assert got.status == 404
        assert "location" not in got.headers
    assert ask(delivery, "/simple/Demo?a\r\nb").headers["location"] == "/simple/demo/"


def test_unknown_project_is_not_found_in_either_spelling(delivery: Delivery) -> None:
    assert ask(delivery, "/simple/nobody/").status == 404
    assert ask(delivery, "/simple/Nobody").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(delivery: Delivery, method: str) -> None:
    for target in ("/simple/", "/simple/demo/", "/tuf/timestamp.json", "/files/x", "/healthz"):
        got = ask(delivery, target, method=method)
        assert (got.status, got.headers["allow"]) == (405, "GET, HEAD")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rest=st.text(st.characters(max_codepoint=255), max_size=80),
    prefix=st.sampled_from(["/simple/", "/simple/demo", "/tuf/", "/tuf/1.", "/files/", "/files/" + "0" * 64 + "/"]),
    header=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80),
)
def test_hostile_requests_are_never_our_failure(delivery: Delivery, rest: str, prefix: str, header: str) -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": prefix + rest, "QUERY_STRING": rest}
    for name in ("ACCEPT", "ACCEPT_ENCODING", "IF_NONE_MATCH", "RANGE", "IF_RANGE"):
        environ[f"HTTP_{name}"] = header
    seen: list[str] = []
    for chunk in delivery(environ, lambda status, headers: seen.append(status)):
        assert isinstance(chunk, bytes)
    assert int(seen[0].split()[0]) < 500


@pytest.mark.parametrize("content", [gzip.compress(BIG), zstandard.compress(BIG), BIG], ids=["gzip", "zstd", "plain"])
@pytest.mark.parametrize("small", [True, False])
def test_distribution_is_never_encoded_and_never_labelled_as_encoded(
    index: FoundedIndex, delivery: Delivery, content: bytes, small: bool
) -> None:
    # A .tar.gz is gzip already: a client that took the label at its word would hash what it unpacked.
    content = content[:1000] if small else content * 80
    file = published_file(index, content=content)
    got = ask(delivery, f"/files/{file.sha256}/{file.filename}", accept_encoding="gzip, zstd, br")
    assert "content-encoding" not in got.headers
    assert got.body == content
