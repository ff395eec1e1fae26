"""The one line that ends a run."""

from __future__ import annotations

import pytest

from wheelmark.client.incidents import Incident, Incidents
from wheelmark.errors import Unavailable, Untrusted

AWAY = Unavailable("no answer", code="connection")
WRONG = Untrusted("expected sha256 a,\ngot b", code="file")


def test_line_of_a_refusal_says_what_came_and_what_to_do_on_one_line() -> None:
    line = Incident(WRONG).line()
    assert line.startswith("wheelmark: refused: expected sha256 a, got b; ")
    assert "\n" not in line
    assert len(line) > len("wheelmark: refused: expected sha256 a, got b; ")


def test_what_came_from_outside_commands_no_terminal() -> None:
    line = Incident(Untrusted("got \x1b]0;owned\x07\x1b[2J\u202eabc\r\nwheelmark: all is well", code="x")).line()
    assert line.isprintable()
    assert "got ]0;owned [2J abc wheelmark: all is well" in line


def test_line_of_an_absence_does_not_say_refused() -> None:
    assert Incident(AWAY).line() == "wheelmark: unavailable: no answer"


@pytest.mark.parametrize(
    "code",
    ["expired", "rollback", "signature", "hash", "metadata", "endless-data", "encoding", "redirect", "file", "target"],
)
def test_each_kind_of_refusal_has_advice_of_its_own(code: str) -> None:
    said = Incident(Untrusted("expected a, got b", code=code)).line().removeprefix("wheelmark: refused: ")
    other = Incident(Untrusted("expected a, got b", code="of-no-known-kind")).line()
    assert said.startswith("expected a, got b; ")
    assert said != other.removeprefix("wheelmark: refused: ")


@pytest.mark.parametrize("code", ["offline", "offline-expired", "slow-retrieval", "cache"])
def test_absence_that_a_user_can_end_says_how(code: str) -> None:
    assert Incident(Unavailable("no answer", code=code)).line().startswith("wheelmark: unavailable: no answer; ")


def test_refusal_weighs_more_than_an_earlier_absence() -> None:
    seen: list[Incident] = []
    incidents = Incidents(seen.append)
    assert incidents.worst() is None
    incidents.add(AWAY)
    assert incidents.worst() == Incident(AWAY)
    incidents.add(WRONG)
    assert incidents.worst() == Incident(WRONG)
    assert seen == [Incident(AWAY), Incident(WRONG)]
