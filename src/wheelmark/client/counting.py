"""What a proxy has done so far, in numbers: for `/metrics` in Prometheus's text form."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable

from wheelmark.client.fetching import Fetcher, Kind
from wheelmark.errors import Untrusted, WheelmarkError

TIMESTAMP_NAME = "/timestamp.json"
REQUESTED = ("page", "metadata", "provenance", "file")


class Counters:
    """Counts from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._incidents: Counter[tuple[str, str]] = Counter()

    def request(self, kind: str) -> None:
        """One answer was wanted: page, file or what lies beside it."""
        with self._lock:
            self._requests[kind] += 1

    def incident(self, error: WheelmarkError) -> None:
        """One answer was withheld."""
        with self._lock:
            self._incidents["refused" if isinstance(error, Untrusted) else "unavailable", error.code] += 1

    def text(self, *, refreshes: int, unverified_seconds: float | None) -> str:
        """All of it in Prometheus's text form (exposition format 0.0.4)."""
        with self._lock:
            requests, incidents = dict(self._requests), dict(self._incidents)
        lines = _family(
            "wheelmark_proxy_requests_total",
            "counter",
            "Pages, files, core metadata and provenance that were asked for.",
            ((f'{{kind="{kind}"}}', requests.get(kind, 0)) for kind in REQUESTED),
        )
        lines += _family(
            "wheelmark_proxy_withheld_total",
            "counter",
            "Answers withheld: refused is what came and was wrong, unavailable what did not come.",
            (
                (f'{{result="{result}",code="{code}"}}', count)
                for (result, code), count in sorted((incidents or {("refused", "file"): 0}).items())
            ),
        )
        lines += _family(
            "wheelmark_proxy_refreshes_total",
            "counter",
            "Times that a timestamp was fetched.",
            [("", refreshes)],
        )
        age = float("nan") if unverified_seconds is None else round(unverified_seconds, 3)
        lines += _family(
            "wheelmark_proxy_timestamp_age_seconds",
            "gauge",
            "Seconds since a timestamp was last fetched or found fresh, and verified; NaN before the first.",
            [("", age)],
        )
        return "\n".join([*lines, ""])


class CountingFetcher:
    """A `Fetcher` that counts how often a timestamp was asked for; the real one is opened at the first request."""

    def __init__(self, open_fetcher: Callable[[], Fetcher]) -> None:
        self._open = open_fetcher
        self._fetcher: Fetcher | None = None
        self._lock = threading.Lock()
        self.refreshes = 0

    def stream(self, url: str, kind: Kind) -> Generator[bytes]:
        """See `Fetcher.stream`."""
        with self._lock:
            if self._fetcher is None:
                self._fetcher = self._open()
            self.refreshes += url.endswith(TIMESTAMP_NAME)
        return self._fetcher.stream(url, kind)


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[str, float]]) -> list[str]:
    values = [f"{name}{labels} {'NaN' if value != value else value}" for labels, value in samples]  # noqa: PLR0124  # NaN
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *values]
