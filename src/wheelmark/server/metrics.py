"""Numbers for Prometheus at `/metrics`.

Web, workers and publisher are different processes, perhaps on different machines. What the database knows (queues,
scans, the snapshot and its expiries) is read at each scrape and is the same whichever process is asked; what only
this web process knows (its requests) is counted here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count, Max, Min, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wheelmark.errors import Untrusted
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.log_tail import read_tail
from wheelmark.server.publishing.models import Attempt, Heartbeat, RoleVersion, Snapshot
from wheelmark.server.publishing.state import waiting_ceremony
from wheelmark.server.review.models import Scan

registry = CollectorRegistry()
ProcessCollector(namespace="wheelmark_web", registry=registry)

upload_seconds = Histogram(
    "wheelmark_upload_seconds",
    "Seconds from an upload's first byte to its answer, by this web process",
    ["status"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
    registry=registry,
)


class Tally:
    """A number that hundreds of threads raise: a call is one step of the interpreter, so it needs no lock.

    The client library's counter takes a lock, on which the threads of a busy read path queue up.
    """

    def __init__(self) -> None:
        self._counted = itertools.count()
        self._looks = 0
        self._lock = threading.Lock()
        self.add = partial(next, self._counted)

    @property
    def value(self) -> int:
        """How often `add` was called. A look counts, too, and is taken off again."""
        with self._lock:
            self._looks += 1
            return next(self._counted) - (self._looks - 1)


_tallies: dict[tuple[str, int], Tally] = {}


def request_tally(route: str, status: int) -> Callable[[], object]:
    """What counts one answered request. `route` is one of a fixed few names, never something from the address."""
    return _tallies.setdefault((route, int(status)), Tally()).add


def count_request(route: str, status: int) -> None:
    """Count one answered request."""
    request_tally(route, status)()


class RequestCollector(Collector):
    """Requests that this web process answered."""

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        counter = CounterMetricFamily(
            "wheelmark_requests", "Requests answered by this web process", labels=["route", "status"]
        )
        for (route, status), tally in sorted(_tallies.items()):
            counter.add_metric([route, str(status)], tally.value)
        yield counter


registry.register(RequestCollector())


def exposition() -> tuple[bytes, str]:
    """The text of `/metrics`, and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


class DatabaseCollector(Collector):
    """What the database knows. When it is away, `wheelmark_database_up` says so and the rest is absent."""

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        up = GaugeMetricFamily("wheelmark_database_up", "1 when the database answered this scrape")
        try:
            found = [*_file_metrics(timezone.now()), *_scan_metrics(), *_publishing_metrics(timezone.now())]
        except (DatabaseError, InterfaceError):
            connection.close()
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from found

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering the collector must not ask the database."""
        return []


registry.register(DatabaseCollector())


def _file_metrics(now: datetime) -> Iterator[Metric]:
    files = GaugeMetricFamily("wheelmark_files", "Files by state", labels=["state"])
    oldest = GaugeMetricFamily(
        "wheelmark_oldest_file_seconds", "How long the file that waits longest has been in this state", labels=["state"]
    )
    rows = File.objects.values_list("state").annotate(Count("pk"), Min("state_changed_at"))
    found = {state: (count, since) for state, count, since in rows}
    for state in FileState:
        count, since = found.get(state.value, (0, now))
        files.add_metric([state.value], count)
        if state in {FileState.UPLOADED, FileState.VALIDATED, FileState.SCANNED, FileState.HELD}:
            oldest.add_metric([state.value], max(0.0, (now - since).total_seconds()))
    yield files
    yield oldest
    uploads = CounterMetricFamily("wheelmark_uploads", "Files that were accepted")
    uploads.add_metric([], sum(count for count, _ in found.values()))
    yield uploads


def _scan_metrics() -> Iterator[Metric]:
    scans = CounterMetricFamily("wheelmark_scans", "Finished scans by verdict", labels=["verdict"])
    seconds = CounterMetricFamily("wheelmark_scan_seconds", "Seconds spent in finished scans", labels=["verdict"])
    for verdict, count, milliseconds in (
        Scan.objects.order_by().values_list("verdict").annotate(Count("pk"), Sum("elapsed_ms"))
    ):
        scans.add_metric([verdict], count)
        seconds.add_metric([verdict], milliseconds / 1000)
    yield scans
    yield seconds


def _publishing_metrics(now: datetime) -> Iterator[Metric]:
    current = Snapshot.objects.order_by("-timestamp_version").first()
    if current is not None:
        for name, text, value in (
            ("wheelmark_snapshot_version", "Version of the current snapshot", current.version),
            ("wheelmark_snapshot_serial", "Journal serial that it is published up to", current.serial),
            ("wheelmark_snapshot_projects", "Pages that it lists", current.projects),
            ("wheelmark_timestamp_age_seconds", "Since it was signed", (now - current.at).total_seconds()),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))
    expiry = GaugeMetricFamily("wheelmark_role_expiry_seconds", "Until this role's metadata expires", labels=["role"])
    for role, expires_at in RoleVersion.objects.exclude(role__startswith="bins-").values_list("role", "expires_at"):
        expiry.add_metric([role], (expires_at - now).total_seconds())
    first = RoleVersion.objects.filter(role__startswith="bins-").aggregate(first=Min("expires_at"))["first"]
    if first is not None:
        expiry.add_metric(["bins-first"], (first - now).total_seconds())
    yield expiry
    yield from _trust_metrics(now)
    heard = Heartbeat.objects.aggregate(at=Max("at"))["at"]
    if heard is not None:
        age = (now - heard).total_seconds()
        yield GaugeMetricFamily(
            "wheelmark_publisher_heard_seconds", "Since the publisher last said it lives", value=age
        )


def _trust_metrics(now: datetime) -> Iterator[Metric]:
    """Versions of the offline roles, what an administrator should do, and the signing log of this machine."""
    versions = GaugeMetricFamily("wheelmark_role_version", "Version of this role's metadata", labels=["role"])
    for role, version in RoleVersion.objects.filter(role__in=["root", "targets", "bins"]).values_list(
        "role", "version"
    ):
        versions.add_metric([role], version)
    yield versions
    yield GaugeMetricFamily(
        "wheelmark_ceremony_waiting",
        "1 when a finished ceremony waits for a publisher",
        value=1.0 if waiting_ceremony() else 0.0,
    )
    dead = Attempt.objects.aggregate(count=Count("pk"), since=Min("started_at"))
    yield GaugeMetricFamily(
        "wheelmark_publication_attempt_seconds",
        "Since the oldest publication began that did not end; 0 when none is open",
        value=(now - dead["since"]).total_seconds() if dead["since"] else 0.0,
    )
    try:
        tail = read_tail(settings.CONFIG.signing_log_path)
    except (OSError, Untrusted) as error:
        if not isinstance(error, FileNotFoundError):  # another machine signs, and has it
            yield GaugeMetricFamily(
                "wheelmark_signing_log_whole", "1 when its last lines follow one another", value=0.0
            )
        return
    yield GaugeMetricFamily("wheelmark_signing_log_whole", "1 when its last lines follow one another", value=1.0)
    yield GaugeMetricFamily(
        "wheelmark_signing_log_bytes", "Length of this machine's signing log", value=float(tail.size)
    )
    if tail.last is not None:
        yield GaugeMetricFamily(
            "wheelmark_signing_log_age_seconds",
            "Since the last line of this machine's signing log",
            value=(now - tail.last.at).total_seconds(),
        )
