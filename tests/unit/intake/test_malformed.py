"""Requests that are no upload: each is told what is wrong with it, none is a 5xx, none leaves anything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.distributions import build_wheel
from support.upload import (
    BOUNDARY,
    Part,
    a_token,
    changed,
    codes_of,
    encoded,
    incoming,
    nothing_taken_in,
    post_body,
    post_upload,
    twine_fields,
)
from wheelmark.server.config import Config
from wheelmark.server.projects.models import File
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db

WHEEL = build_wheel()
FILENAME = "demo-1.0-py3-none-any.whl"
FIELDS = twine_fields(WHEEL)
SOUND = encoded(FIELDS, [Part(WHEEL, FILENAME)])
DASHES = b"--" + BOUNDARY.encode()


def raw_part(headers: bytes, content: bytes = WHEEL) -> bytes:
    """The sound form with another file part, whose headers are these bytes."""
    fields = encoded(FIELDS, []).removesuffix(DASHES + b"--\r\n")
    return b"".join((fields, DASHES, b"\r\n", headers, b"\r\n\r\n", content, b"\r\n", DASHES, b"--\r\n"))


DISPOSITION = b'Content-Disposition: form-data; name="content"; filename="' + FILENAME.encode() + b'"'

MALFORMED: dict[str, tuple[str, bytes]] = {
    "nothing": ("form-broken", b""),
    "not multipart": ("form-broken", b"a=b&c=d"),
    # What stands before the first boundary passes for a part to Django's parser; it just is not the right one.
    "another boundary": ("form-action", SOUND.replace(BOUNDARY.encode(), b"x" * len(BOUNDARY))),
    "bare boundary": ("form-broken", DASHES + b"--\r\n"),
    "boundaries only": ("form-broken", (DASHES + b"\r\n") * 2_000 + DASHES + b"--\r\n"),
    "cut in the fields": ("form-content", SOUND[:700]),
    "cut in the file": ("form-broken", SOUND[:-200]),
    "cut before the last boundary": ("form-broken", SOUND.removesuffix(DASHES + b"--\r\n")),
    "no content": ("form-content", encoded(FIELDS, [])),
    "content under another name": ("form-content", encoded(FIELDS, [Part(WHEEL, FILENAME, name="file")])),
    "content as text": ("form-content", encoded([*FIELDS, ("content", "PK")], [])),
    "content as text and as file": ("form-content", encoded([*FIELDS, ("content", "PK")], [Part(WHEEL, FILENAME)])),
    "two contents": ("form-content", encoded(FIELDS, [Part(WHEEL, FILENAME)] * 2)),
    "content without a name": ("form-content", encoded(FIELDS, [Part(WHEEL)])),
    "content with no disposition": ("form-content", raw_part(b"Content-Type: application/octet-stream")),
    "name that is not UTF-8": ("form-content", raw_part(DISPOSITION.replace(b"demo", b"d\xffmo"))),
    "headers without an end": ("form-content", raw_part(DISPOSITION).replace(b'.whl"\r\n\r\n', b'.whl"\r\n')),
    "headers of 100,000 bytes": ("form-broken", raw_part(DISPOSITION + b"\r\nX: " + b"x" * 100_000)),
    "a field's headers of 5,000 bytes": (
        "form-broken",
        encoded([("x" * 5_000, "1"), *FIELDS], [Part(WHEEL, FILENAME)]),
    ),
    "content in broken base64": (
        "form-broken",
        raw_part(DISPOSITION + b"\r\nContent-Transfer-Encoding: base64", b"%%%%%"),
    ),
    "empty file": ("archive-format", encoded(FIELDS, [Part(b"", FILENAME)])),
    "five files": ("form-too-many-parts", encoded(FIELDS, [Part(b"x", "x", name=f"extra-{n}") for n in range(5)])),
    "20,000 fields": ("form-too-many-parts", encoded([("x", "y")] * 20_000, [Part(WHEEL, FILENAME)])),
    "10,000 classifiers": (
        "form-too-many-parts",
        encoded([*FIELDS, *[("classifiers", "Topic :: Utilities")] * 10_000], [Part(WHEEL, FILENAME)]),
    ),
    "9,000 classifiers": (
        "form-disagrees",
        encoded([*FIELDS, *[("classifiers", f"Topic :: {n}") for n in range(9_000)]], [Part(WHEEL, FILENAME)]),
    ),
    "fields of 21 MB": (
        "form-too-large",
        encoded([*FIELDS, ("description", "x" * 21_000_000)], [Part(WHEEL, FILENAME)]),
    ),
    "NUL in a field": ("form-disagrees", encoded(changed(FIELDS, {"summary": "a\0b"}), [Part(WHEEL, FILENAME)])),
    "NUL in the action": ("form-action", encoded(changed(FIELDS, {":action": "\0"}), [Part(WHEEL, FILENAME)])),
    "NUL in the file's name": ("filename-characters", encoded(FIELDS, [Part(WHEEL, "demo\0-1.0-py3-none-any.whl")])),
    "not UTF-8 in a field": ("form-disagrees", SOUND.replace(b"A distribution made", b"A \xff\xfe made")),
}


@pytest.fixture(autouse=True)
def _nothing_is_left(config: Config) -> Iterator[None]:
    yield
    assert incoming(config) == []
    assert list(current_store().list("")) == []
    assert nothing_taken_in()


def assert_clear(response: object, code: str) -> None:
    status, codes = response.status_code, codes_of(response)  # type: ignore[attr-defined]  # the test client's response
    assert status in {400, 411, 413}, codes
    assert code in codes
    for line in response.content.decode().splitlines():  # type: ignore[attr-defined]  # the same
        assert ": expected " in line and ", got " in line
        assert len(line) < 1_000 and line.isprintable()


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_form_is_refused_by_the_rule_that_it_breaks(client: Client, config: Config, name: str) -> None:
    code, body = MALFORMED[name]
    assert_clear(post_body(client, a_token(), body), code)


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("", "form-encoding"),
        ("text/plain", "form-encoding"),
        ("application/x-www-form-urlencoded", "form-encoding"),
        ("multipart/mixed; boundary=" + BOUNDARY, "form-encoding"),
        ("\x1b[31m" + "é" * 5_000, "form-encoding"),
        ("multipart/form-data", "form-broken"),
        ("multipart/form-data; boundary=", "form-broken"),
        ("multipart/form-data; boundary=" + "b" * 300, "form-broken"),
        ("multipart/form-data; boundary=é", "form-broken"),
        ("multipart/form-data; boundary*=hex''b", "form-action"),
    ],
)
def test_content_type_that_is_none_of_a_form_is_named(
    client: Client, config: Config, content_type: str, code: str
) -> None:
    response = post_body(client, a_token(), SOUND, CONTENT_TYPE=content_type)
    assert_clear(response, code)


@pytest.mark.parametrize("length", ["", "abc", "-1", "1.5", "٣", "0x10"])
def test_length_that_is_none_is_411(client: Client, config: Config, length: str) -> None:
    response = post_body(client, a_token(), SOUND, CONTENT_LENGTH=length)
    assert response.status_code == 411
    assert_clear(response, "form-length")


@pytest.mark.parametrize("missing", [1, 1_000, 50_000_000])
def test_body_shorter_than_it_says_is_a_broken_form(client: Client, config: Config, missing: int) -> None:
    length = str(len(SOUND) + missing)
    response = post_body(client, a_token(), SOUND, stream=BytesIO(SOUND), CONTENT_LENGTH=length)
    assert_clear(response, "form-broken")
    assert f"{len(SOUND):,}".encode() in response.content


@pytest.mark.parametrize("length", [1, 100, 2_000])
def test_body_longer_than_it_says_is_cut_there(client: Client, config: Config, length: int) -> None:
    response = post_body(client, a_token(), SOUND, stream=BytesIO(SOUND), CONTENT_LENGTH=str(length))
    assert response.status_code == 400


class Breaking(BytesIO):
    """A connection that breaks."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 1_000:
            raise ConnectionResetError(104, "Connection reset by peer")
        return super().read(min(size or 500, 500))


