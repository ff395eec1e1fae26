"""What was asked for a moment ago is sent again whole: the same answer, never a stale one, and counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from support.delivery import Got, ask, delivering, published_file, stored_file
from support.publishing import FoundedIndex, found_index
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.delivery.generation import MAX_HOT, MAX_HOT_KEY_CHARS
from wheelmark.server.metrics import RequestCollector, Tally
from wheelmark.server.projects.rules import FileState

pytestmark = pytest.mark.django_db(transaction=True)

JSON = "application/vnd.pypi.simple.v1+json"
PAGE = "/simple/demo/"


@pytest.fixture
def index() -> FoundedIndex:
    return found_index()


@pytest.fixture
def delivery(index: FoundedIndex) -> Iterator[Delivery]:
    with delivering(index) as delivery:
        yield delivery


def hot(delivery: Delivery) -> int:
    """How many whole answers are remembered."""
    known = delivery.snapshots.known
    return 0 if known is None else len(known.hot)


def test_second_answer_is_remembered_and_equal(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    ask(delivery, PAGE, accept=JSON)  # makes the generation known
    first = ask(delivery, PAGE, accept=JSON)
    assert hot(delivery) == 1
    assert ask(delivery, PAGE, accept=JSON) == first


def test_forms_and_encodings_do_not_mix(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    wanted: list[dict[str, str]] = [{}, {"accept": JSON}, {"accept": JSON, "accept_encoding": "gzip"}]
    cold = [ask(delivery, PAGE, **headers) for headers in wanted]
    assert [ask(delivery, PAGE, **headers) for headers in wanted] == cold
    assert len({got.body for got in cold}) == len(cold)


def test_new_snapshot_leaves_no_old_answer(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index, version="1.0")
    old = [ask(delivery, PAGE, accept=JSON) for _ in range(3)][-1]
    stored_file(index, version="2.0", state=FileState.SCANNED)
    assert index.publisher().publish_due()
    assert delivery.snapshots.renew()
    new = ask(delivery, PAGE, accept=JSON)
    assert b"demo-2.0" not in old.body
    assert b"demo-2.0" in new.body


def test_condition_head_query_and_methods_are_answered_as_before(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    warm: Got = [ask(delivery, PAGE, accept=JSON) for _ in range(3)][-1]
    assert ask(delivery, PAGE, accept=JSON, if_none_match=warm.headers["etag"]).status == 304
    assert ask(delivery, PAGE, accept=JSON, method="HEAD").body == b""
    assert ask(delivery, PAGE, accept=JSON, method="POST").status == 405
    assert ask(delivery, f"{PAGE}?format=text/html", accept=JSON).headers["content-type"] == "text/html"


def test_ranges_of_files_are_not_answered_from_memory(index: FoundedIndex, delivery: Delivery) -> None:
    file = published_file(index, content=b"0123456789")
    address = f"/files/{file.sha256}/{file.filename}"
    assert [ask(delivery, address).body for _ in range(3)] == [b"0123456789"] * 3
    assert ask(delivery, address, range="bytes=2-3").body == b"23"


def test_memory_is_bounded_in_number_and_in_words(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    ask(delivery, PAGE, accept=JSON)
    ask(delivery, PAGE, accept=JSON, accept_encoding="x" * MAX_HOT_KEY_CHARS)
    before = hot(delivery)
    for number in range(MAX_HOT + 1):
        ask(delivery, PAGE, accept=f"{JSON}, x/{number}")
    assert before <= 1
    assert hot(delivery) <= MAX_HOT


def test_remembered_answers_are_counted(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    before = _pages_counted()
    for _ in range(5):
        ask(delivery, PAGE, accept=JSON)
    assert _pages_counted() - before == 5


def test_no_call_of_many_threads_is_lost() -> None:
    tally = Tally()
    threads = [threading.Thread(target=lambda: [tally.add() for _ in range(10_000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    looks = [tally.value for _ in range(100)]
    for thread in threads:
        thread.join()
    assert tally.value == tally.value == 80_000
    assert looks == sorted(looks)


def _pages_counted() -> float:
    [family] = RequestCollector().collect()
    return sum(sample.value for sample in family.samples if sample.labels == {"route": "page", "status": "200"})
