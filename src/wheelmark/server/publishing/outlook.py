"""The outlook of this index, from its rows, its store and its signing log: for status, page, metrics and warnings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Max

from wheelmark.errors import Refused, Untrusted, WheelmarkError
from wheelmark.server.ceremonies import open_path, read_ceremony_file
from wheelmark.server.config import Config
from wheelmark.server.publishing.keys import role_file_key, role_key
from wheelmark.server.publishing.log_tail import LogTail, read_tail
from wheelmark.server.publishing.models import Snapshot
from wheelmark.server.publishing.state import InForce, in_force, waiting_ceremony
from wheelmark.store import Missing, StoreReader
from wheelmark.trust import ROOT, ExpiryPolicy
from wheelmark.trust.audit import lost_roots
from wheelmark.trust.outlook import OFFLINE, Advice, Keyring, Observed, advise

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
    config: Config,
    *,
    now: datetime,
    policy: ExpiryPolicy | None = None,
    try_keys: Callable[[], object] | None = None,
) -> Outlook:
    """What is the matter with this index. `try_keys` opens the online keys, to see whether this machine can sign.

    Raises:
        Unavailable: the index is not founded, or database or store is away.
    """
    committed = in_force()
    rings, offline_faults = _offline(store, committed)
    tail, log_fault = _log(config, committed)
    signed_at = Snapshot.objects.filter(timestamp_version=committed.state.timestamp.version).aggregate(at=Max("at"))[
        "at"
    ]
    observed = Observed(
        signed_at=signed_at,
        log_fault=log_fault,
        key_fault=_fault_of(try_keys),
        waiting_ceremony=waiting_ceremony(),
        open_ceremony=_open_ceremony(config),
        offline_faults=offline_faults,
        offline_folder=str(config.offline_folder) if config.offline_folder.exists() else "",
        root_ring=rings.get(ROOT),
    )
    advice = advise(committed.state, observed, now=now, policy=policy or ExpiryPolicy())
    return Outlook(committed=committed, signed_at=signed_at, rings=rings, log=tail, advice=tuple(advice))


def _offline(store: StoreReader, committed: InForce) -> tuple[dict[str, Keyring], tuple[str, ...]]:
    """Who signs for which role, and which of the signed offline files the store lacks, or has in another form."""
    from wheelmark.trust.succession import verified_terms  # python-tuf, which no other request of the web server needs

    offline = committed.state.offline
    older = lost_roots(offline[ROOT].version - 1, lambda name: store.head(role_file_key(name)) is not None)
    faults = [f"the store has lost {fault.field}" for fault in older]
    files = {}
    for role in OFFLINE:
        try:
            files[role] = store.read_all(role_key(offline[role].version, role), max_bytes=MAX_OFFLINE_BYTES)
        except Missing:
            faults.append(f"the store has lost {offline[role].version}.{role}.json")
        except Refused:
            faults.append(f"{offline[role].version}.{role}.json in the store is larger than any such file")
    if len(files) < len(OFFLINE):
        return {}, tuple(faults)
    try:
        terms = verified_terms(files)
        rings = Keyring.named_in(*files.values())
    except Untrusted as error:
        return {}, (*faults, f"root, targets or bins in the store are not what was signed ({error})")
    # An older file of the same role verifies, too.
    faults += [
        f"{offline[role].version}.{role}.json in the store says that it is version {terms.of(role).version}"
        for role in OFFLINE
        if terms is not None and terms.of(role).version != offline[role].version
    ]
    return rings, tuple(faults)


def _open_ceremony(config: Config) -> str:
    """What the ceremony that this machine has open waits for; empty if there is none."""
    path = open_path(config)
    if not path.exists():
        return ""
    from wheelmark.trust.ceremony_summary import waits_for

    try:
        ceremony = read_ceremony_file(path)
    except WheelmarkError as error:
        return f"the open ceremony in {path} cannot be read ({error})"
    waiting = "; ".join(waits_for(ceremony)) or "nothing but `wheelmark trust ceremony finish`"
    return f"the open ceremony {ceremony.fingerprint[:8]} waits for {waiting}"


def _fault_of(try_keys: Callable[[], object] | None) -> str:
    if try_keys is None:
        return ""
    try:
        try_keys()
    except WheelmarkError as error:
        return str(error)
    return ""


def _log(config: Config, committed: InForce) -> tuple[LogTail | None, str]:
    """The end of the log and what is wrong with it. All of it is verified by `wheelmark trust log`. On PostgreSQL
    another machine may have signed: nothing is expected here then."""
    path = config.signing_log_path
    try:
        tail = read_tail(path)
    except FileNotFoundError:
        missing = "" if config.on_postgresql else f"there is no signing log at {path}, though this index has published"
        return None, missing
    except OSError as error:
        return None, f"the signing log {path} cannot be read ({error.strerror})"
    except Untrusted as error:
        return None, f"{error}; keep {path} as evidence"
    # Lines are in the order of signing, and one is written before the timestamp is in force.
    cut = tail.timestamp is not None and tail.timestamp < committed.state.timestamp.version
    if cut and not config.on_postgresql:
        return tail, (
            f"the end of the signing log {path} is missing: no line for timestamp "
            f"{committed.state.timestamp.version:,}, which is in force"
        )
    return tail, ""