def test_connection_that_breaks_is_the_senders_and_leaves_nothing(client: Client, config: Config) -> None:
    response = post_body(client, a_token(), SOUND, stream=Breaking(SOUND))
    assert_clear(response, "form-broken")


def test_strange_character_sets_are_no_matter(client: Client, config: Config) -> None:
    body = encoded(changed(FIELDS, {"summary": "other"}), [Part(WHEEL, FILENAME)])
    for charset in ("utf-16", "hex", "rot13", "idna", "nonsense"):
        content_type = f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"
        assert_clear(post_body(client, a_token(), body, content_type=content_type), "form-disagrees")


# Mutations of a sound request.

JUNK = [
    b"\r\n",
    b"--",
    DASHES,
    DASHES + b"--",
    b"\0",
    b"\xff",
    b'"',
    b";",
    b"filename*=hex''x",
    b"=" * 50,
    b":",
    b"\r\n\r\n",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The sound form with a few bytes taken out, put in, doubled or moved."""
    body = bytearray(SOUND)
    # Where the structure is: the file's bytes are the inspection's matter.
    edges = len(SOUND) - len(WHEEL) - 100
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.one_of(st.integers(0, max(0, min(edges, len(body)))), st.integers(0, len(body))))
        stop = min(len(body), start + draw(st.integers(0, 60)))
        match draw(st.sampled_from(["cut", "junk", "random", "double", "end"])):
            case "cut":
                del body[start:stop]
            case "junk":
                body[start:start] = draw(st.sampled_from(JUNK))
            case "random":
                body[start:stop] = draw(st.binary(max_size=40))
            case "double":
                body[stop:stop] = body[start:stop]
            case _:
                del body[start:]
    return bytes(body)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=mutated(), wrong_length=st.one_of(st.just(0), st.integers(-200, 200)))
def test_no_mutation_of_a_form_is_a_5xx_and_what_is_accepted_is_the_whole_file(
    client: Client, config: Config, body: bytes, wrong_length: int
) -> None:
    length = str(max(1, len(body) + wrong_length))
    response = post_body(client, _token(), body, stream=BytesIO(body), CONTENT_LENGTH=length)
    assert response.status_code in {200, 400, 413}, response.content
    assert incoming(config) == []
    if response.status_code == 200:
        file = File.objects.get()
        assert current_store().read_all(f"files/{file.sha256[:2]}/{file.sha256}", max_bytes=10**6) == WHEEL
        _forget()
    else:
        assert all(": expected " in line for line in response.content.decode().splitlines())


def _token() -> str:
    """One token for all examples."""
    from wheelmark.server.accounts.models import ApiToken

    ApiToken.objects.all().delete()
    return a_token()


def _forget() -> None:
    from wheelmark.server.projects.models import Collaborator, JournalEntry, Project, Release

    for model in (File, Release, Collaborator, Project, JournalEntry):
        model.objects.all().delete()
    store = current_store()
    for found in list(store.list("")):
        store.delete(found.key)


def test_sound_form_is_accepted_else_the_others_would_prove_nothing(client: Client, config: Config) -> None:
    assert post_body(client, a_token(), SOUND).status_code == 200
    assert post_upload(client, a_token(), WHEEL).status_code == 200
    _forget()


def test_random_bytes_are_refused(client: Client, config: Config) -> None:
    source = random.Random(7)
    for size in (1, 60, 4_000, 200_000):
        assert post_body(client, a_token(), source.randbytes(size)).status_code == 400
