"""Heads of requests as installers send them, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.client.request_head import MAX_FIELDS, read_request
from wheelmark.errors import Refused


def test_request_is_read() -> None:
    request = read_request(b"GET /simple/demo/ HTTP/1.1\r\nHost: a:1\r\nACCEPT:  x/y \r\naccept: z")
    assert (request.method, request.target, request.minor) == ("GET", "/simple/demo/", 1)
    assert request.fields == {"host": "a:1", "accept": "x/y, z"}
    assert not request.ends_connection


@pytest.mark.parametrize(
    ("head", "ends"),
    [
        (b"GET / HTTP/1.1\r\nConnection: Keep-Alive, close", True),
        (b"GET / HTTP/1.0", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", False),
        (b"POST / HTTP/1.1\r\nContent-Length: 5", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 0", False),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", True),
    ],
)
def test_connection_ends_where_nothing_more_can_be_asked(head: bytes, ends: bool) -> None:
    assert read_request(head).ends_connection is ends


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET /\xc3\xa4 HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost : a",
        b"GET / HTTP/1.1\r\nA: b\r\n c",
        b"GET / HTTP/1.1\r\nA: b\nEvil: c",
        b"GET / HTTP/1.1\r\nA: b\0",
        b"GET / HTTP/1.1" + b"\r\nA: b" * (MAX_FIELDS + 1),
    ],
)
def test_what_no_installer_sends_is_refused(head: bytes) -> None:
    with pytest.raises(Refused):
        read_request(head)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(head: bytes) -> None:
    try:
        request = read_request(head)
    except Refused:
        return
    assert request.method.isupper()
    assert " " not in request.target
    assert not any("\n" in value or "\r" in value for value in request.fields.values())
