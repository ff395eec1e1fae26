"""The threads that read, make pages and keep up: they run what they are given, and leave nothing open."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from wheelmark.server.threads import ThreadGroup

WAIT = 10.0


class Leaving:
    """Remembers which threads said their last word."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self) -> None:
        self.names.append(threading.current_thread().name)


@pytest.fixture
def leaving() -> Leaving:
    return Leaving()


@pytest.fixture
def group(leaving: Leaving) -> Iterator[ThreadGroup]:
    group = ThreadGroup(2, name="some", at_end=leaving)
    yield group
    group.close()


def test_result_and_error_reach_whoever_asked(group: ThreadGroup) -> None:
    assert group.submit(lambda: 6 * 7).result(WAIT) == 42
    failed = group.submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failed.result(WAIT)
    assert group.submit(lambda: threading.current_thread().name).result(WAIT).startswith("some_")


def test_every_thread_says_its_last_word_after_what_waited(group: ThreadGroup, leaving: Leaving) -> None:
    waiting = [group.submit(lambda: len(leaving.names)) for _ in range(20)]
    group.close()
    assert all(future.result(0) < 2 for future in waiting)
    assert sorted(leaving.names) == ["some_0", "some_1"]


def test_work_that_was_given_up_never_runs(group: ThreadGroup) -> None:
    let_go, ran = threading.Event(), []
    for _ in range(2):
        group.submit(let_go.wait)
    given_up = group.submit(lambda: ran.append(1))
    assert given_up.cancel()
    let_go.set()
    group.close()
    assert ran == []
