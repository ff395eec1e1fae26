"""Health and metrics: ready means able to accept and publish; what fails is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.delivery import ask, delivering, published_file, stored_file
from support.publishing import FoundedIndex, found_index
from support.rows import NOW
from wheelmark.errors import Unavailable
from wheelmark.server.delivery.application import Delivery
from wheelmark.server.delivery.catalog import Pulse
from wheelmark.server.delivery.health import HEARTBEAT_AGE, publisher_checks
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.publisher import beat
from wheelmark.store import MemoryStore, Stored

LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("pulse", "fault"),
    [
        (Pulse(NOW, {"timestamp": LATER, "snapshot": LATER}), None),
        (Pulse(NOW - HEARTBEAT_AGE, {"timestamp": LATER}), None),
        (Pulse(NOW - HEARTBEAT_AGE - timedelta(seconds=1), {"timestamp": LATER}), "publisher"),
        (Pulse(None, {"timestamp": LATER}), "publisher"),
        (Pulse(NOW, {"timestamp": NOW, "snapshot": LATER}), "metadata"),
        (Pulse(NOW, {}), "metadata"),
    ],
)
def test_publisher_is_fine_while_it_is_heard_and_nothing_expired(pulse: Pulse, fault: str | None) -> None:
    checks = publisher_checks(pulse, now=NOW)
    assert [name for name, check in checks.items() if check != "ok"] == ([fault] if fault else [])


class ReadOnlyStore(MemoryStore):
    def put(self, key: str, chunks: Iterable[bytes], *, immutable: bool) -> Stored:
        raise Unavailable("the store is read-only", code="store-read-only")


@pytest.fixture
def index(transactional_db: None) -> FoundedIndex:
    return found_index()


@pytest.fixture
def delivery(index: FoundedIndex) -> Iterator[Delivery]:
    with delivering(index) as delivery:
        yield delivery


def test_index_with_a_living_publisher_is_ready(index: FoundedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelmark.server.publishing.publisher.timezone.now", lambda: NOW)
    beat()
    with delivering(index, clock=lambda: NOW) as delivery:
        got = ask(delivery, "/readyz")
    assert got.status == 200
    assert json.loads(got.body) == {
        "ready": True,
        "snapshot": 1,
        "checks": {"database": "ok", "store": "ok", "publisher": "ok", "metadata": "ok"},
    }


def test_index_without_a_publisher_is_not_ready_but_runs(delivery: Delivery) -> None:
    got = ask(delivery, "/readyz")
    assert got.status == 503
    assert json.loads(got.body)["checks"]["publisher"] == "no publisher has run yet"
    assert ask(delivery, "/healthz").status == 200


def test_store_that_cannot_be_written_is_named(index: FoundedIndex) -> None:
    with delivering(index, store=ReadOnlyStore()) as delivery:
        got = ask(delivery, "/readyz")
    assert got.status == 503
    assert json.loads(got.body)["checks"]["store"] == "the store is read-only"


def test_store_that_lost_what_is_listed_gives_503_and_never_404(index: FoundedIndex) -> None:
    file = published_file(index)
    with delivering(index, store=MemoryStore()) as delivery:
        for target in ("/simple/demo/", f"/files/{file.sha256}/{file.filename}"):
            got = ask(delivery, target)
            assert (got.status, got.headers["retry-after"]) == (503, "5")


def test_damaged_bytes_are_not_served(index: FoundedIndex) -> None:
    file = published_file(index, content=b"what was uploaded")
    index.store.put(f"files/{file.sha256[:2]}/{file.sha256}", [b"something else!!!"], immutable=False)
    with delivering(index) as delivery:
        got = ask(delivery, f"/files/{file.sha256}/{file.filename}")
    assert got.status == 503
    assert b"something" not in got.body


def test_metrics_tell_queues_scans_and_expiries(index: FoundedIndex, delivery: Delivery) -> None:
    published_file(index)
    stored_file(index, "demo", "2.0", state=FileState.HELD)
    ask(delivery, "/simple/demo/")
    families = {
        family.name: family for family in text_string_to_metric_families(ask(delivery, "/metrics").body.decode())
    }
    files = {sample.labels["state"]: sample.value for sample in families["wheelmark_files"].samples}
    assert (files["published"], files["held"], files["validated"]) == (1, 1, 0)
    [version] = families["wheelmark_snapshot_version"].samples
    assert version.value == 2
    roles = {sample.labels["role"] for sample in families["wheelmark_role_expiry_seconds"].samples}
    assert {"root", "targets", "snapshot", "timestamp", "bins-first"} <= roles
    pages = [
        sample.value
        for sample in families["wheelmark_requests"].samples
        if sample.labels == {"route": "page", "status": "200"} and sample.name.endswith("_total")
    ]
    assert pages[0] >= 1
