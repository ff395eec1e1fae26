"""An index as its thieves, its accidents and its administrators see it: root by three holders, and a backup."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model
from securesystemslib.formats import encode_canonical

from support.publishing import BITS, POLICY, Client, FoundedIndex, MemorySigningLog, found_index
from support.rows import a_file
from wheelmark.server.projects.models import File
from wheelmark.server.publishing.audit import AuditReport, audit
from wheelmark.server.publishing.keys import file_key, metadata_key, role_key
from wheelmark.server.publishing.models import RoleVersion
from wheelmark.server.publishing.recovery import Recovery, adopt_offline_roles, recover
from wheelmark.store import MemoryStore
from wheelmark.trust import (
    Layout,
    LogEntry,
    OfflineRole,
    OfflineRoles,
    OnlineSigner,
    OnlineSigners,
    RoleKeys,
    bins_bytes,
    envelope,
    open_signer,
    root_bytes,
)

METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def a_key() -> OnlineSigner:
    return open_signer("memory:ed25519", passphrase=bytes)


@dataclass
class Rehearsal:
    """A founded, published index with root 2 of 3, a client that knows it, and everything that may happen to it."""

    holders: tuple[OnlineSigner, ...] = field(default_factory=lambda: tuple(a_key() for _ in range(3)))
    log: MemorySigningLog = field(default_factory=MemorySigningLog)
    index: FoundedIndex = field(init=False)
    old_client: Client = field(init=False)

    def __post_init__(self) -> None:
        role = OfflineRole(self.holders[:2], threshold=2, absent=(self.holders[2].public,))
        self.index = found_index(MemoryStore(), offline=OfflineRoles.all_by(role), signing_log=self.log)
        for name in ("alpha", "beta", "gamma"):
            self.upload(name)
        self.publish()
        self.old_client = Client(self.index)
        assert self.sees("alpha") == {"alpha": ["alpha-1.0-py3-none-any.whl"]}

    @property
    def store(self) -> MemoryStore:
        assert isinstance(self.index.store, MemoryStore)
        return self.index.store

    def upload(self, name: str, version: str = "1.0") -> File:
        """A scanned file whose bytes lie in the store."""
        file = a_file(name, version, metadata=METADATA)
        self.store.put(file_key(file.sha256), [file.filename.encode()], immutable=True)
        self.store.put(metadata_key(file.metadata_sha256), [METADATA], immutable=True)
        return file

    def publish(self) -> None:
        publisher = self.index.publisher()
        while publisher.publish_due():
            pass

    def audit(self, **options: Any) -> AuditReport:
        return audit(
            self.store, [self.log.appended], now=self.index.now, policy=POLICY, sleep=lambda seconds: None, **options
        )

    def codes(self, **options: Any) -> set[str]:
        return {fault.code for fault in self.audit(**options).faults}

    def recover(self) -> Recovery:
        adopted = adopt_offline_roles(self.store)
        return recover(self.index.publisher(), [self.log.appended], adopted=adopted)

    def sees(self, *names: str) -> dict[str, list[str] | None]:
        """What a client that knew the state before gets, after making sure that a new one gets the same."""
        seen = self.old_client.sees(*names)
        assert self.index.client_sees(*names) == seen, "a new client"
        return seen

    def hold_ceremony(
        self,
        *,
        bins: OnlineSigner | None = None,
        publish: OnlineSigner | None = None,
        holders: tuple[OnlineSigner, ...] | None = None,
        present: Iterable[int] = (0, 1),
    ) -> None:
        """A new root (and bins) that names new keys, signed by those who are present of the old and the new holders,
        applied as the publisher applies it."""
        old, new = self.holders, holders or self.holders
        signers = OnlineSigners(bins=bins or self.index.signers.bins, publish=publish or self.index.signers.publish)
        versions = dict(RoleVersion.objects.values_list("role", "version"))
        keys = RoleKeys(tuple(holder.public for holder in new), 2)
        online = RoleKeys((signers.publish.public,))
        signed = root_bytes(
            version=versions["root"] + 1,
            expires=self.index.now + POLICY.root,
            root=keys,
            targets=RoleKeys(tuple(holder.public for holder in self.holders), 2),
            snapshot=online,
            timestamp=online,
        )
        hands = {holder.keyid: holder for holder in (*(old[at] for at in present), *new[:2])}
        self._apply("root", versions["root"] + 1, signed, hands)
        if bins is not None:
            signed = bins_bytes(
                version=versions["bins"] + 1,
                expires=self.index.now + POLICY.bins,
                layout=Layout(BITS),
                keys=RoleKeys((bins.public,)),
            )
            self._apply("bins", versions["bins"] + 1, signed, {key.keyid: key for key in self.holders[:2]})
        self.index.signers = signers
        publisher = self.index.publisher()
        publisher.resign = frozenset(range(1 << BITS)) if bins is not None else frozenset({0})
        publisher.publish_due()
        self.holders = new

    def renew(self, role: str) -> None:
        """`targets` or `bins` again, as they are but for version and expiry, signed by the first two holders."""
        version = RoleVersion.objects.get(role=role).version
        content = orjson.loads(self.store.read_all(role_key(version, role), max_bytes=1_000_000))["signed"]
        expires = (self.index.now + POLICY.life_of(role)).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = encode_canonical(content | {"version": version + 1, "expires": expires}) or ""
        self._apply(role, version + 1, signed.encode(), {holder.keyid: holder for holder in self.holders[:2]})

    def _apply(self, role: str, version: int, signed: bytes, hands: Mapping[str, OnlineSigner]) -> None:
        content = envelope(signed, [holder.sign(signed) for holder in hands.values()])
        self.log_file(role, version, content, next(iter(hands)))
        self.store.put_many([(role_key(version, role), content)], immutable=True)
        life = POLICY.life_of(role)
        RoleVersion.objects.filter(role=role).update(version=version, expires_at=self.index.now + life)

    def log_file(self, role: str, version: int, content: bytes, keyid: str) -> None:
        """A line of the signing log, as whoever signs through the index leaves it."""
        self.log.append(
            [
                LogEntry(
                    at=self.index.now,
                    role=role,
                    version=version,
                    sha256=hashlib.sha256(content).hexdigest(),
                    keyid=keyid,
                    serial_from=0,
                    serial_to=0,
                )
            ]
        )


_APPS = ("projects", "publishing")


class Backup:
    """The rows of projects and publishing as they are now, to be put back later as a restored database would."""

    def __init__(self) -> None:
        self._rows: list[tuple[type[Model], list[Model]]] = [
            (model, list(model._default_manager.all()))
            for app in _APPS
            for model in apps.get_app_config(app).get_models()
        ]

    def restore(self) -> None:
        """Every later row is gone, and serials and keys start again where they were."""
        with transaction.atomic(), connection.constraint_checks_disabled():
            for model, _ in reversed(self._rows):
                model._default_manager.all()._raw_delete("default")
            for model, rows in self._rows:
                model._default_manager.bulk_create(rows)
                with connection.cursor() as cursor:
                    highest = max((row.pk for row in rows if isinstance(row.pk, int)), default=0)
                    cursor.execute(
                        "UPDATE sqlite_sequence SET seq = %s WHERE name = %s", [highest, model._meta.db_table]
                    )
