"""The outlook of this index, from its rows, its store and its signing log: for status, page, metrics and warnings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from django.db.models import Max

from wheelmark.errors import Untrusted, WheelmarkError
from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.log_tail import LogTail, read_tail
from wheelmark.server.publishing.models import Snapshot
from wheelmark.server.publishing.state import InForce, in_force, waiting_ceremony
from wheelmark.store import Missing, StoreReader
from wheelmark.trust import BINS, ROOT, TARGETS, ExpiryPolicy
from wheelmark.trust.outlook import Advice, Keyring, Observed, advise

MAX_OFFLINE_BYTES: Final = 512_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What status, page and metrics show."""

    committed: InForce
    signed_at: datetime | None  # the timestamp in force
    rings: Mapping[str, Keyring]  # by role; empty if the store has lost the offline files
    log: LogTail | None  # None: there is no log on this machine
    advice: tuple[Advice, ...]


def read_outlook(
    store: StoreReader,
    log_path: Path | None,
    *,
    now: datetime,
    policy: ExpiryPolicy | None = None,
    try_keys: Callable[[], object] | None = None,
) -> Outlook:
    """What is the matter with this index. `log_path` None: the signing log is not looked at. `try_keys` opens the
    online keys, to see whether this machine can sign.

    Raises:
        Unavailable: the index is not founded, or database or store is away.
    """
    committed = in_force()
    rings = _rings(store, committed)
    tail, log_fault = _log(log_path)
    signed_at = Snapshot.objects.filter(timestamp_version=committed.state.timestamp.version).aggregate(at=Max("at"))[
        "at"
    ]
    observed = Observed(
        signed_at=signed_at,
        log_fault=log_fault,
        key_fault=_fault_of(try_keys),
        waiting_ceremony=waiting_ceremony(),
        root_ring=rings.get(ROOT),
    )
    advice = advise(committed.state, observed, now=now, policy=policy or ExpiryPolicy())
    return Outlook(committed=committed, signed_at=signed_at, rings=rings, log=tail, advice=tuple(advice))


def _rings(store: StoreReader, committed: InForce) -> dict[str, Keyring]:
    offline = committed.state.offline
    try:
        files = [
            store.read_all(role_key(offline[role].version, role), max_bytes=MAX_OFFLINE_BYTES)
            for role in (ROOT, TARGETS, BINS)
        ]
        return Keyring.named_in(*files)
    except (Missing, Untrusted):
        return {}


def _fault_of(try_keys: Callable[[], object] | None) -> str:
    if try_keys is None:
        return ""
    try:
        try_keys()
    except WheelmarkError as error:
        return str(error)
    return ""


def _log(path: Path | None) -> tuple[LogTail | None, str]:
    """The end of the log and what is wrong with it. All of it is verified by `wheelmark trust log`."""
    if path is None:
        return None, ""
    try:
        return read_tail(path), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"the signing log {path} cannot be read ({error.strerror})"
    except Untrusted as error:
        return None, f"{error}; keep {path} as evidence"
