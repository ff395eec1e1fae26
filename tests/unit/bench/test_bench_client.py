"""Installs are measured on a file system that has forgotten what was deleted before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import bench_client


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(bench_client, "time", clock)
    return clock


def costs(monkeypatch: pytest.MonkeyPatch, *microseconds: float) -> None:
    given: Iterator[float] = iter(microseconds)
    last = microseconds[-1]
    monkeypatch.setattr(bench_client, "microseconds_a_file", lambda _: next(given, last))


def test_waits_until_files_are_made_as_fast_as_usual(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    costs(monkeypatch, 700.0, 300.0, 20.0)
    assert bench_client.settled_microseconds_a_file(tmp_path) == 20.0
    assert clock.now == 2 * bench_client.SETTLING_STEP_SECONDS


def test_does_not_wait_for_ever_for_a_slow_disk(clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    costs(monkeypatch, 700.0)
    assert bench_client.settled_microseconds_a_file(tmp_path) == 700.0
    assert bench_client.MAX_SETTLING_SECONDS <= clock.now < bench_client.MAX_SETTLING_SECONDS + 30


def test_files_of_a_probe_stay_until_the_end(tmp_path: Path) -> None:
    assert 0 < bench_client.microseconds_a_file(tmp_path) < 1e6
    assert sum(1 for path in tmp_path.rglob("*") if path.is_file()) == bench_client.PROBED_FILES
