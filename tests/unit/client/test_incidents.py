"""The one line that ends a run."""

from __future__ import annotations

from wheelmark.client.incidents import Incident, Incidents
from wheelmark.errors import Unavailable, Untrusted

AWAY = Unavailable("no answer", code="connection")
WRONG = Untrusted("expected sha256 a,\ngot b", code="file")


def test_line_of_a_refusal_says_what_came_and_what_to_do_on_one_line() -> None:
    line = Incident(WRONG).line()
    assert line.startswith("wheelmark: refused: expected sha256 a, got b; ")
    assert "\n" not in line
    assert len(line) > len("wheelmark: refused: expected sha256 a, got b; ")


def test_line_of_an_absence_does_not_say_refused() -> None:
    assert Incident(AWAY).line() == "wheelmark: unavailable: no answer"


def test_refusal_weighs_more_than_an_earlier_absence() -> None:
    seen: list[Incident] = []
    incidents = Incidents(seen.append)
    assert incidents.worst() is None
    incidents.add(AWAY)
    assert incidents.worst() == Incident(AWAY)
    incidents.add(WRONG)
    assert incidents.worst() == Incident(WRONG)
    assert seen == [Incident(AWAY), Incident(WRONG)]
