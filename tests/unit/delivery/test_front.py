"""The front: slow clients hold no slot, uploads have their own, and Django's threads stay few."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from support.delivery import ask, environ
from wheelmark.server import wsgi
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.wsgi import MAX_FORM_BYTES, Front

OK = [("Content-Type", "text/plain")]


class ReadPathDouble(Delivery):
    """Knows its addresses, and answers each of them at once."""

    def __init__(self) -> None:
        self.started = 0

    def start(self) -> None:
        self.started += 1

    def stop(self) -> None:
        self.started -= 1

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", OK)
        return [b"read path"]


class SlowBody(io.RawIOBase):
    """A client that sends nothing until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.let_go.wait(10)
        return b""


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A page that says which thread made it and what it read."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", OK)
    return [threading.current_thread().name.encode(), b" ", body]


@pytest.fixture
def make() -> Iterator[Callable[..., Front]]:
    fronts: list[Front] = []

    def make(django: Any = echo, *, page_slots: int = 2, upload_slots: int = 2) -> Front:
        front = Front(ReadPathDouble(), django, page_slots=page_slots, upload_slots=upload_slots)
        fronts.append(front)
        return front

    yield make
    for front in fronts:
        front.stop()


@pytest.mark.parametrize(
    "target", ["/simple/", "/simple/x/", "/simple", "/tuf/x", "/files/x", "/healthz", "/readyz", "/metrics"]
)
def test_read_path_never_enters_django(make: Callable[..., Front], target: str) -> None:
    def refuse(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise AssertionError("Django was entered")

    assert ask(make(refuse), target).body == b"read path"


@pytest.mark.parametrize("target", ["/", "/simpler", "/account/login/", "/healthz/", "/static/x.css"])
def test_everything_else_is_a_page_on_one_of_few_threads(make: Callable[..., Front], target: str) -> None:
    got = ask(make(), target)
    assert got.body.startswith(b"page_")
    assert len(got.headers["x-request-id"]) == 16


def test_form_is_read_before_a_slot_is_taken(make: Callable[..., Front]) -> None:
    front, slow = make(page_slots=1), [SlowBody() for _ in range(5)]
    threads = []
    for body in slow:
        request = environ("/account/login/", method="POST") | {"wsgi.input": body}
        threads.append(threading.Thread(target=front, args=(request, lambda *_: None), daemon=True))
        threads[-1].start()
    assert ask(front, "/").status == 200  # five slow senders, one slot: it is free
    for body in slow:
        body.let_go.set()
    for thread in threads:
        thread.join(5)


def test_form_that_is_too_long_is_refused(make: Callable[..., Front]) -> None:
    front = make()
    request = environ("/account/login/", method="POST")
    seen: list[str] = []
    for change in (
        {"CONTENT_LENGTH": str(MAX_FORM_BYTES + 1)},
        {"wsgi.input": io.BytesIO(b"x" * (MAX_FORM_BYTES + 1))},
    ):
        list(front(request | change, lambda status, headers: seen.append(status)))
    assert seen == ["413 Request Entity Too Large"] * 2
    body = b"x" * MAX_FORM_BYTES
    answer = b"".join(front(request | {"wsgi.input": io.BytesIO(body)}, lambda status, headers: None))
    assert answer.endswith(body)


def test_upload_runs_on_the_thread_of_its_client(make: Callable[..., Front]) -> None:
    request = environ("/legacy/", method="POST") | {"wsgi.input": io.BytesIO(b"x" * (MAX_FORM_BYTES * 2))}
    answer = b"".join(make()(request, lambda status, headers: None))
    assert answer.startswith(threading.current_thread().name.encode())
    assert len(answer) > MAX_FORM_BYTES * 2


def test_uploads_beyond_their_slots_are_told_to_come_back(
    make: Callable[..., Front], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "UPLOAD_WAIT_SECONDS", 0.05)
    front, slow = make(upload_slots=1), SlowBody()
    request = environ("/legacy/", method="POST") | {"wsgi.input": slow}
    thread = threading.Thread(target=front, args=(request, lambda *_: None), daemon=True)
    thread.start()
    for _ in range(100):
        got = ask(front, "/legacy/", method="POST")
        if got.status == 503:
            break
    assert got.headers["retry-after"] == "5"
    assert ask(front, "/").status == 200
    slow.let_go.set()
    thread.join(5)
    assert ask(front, "/legacy/", method="POST").status == 200


def test_page_that_takes_too_long_is_given_up(make: Callable[..., Front], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "PAGE_SECONDS", 0.05)
    let_go = threading.Event()

    def stuck(environ: Any, start_response: Any) -> Iterable[bytes]:
        let_go.wait(10)
        start_response("200 OK", OK)
        return []

    got = ask(make(stuck), "/")
    let_go.set()
    assert got.status == 503


def test_page_that_fails_is_an_error_for_its_client_alone(make: Callable[..., Front]) -> None:
    def broken(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/broken":
            raise ZeroDivisionError
        return echo(environ, start_response)

    front = make(broken, page_slots=1)
    assert ask(front, "/broken").status == 500
    assert ask(front, "/").status == 200


def test_request_id_of_a_proxy_is_kept_when_it_is_one(make: Callable[..., Front]) -> None:
    assert ask(make(), "/", x_request_id="abc123").headers["x-request-id"] == "abc123"
    assert ask(make(), "/", x_request_id="a b\tc").headers["x-request-id"] != "a b\tc"


def test_front_starts_its_threads_once_and_not_before_it_is_used(make: Callable[..., Front]) -> None:
    before = threading.active_count()
    front = make()
    assert threading.active_count() == before
    for _ in range(3):
        ask(front, "/")
    front.start()
    assert front._delivery.started == 1  # type: ignore[attr-defined]  # the double counts
