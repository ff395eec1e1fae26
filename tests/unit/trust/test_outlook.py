"""What should be done, in which order, as the clock goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.trust import NOON, POLICY, Repository
from wheelmark.errors import Untrusted
from wheelmark.trust import RepositoryState
from wheelmark.trust.outlook import Keyring, Observed, Urgency, advise

DAY = timedelta(days=1)


def codes(now: datetime, *, state: RepositoryState | None = None, observed: Observed | None = None) -> list[str]:
    state = state or Repository.founded().state
    return [advice.code for advice in advise(state, observed or Observed(), now=now, policy=POLICY)]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, []),
        (2, ["expired-online"]),
        (300, ["expired-online"]),
        (305, ["expired-online", "expires-soon"]),
        (365, ["expired-online", "expired-offline"]),
    ],
)
def test_expiry_is_announced_sixty_days_ahead_and_the_dead_come_first(days: int, expected: list[str]) -> None:
    assert codes(NOON + days * DAY) == expected


def test_offline_role_of_its_own_expiry_is_named_with_the_days_that_are_left() -> None:
    state = Repository.founded().state
    root = replace(state.offline["root"], expires_at=NOON + 10 * DAY)
    state = replace(state, offline={**state.offline, "root": root})
    (advice,) = advise(state, Observed(), now=NOON, policy=POLICY)
    assert advice.text.startswith("root will expire, the first in 10 days")
    assert advice.urgency == Urgency.SOON
    assert "ceremony begin --renew" in advice.command


def test_timestamp_that_nobody_signs_again_is_noticed_before_it_expires() -> None:
    now = NOON + timedelta(hours=4)
    assert codes(now, observed=Observed(signed_at=NOON)) == ["timestamp-old"]
    assert codes(now, observed=Observed(signed_at=now - timedelta(hours=2))) == []


def test_most_urgent_stands_first() -> None:
    observed = Observed(
        signed_at=NOON - DAY,
        log_fault="the signing log is broken",
        key_fault="expected key a, got b",
        waiting_ceremony="0123456789",
        open_ceremony="the open ceremony waits for ann",
        offline_faults=("the store has lost 1.targets.json",),
        offline_folder="data/offline",
        root_ring=Keyring(1, ("k",)),
    )
    state = Repository.founded().state
    soon = replace(state.offline["root"], expires_at=NOON + 10 * DAY)
    state = replace(state, offline={**state.offline, "root": soon})
    found = advise(state, observed, now=NOON, policy=POLICY)
    assert [advice.code for advice in found] == [
        "offline-missing",
        "cannot-sign",
        "signing-log",
        "expires-soon",
        "timestamp-old",
        "ceremony-waiting",
        "ceremony-open",
        "root-alone",
        "offline-key-here",
    ]
    assert [advice.urgency for advice in found] == sorted(advice.urgency for advice in found)


def test_clock_that_was_set_back_is_named() -> None:
    assert "clock-behind" in codes(NOON - 30 * DAY)


def test_keys_of_every_role_are_read_from_the_offline_files() -> None:
    repository = Repository.founded()
    files = [repository.files[f"1.{role}.json"] for role in ("root", "targets", "bins")]
    rings = Keyring.named_in(*files)
    assert set(rings) == {"root", "targets", "snapshot", "timestamp", "bins", "bins-*"}
    assert rings["snapshot"] == rings["timestamp"] != rings["bins-*"]
    with pytest.raises(Untrusted):
        Keyring.named_in(files[1], files[0], b"[]")
