"""Whether this index can accept and publish (`/readyz`), as opposed to whether this process runs (`/healthz`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.utils import timezone

from wheelmark.errors import WheelmarkError
from wheelmark.server.delivery.cache import SingleFlight
from wheelmark.server.delivery.catalog import Catalog, Pulse
from wheelmark.server.delivery.generation import Snapshots
from wheelmark.store import Store

PROBE_KEY = "probe/readyz"
PROBE_SECONDS = 5.0
"""How long the answer about the store is good for: whoever asks often must not wear the disk out."""

HEARTBEAT_AGE = timedelta(seconds=15)
"""The publisher says every five seconds that it lives; a stand-by takes over within ten."""


class Health:
    """Asks database, store and publisher."""

    def __init__(
        self,
        snapshots: Snapshots,
        catalog: Catalog,
        store: Store,
        flights: SingleFlight,
        *,
        clock: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._snapshots = snapshots
        self._catalog = catalog
        self._store = store
        self._flights = flights
        self._clock = clock
        self._probed_at = float("-inf")
        self._probe_fault: str | None = None
        self._lock = threading.Lock()

    def readiness(self) -> tuple[bool, Mapping[str, object]]:
        """Whether everything works, and what does not: each check is "ok" or a sentence."""
        checks = {"database": "ok", "store": self._store_fault() or "ok"}
        try:
            self._snapshots.renew()
            pulse = self._flights.load("pulse", self._catalog.pulse)
            version = self._snapshots.generation.current.version
            checks |= publisher_checks(pulse, now=self._clock())
        except WheelmarkError as error:
            version = None
            checks["database"] = str(error)
        ready = all(check == "ok" for check in checks.values())
        return ready, {"ready": ready, "snapshot": version, "checks": checks}

    def _store_fault(self) -> str | None:
        with self._lock:
            if time.monotonic() - self._probed_at >= PROBE_SECONDS:
                try:
                    self._store.put(PROBE_KEY, [b"written to see whether the store can be written\n"], immutable=False)
                    self._probe_fault = None
                except WheelmarkError as error:
                    self._probe_fault = str(error)
                self._probed_at = time.monotonic()
            return self._probe_fault


def publisher_checks(pulse: Pulse, *, now: datetime) -> dict[str, str]:
    """What is to be said of the publisher: does it live, and has what it signed expired."""
    checks = {"publisher": "ok", "metadata": "ok"}
    if pulse.heartbeat_at is None:
        checks["publisher"] = "no publisher has run yet"
    elif now - pulse.heartbeat_at > HEARTBEAT_AGE:
        seconds = round((now - pulse.heartbeat_at).total_seconds())
        checks["publisher"] = f"the publisher was last heard {seconds} s ago"
    expired = sorted(role for role, expires_at in pulse.expires_at.items() if expires_at <= now)
    if expired or not pulse.expires_at:
        checks["metadata"] = f"expired: {', '.join(expired)}" if expired else "nothing is signed yet"
    return checks
